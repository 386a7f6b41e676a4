"""Bits of packets that no field claims: gaps between fields, and bytes behind the last one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import PacketError
from stixlab.telemetry.frames import PacketBlock

__all__ = ["SpareBits", "find_spare_bits"]


@dataclass(frozen=True, eq=False)
class SpareBits:
    """What stands in bits that no field claims; only bytes where such a bit is set are listed."""

    lengths: NDArray[np.int64]
    """(n,) bytes of each packet, those behind the last field included."""
    packet: NDArray[np.int64]
    """(n_bytes,) number of the packet."""
    offset_bytes: NDArray[np.int64]
    """(n_bytes,) place from the start of the packet."""
    bits: NDArray[np.uint8]
    """(n_bytes,) the bits; those of fields are 0."""


def find_spare_bits(block: PacketBlock, made: PacketBlock) -> SpareBits:
    """Spare bits of packets, by comparing them with what their fields alone give.

    Parameters
    ----------
    block
        The packets.
    made
        The same packets encoded from their columns, spare bits 0.

    Raises
    ------
    PacketError
        If they are not the same packets: another number of them, or longer ones.
    """
    if len(block) != len(made) or (made.lengths > block.lengths).any():
        raise PacketError(
            f"spare bits: expected the fields of {len(block)} packets to fit into them; found {len(made)} packets, "
            f"{int((made.lengths[: len(block)] > block.lengths[: len(made)]).sum())} of them longer"
        )
    lengths = block.lengths
    packet = np.repeat(np.arange(len(block)), made.lengths)
    within = np.arange(len(packet)) - np.repeat(made.offsets[:-1] - made.offsets[0], made.lengths)
    claimed = block.offsets[:-1][packet] + within
    # a copy of the packets from which the fields are taken out: what is left is spare
    rest = block.data[block.offsets[0] : block.offsets[-1]].copy()
    rest[claimed - block.offsets[0]] ^= made.data[made.offsets[0] : made.offsets[-1]]
    place = np.flatnonzero(rest)
    owner = np.searchsorted(block.offsets - block.offsets[0], place, side="right") - 1
    return SpareBits(
        lengths=lengths,
        packet=owner,
        offset_bytes=place - (block.offsets[owner] - block.offsets[0]),
        bits=rest[place],
    )
