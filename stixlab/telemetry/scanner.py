"""Packets found in the pieces of a file, whatever its kind, and put together to blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.telemetry.borders import HEADER_BYTES, LARGEST_PACKET, Borders, find_packets
from stixlab.telemetry.edds import EDDS_HEADER, EDDS_HEADER_BYTES, check_edds_headers, edds_times
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.headers import parse_headers
from stixlab.telemetry.pieces import Batch
from stixlab.telemetry.report import DecodeReport

__all__ = ["iter_blocks"]

_NO_INDICES: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
_NO_HEADERS: NDArray[np.void] = np.zeros(0, dtype=EDDS_HEADER)
_MOST_PACKETS = 1 << 18
"""Of a block, more or less."""
_BETWEEN = "bytes between packets"
_TIMELESS = np.datetime64("NaT", "us")
_PID_OF_BYTE = np.isin(np.arange(256) >> 4, [0xA, 0xB, 0xD, 0xE])


@dataclass
class _Found:
    """Packets of one batch."""

    data: bytes
    borders: Borders
    source_offset: NDArray[np.int64]
    reception_time: NDArray[np.datetime64] | None = None
    headers: NDArray[np.void] = field(default_factory=_NO_HEADERS.copy)
    """(m,) headers of the control system."""
    headed: NDArray[np.int64] = field(default_factory=_NO_INDICES.copy)
    """(n,) which of the headers stands before each packet, or -1."""
    first: NDArray[np.int64] = field(default_factory=_NO_INDICES.copy)
    """(m,) first packet behind each header, or -1."""


@dataclass
class _Rest:
    """What the next batch goes on with."""

    data: bytes = b""
    places: NDArray[np.int64] = field(default_factory=_NO_INDICES.copy)
    in_sync: bool = True
    skipped: tuple[int, int] | None = None
    """Place and size of a range without packets that may go on."""


class _Scanner:
    """Looks for packets in one batch after the other.

    Parameters
    ----------
    versions
    report
    """

    def __init__(self, versions: Versions, report: DecodeReport) -> None:
        self._known = versions.known_services.astype(np.uint8).tobytes()
        self._report = report
        self._rest: _Rest | None = None

    def scan(self, batch: Batch) -> _Found | None:
        """Packets that are decided; None if there are none."""
        if batch.continues or self._rest is not None:
            return self._scan_part(batch)
        return self._scan_pieces(batch)

    def _remark(self, place: int, size_bytes: int) -> None:
        self._report.remark(_BETWEEN, place, size_bytes)
        self._report.use("skipped", size_bytes)

    def _scan_part(self, batch: Batch) -> _Found | None:
        """A piece of any length, part by part."""
        rest = self._rest or _Rest()
        data = rest.data + batch.data if rest.data else batch.data
        n_before = len(rest.data)
        final = not batch.continues
        found = find_packets(data, self._known, in_sync=rest.in_sync, final=final)

        def locate(indices: NDArray[np.int64]) -> NDArray[np.int64]:
            old = indices < n_before
            places = np.empty(len(indices), dtype=np.int64)
            places[old] = rest.places[indices[old]]
            places[~old] = batch.locate(indices[~old] - n_before)
            return places

        pending = rest.skipped
        skips = np.array(found.skipped, dtype=np.int64).reshape(-1, 2)
        for (start, end), place in zip(found.skipped, locate(skips[:, 0]).tolist(), strict=True):
            if start == 0 and pending is not None:
                pending = (pending[0], pending[1] + batch.stride * end)
                continue
            if pending is not None:
                self._remark(*pending)
            pending = (place, batch.stride * (end - start))
        goes_on = (found.skipped and found.skipped[-1][1] == found.consumed) or not found.consumed
        if pending is not None and (final or not goes_on):
            self._remark(*pending)
            pending = None
        self._report.use("packets", batch.stride * int((found.ends - found.starts).sum()))
        self._rest = None
        if not final:
            left = np.arange(found.consumed, len(data))
            self._rest = _Rest(data[found.consumed :], locate(left), found.in_sync, pending)
        return _Found(data, found, locate(found.starts)) if len(found.starts) else None

    def _scan_pieces(self, batch: Batch) -> _Found | None:
        """Pieces that are whole: in nearly all of them one packet stands, and nothing else."""
        data = np.frombuffer(batch.data, dtype=np.uint8)
        begins, ends = batch.bounds[:-1], batch.bounds[1:]
        lengths = _announced(data, begins, ends)
        headed = np.zeros(len(begins), dtype=bool)
        if batch.frames:
            behind = _announced(data, begins + EDDS_HEADER_BYTES, ends)
            headed = (lengths == 0) & (behind > 0)
            begins = begins + EDDS_HEADER_BYTES * headed
            lengths = np.where(headed, behind, lengths)
            self._report.use("frame headers", EDDS_HEADER_BYTES * batch.stride * int(headed.sum()))
        one_packet = (lengths > 0) & (begins + lengths == ends)
        found = Borders(begins[one_packet], ends[one_packet], np.zeros(int(one_packet.sum()), dtype=bool))
        piece = np.flatnonzero(one_packet)
        others = np.flatnonzero(~one_packet)
        if len(others):
            found, piece = self._scan_others(batch, begins, others, found, piece)
        self._report.use("packets", batch.stride * int((found.ends - found.starts).sum()))
        if not len(found.starts):
            return None
        times = None if batch.reception_time is None else batch.reception_time[piece]
        result = _Found(batch.data, found, batch.locate(found.starts), times)
        if headed.any():
            windows = np.lib.stride_tricks.sliding_window_view(data, EDDS_HEADER_BYTES)
            result.headers = windows[batch.bounds[:-1][headed]].view(EDDS_HEADER)[:, 0]
            number = np.where(headed, np.cumsum(headed) - 1, -1)
            result.headed = number[piece]
            # the header tells of the packet right behind it
            first = np.searchsorted(found.starts, begins[headed])
            there = np.append(found.starts, -1)[first] == begins[headed]
            result.first = np.where(there, first, -1)
        return result

    def _scan_others(
        self,
        batch: Batch,
        begins: NDArray[np.int64],
        others: NDArray[np.int64],
        clean: Borders,
        piece: NDArray[np.int64],
    ) -> tuple[Borders, NDArray[np.int64]]:
        """Packets of the pieces that are not exactly one, sorted in among the others."""
        parts, pieces = [clean], [piece]
        skipped = []
        for i in others.tolist():
            begin = int(begins[i])
            found = find_packets(batch.data[begin : batch.bounds[i + 1]], self._known)
            parts.append(Borders(found.starts + begin, found.ends + begin, found.truncated))
            pieces.append(np.full(len(found.starts), i))
            skipped += [(begin + start, begin + end) for start, end in found.skipped]
        places = batch.locate(np.array([start for start, _ in skipped], dtype=np.int64))
        for (start, end), place in zip(skipped, places.tolist(), strict=True):
            self._remark(place, batch.stride * (end - start))
        starts = np.concatenate([part.starts for part in parts])
        order = np.argsort(starts)
        ends = np.concatenate([part.ends for part in parts])[order]
        truncated = np.concatenate([part.truncated for part in parts])[order]
        return Borders(starts[order], ends, truncated), np.concatenate(pieces)[order]


def _announced(data: NDArray[np.uint8], at: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k,) length of the packet whose header stands at each place; 0 where none does."""
    lengths = np.zeros(len(at), dtype=np.int64)
    room = np.flatnonzero(at + HEADER_BYTES <= ends)
    here = at[room]
    length = data[here + 4].astype(np.int64) * 256 + data[here + 5] + 7
    good = (data[here] == 0x0D) & (data[here + 6] == 0x10) & _PID_OF_BYTE[data[here + 1]]
    good &= (length >= HEADER_BYTES) & (length <= LARGEST_PACKET)
    lengths[room[good]] = length[good]
    return lengths


