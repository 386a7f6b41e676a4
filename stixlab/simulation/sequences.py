"""Packets of a sequence: what fits into each, their flags, their counters and the times at which they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import ParameterError
from stixlab.idb import Definitions
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = [
    "FULL_PACKET",
    "N_COUNTS",
    "Departure",
    "fill_packets",
    "group_bytes",
    "merge_in_time",
    "number_packets",
    "sequence_flags",
]

FULL_PACKET = 4112
"""Bytes of the largest packet that the instrument sends, headers included."""
N_COUNTS = 16_384
"""Sequence counts of an APID, before it starts again at 0."""
_FIRST, _CONTINUED, _LAST, _ALONE = 1, 0, 2, 3


@dataclass(frozen=True)
class Departure:
    """When the packets of a sequence leave the instrument, and who is said to have made them."""

    coarse: int
    """On-board seconds of the first packet."""
    fine: int = 0
    """1/65536 s."""
    spacing_s: float = 2.0
    """Seconds from one packet to the next."""
    destination: int = 0
    """Destination byte: `stixlab.telemetry.frames` lists those that are not real packets."""

    def times(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n,) on-board seconds and 1/65536 s of each packet."""
        step = round(self.spacing_s * FINE_PER_SECOND)
        ticks = self.coarse * FINE_PER_SECOND + self.fine + step * np.arange(n, dtype=np.int64)
        return ticks // FINE_PER_SECOND, ticks % FINE_PER_SECOND


def group_bytes(definitions: Definitions, spid: int, counter: str | None = None) -> int:
    """Bytes of one repeat of a group, those of the groups within it not counted.

    Parameters
    ----------
    definitions
    spid
    counter
        Parameter that counts the repeats; none: the packet with its headers.
    """
    fields = definitions.structures[spid]
    start, stop, bits = 0, len(fields), 128
    if counter is not None:
        at = next(i for i, f in enumerate(fields) if f.parameter == counter)
        start, stop, bits = at + 1, at + 1 + fields[at].group_size, 0
    i = start
    while i < stop:
        bits += fields[i].gap_bits + definitions.parameters[fields[i].parameter].width_bits
        i += 1 + fields[i].group_size
    return -(-bits // 8)


def fill_packets(
    cell_bytes: NDArray[np.int64],
    *,
    packet_bytes: int,
    group: NDArray[np.int64] | None = None,
    group_bytes: int = 0,
    largest: int = FULL_PACKET,
) -> NDArray[np.int64]:
    """Cells divided over packets, each filled before the next is begun.

    Parameters
    ----------
    cell_bytes : (n_cells,)
        Bytes of the smallest parts that must not be torn apart.
    packet_bytes
        Bytes of a packet without any cell, headers included.
    group : (n_cells,)
        Number of the structure (time bin) that each cell belongs to, ascending. A structure that does not end
        within a packet is begun again in the next one.
    group_bytes
        Bytes at the head of each structure.
    largest
        Bytes that a packet may have.

    Returns
    -------
    (n_packets + 1,)
        Packet i holds the cells from ``limits[i]`` to ``limits[i + 1]``. No cell: no packet.

    Raises
    ------
    ParameterError
        If a single cell does not fit.
    """
    n = len(cell_bytes)
    begins = np.zeros(n, dtype=np.int64)
    if group is not None and n:
        begins[0] = 1
        begins[1:] = group[1:] != group[:-1]
    room = largest - packet_bytes
    if n and int(cell_bytes.max()) + group_bytes > room:
        raise ParameterError(
            f"packet: expected parts of at most {room - group_bytes} bytes; found one of {int(cell_bytes.max())}; take "
            "fewer pixels or energies"
        )
    used = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(cell_bytes + begins * group_bytes, out=used[1:])
    limits = [0]
    while limits[-1] < n:
        at = limits[-1]
        again = 0 if group is None or begins[at] else group_bytes
        limits.append(int(np.searchsorted(used, used[at] + room - again, side="right")) - 1)
    return np.array(limits, dtype=np.int64)


def sequence_flags(n: int) -> NDArray[np.uint8]:
    """(n,) flags of the packets of one sequence: first, continuation, last; or stand-alone."""
    flags = np.full(n, _CONTINUED, dtype=np.uint8)
    if n == 1:
        flags[0] = _ALONE
    elif n:
        flags[0], flags[-1] = _FIRST, _LAST
    return flags


def number_packets(block: PacketBlock, counts: ArrayLike) -> PacketBlock:
    """The same packets with other sequence counts, in their bytes too.

    Parameters
    ----------
    block
    counts : scalar or (n,)
        Taken modulo 16384.
    """
    count = np.broadcast_to(np.asarray(counts, dtype=np.int64) % N_COUNTS, (len(block),))
    word = block.sequence_flag.astype(np.int64) << 14 | count
    data = block.data.copy()
    data[block.offsets[:-1] + 2], data[block.offsets[:-1] + 3] = word >> 8, word & 0xFF
    return replace(block, data=data, sequence_count=count.astype(np.uint16))


def merge_in_time(blocks: Sequence[PacketBlock], first_counts: dict[int, int] | None = None) -> PacketBlock:
    """Packets of several sequences in the order in which they leave, counted for each APID.

    Parameters
    ----------
    blocks
        Each in the order of time.
    first_counts
        By APID, the count of its next packet; an APID that is not there keeps its counts. It is changed to what
        comes after these packets.
    """
    merged = PacketBlock.concatenate([b for b in blocks if len(b)])
    ticks = merged.scet_coarse.astype(np.int64) * FINE_PER_SECOND + merged.scet_fine
    merged = merged.select(np.argsort(ticks, kind="stable"))
    if not first_counts or not len(merged):
        return merged
    counts = merged.sequence_count.astype(np.int64)
    for apid, first in first_counts.items():
        mine = np.flatnonzero(merged.apid == apid)
        counts[mine] = first + np.arange(len(mine))
        first_counts[apid] = (first + len(mine)) % N_COUNTS
    return number_packets(merged, counts)
