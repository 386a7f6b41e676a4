"""Packets for the client: search, and one packet with everything in it. For the team; public pages have no use for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stixlab.errors import AccessError

if TYPE_CHECKING:
    from stixlab.client.lab import Lab
    from stixlab.packets.table import PacketTable
    from stixlab.packets.tree import PacketTree
    from stixlab.settings import Settings

__all__ = ["check_access", "find_packets", "get_packet"]


def find_packets(
    lab: Lab,
    *,
    limit: int = 100,
    after: str | None = None,
    newest_first: bool = True,
    count: bool = True,
    distinct: bool = False,
    **conditions: Any,
) -> PacketTable:
    """Packets that meet all conditions, a page at a time.

    Parameters
    ----------
    lab
    limit, after, newest_first, count, distinct
        Which page, in which order; see `stixlab.packets.find_packets`.
    **conditions
        ``start``, ``end``, ``spid``, ``service``, ``subtype``, ``ssid``, ``apid``, ``request``, ``status``,
        ``file``, ``text``, ``origin``; see `stixlab.packets.PacketQuery.make`.

    Raises
    ------
    ParameterError
        If a condition cannot be met, or the page is too large.
    TimeError
        If a time cannot be read.
    AccessError
        If this process has the rights of the public only.
    """
    from stixlab.packets.search import find_packets as find

    check_access(lab.settings, "search for packets")
    return find(
        lab.catalog,
        lab.archive,
        lab.versions,
        lab.clock,
        limit=limit,
        after=after,
        newest_first=newest_first,
        count=count,
        distinct=distinct,
        **conditions,
    )


def get_packet(lab: Lab, identity: str) -> PacketTree:
    """A packet by its id: header, fields as a tree with decompressed and engineering values, bytes.

    Raises
    ------
    ParameterError
        If the text is no id of a packet.
    NotInCatalogError
        If there is no such packet.
    ArchiveError
        If the packets of its file are missing.
    AccessError
        If this process has the rights of the public only.
    """
    from stixlab.packets.tree import get_packet as get

    check_access(lab.settings, f"packet {identity}")
    return get(
        lab.catalog,
        lab.archive,
        lab.versions,
        lab.clock,
        identity,
    )


def check_access(settings: Settings, what: str) -> None:
    """Refuse the public what packets say.

    Raises
    ------
    AccessError
        If this process has the rights of the public only.
    """
    if settings.access == "public":
        raise AccessError(f"{what}: packets are for the team; this process has the rights of the public")