def iter_blocks(
    batches: Iterable[Batch], versions: Versions, report: DecodeReport, *, block_bytes: int
) -> Iterator[PacketBlock]:
    """Blocks of about so many bytes of packets, in the order of the file."""
    scanner = _Scanner(versions, report)
    waiting: list[_Found] = []
    n_bytes = n_packets = 0
    for batch in batches:
        found = scanner.scan(batch)
        if found is None:
            continue
        waiting.append(found)
        n_bytes += len(found.data)
        n_packets += len(found.borders.starts)
        if n_bytes >= block_bytes or n_packets >= _MOST_PACKETS:
            yield from _blocks(waiting, versions, report)
            waiting, n_bytes, n_packets = [], 0, 0
    if waiting:
        yield from _blocks(waiting, versions, report)


def _blocks(found: list[_Found], versions: Versions, report: DecodeReport) -> Iterator[PacketBlock]:
    """One block, or several if a single batch holds very many packets: columns need more room than small packets."""
    n = len(found[0].borders.starts)
    if len(found) > 1 or n <= _MOST_PACKETS or len(found[0].headers) or found[0].reception_time is not None:
        yield _block(found, versions, report)
        return
    borders, places = found[0].borders, found[0].source_offset
    for first in range(0, n, _MOST_PACKETS):
        part = slice(first, first + _MOST_PACKETS)
        some = Borders(borders.starts[part], borders.ends[part], borders.truncated[part])
        yield _block([_Found(found[0].data, some, places[part])], versions, report)


