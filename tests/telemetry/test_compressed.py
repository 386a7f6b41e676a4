"""Compressed files: the same packets, damage told, no more unpacked than is reasonable."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry import streams
from stixlab.telemetry.sources import Kind, read_packets, recognise
from tests.support.packets import light_curves
from tests.support.streaming import KINDS, assert_same, packets, read_in_chunks, write


@pytest.mark.parametrize("kind", KINDS)
def test_compressed_files_give_the_same(tmp_path: Path, kind: Kind) -> None:
    """The bytes accounted for are those unpacked; the size of the file itself is told beside."""
    plain = write(packets(), tmp_path / "file", kind)
    packed = write(packets(), tmp_path / "file.gz", kind)
    assert packed == write(packets(), tmp_path / "again.gz", kind)
    assert gzip.decompress(packed) == plain
    assert recognise(packed) is kind
    block, report = read_packets(packed, "test", load_versions())
    expected = read_packets(plain, "test", load_versions())
    assert (report.compressed_bytes, report.size_bytes) == (len(packed), len(plain))
    report.compressed_bytes = 0
    assert_same((block, report), expected)
    two = gzip.compress(plain[:1000]) + gzip.compress(plain[1000:]) + b"\0" * 100
    block, report = read_in_chunks(two, 500)
    report.compressed_bytes = 0
    assert_same((block, report), expected)


def test_a_damaged_compressed_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Cut short at every place, or changed at the end: what comes before is kept, the fault is told."""
    block = light_curves(40, n_bins=20)
    plain = write(block, tmp_path / "file", Kind.BINARY)
    packed = gzip.compress(plain, mtime=0)
    for end in range(600, len(packed), 97):
        found, report = read_packets(packed[:end], "test", load_versions())
        assert "gzip that ends early" in report.remarks
        assert plain.startswith(found.data.tobytes())
        assert sum(report.bytes_by_use.values()) == report.size_bytes <= len(plain)
    assert len(found) > 35
    wrong = bytearray(packed)
    wrong[-6] ^= 1
    found, report = read_packets(bytes(wrong), "test", load_versions())
    assert len(found) == 40
    assert [reason for reason in report.remarks if "damaged gzip" in reason]
    found, report = read_packets(packed + b"more", "test", load_versions())
    assert report.remarks["bytes behind the end of gzip"].count == 1
    random = np.random.default_rng(5)
    for _ in range(30):
        wrong = bytearray(packed)
        wrong[int(random.integers(700, len(wrong)))] ^= 1 << int(random.integers(0, 8))
        found, report = read_packets(bytes(wrong), "test", load_versions())
        assert sum(report.bytes_by_use.values()) == report.size_bytes
        assert len(found)


def test_a_gzip_bomb_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before is kept."""
    monkeypatch.setattr(streams, "_UNPACKED_AT_MOST", 1 << 20)
    plain = write(packets(), tmp_path / "file", Kind.BINARY)
    packed = gzip.compress(plain + bytes(50 << 20))
    assert len(packed) * 250 < 50 << 20
    block, report = read_in_chunks(packed, 1 << 18)
    assert len(block) == 9
    assert report.size_bytes < 14 << 20
    assert "gzip that expands beyond all measure, not read on" in report.remarks
    with pytest.raises(FormatError):
        read_packets(gzip.compress(packed), "twice", load_versions())
