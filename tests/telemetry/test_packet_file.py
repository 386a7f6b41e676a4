"""Packets of a file on disk: what comes back, and what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.packet_file import PacketFile, PacketFileWriter
from stixlab.telemetry.sources import read_packets
from tests.support.packets import housekeeping, light_curves, read_hex


def write(path: Path, *blocks: PacketBlock) -> PacketFile:
    with PacketFileWriter(path, load_versions()) as writer:
        for block in blocks:
            writer.append(block)
    return PacketFile.open(path)


def same(a: PacketBlock, b: PacketBlock) -> bool:
    return all(getattr(a, f.name).tobytes() == getattr(b, f.name).tobytes() for f in fields(PacketBlock))


def test_packets_come_back_whole_or_in_part(tmp_path: Path) -> None:
    """All columns and bytes; a selection; pieces that joined give the whole; the same file for the same packets."""
    blocks = [light_curves(3), housekeeping(n=2), housekeeping(n=1, start=665_000_000)]
    whole = PacketBlock.concatenate(blocks)
    packets = write(tmp_path / "a", *blocks)
    assert len(packets) == 6
    assert same(packets.block, whole)
    assert same(packets.read(np.array([4, 0])), whole.select(np.array([4, 0])))
    assert same(PacketBlock.concatenate(list(packets.iter_blocks(max_bytes=200))), whole)
    assert [len(b) for b in packets.iter_blocks(max_bytes=1)] == [1] * 6
    assert packets["length"].tolist() == whole.lengths.tolist()
    write(tmp_path / "b", *blocks)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_no_packets_are_a_file_too(tmp_path: Path) -> None:
    assert len(write(tmp_path / "a")) == 0
    assert same(write(tmp_path / "b", PacketBlock.empty()).block, PacketBlock.empty())


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Something else, or the same cut short anywhere."""
    path = tmp_path / "a"
    write(path, light_curves(2))
    content = path.read_bytes()
    for wrong in (b"", b"something else entirely", content[:30], content[:-100], content[8:]):
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match="ingest the raw file again"):
            PacketFile.open(path)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        write_and_fail(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def write_and_fail(path: Path) -> None:
    with PacketFileWriter(path, load_versions()) as writer:
        writer.append(light_curves(1))
        raise FormatError("on purpose")


def test_repeated_packets_of_different_blocks_are_marked(tmp_path: Path) -> None:
    """As if all had come in one block: the longer of two that contradict each other stays."""
    first, second = light_curves(2, n_bins=4), light_curves(2, n_bins=4)
    packets = write(tmp_path / "a", first, second, housekeeping(n=1))
    assert packets["status"].tolist() == [
        Status.OK,
        Status.OK,
        Status.DUPLICATE,
        Status.DUPLICATE,
        Status.OK,
    ]
    longer = light_curves(1, n_bins=6, scet_coarse=first.scet_coarse[:1], sequence_count=[0])
    packets = write(tmp_path / "b", first, longer)
    assert packets["status"].tolist() == [Status.CONFLICT, Status.OK, Status.OK]


def test_requests_are_found_in_real_packets(tmp_path: Path, real_data: Path) -> None:
    """NIX00037 and NIX00002 stand at the same bytes in all bulk science; other packets have none."""
    versions = load_versions()
    names = ("21_6_20", "21_6_21", "21_6_22", "21_6_23", "21_6_24", "21_6_30", "3_25_2", "238_3")
    blocks = [read_packets(read_hex(real_data, name), name, versions)[0] for name in names]
    packets = write(tmp_path / "a", *blocks)
    expected = [int.from_bytes(b.packet(0)[21:25], "big") if k < 5 else 0 for k, b in enumerate(blocks)]
    expected[-1] = int.from_bytes(blocks[-1].packet(0)[16:20], "big")
    assert packets["request"].tolist() == expected
    assert (packets["request"][:5] > 0).all()
    assert (packets["tc_sequence"][:5] > 0).all()
    assert (packets["tc_sequence"][5:] == 0).all()
