"""Reading piece by piece: the same whatever the pieces; compiled loops do what the plain ones do."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry import borders, pieces, scanner, texts
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import Kind, iter_packets, read_packets, recognise
from stixlab.telemetry.writers import write_lb_fits
from tests.support.examples import examples
from tests.support.packets import housekeeping, light_curves
from tests.support.streaming import KINDS, assert_same, packets, read_in_chunks, write


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
@settings(max_examples=examples(40), deadline=None)
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


@settings(max_examples=examples(300), deadline=None)
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
