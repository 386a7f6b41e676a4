"""Blocks of packets: selecting, joining, keeping."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import FormatError
from stixlab.telemetry.frames import PacketBlock
from tests.support.packets import housekeeping, light_curves


def same(a: PacketBlock, b: PacketBlock) -> bool:
    return all(
        getattr(a, f.name).tobytes() == getattr(b, f.name).tobytes()  # bytes: NaT is not equal to itself
        and getattr(a, f.name).dtype == getattr(b, f.name).dtype
        for f in fields(PacketBlock)
    )


def test_a_block_comes_back_from_its_file(tmp_path: Path) -> None:
    """Same columns, same dtypes; the same packets make the same file, byte for byte."""
    block = PacketBlock.concatenate([light_curves(3), housekeeping(n=2)])
    block.save(tmp_path / "a")
    block.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert same(PacketBlock.load(tmp_path / "a"), block)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    PacketBlock.empty().save(tmp_path / "c")
    assert same(PacketBlock.load(tmp_path / "c"), PacketBlock.empty())


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Something else, or the same cut short anywhere."""
    path = tmp_path / "a"
    light_curves(2).save(path)
    content = path.read_bytes()
    for wrong in (
        b"",
        b"something else entirely",
        content[:30],
        content[:-100],
        content[: len(content) // 2],
    ):
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match="packet block"):
            PacketBlock.load(path)


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
