"""Packets that came twice: the same bytes again, or other bytes under the same identity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["identities", "mark_duplicates"]


def identities(block: PacketBlock) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What makes a packet one and the same, as two numbers.

    Returns
    -------
    time : (n,)
        On-board time in 1/65536 s, with the synchronisation flag above it.
    counter : (n,)
        APID and sequence count.
    """
    time = block.scet_coarse.astype(np.int64) << 16 | block.scet_fine
    time |= (~block.synchronised).astype(np.int64) << 47
    return time, block.apid.astype(np.int64) << 14 | block.sequence_count


def mark_duplicates(block: PacketBlock) -> PacketBlock:
    """Statuses with repeated packets marked, so that each identity is used once.

    Of packets with one identity the longest complete one stays, the first of equals; others
    with the same bytes are duplicates, with other bytes conflicts. Truncated packets stay
    truncated unless a better one is there.
    """
    time, counter = identities(block)
    in_time = np.sort(time)
    if not (in_time[1:] == in_time[:-1]).any():
        return block
    order = np.lexsort((counter, time))
    new = (np.diff(time[order]) != 0) | (np.diff(counter[order]) != 0)
    if new.all():
        return block
    status = block.status.copy()
    groups = np.split(order, np.flatnonzero(new) + 1)
    lengths = block.lengths
    for members in groups:
        if len(members) == 1:
            continue
        kept = min(members, key=lambda i: (block.status[i] == Status.TRUNCATED, -lengths[i], i))
        content = block.packet(kept)
        for i in members:
            if i != kept:
                status[i] = Status.DUPLICATE if block.packet(i) == content else Status.CONFLICT
    return block.with_status(status)