def _block(found: list[_Found], versions: Versions, report: DecodeReport) -> PacketBlock:
    base = np.cumsum([0] + [len(part.data) for part in found])
    n_before = np.cumsum([0] + [len(part.borders.starts) for part in found])
    n_headers = np.cumsum([0] + [len(part.headers) for part in found])

    def joined(values: list[NDArray[Any]]) -> NDArray[Any]:
        return values[0] if len(values) == 1 else np.concatenate(values)

    data = found[0].data if len(found) == 1 else b"".join(part.data for part in found)
    n = int(n_before[-1])
    generation = reception = None
    if any(part.reception_time is not None for part in found):
        reception = joined(
            [
                np.full(len(part.borders.starts), _TIMELESS)
                if part.reception_time is None
                else part.reception_time
                for part in found
            ]
        )
    headers = joined([part.headers for part in found])
    headed = np.full(n, -1)
    if len(headers):
        for part, before, number in zip(found, n_before, n_headers, strict=False):
            if len(part.headed):
                headed[before : before + len(part.headed)] = np.where(
                    part.headed >= 0, part.headed + number, -1
                )
        generation, received = (np.append(times, _TIMELESS)[headed] for times in edds_times(headers))
        reception = received if reception is None else np.where(headed >= 0, received, reception)
    block = parse_headers(
        np.frombuffer(data, dtype=np.uint8),
        joined([part.borders.starts + b for part, b in zip(found, base, strict=False)]),
        joined([part.borders.ends + b for part, b in zip(found, base, strict=False)]),
        truncated=joined([part.borders.truncated for part in found]),
        source_offset=joined([part.source_offset for part in found]),
        versions=versions,
        generation_time=generation,
        reception_time=reception,
    )
    if len(headers):
        first = joined(
            [np.where(part.first >= 0, part.first + b, -1) for part, b in zip(found, n_before, strict=False)]
        )
        foreign = np.zeros(len(headers) + 1, dtype=bool)  # the last is for packets without header
        foreign[:-1][first >= 0] = check_edds_headers(block, headers[first >= 0], first[first >= 0], report)
        if foreign.any():
            block.generation_time[foreign[headed]] = _TIMELESS
            block.reception_time[foreign[headed]] = _TIMELESS
    return block
