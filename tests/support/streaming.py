"""The same packets as a file of any kind, and that file read piece by piece."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from stixlab.idb import load_versions
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import Kind, iter_packets
from stixlab.telemetry.writers import write_binary, write_edds_xml, write_hex, write_lb_fits, write_moc_ascii
from tests.support.packets import housekeeping, light_curves

TIMES = np.datetime64("2021-01-17T00:00:00.123456") + np.arange(20) * np.timedelta64(1, "s")
KINDS = [Kind.EDDS_TM, Kind.BINARY, Kind.HEX, Kind.MOC_ASCII, Kind.LB_FITS]
COLUMNS = [f.name for f in fields(PacketBlock)]


def write(block: PacketBlock, path: Path, kind: Kind) -> bytes:
    """A file of any kind; its bytes."""
    if kind is Kind.EDDS_TM:
        write_edds_xml(block, path, TIMES[: len(block)], TIMES[: len(block)] + np.timedelta64(1, "h"))
    elif kind is Kind.MOC_ASCII:
        write_moc_ascii(block, path, TIMES[: len(block)])
    else:
        {Kind.BINARY: write_binary, Kind.HEX: write_hex, Kind.LB_FITS: write_lb_fits}[kind](block, path)
    return path.read_bytes()


def packets() -> PacketBlock:
    """Some packets, the first and others of them with a clock that is not synchronised."""
    early = light_curves(2, n_bins=3, start=600_000_000, synchronised=False)
    late = housekeeping(n=3, start=800_000_000, synchronised=np.array([True, False, True]))
    return PacketBlock.concatenate([early, light_curves(3, n_bins=5), late, early.select(slice(0, 1))])


def read_in_chunks(content: bytes, chunk_bytes: int) -> tuple[PacketBlock, DecodeReport]:
    report = DecodeReport(name="test")
    blocks = list(iter_packets(content, "test", load_versions(), report, chunk_bytes=chunk_bytes))
    assert all(len(block) for block in blocks)
    block = mark_duplicates(PacketBlock.concatenate(blocks))
    report.count_packets(block)
    assert sum(report.bytes_by_use.values()) == report.size_bytes
    return block, report


def assert_same(a: tuple[PacketBlock, DecodeReport], b: tuple[PacketBlock, DecodeReport]) -> None:
    assert a[1].as_document() == b[1].as_document()
    for name in COLUMNS:
        ours, theirs = getattr(a[0], name), getattr(b[0], name)
        assert ours.dtype == theirs.dtype, name
        assert ours.tobytes() == theirs.tobytes(), name
