"""Where packets begin and end in a stream of bytes, going on behind whatever is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.compiled import get_kernel, is_worth_compiling

__all__ = ["HEADER_BYTES", "LARGEST_PACKET", "LOOK_AHEAD", "Borders", "find_packets", "looks_like_packet"]

HEADER_BYTES = 16
"""Packet header (6) and data field header (10), CCSDS 133.0-B and ECSS-E-70-41A."""
LARGEST_PACKET = 4113
"""Bytes; what the spacecraft takes from an instrument."""
LOOK_AHEAD = 2 * LARGEST_PACKET + 2 * HEADER_BYTES
"""Bytes behind a place that decide about the packet there: itself, one that interrupts it, and a header behind that."""
_FIRST_BYTE = 0x0D
_PUS_BYTE = 0x10
_PID_NIBBLES = (0xA, 0xB, 0xD, 0xE)
"""Low four bits of the process identifiers 90, 91, 93 and 94, in byte 1."""
_CAPACITY = 1 << 16
_BYTES_PER_VISIT = 32
"""Of a stream, for each step that plain Python takes to follow it (packets are longer, resynchronising is slower)."""
_NO_PLACES: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


@dataclass
class Borders:
    """Where packets are in a piece of bytes; packets and skipped ranges cover it up to `consumed` without overlap."""

    starts: NDArray[np.int64] = field(default_factory=_NO_PLACES.copy)
    ends: NDArray[np.int64] = field(default_factory=_NO_PLACES.copy)
    truncated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    skipped: list[tuple[int, int]] = field(default_factory=list)
    """Ranges (start, end) in which no packet was found."""
    consumed: int = 0
    """Everything before is decided; the rest needs more bytes."""
    in_sync: bool = True
    """The last thing before `consumed` was a packet."""


def looks_like_packet(data: bytes | memoryview, at: int, known: bytes | None) -> bool:
    """Whether a telemetry header of the instrument may stand here.

    Parameters
    ----------
    data
    at
        Index of the first header byte.
    known
        (65536,) nonzero for every ``service * 256 + subtype`` to accept; None accepts all of them.
    """
    return (
        at + HEADER_BYTES <= len(data)
        and data[at] == _FIRST_BYTE
        and data[at + 6] == _PUS_BYTE
        and data[at + 1] >> 4 in _PID_NIBBLES
        and (known is None or known[data[at + 7] * 256 + data[at + 8]] != 0)
        and HEADER_BYTES <= data[at + 4] * 256 + data[at + 5] + 7 <= LARGEST_PACKET
    )


def find_packets(data: bytes, known: bytes, *, in_sync: bool = True, final: bool = True) -> Borders:
    """Borders of all packets.

    A header behind a packet is believed whatever its service; behind garbage only a known
    service is. A packet that does not end at another header, or at the end, is searched for
    one that interrupts it. A stream may be given in parts: the rest that is not `consumed` then
    goes before the next part, and the result is the same wherever it was cut.

    Parameters
    ----------
    data
        A stream of packets, as it came.
    known
        (65536,) nonzero for every ``service * 256 + subtype`` that the instrument has.
    in_sync
        `Borders.in_sync` of the part before.
    final
        Nothing follows behind these bytes.
    """
    if is_worth_compiling(len(data) // _BYTES_PER_VISIT):
        kernel = get_kernel(find_borders)
        if kernel is not None:
            return _find_compiled(kernel, data, known, in_sync=in_sync, final=final)
    return _find_plain(data, known, in_sync=in_sync, final=final)


def _find_plain(data: bytes, known: bytes, *, in_sync: bool, final: bool) -> Borders:
    starts, ends, truncated = [], [], []
    skipped: list[tuple[int, int]] = []
    size = len(data)
    stop = size if final else max(size - LOOK_AHEAD, 0)
    at = 0
    while at < stop:
        if not looks_like_packet(data, at, None if in_sync else known):
            start, at = at, _next_packet(data, at + 1, stop, known)
            skipped.append((start, at))
            in_sync = False
            continue
        end = at + data[at + 4] * 256 + data[at + 5] + 7
        whole = end <= size
        if not whole or not _in_step(data, end, None):
            cut = _interruption(data, at, min(end, size), known)
            if cut - at < HEADER_BYTES:
                skipped.append((at, cut))
                at, in_sync = cut, False
                continue
            whole = whole and cut == end
            end = cut
        starts.append(at)
        ends.append(end)
        truncated.append(not whole)
        at, in_sync = end, True
    return Borders(
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        np.array(truncated, dtype=bool),
        _joined(skipped),
        at,
        in_sync,
    )


def _next_packet(data: bytes, at: int, stop: int, known: bytes) -> int:
    """Index of the next header of a known service, at or behind `at`; `stop` if none begins before that."""
    while True:
        at = data.find(_FIRST_BYTE, at, stop)
        if at < 0:
            return stop
        if looks_like_packet(data, at, known):
            return at
        at += 1


def _in_step(data: bytes, at: int, known: bytes | None) -> bool:
    """Whether the bytes end here or another header follows."""
    return at == len(data) or looks_like_packet(data, at, known)


def _interruption(data: bytes, start: int, end: int, known: bytes) -> int:
    """Index at which a packet was cut short by the next one; `end` if it was not.

    A header within a packet is believed only if the packet that it announces is complete and
    followed by another header or by the end: the same pattern may occur in science data.
    """
    at = start + 1
    while (at := _next_packet(data, at, end, known)) < end:
        inner_end = at + data[at + 4] * 256 + data[at + 5] + 7
        if inner_end <= len(data) and _in_step(data, inner_end, None):
            return at
        at += 1
    return end


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that touch, as one."""
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def find_borders(  # noqa: C901, PLR0912, PLR0915, PLR0917  (one loop: the compiled form of `_find_plain`)
    data: Any, known: Any, at: int, in_sync: bool, final: bool, starts: Any, ends: Any, truncated: Any,  # noqa: FBT001
    skip_starts: Any, skip_ends: Any,
) -> tuple[int, bool, int, int]:  # fmt: skip
    """Follow packets from a place on until the bytes end, more are needed, or the room for results is full.

    Parameters
    ----------
    data : (n_bytes,)
    known : (65536,)
    at, in_sync, final
        As for `find_packets`.
    starts, ends, truncated : (m,)
        Filled for each packet.
    skip_starts, skip_ends : (m,)
        Filled for each range without a packet.

    Returns
    -------
    at, in_sync
        Where to go on.
    n_packets, n_skipped
        How many were filled in.
    """
    size = len(data)
    stop = size if final else max(size - 8258, 0)
    room = len(starts)
    n, n_skipped = 0, 0
    while at < stop and n < room and n_skipped < room:
        # what is looked for: 0 a header here, 1 the next header (resynchronising), 2 one that interrupts a packet
        mode = 0
        here = at
        limit = at + 1
        end = at
        whole = False
        found = stop
        while True:
            hit = False
            if (
                here + 16 <= size
                and data[here] == 0x0D
                and data[here + 6] == 0x10
                and (data[here + 1] >> 4 == 0xA or data[here + 1] >> 4 == 0xB
                     or data[here + 1] >> 4 == 0xD or data[here + 1] >> 4 == 0xE)
                and ((mode == 0 and in_sync) or known[data[here + 7] * 256 + data[here + 8]] != 0)
            ):  # fmt: skip
                length = data[here + 4] * 256 + data[here + 5] + 7
                hit = 16 <= length <= 4113
            if mode == 1:
                if hit:
                    found = here
                    break
                here += 1
                if here >= limit:
                    found = limit
                    break
                continue
            if mode == 0 and not hit:
                mode = 1
                here = at + 1
                limit = stop
                if here >= limit:
                    found = limit
                    break
                continue
            if hit:
                after = here + length
                fits = after <= size
                step = after == size
                if after + 16 <= size:
                    high = data[after + 1] >> 4
                    announced = data[after + 4] * 256 + data[after + 5] + 7
                    step = step or (
                        data[after] == 0x0D and data[after + 6] == 0x10 and 16 <= announced <= 4113
                        and (high == 0xA or high == 0xB or high == 0xD or high == 0xE)  # noqa: PLR1714
                    )  # fmt: skip
                if mode == 0:
                    end = min(after, size)
                    whole = fits
                    if fits and step:
                        break
                    mode = 2
                    limit = end
                elif fits and step:
                    whole = False
                    end = here
                    break
            here += 1
            if here >= limit:
                break
        if mode == 1:
            skip_starts[n_skipped] = at
            skip_ends[n_skipped] = found
            n_skipped += 1
            at = found
            in_sync = False
        elif end - at < 16:
            skip_starts[n_skipped] = at
            skip_ends[n_skipped] = end
            n_skipped += 1
            at = end
            in_sync = False
        else:
            starts[n] = at
            ends[n] = end
            truncated[n] = not whole
            n += 1
            at = end
            in_sync = True
    return at, in_sync, n, n_skipped


