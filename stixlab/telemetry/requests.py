"""Data requests by name: which packets of a file belong to which, and all packets of one from many files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import ParameterError, UnknownPacketError
from stixlab.idb import Versions
from stixlab.telemetry.assembly import Assembled, assemble
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.packet_file import request_numbers
from stixlab.telemetry.sequences import Headers
from stixlab.vocabulary import ORIGINS

__all__ = [
    "SCIENCE_SSIDS",
    "Gathered",
    "PacketSource",
    "RequestIndex",
    "RequestKey",
    "gather",
    "request_keys",
]

SCIENCE_SSIDS = (20, 21, 22, 23, 24, 42)
"""Structures of service (21, 6) that are sent by request."""
_SERVICE, _SUBTYPE, _ASPECT = 21, 6, 42
_DAY_S = 86_400
"""The data length stands here in a packet; 7 bytes more is all of it."""


class PacketSource(Protocol):
    """Packets of a file by columns: `stixlab.telemetry.packet_file.PacketFile`."""

    def __getitem__(self, name: str) -> NDArray[Any]:
        """(n,) a column."""

    @property
    def block(self) -> PacketBlock:
        """All packets; their bytes are not read."""

    def read(self, chosen: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> PacketBlock:
        """Some packets with their bytes."""


@dataclass(frozen=True, order=True)
class RequestKey:
    """What packets of one request have in common and show without being decoded."""

    origin: str
    ssid: int
    request: int
    """Number of the data request; 0 if the packets carry none."""
    tc_sequence: int
    """Sequence control of the telecommand; 0 if the packets carry none."""
    day: int = -1
    """On-board day (seconds // 86400) of packets without numbers, whose requests are found by time; -1 for all others."""

    def __str__(self) -> str:
        name = str(self.request) if self.day < 0 else f"day{self.day}"
        return f"{self.origin}/{self.ssid}/{name}/{self.tc_sequence}"

    @classmethod
    def parse(cls, text: str) -> RequestKey:
        """Key of its text, ``ORIGIN/SSID/REQUEST/TCSEQ``; ``dayN`` stands for a request without a number.

        Raises
        ------
        ParameterError
            If the text is none.
        """
        try:
            origin, ssid, name, tc_sequence = text.split("/")
            is_day = name.startswith("day")
            return cls(
                origin=ORIGINS[ORIGINS.index(origin)],
                ssid=int(ssid),
                request=0 if is_day else int(name),
                tc_sequence=int(tc_sequence),
                day=int(name[3:]) if is_day else -1,
            )
        except ValueError:
            raise ParameterError(
                "request key: expected ORIGIN/SSID/REQUEST/TCSEQ such as flight/21/2312148821/51759 "
                f"or flight/42/day7627/0; found {text!r}"
            ) from None

    def beside(self, first: int, last: int) -> list[RequestKey]:
        """The same key for each of some days, both included; itself if it is not of a day."""
        return [self] if self.day < 0 else [replace(self, day=d) for d in range(first, last + 1)]


class RequestIndex:
    """Which packets of a file belong to which request; the file is looked through once.

    Parameters
    ----------
    packets
        The file.
    """

    def __init__(self, packets: PacketSource) -> None:
        self.packets = packets

    @cached_property
    def _places(self) -> dict[tuple[int, ...], NDArray[np.int64]]:
        packets = self.packets
        index = np.flatnonzero(_is_science(packets["service"], packets["subtype"], packets["ssid"]))
        rows = _rows(packets.block, packets["request"], packets["tc_sequence"], index)
        if not len(rows):
            return {}
        order = np.lexsort(rows.T[::-1])
        first = np.flatnonzero(np.append(True, (np.diff(rows[order], axis=0) != 0).any(axis=1)))
        names = map(tuple, rows[order[first]].tolist())
        return dict(zip(names, np.split(index[order], first[1:]), strict=True))

    def of(self, keys: Iterable[RequestKey]) -> NDArray[np.int64]:
        """Places of the packets that have one of some keys, ascending."""
        wanted = [(ORIGINS.index(k.origin), k.ssid, k.request, k.tc_sequence, k.day) for k in keys]
        found = [self._places[w] for w in wanted if w in self._places]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _is_science(
    service: NDArray[np.uint8], subtype: NDArray[np.uint8], ssid: NDArray[np.int32]
) -> NDArray[np.bool_]:
    return np.asarray((service == _SERVICE) & (subtype == _SUBTYPE) & np.isin(ssid, SCIENCE_SSIDS))


def _rows(
    block: PacketBlock, request: NDArray[np.uint32], tc_sequence: NDArray[np.uint16], index: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n, 5) origin, SSID, request, telecommand and, for packets without numbers, day."""
    request, tc_sequence = request[index], tc_sequence[index]
    day = (block.scet_coarse[index] // _DAY_S).astype(np.int64)
    day = np.where((request == 0) & (tc_sequence == 0), day, -1)
    columns = (block.origin[index], block.ssid[index], request, tc_sequence, day)
    return np.stack([c.astype(np.int64) for c in columns], axis=1)


def request_keys(block: PacketBlock, versions: Versions) -> set[str]:
    """Keys of the requests that packets belong to, whole or damaged.

    Packets that end before the number of their request are of none.
    """
    request, tc_sequence = request_numbers(block, versions)
    cut = (request == 0) & (block.ssid != _ASPECT) & (block.status == Status.TRUNCATED)
    index = np.flatnonzero(_is_science(block.service, block.subtype, block.ssid) & ~cut)
    rows = np.unique(_rows(block, request, tc_sequence, index), axis=0)
    return {str(RequestKey(ORIGINS[row[0]], *row[1:])) for row in rows.tolist()}


@dataclass(frozen=True, eq=False)
class Gathered:
    """All that is known of some keys."""

    parts: list[Assembled]
    """The requests; one for a key that has a number, unless it was sent twice."""
    sources: list[tuple[str, ...]]
    """For each of them the names of the files that have packets of it, sorted."""
    damaged: PacketBlock
    """Packets that cannot be decoded and of which there is no good copy."""
    damaged_sources: tuple[str, ...]
    """Name of the file of each of them."""


def gather(
    keys: Sequence[RequestKey],
    files: Mapping[str, RequestIndex],
    versions: Versions,
    *,
    neighbours: Callable[[Sequence[Assembled]], Iterable[RequestIndex]] | None = None,
) -> Gathered:
    """Assemble requests from files.

    Parameters
    ----------
    keys
        One key, or keys of neighbouring days of packets without numbers; all of one structure.
    files
        By name. Which name has which packets does not matter to what is assembled.
    versions
        Definitions.
    neighbours
        Given requests of which something seems to be missing, finds files that may hold other packets of their APIDs.
    """
    names = sorted(files)
    chosen = [files[name].of(keys) for name in names]
    block = PacketBlock.concatenate([files[n].packets.read(c) for n, c in zip(names, chosen, strict=True)])
    block = block.as_received()
    file_of = np.repeat(np.arange(len(names)), [len(c) for c in chosen])
    columns, good = _decode(block, versions)
    parts = [] if columns is None else assemble(columns)
    if columns is not None and neighbours is not None and any(p.has_gaps_within for p in parts):
        others = [_others(keys, source, columns) for source in neighbours(parts)]
        if sum(map(len, others)):
            parts = assemble(columns, others=Headers.concatenate(others))
    lost = _without_good_copy(block, good)
    of_good = file_of[good]
    return Gathered(
        parts=parts,
        sources=[tuple(names[i] for i in np.unique(of_good[p.copies])) for p in parts],
        damaged=block.select(lost),
        damaged_sources=tuple(names[i] for i in file_of[lost]),
    )


def _decode(block: PacketBlock, versions: Versions) -> tuple[Columns | None, NDArray[np.bool_]]:
    """Columns of the good packets, and which these are."""
    good = np.zeros(len(block), dtype=bool)
    if not len(block):
        return None, good
    try:
        columns, statuses = decode(block, int(block.spid.max()), versions)
    except UnknownPacketError:
        return None, good
    good = (statuses == Status.OK) & (block.spid == columns.spid)
    return columns, good


def _without_good_copy(block: PacketBlock, good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Packets that are not good and share their identity with no good one; each identity once."""
    if good.all():
        return np.zeros(0, dtype=np.int64)
    ticks = block.scet_coarse.astype(np.int64) << 16 | block.scet_fine
    counter = block.apid.astype(np.int64) << 14 | block.sequence_count
    order = np.lexsort((-block.lengths, ~good, counter, ticks))
    new = np.append(True, (np.diff(ticks[order]) != 0) | (np.diff(counter[order]) != 0))
    best = order[new]
    return np.sort(best[~good[best]])


def _others(keys: Sequence[RequestKey], index: RequestIndex, columns: Columns) -> Headers:
    """Headers of packets of the same APIDs that are surely not of these requests."""
    source = index.packets
    chosen = np.isin(source["apid"], np.unique(columns.block.apid))
    if chosen.any():
        chosen[index.of(keys)] = False
        status, ssid = source["status"], source["ssid"]
        named = (ssid >= 0) & ((ssid != keys[0].ssid) | (source["request"] != 0))
        chosen &= (status != Status.DUPLICATE) & (status != Status.CONFLICT)
        chosen &= (status != Status.TRUNCATED) | named
        chosen &= source.block.origin == ORIGINS.index(keys[0].origin)
    return Headers.of(source.block, np.flatnonzero(chosen))
