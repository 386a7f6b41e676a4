"""Packets that came twice: the same bytes again, or other bytes under the same identity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["identities", "mark_duplicates"]


def identities(block: PacketBlock) -> NDArray[np.void]:
    """(n,) APID, sequence count and on-board time of each packet, comparable for equality."""
    keys = np.zeros(
        len(block),
        dtype=[("apid", "<u2"), ("count", "<u2"), ("coarse", "<u4"), ("fine", "<u2"), ("sync", "u1")],
    )
    keys["apid"], keys["count"] = block.apid, block.sequence_count
    keys["coarse"], keys["fine"], keys["sync"] = block.scet_coarse, block.scet_fine, block.synchronised
    return keys


def mark_duplicates(block: PacketBlock) -> PacketBlock:
    """Statuses with repeated packets marked, so that each identity is used once.

    Of packets with one identity the longest complete one stays, the first of equals; others
    with the same bytes are duplicates, with other bytes conflicts. Truncated packets stay
    truncated unless a better one is there.
    """
    _, first, inverse, counts = np.unique(
        identities(block), return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == len(block):
        return block
    status = block.status.copy()
    order = np.argsort(inverse, kind="stable")
    groups = np.split(order, np.cumsum(counts)[:-1])
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