def _find_compiled(kernel: Any, data: bytes, known: bytes, *, in_sync: bool, final: bool) -> Borders:
    view, table = np.frombuffer(data, dtype=np.uint8), np.frombuffer(known, dtype=np.uint8)
    stop = len(data) if final else max(len(data) - LOOK_AHEAD, 0)
    room = min(len(data) // HEADER_BYTES + 2, _CAPACITY)
    places = np.empty((4, room), dtype=np.int64)
    truncated = np.empty(room, dtype=bool)
    starts, ends, cut = [], [], []
    skipped: list[tuple[int, int]] = []
    at = 0
    while at < stop:
        at, in_sync, n, n_skipped = kernel(
            view, table, at, in_sync, final, places[0], places[1], truncated, places[2], places[3]
        )
        starts.append(places[0, :n].copy())
        ends.append(places[1, :n].copy())
        cut.append(truncated[:n].copy())
        skipped += zip(places[2, :n_skipped].tolist(), places[3, :n_skipped].tolist(), strict=True)
    return Borders(
        np.concatenate([_NO_PLACES, *starts]),
        np.concatenate([_NO_PLACES, *ends]),
        np.concatenate([np.zeros(0, dtype=bool), *cut]),
        _joined(skipped),
        at,
        bool(in_sync),
    )
