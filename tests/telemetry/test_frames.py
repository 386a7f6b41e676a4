"""Blocks of packets: selecting, joining, keeping."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from stixlab.telemetry.frames import PacketBlock
from tests.support.packets import light_curves


def same(a: PacketBlock, b: PacketBlock) -> bool:
    return all(
        getattr(a, f.name).tobytes() == getattr(b, f.name).tobytes()  # bytes: NaT is not equal to itself
        and getattr(a, f.name).dtype == getattr(b, f.name).dtype
        for f in fields(PacketBlock)
    )


def test_selecting_and_joining() -> None:
    """Masks, indices and slices give the same packets; parts joined again are the whole."""
    block = light_curves(5)
    assert [block.select(np.array([3, 1])).packet(0), block.select(np.array([3, 1])).packet(1)] == [
        block.packet(3),
        block.packet(1),
    ]
    even = np.arange(5) % 2 == 0
    assert same(block.select(even), block.select(np.array([0, 2, 4])))
    assert same(PacketBlock.concatenate([block.select(slice(0, 2)), block.select(slice(2, 5))]), block)
    assert len(block.select(np.zeros(5, dtype=bool))) == 0
    assert same(PacketBlock.concatenate([]), PacketBlock.empty())
