"""Packet borders in a stream of bytes, and the fields of all headers at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Definitions, Versions
from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["HEADER_BYTES", "Borders", "find_packets", "looks_like_packet", "parse_headers"]

HEADER_BYTES = 16
"""Packet header (6) and data field header (10), CCSDS 133.0-B and ECSS-E-70-41A."""
LARGEST_PACKET = 4113
"""Bytes; what the spacecraft takes from an instrument."""
_FIRST_BYTE = 0x0D
_PUS_BYTE = 0x10
_PID_NIBBLES = (0xA, 0xB, 0xD, 0xE)
"""Low four bits of the process identifiers 90, 91, 93 and 94, in byte 1."""


@dataclass
class Borders:
    """Where packets are in a piece of bytes; the three lists cover it without overlap."""

    starts: list[int]
    ends: list[int]
    truncated: list[bool]
    skipped: list[tuple[int, int]]
    """Ranges (start, end) in which no packet was found."""


def looks_like_packet(data: bytes, at: int, known: bytes | None) -> bool:
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
    while (at := _next_packet(data, at, min(end, len(data)), known)) < min(end, len(data)):
        inner_end = at + data[at + 4] * 256 + data[at + 5] + 7
        if inner_end <= len(data) and _in_step(data, inner_end, None):
            return at
        at += 1
    return min(end, len(data))


def find_packets(data: bytes, known: bytes) -> Borders:
    """Borders of all packets, going on behind whatever is none.

    Parameters
    ----------
    data
        A stream of packets, as it came.
    known
        (65536,) nonzero for every ``service * 256 + subtype`` that the instrument has. Behind
        a packet an unknown service is taken as a packet too; behind garbage it is not.
    """
    found = Borders([], [], [], [])
    at, size, in_sync = 0, len(data), True
    while at < size:
        if not looks_like_packet(data, at, None if in_sync else known):
            start, at = at, _next_packet(data, at + 1, size, known)
            found.skipped.append((start, at))
            in_sync = False
            continue
        end = at + data[at + 4] * 256 + data[at + 5] + 7
        whole = end <= size
        if not whole or not _in_step(data, end, None):
            cut = _interruption(data, at, end, known)
            whole = whole and cut == end
            end = cut
        found.starts.append(at)
        found.ends.append(end)
        found.truncated.append(not whole)
        at, in_sync = end, True
    return found


def parse_headers(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    *,
    truncated: NDArray[np.bool_],
    source_offset: NDArray[np.int64],
    versions: Versions,
    generation_time: NDArray[np.datetime64] | None = None,
    reception_time: NDArray[np.datetime64] | None = None,
) -> PacketBlock:
    """Columns of header fields, and which structure each packet has.

    Parameters
    ----------
    data : (n_bytes,)
    starts, ends : (n,)
        Borders of the packets in `data`, ascending; at least 16 bytes each.
    truncated : (n,)
    source_offset : (n,)
        Place of each packet in its file.
    versions
    generation_time, reception_time : (n,), UTC
        What the control centre says; NaT where None.
    """
    definitions = versions.latest
    if len(starts) == 0:
        return PacketBlock.empty()
    head = data[starts[:, None] + np.arange(HEADER_BYTES)]
    word = head.astype(np.int64)
    first, second = word[:, 0] << 8 | word[:, 1], word[:, 2] << 8 | word[:, 3]
    coarse = word[:, 10] << 24 | word[:, 11] << 16 | word[:, 12] << 8 | word[:, 13]
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    if np.array_equal(starts[1:], ends[:-1]):
        packed = data[starts[0] : ends[-1]]
    else:
        packed = np.concatenate([data[a:b] for a, b in zip(starts, ends, strict=True)])
    ssid = _discriminator_values(packed, offsets, head[:, 7], head[:, 8], definitions)
    spid = definitions.identify_many(head[:, 7], head[:, 8], ssid)
    known = np.array(sorted(definitions.structures), dtype=np.int32)
    status = np.where(np.isin(spid, known), Status.OK, Status.UNDECODED)
    status = np.where(spid < 0, Status.UNKNOWN, status)
    return PacketBlock(
        data=packed,
        offsets=offsets,
        source_offset=source_offset.astype(np.int64),
        apid=(first & 0x7FF).astype(np.uint16),
        sequence_flag=(second >> 14).astype(np.uint8),
        sequence_count=(second & 0x3FFF).astype(np.uint16),
        service=head[:, 7].copy(),
        subtype=head[:, 8].copy(),
        destination=head[:, 9].copy(),
        scet_coarse=(coarse & 0x7FFFFFFF).astype(np.uint32),
        scet_fine=(word[:, 14] << 8 | word[:, 15]).astype(np.uint16),
        synchronised=(coarse >> 31) == 0,
        era=_eras(coarse & 0x7FFFFFFF, (coarse >> 31) == 0, versions),
        generation_time=_times(generation_time, len(starts)),
        reception_time=_times(reception_time, len(starts)),
        ssid=ssid,
        spid=spid,
        status=np.where(truncated, Status.TRUNCATED, status).astype(np.uint8),
    )


def _times(given: NDArray[np.datetime64] | None, n: int) -> NDArray[np.datetime64]:
    return np.full(n, "NaT", dtype="datetime64[us]") if given is None else given.astype("datetime64[us]")


def _eras(
    coarse: NDArray[np.int64], synchronised: NDArray[np.bool_], versions: Versions
) -> NDArray[np.uint8]:
    """Era of each packet; a clock that is not synchronised tells nothing, so its neighbours in the file do."""
    eras = versions.eras_at(coarse)
    known = np.flatnonzero(synchronised)
    if len(known) in {0, len(eras)}:
        return eras
    nearest = np.clip(np.searchsorted(known, np.arange(len(eras)), side="right") - 1, 0, None)
    return np.where(synchronised, eras, eras[known[nearest]]).astype(np.uint8)


def _discriminator_values(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    service: NDArray[np.uint8],
    subtype: NDArray[np.uint8],
    definitions: Definitions,
) -> NDArray[np.int32]:
    values = np.full(len(service), -1, dtype=np.int32)
    kinds = service.astype(np.int64) * 256 + subtype
    lengths = np.diff(offsets)
    for kind in np.unique(kinds):
        place = definitions.discriminators.get((int(kind) // 256, int(kind) % 256))
        if place is None or place.offset_bytes < 0:
            continue
        n_bytes = place.width_bits // 8
        of_kind = np.flatnonzero((kinds == kind) & (lengths >= place.offset_bytes + n_bytes))
        value = np.zeros(len(of_kind), dtype=np.int64)
        for k in range(n_bytes):
            value = value << 8 | data[offsets[of_kind] + place.offset_bytes + k]
        values[of_kind] = value
    return values
