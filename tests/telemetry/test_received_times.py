"""Times of the control centre and of the packets: kept, held against each other, and what they tell of the era."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stixlab.idb import load_versions
from stixlab.telemetry import sources
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.sources import Kind, read_packets, recognise
from stixlab.telemetry.writers import write_edds_xml, write_moc_ascii
from tests.support.packets import housekeeping
from tests.support.streaming import COLUMNS, KINDS, TIMES, packets, read_in_chunks, write


def test_times_of_the_control_centre_are_kept(tmp_path: Path, real_data: Path) -> None:
    """From the 76-byte header both times, from a line the time of reception; to the microsecond."""
    block = packets()
    for kind in KINDS:
        found, _ = read_packets(write(block, tmp_path / "file", kind), "test", load_versions())
        times = TIMES[: len(block)].astype("datetime64[us]")
        if kind is Kind.EDDS_TM:
            assert found.generation_time.tolist() == times.tolist()
            assert found.reception_time.tolist() == (times + np.timedelta64(1, "h")).tolist()
        elif kind is Kind.MOC_ASCII:
            assert found.reception_time.tolist() == times.tolist()
            assert np.isnat(found.generation_time).all()
        else:
            assert np.isnat(found.generation_time).all()
            assert np.isnat(found.reception_time).all()
    content = (real_data / "telemetry" / "xml" / "PktTmRaw_67e2972b.xml").read_bytes()
    found, report = read_packets(content, "test", load_versions())
    # 0x5fc589ad s and 0x000989a0 us in the header of the last element that has one
    assert str(found.generation_time[10]) == "2020-12-01T00:09:17.625056"
    # the first two elements have the header of another packet (its APID, count and length), the last has none
    assert np.isnat(found.generation_time).tolist() == [True, True] + [False] * 9 + [True]
    assert np.array_equal(np.isnat(found.generation_time), np.isnat(found.reception_time))
    assert report.remarks["header of the control system names another APID"].first_offsets == [356, 8723]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-01-17T12:34:56.789Z", "2021-01-17T12:34:56.789"),
        ("2021-017T12:34:56.789Z", "2021-01-17T12:34:56.789"),
        ("2020-366T00:00:00", "2020-12-31T00:00:00"),
        ("2021-01-17 12:34:56", "2021-01-17T12:34:56"),
        ("2021-01-17T12:34:56.123456789Z", "2021-01-17T12:34:56.123456"),
        ("2021-13-17T12:34:56", "NaT"),
        ("2021-000T12:34:56", "NaT"),
        ("2021-01-17T24:34:56", "NaT"),
    ],
)
def test_times_of_lines(text: str, expected: str) -> None:
    """By date or by day of the year, with or without fraction and zone."""
    block = housekeeping(n=2)
    lines = f"{text} {block.packet(0).hex()}\r\n{text}\t0x{block.packet(1).hex().upper()}  \n".encode()
    assert recognise(lines) is Kind.MOC_ASCII
    found, report = read_packets(lines, "test", load_versions())
    assert report.packets == {"ok": 2}
    assert sum(report.bytes_by_use.values()) == len(lines)
    assert found.reception_time.astype(str).tolist() == [str(np.datetime64(expected, "us"))] * 2


def test_lines_of_several_packets_and_other_lines() -> None:
    """One line may hold several packets; a packet does not go on in the next line; other text is skipped."""
    block = housekeeping(n=4)
    digits = [block.packet(i).hex() for i in range(4)]
    lines = (
        f"# received\n2021-01-17T00:00:01Z {digits[0]}{digits[1]}\n\nnot a line\nnor this\n"
        f"2021-01-17T00:00:02Z {digits[2][:60]}\n2021-01-17T00:00:03Z {digits[3][:50]}zz{digits[3][50:]}\n"
    ).encode()
    found, report = read_packets(lines, "test", load_versions())
    assert found.status.tolist() == [0, 0, Status.TRUNCATED, Status.TRUNCATED]
    assert found.reception_time.astype("datetime64[s]").astype(str).tolist() == [
        "2021-01-17T00:00:01",
        "2021-01-17T00:00:01",
        "2021-01-17T00:00:02",
        "2021-01-17T00:00:03",
    ]
    assert report.remarks["text that is not hexadecimal"].count == 2
    assert report.remarks["element that is not hexadecimal"].count == 1
    assert sum(report.bytes_by_use.values()) == len(lines)


def test_the_header_of_the_control_system_is_held_against_the_packet(tmp_path: Path) -> None:
    """Each contradiction is remarked with its place; the packet is believed."""
    content = write(housekeeping(n=3), tmp_path / "file", Kind.EDDS_TM)
    at = [content.index(b"<Packet>", start) + 8 for start in np.flatnonzero(_tags(content))]
    changed = bytearray(content)
    for offset, value in ((43, b"01"), (71, b"01"), (73, b"99"), (74, b"15"), (31, b"00")):
        changed[at[1] + 2 * offset : at[1] + 2 * offset + 2] = value
    found, report = read_packets(bytes(changed), "test", load_versions())
    assert report.packets == {"ok": 3}
    wrong = {reason for reason in report.remarks if "control system" in reason}
    assert {reason.rsplit("another ", 1)[1] for reason in wrong} == {
        "structure (SPID)",
        "APID",
        "sequence count",
        "service",
        "length",
    }
    assert all(report.remarks[r].first_offsets == [int(found.source_offset[1])] for r in wrong)


def _tags(content: bytes) -> np.ndarray:
    found = np.zeros(len(content), dtype=bool)
    at = -1
    while (at := content.find(b"<Packet>", at + 1)) >= 0:
        found[at] = True
    return found


def test_eras_come_from_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last synchronised packet before, or the first of the file if it is not too far."""
    versions = load_versions()
    # the unsynchronised clock says 600,000,000 s, before all others
    parts = [
        housekeeping(n=3, start=600_000_000, synchronised=False),
        housekeeping(n=1, start=800_000_000),
        housekeeping(n=2, start=600_000_000, synchronised=False, sequence_count=np.array([7, 8])),
        housekeeping(n=1, start=650_000_000),
        housekeeping(n=2, start=600_000_000, synchronised=False, sequence_count=np.array([17, 18])),
    ]
    content = PacketBlock.concatenate(parts).data.tobytes()
    late, early, own = (int(versions.eras_at(t)) for t in (800_000_000, 650_000_000, 600_000_000))
    for chunk in (100, 10_000):
        block, _ = read_in_chunks(content, chunk)
        assert block.era.tolist() == [late] * 6 + [early] * 3
    monkeypatch.setattr(sources, "_HELD_BACK", 200)
    for chunk in (100, 10_000):
        block, _ = read_in_chunks(content, chunk)
        assert block.era.tolist() == [own] * 3 + [late] * 3 + [early] * 3


