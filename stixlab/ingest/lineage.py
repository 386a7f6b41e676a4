"""Which packets the data of a product, a request or a span of time were made from, found in the stored packets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stixlab.archive import Archive
from stixlab.idb import Versions
from stixlab.ingest.receive import decode_once
from stixlab.ingest.requests import identity_of
from stixlab.packets.identity import packet_id
from stixlab.products.level1 import make_level1
from stixlab.telemetry.duplicates import content_hashes
from stixlab.telemetry.packet_file import PacketFile
from stixlab.telemetry.requests import RequestIndex, RequestKey, gather
from stixlab.timing import ClockTable
from stixlab.vocabulary import ORIGINS, PRODUCT_TYPES

__all__ = ["PacketPlaces", "packets_of_request", "packets_of_time"]

_MARGIN = np.timedelta64(1, "D")
"""Packets are made after the data in them: headers are looked for this far on both sides."""


@dataclass(frozen=True)
class PacketPlaces:
    """Packets of one raw file."""

    sha256: str
    """Hash of the file."""
    index: NDArray[np.int64]
    """(n,) place among the packets of the file, from 0."""
    offset_bytes: NDArray[np.int64]
    """(n,) where each begins in the file as it was received."""
    length_bytes: NDArray[np.int64]
    """(n,) its length; in files of text that of the packet, not of its text."""

    def __len__(self) -> int:
        return len(self.index)

    def ids(self) -> list[str]:
        """Ids of the packets, as `stixlab packets` takes them."""
        return [packet_id(self.sha256, i) for i in self.index.tolist()]


def packets_of_time(
    archive: Archive,
    sources: Iterable[str],
    product_type: str,
    span: tuple[np.datetime64, np.datetime64],
    *,
    origin: str,
    versions: Versions,
    clock: ClockTable,
) -> list[PacketPlaces]:
    """Packets of a product type that have bins whose middle lies in ``[start, end)``.

    Parameters
    ----------
    archive
    sources
        Hashes of raw files. Those without packets, such as imported products, have no part in the answer.
    product_type
        Archive name of a type that is made by day.
    span
        UTC.
    origin, versions, clock

    Raises
    ------
    ArchiveError, FormatError
        If stored packets are damaged.
    """
    service, subtype, ssid = PRODUCT_TYPES[product_type].packet
    found = []
    for sha256 in sorted(set(sources)):
        if not archive.has_packets(sha256):
            continue
        packets = archive.open_packets(sha256)
        index = np.flatnonzero(
            (packets["service"] == service)
            & (packets["subtype"] == subtype)
            & (packets["ssid"] == ssid)
            & packets["synchronised"]
        )
        sent = clock.to_utc(packets["scet_coarse"][index], packets["scet_fine"][index])
        index = index[(sent >= span[0] - _MARGIN) & (sent < span[1] + _MARGIN)]
        index = index[packets.read(index).origin == ORIGINS.index(origin)]
        times = partial(_bins, packets, origin=origin, versions=versions, clock=clock)
        found.append(_places(sha256, packets, _narrow(index, span, times)))
    return [p for p in found if len(p)]


def _bins(
    packets: PacketFile, index: NDArray[np.int64], *, origin: str, versions: Versions, clock: ClockTable
) -> NDArray[np.datetime64]:
    """Middles of the bins that some packets give."""
    decoded, _ = decode_once(packets.read(index), versions)
    times = [
        ds["time"].to_numpy()
        for columns in decoded.values()
        for ds in make_level1(columns, clock, versions, origin=origin)
    ]
    return np.concatenate(times) if times else np.zeros(0, dtype="datetime64[ns]")


def _narrow(
    index: NDArray[np.int64],
    span: tuple[np.datetime64, np.datetime64],
    times: partial[NDArray[np.datetime64]],
) -> NDArray[np.int64]:
    """Packets with bins in the span: halved where some are and some are not, so that few are looked at alone."""
    kept, waiting = [index[:0]], [index]
    while waiting:
        some = waiting.pop()
        found = times(some) if len(some) else np.zeros(0, dtype="datetime64[ns]")
        inside = (found >= span[0]) & (found < span[1])
        if (inside.all() and len(inside)) or (inside.any() and len(some) == 1):
            kept.append(some)
        elif inside.any():
            waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
    return np.sort(np.concatenate(kept))


def packets_of_request(
    archive: Archive, sources: Iterable[str], request: str, keys: Iterable[str], versions: Versions
) -> list[PacketPlaces]:
    """Packets of a data request, each copy that was received.

    Parameters
    ----------
    archive
    sources
        Hashes of raw files.
    request
        `ScienceRequest.id`.
    keys
        `ScienceRequest.keys`.
    versions

    Raises
    ------
    ArchiveError, FormatError
        If stored packets are damaged.
    ParameterError
        If a key is none.
    """
    wanted = sorted(map(RequestKey.parse, keys))
    files = {s: RequestIndex(archive.open_packets(s)) for s in sorted(set(sources)) if archive.has_packets(s)}
    if not wanted or not files:
        return []
    contents = _contents(wanted, files, request, versions)
    found = []
    for sha256, each in files.items():
        packets = archive.open_packets(sha256)
        index = each.of(wanted)
        if contents is not None:
            index = index[np.isin(packets["content_hash"][index], contents)]
        found.append(_places(sha256, packets, index))
    return [p for p in found if len(p)]


def _contents(
    keys: list[RequestKey], files: Mapping[str, RequestIndex], request: str, versions: Versions
) -> NDArray[np.uint64] | None:
    """Hashes of the packets of a request; None if all packets of its keys are its."""
    parts = gather(keys, files, versions).parts
    mine = [p for p in parts if request.startswith((f"{identity_of(p)}_", f"{identity_of(p)}-"))]
    if len(mine) == len(parts) <= 1:
        return None
    place = request.removesuffix(f"_{keys[0].origin}")
    numbers = [identity_of(mine[0]) + (f"-{n + 1}" if n else "") for n in range(len(mine))] if mine else []
    chosen = [p for p, name in zip(mine, numbers, strict=True) if name == place]
    hashes = [content_hashes(p.columns.block) for p in chosen]
    return np.concatenate(hashes) if hashes else np.zeros(0, dtype=np.uint64)


def _places(sha256: str, packets: PacketFile, index: NDArray[np.int64]) -> PacketPlaces:
    return PacketPlaces(sha256, index, packets["source_offset"][index], packets["length"][index])
