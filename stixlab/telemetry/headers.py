"""The fields of all headers at once, and which structure each packet has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.compiled import get_kernel, is_worth_compiling
from stixlab.idb import Definitions, Versions
from stixlab.telemetry.borders import HEADER_BYTES, LARGEST_PACKET
from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["HEADER_BYTES", "LARGEST_PACKET", "parse_headers", "with_eras"]


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
    if len(starts) == 0:
        return PacketBlock.empty()
    head = np.lib.stride_tricks.sliding_window_view(data, HEADER_BYTES)[starts]
    words = head.view(">u2")
    first, second = words[:, 0].astype(np.uint16), words[:, 1].astype(np.uint16)
    coarse = words[:, 5].astype(np.uint32) << 16 | words[:, 6]
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    synchronised = (coarse >> 31) == 0
    block = PacketBlock(
        data=_packed(data, starts, ends),
        offsets=offsets,
        source_offset=source_offset.astype(np.int64),
        apid=first & np.uint16(0x7FF),
        sequence_flag=(second >> 14).astype(np.uint8),
        sequence_count=second & np.uint16(0x3FFF),
        service=head[:, 7].copy(),
        subtype=head[:, 8].copy(),
        destination=head[:, 9].copy(),
        scet_coarse=coarse & np.uint32(0x7FFFFFFF),
        scet_fine=words[:, 7].astype(np.uint16),
        synchronised=synchronised,
        era=_eras(coarse & 0x7FFFFFFF, synchronised, versions),
        generation_time=_times(generation_time, len(starts)),
        reception_time=_times(reception_time, len(starts)),
        ssid=np.full(len(starts), -1, dtype=np.int32),
        spid=np.full(len(starts), -1, dtype=np.int32),
        status=np.where(truncated, Status.TRUNCATED, Status.UNKNOWN).astype(np.uint8),
    )
    return _identified(block, versions)


def with_eras(block: PacketBlock, eras: NDArray[np.uint8], versions: Versions) -> PacketBlock:
    """The same packets, not decoded yet, in the eras given.

    Parameters
    ----------
    block
    eras : (n,)
    versions
    """
    if np.array_equal(eras, block.era):
        return block
    return _identified(replace(block, era=eras.astype(np.uint8)), versions)


def _packed(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bytes of the packets one behind the other; no copy if they stand so already."""
    apart = np.flatnonzero(starts[1:] != ends[:-1])
    if not len(apart):
        return data[starts[0] : ends[-1]]
    firsts = starts[np.concatenate([[0], apart + 1])]
    lasts = ends[np.concatenate([apart, [len(ends) - 1]])]
    kernel = get_kernel(copy_ranges) if is_worth_compiling(len(firsts)) else None
    view = np.ascontiguousarray(data)
    if kernel is None:
        pieces = [view.data[a:b] for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True)]
        return np.frombuffer(b"".join(pieces), dtype=np.uint8)
    packed = np.empty(int((lasts - firsts).sum()), dtype=np.uint8)
    view = view.view()
    view.flags.writeable = False  # one form of the argument, one compilation
    kernel(view, firsts, lasts, packed)
    return packed


def copy_ranges(data: Any, starts: Any, ends: Any, out: Any) -> None:
    """Copy ranges of bytes one behind the other (to be compiled)."""
    at = 0
    for i in range(len(starts)):
        n = ends[i] - starts[i]
        out[at : at + n] = data[starts[i] : ends[i]]
        at += n


def _times(given: NDArray[np.datetime64] | None, n: int) -> NDArray[np.datetime64]:
    return np.full(n, "NaT", dtype="datetime64[us]") if given is None else given.astype("datetime64[us]")


def _eras(
    coarse: NDArray[np.uint32], synchronised: NDArray[np.bool_], versions: Versions
) -> NDArray[np.uint8]:
    """Era of each packet; a clock that is not synchronised tells nothing, so its neighbours in the file do."""
    eras = versions.eras_at(coarse)
    known = np.flatnonzero(synchronised)
    if len(known) in {0, len(eras)}:
        return eras
    nearest = np.clip(np.searchsorted(known, np.arange(len(eras)), side="right") - 1, 0, None)
    return np.where(synchronised, eras, eras[known[nearest]]).astype(np.uint8)


def _identified(block: PacketBlock, versions: Versions) -> PacketBlock:
    """The block with discriminators, structures and statuses by the definitions of each packet's era."""
    ssid, spid, status = block.ssid.copy(), block.spid.copy(), block.status.copy()
    distinct = versions.distinct
    for definitions, eras in distinct.items():
        chosen = np.arange(len(block)) if len(distinct) == 1 else np.flatnonzero(np.isin(block.era, eras))
        if not len(chosen):
            continue
        service, subtype = block.service[chosen], block.subtype[chosen]
        value = _discriminator_values(block, chosen, definitions)
        number = definitions.identify_many(service, subtype, value)
        ssid[chosen], spid[chosen] = value, number
        found = np.full(len(chosen), Status.UNDECODED, dtype=np.uint8)
        found[np.isin(number, np.array(list(definitions.structures), dtype=np.int32))] = Status.OK
        found[number < 0] = Status.UNKNOWN
        status[chosen] = np.where(status[chosen] == Status.TRUNCATED, Status.TRUNCATED, found)
    return replace(block, ssid=ssid, spid=spid, status=status)


def _discriminator_values(
    block: PacketBlock, chosen: NDArray[np.int64], definitions: Definitions
) -> NDArray[np.int32]:
    """(m,) value that tells structures of one service apart; -1 where there is none."""
    values = np.full(len(chosen), -1, dtype=np.int32)
    kinds = block.service[chosen].astype(np.int64) * 256 + block.subtype[chosen]
    offsets, lengths = block.offsets[:-1][chosen], block.lengths[chosen]
    for kind in np.unique(kinds):
        place = definitions.discriminators.get((int(kind) // 256, int(kind) % 256))
        if place is None or place.offset_bytes < 0:
            continue
        n_bytes = place.width_bits // 8
        of_kind = np.flatnonzero((kinds == kind) & (lengths >= place.offset_bytes + n_bytes))
        value = np.zeros(len(of_kind), dtype=np.int64)
        for k in range(n_bytes):
            value = value << 8 | block.data[offsets[of_kind] + place.offset_bytes + k]
        values[of_kind] = value
    return values