def test_a_clock_of_an_unknown_packet_tells_nothing() -> None:
    """Neither to those behind it nor to those before; its own era is that of its time."""
    versions = load_versions()
    strange = bytearray(housekeeping(n=1, start=650_000_000).packet(0))
    strange[8] = 77
    early = housekeeping(n=2, start=600_000_000, synchronised=False)
    late = housekeeping(n=1, start=800_000_000)
    content = early.packet(0) + bytes(strange) + early.packet(1) + late.packet(0)
    strangers, others = (int(versions.eras_at(t)) for t in (650_000_000, 800_000_000))
    for chunk in (100, 10_000):
        assert read_in_chunks(content, chunk)[0].era.tolist() == [others, strangers, others, others]
        own = int(versions.eras_at(600_000_000))
        alone = read_in_chunks(content[: 3 * 109], chunk)[0]
        assert alone.era.tolist() == [own, strangers, own]


def test_a_block_writes_its_own_times(tmp_path: Path) -> None:
    """Read from any kind, written to another and read again: the times are there still, unknown ones stay unknown."""
    write(packets(), tmp_path / "first", Kind.EDDS_TM)
    block, _ = read_packets((tmp_path / "first").read_bytes(), "test", load_versions())
    block.generation_time[2] = block.reception_time[3] = np.datetime64("NaT")
    write_edds_xml(block, tmp_path / "second")
    again, _ = read_packets((tmp_path / "second").read_bytes(), "test", load_versions())
    for name in COLUMNS:
        assert getattr(again, name).tobytes() == getattr(block, name).tobytes(), name
    write_moc_ascii(block, tmp_path / "third")
    lines, _ = read_packets((tmp_path / "third").read_bytes(), "test", load_versions())
    assert lines.reception_time.tobytes() == block.reception_time.tobytes()
    assert lines.data.tobytes() == block.data.tobytes()
