"""Reading piece by piece: the same whatever the pieces; compiled loops do what the plain ones do; compressed files."""

from __future__ import annotations

import gzip
import io
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry import borders, pieces, scanner, sources, streams, texts
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import Kind, iter_packets, read_packets, recognise
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


def packets() -> PacketBlock:
    """Some packets, the first and others of them with a clock that is not synchronised."""
    early = light_curves(2, n_bins=3, start=600_000_000, synchronised=False)
    late = housekeeping(n=3, start=800_000_000, synchronised=np.array([True, False, True]))
    return PacketBlock.concatenate([early, light_curves(3, n_bins=5), late, early.select(slice(0, 1))])


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_do_not_matter(tmp_path: Path, kind: Kind) -> None:
    """Every column of every packet and the whole report, for chunks from a byte to the whole file."""
    content = write(packets(), tmp_path / "file", kind)
    assert recognise(content) is kind
    whole = read_packets(content, "test", load_versions())
    assert len(whole[0]) == 9
    for chunk in (1, 7, 100, 1000, 4096, 100_000):
        assert_same(read_in_chunks(content, chunk), whole)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_chunks_do_not_matter_when_the_file_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, data: st.DataObject
) -> None:
    """The same for files with bytes changed, taken out and put in."""
    content = bytearray(write(packets(), tmp_path_factory.mktemp("damaged") / "file", kind))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        action = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if action == "set":
            content[at] = data.draw(st.sampled_from(b"\0\n <>xzZ0d\x0d\x10\xff"))
        elif action == "cut":
            del content[at : at + data.draw(st.integers(1, 200))]
        else:
            content[at:at] = data.draw(
                st.sampled_from([b"\n", b"<", b"hello\n", b"0", b"\0" * 40, b" \r\n\n"])
            )
    chunk = data.draw(st.integers(50, 3000))
    try:
        whole = read_packets(bytes(content), "test", load_versions())
    except FormatError as error:
        with pytest.raises(FormatError) as other:
            read_in_chunks(bytes(content), chunk)
        assert str(other.value) == str(error)  # noqa: PT017
        return
    assert sum(whole[1].bytes_by_use.values()) == len(content)
    assert_same(read_in_chunks(bytes(content), chunk), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_lines_and_elements_without_end_are_cut_where_others_would_be(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit keeps memory bounded; it does not depend on the chunks either."""
    block = light_curves(8, n_bins=9)
    for module in (pieces, texts):
        monkeypatch.setattr(module, "LONGEST_PIECE", 700)
    content = write(block, tmp_path / "file", kind)
    if kind is Kind.EDDS_TM:
        joined = b"".join(block.packet(i) for i in range(8)).hex().encode()
        content += b"<Packet>" + joined + b"</Packet><Packet>" + joined[:300] + b"</Packet>"
    elif kind is Kind.MOC_ASCII:
        content = content.replace(b"\n", b"", 3)
    elif kind is Kind.HEX:
        content = content.replace(b"\n", b"")
    elif kind is Kind.LB_FITS:
        content = content.replace(b"\0", b"0")
    whole = read_packets(content, "test", load_versions())
    for chunk in (40, 333, 1500):
        assert_same(read_in_chunks(content, chunk), whole)
    if kind is Kind.HEX:
        assert whole[1].packets == {"ok": 8}


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_compiled_borders_are_those_of_plain_python(data: st.DataObject) -> None:
    """And both are the same when the stream comes in parts."""
    kernel = borders.get_kernel(borders.find_borders)
    known = load_versions().known_services.astype(np.uint8).tobytes()
    whole = [light_curves(1, n_bins=2).packet(0), housekeeping(n=1).packet(0)]
    parts = data.draw(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [*whole, whole[0][:30], whole[0][:5], whole[1][:17], whole[1][9:], b"\x0d\xa4"]
                ),
                st.binary(max_size=40),
                st.integers(0, 10).map(lambda n: whole[1][:n] + whole[0]),
            ),
            max_size=12,
        )
    )
    stream = b"".join(parts)
    options = {"in_sync": data.draw(st.booleans()), "final": True}
    plain = borders._find_plain(stream, known, **options)
    compiled = borders._find_compiled(kernel, stream, known, **options)
    assert same_borders(plain, compiled)
    covered = sorted([*zip(plain.starts, plain.ends, strict=True), *plain.skipped])
    assert [start for start, _ in covered] == [0, *(int(end) for _, end in covered)][: len(covered)]
    assert plain.consumed == len(stream)
    assert ((plain.ends - plain.starts) >= 16).all()


def same_borders(a: borders.Borders, b: borders.Borders) -> bool:
    return (
        a.starts.tolist() == b.starts.tolist()
        and a.ends.tolist() == b.ends.tolist()
        and a.truncated.tolist() == b.truncated.tolist()
        and a.skipped == b.skipped
        and (a.consumed, a.in_sync) == (b.consumed, b.in_sync)
    )


def test_compiled_borders_of_a_long_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """More packets and gaps than are found in one call, and the part that is not decided yet."""
    monkeypatch.setattr(borders, "_CAPACITY", 50)
    kernel = borders.get_kernel(borders.find_borders)
    known = load_versions().known_services.astype(np.uint8).tobytes()
    block = housekeeping(n=300)
    random = np.random.default_rng(1)
    stream = b"".join(block.packet(i) + random.bytes(int(random.integers(0, 4))) for i in range(300))
    for final in (True, False):
        plain = borders._find_plain(stream, known, in_sync=True, final=final)
        assert same_borders(plain, borders._find_compiled(kernel, stream, known, in_sync=True, final=final))
        assert (plain.consumed == len(stream)) == final
    assert len(plain.starts) > 200


def test_sources_of_every_form(tmp_path: Path) -> None:
    """A path, bytes, an open file, and one that gives less than it is asked for."""
    content = write(packets(), tmp_path / "file", Kind.BINARY)

    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = io.BytesIO(content)

        def read(self, size: int = -1) -> bytes:
            return self.rest.read(min(size, 10))

    whole = read_packets(content, "test", load_versions())
    for source in (tmp_path / "file", content, io.BytesIO(content), Slow()):
        report = DecodeReport(name="test")
        blocks = list(iter_packets(source, "test", load_versions(), report))
        report.count_packets(mark_duplicates(PacketBlock.concatenate(blocks)))
        assert_same((mark_duplicates(PacketBlock.concatenate(blocks)), report), whole)
    with pytest.raises(FileNotFoundError):
        list(iter_packets(tmp_path / "none", "none", load_versions(), DecodeReport(name="none")))


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


def test_blocks_of_very_small_packets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns of small packets need more room than the packets: blocks are cut by number too."""
    block = housekeeping(n=50)
    monkeypatch.setattr(scanner, "_MOST_PACKETS", 20)
    report = DecodeReport(name="test")
    blocks = list(iter_packets(block.data.tobytes(), "test", load_versions(), report))
    assert [len(each) for each in blocks] == [20, 20, 10]
    assert PacketBlock.concatenate(blocks).data.tobytes() == block.data.tobytes()
    assert PacketBlock.concatenate(blocks).source_offset.tolist() == (109 * np.arange(50)).tolist()


def test_a_binary_file_may_begin_with_anything(tmp_path: Path) -> None:
    """Packets behind more garbage than is looked at to recognise the kind are found."""
    block = housekeeping(n=3)
    content = bytes(300_000) + block.data.tobytes()
    assert recognise(content) is Kind.BINARY
    found, report = read_in_chunks(content, 5000)
    assert report.bytes_by_use == {"skipped": 300_000, "packets": 327}
    assert found.data.tobytes() == block.data.tobytes()
    strange = bytearray(block.packet(0))
    strange[7] = 99
    with pytest.raises(FormatError, match="expected telemetry"):
        read_in_chunks(bytes(strange) * 3, 100)


def test_astropy_reads_the_tables_written(tmp_path: Path, real_data: Path) -> None:
    """The FITS form is checked by another reader, and has the columns of the real one."""
    from astropy.io import fits

    real = fits.open(real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits")
    content = (real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits").read_bytes()
    block, _ = read_packets(content, "test", load_versions())
    write_lb_fits(block, tmp_path / "file.fits")
    with fits.open(tmp_path / "file.fits") as ours, real:
        ours.verify("exception")
        for name in ("CONTROL", "DATA"):
            assert ours[name].columns.names == real[name].columns.names
            assert ours[name].columns.formats == real[name].columns.formats
            for column in real[name].columns.names:
                assert (ours[name].data[column] == real[name].data[column]).all(), column
        assert ours[0].header["SSID"] == 30
        assert ours[0].header["OBT_BEG"] == "0664148503:10710"


@pytest.mark.parametrize("wrong", ["lost", "added"])
def test_a_lost_digit_costs_one_packet(wrong: str) -> None:
    """The lines behind it are read again from their headers; wrapped lines with odd numbers of digits are no fault."""
    block = light_curves(5, n_bins=5)
    lines = [block.packet(i).hex() for i in range(5)]
    lines[1] = lines[1][:71] + lines[1][72:] if wrong == "lost" else lines[1][:71] + "7" + lines[1][71:]
    lines[3] = lines[3] + "5"
    content = "\n".join(lines).encode()
    whole = read_packets(content, "test", load_versions())
    for chunk in (10, 300, 2000):
        assert_same(read_in_chunks(content, chunk), whole)
    good = [i for i in range(5) if block.packet(i) in {whole[0].packet(k) for k in range(len(whole[0]))}]
    assert good == [0, 2, 3, 4]
    assert whole[1].remarks["digit without its second"].count == 2
    digits = block.data.tobytes().hex()
    wrapped = "\n".join(digits[i : i + 77] for i in range(0, len(digits), 77)).encode()
    found, report = read_packets(wrapped, "test", load_versions())
    assert found.data.tobytes() == block.data.tobytes()
    assert set(report.remarks) == set()


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


@pytest.mark.parametrize("kind", KINDS)
def test_no_packets_are_a_file_without_packets(tmp_path: Path, kind: Kind) -> None:
    """Written without complaint; what has no mark of its kind is not taken for telemetry."""
    content = write(PacketBlock.empty(), tmp_path / "file", kind)
    if kind in {Kind.EDDS_TM, Kind.LB_FITS}:
        block, report = read_packets(content, "test", load_versions())
        assert len(block) == 0
        assert report.bytes_by_use == {"markup": len(content)}
    else:
        assert content == b""
