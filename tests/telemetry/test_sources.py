"""Files of every kind and in every state: recognised, read, and every byte accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry.decode import decode_all
from stixlab.telemetry.encode import SIMULATED_DESTINATION, write_binary, write_edds_xml, write_hex
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import Kind, read_packets, recognise
from tests.support.examples import examples
from tests.support.packets import housekeeping, light_curves

TIME = np.datetime64("2021-01-17T00:00:00")


def read(content: bytes) -> tuple[PacketBlock, DecodeReport]:
    """Read, and check what must hold for any input."""
    block, report = read_packets(content, "test", load_versions())
    assert sum(report.bytes_by_use.values()) == len(content)
    assert sum(report.packets.values()) == len(block)
    assert np.array_equal(np.diff(block.offsets) >= 16, np.ones(len(block), dtype=bool))
    return block, report


def mixed() -> PacketBlock:
    return PacketBlock.concatenate([light_curves(3), housekeeping(n=2), light_curves(2, start=665_000_000)])


def same_packets(a: PacketBlock, b: PacketBlock) -> bool:
    return [a.packet(i) for i in range(len(a))] == [b.packet(i) for i in range(len(b))]


@pytest.mark.parametrize("kind", [Kind.EDDS_TM, Kind.BINARY, Kind.HEX])
def test_what_was_written_is_read(tmp_path: Path, kind: Kind) -> None:
    """Each kind of file, recognised by its content whatever its name; places lead to the bytes."""
    block, path = mixed(), tmp_path / "file.txt"
    if kind is Kind.EDDS_TM:
        write_edds_xml(block, path, generation_time=TIME)
    elif kind is Kind.BINARY:
        write_binary(block, path)
    else:
        write_hex(block, path)
    content = path.read_bytes()
    assert recognise(content) is kind
    found, report = read(content)
    assert same_packets(found, block)
    assert report.packets == {"ok": 7}
    assert report.structures == {"21,6,30": 5, "3,25,2": 2}
    for i in range(len(found)):
        at = int(found.source_offset[i])
        start = (
            content[at : at + 20] if kind is Kind.BINARY else bytes.fromhex(content[at : at + 40].decode())
        )
        assert start == block.packet(i)[:20]


def test_simulated_packets_keep_their_mark_in_every_kind_of_file(tmp_path: Path) -> None:
    """Byte 9 of the header, which the mission leaves at 0."""
    block = light_curves(2, destination=SIMULATED_DESTINATION)
    write_edds_xml(block, tmp_path / "a", generation_time=TIME)
    write_hex(block, tmp_path / "b")
    write_binary(block, tmp_path / "c")
    for name in "abc":
        found, report = read((tmp_path / name).read_bytes())
        assert found.simulated.all()
        assert report.n_simulated == 2
    assert not light_curves(1).simulated.any()


def test_real_files_are_read_whole(real_data: Path) -> None:
    """XML with and without the 76-byte header (a bare packet stands in one of them)."""
    for name, n_ok in (("PktTmRaw_67e2972b", 12), ("PktTmRaw_9082c694", 11)):
        block, report = read((real_data / "telemetry" / "xml" / f"{name}.xml").read_bytes())
        assert report.packets == {"ok": n_ok}
        assert set(np.unique(block.spid)) <= {54102, 54118, 54115, 54116}
    content = (real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits").read_bytes()
    assert recognise(content) is Kind.LB_FITS
    block, report = read(content)
    assert report.packets == {"ok": 36}
    at = int(block.source_offset[20])
    assert bytes.fromhex(content[at : at + 60].decode()) == block.packet(20)[:30]


def test_damage_to_a_table_of_packets_loses_only_what_it_hits(real_data: Path) -> None:
    """Bytes of the LB file changed at random: never an error, the untouched packets are all there."""
    content = (real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits").read_bytes()
    whole, _ = read(content)
    random = np.random.default_rng(8)
    for _ in range(30):
        damaged = bytearray(content)
        hit = random.integers(2880, len(content), 10)
        for at in hit:
            damaged[at] ^= 1 << int(random.integers(0, 8))
        block, _ = read(bytes(damaged))
        found = {block.packet(i) for i in range(len(block))}
        starts = whole.source_offset
        rows = set(np.searchsorted(starts, hit, side="right") - 1)
        assert all(whole.packet(i) in found for i in range(len(whole)) if i not in rows)


def test_a_telecommand_report_is_told_apart_and_counted(real_data: Path) -> None:
    """It holds no telemetry; its commands are counted, `stixlab.telemetry.telecommands` reads them."""
    content = (real_data / "telemetry" / "xml" / "PktTcReport_b421e25c.xml").read_bytes()
    block, report = read(content)
    assert len(block) == 0
    assert report.kind == "edds-tc"
    assert report.remarks["telecommand report, holds no packets"].count == content.count(
        b"<PktTcReportListElement>"
    )


def test_all_real_packets_are_identified(real_data: Path) -> None:
    """The 36 packet types of the shared data: SPID of the golden trees' index, APID of the definitions."""
    versions = load_versions()
    files = sorted((real_data / "telemetry" / "hex").glob("*.hex"))
    assert len(files) == 36
    for path in files:
        block, _ = read(path.read_bytes())
        assert len(block) == 1
        kind = versions.latest.packet_types[int(block.spid[0])]
        expected = tuple(int(n) for n in path.stem.split("_"))
        assert (kind.service, kind.subtype, kind.pi1)[: len(expected)] == expected or expected == (
            kind.service,
            kind.subtype,
        )
        assert kind.apid == block.apid[0]
        assert block.status[0] in {Status.OK, Status.UNDECODED}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"hello, this is no telemetry\n", "28 bytes"),
        (b"<html><body>404</body></html>", "XML without"),
        (b"deadbeef" * 100, "800 bytes"),
        (bytes(2000), "2000 bytes"),
        (b"PK\x03\x04" + bytes(range(256)), "260 bytes"),
    ],
)
def test_a_file_that_is_no_telemetry_is_refused_with_what_was_looked_for(content: bytes, found: str) -> None:
    """One class of error, a message that says what to do."""
    with pytest.raises(FormatError, match="expected telemetry") as error:
        read_packets(content, "notes.txt", load_versions())
    assert found in str(error.value)
    assert "notes.txt" in str(error.value)


def test_any_other_fits_is_for_import() -> None:
    """A product is recognised, and the way to it named."""
    content = b"SIMPLE  =                    T".ljust(2880)
    assert recognise(content) is Kind.FITS
    with pytest.raises(FormatError, match="stixlab import"):
        read_packets(content, "x.fits", load_versions())


def test_garbage_between_packets_is_skipped_and_reported() -> None:
    """Whatever stands between, before and behind, all packets are found again."""
    block = mixed()
    random = np.random.default_rng(3)
    junk = [
        random.integers(0, 256, size).astype(np.uint8).tobytes() for size in (5, 100, 0, 1, 3000, 17, 0, 40)
    ]
    content = junk[7] + b"".join(block.packet(i) + junk[i] for i in range(7))
    found, report = read(content)
    assert same_packets(found, block)
    assert report.bytes_by_use["skipped"] == sum(map(len, junk))
    assert report.remarks["bytes between packets"].count == 6
    assert report.remarks["bytes between packets"].first_offsets[0] == 0


def test_a_packet_cut_short_does_not_swallow_the_next() -> None:
    """The length field of the cut packet reaches into its neighbour."""
    block = mixed()
    content = block.packet(0) + block.packet(1)[:60] + block.packet(2) + block.packet(3)
    found, report = read(content)
    assert [found.packet(i) for i in (0, 2, 3)] == [block.packet(i) for i in (0, 2, 3)]
    assert found.status.tolist() == [0, Status.TRUNCATED, 0, 0]
    assert found.packet(1) == block.packet(1)[:60]
    assert report.remarks["packet without its end"].first_offsets == [len(block.packet(0))]


def test_truncation_at_every_byte() -> None:
    """A file that stopped arriving: all whole packets are good, the rest is told, no byte is lost."""
    block = PacketBlock.concatenate([housekeeping(n=2), light_curves(2, n_bins=4)])
    content = block.data.tobytes()
    for end in range(16, len(content) + 1):
        found, report = read(content[:end])
        n_whole = int(np.searchsorted(block.offsets[1:], end, side="right"))
        assert report.packets.get("ok", 0) == n_whole
        rest = end - int(block.offsets[n_whole])
        assert len(found) == n_whole + (rest >= 16)
    for end in range(16):
        with pytest.raises(FormatError):
            read(content[:end])


@pytest.mark.parametrize("kind", ["xml", "hex"])
def test_truncation_of_text_at_every_byte(tmp_path: Path, kind: str) -> None:
    """The same for files of digits, half a byte included."""
    block = housekeeping(n=2)
    path = tmp_path / "file"
    write_hex(block, path) if kind == "hex" else write_edds_xml(block, path, generation_time=TIME)
    content = path.read_bytes()
    n_read = 0
    for end in range(len(content) + 1):
        try:
            found, report = read(content[:end])
        except FormatError:
            assert n_read == 0
            continue
        n_read = max(n_read, len(found))
        assert set(report.packets) <= {"ok", "truncated"}
    assert n_read == 2


def test_text_with_blanks_and_prefixes() -> None:
    """Hexadecimal text as people paste it."""
    block = housekeeping(n=2)
    digits = [block.packet(i).hex() for i in range(2)]
    spaced = " ".join(digits[0][i : i + 4].upper() for i in range(0, len(digits[0]), 4))
    content = f"\n 0x{spaced}\r\n\r\n0x{digits[1][:70]}\n{digits[1][70:]}\n".encode()
    assert recognise(content) is Kind.HEX
    found, _ = read(content)
    assert same_packets(found, block)
    assert content[int(found.source_offset[1]) :].startswith(digits[1][:70].encode())


def test_lines_of_text_between_lines_of_digits_are_skipped() -> None:
    """A header line or a broken line does not shift the digits behind it."""
    block = housekeeping(n=2)
    content = f"# packets of today: abc\n{block.packet(0).hex()}\nbroken!\n{block.packet(1).hex()}\n".encode()
    found, report = read(content)
    assert same_packets(found, block)
    assert report.remarks["text that is not hexadecimal"].count == 2


def test_an_element_with_a_wrong_digit_is_cut_there(tmp_path: Path) -> None:
    """What stands before it is kept as a truncated packet, the other elements are untouched."""
    block = housekeeping(n=3)
    write_edds_xml(block, tmp_path / "a", generation_time=TIME)
    content = bytearray((tmp_path / "a").read_bytes())
    at = content.index(block.packet(1).hex().encode())
    content[at + 100] = ord("z")
    found, report = read(bytes(content))
    assert found.status.tolist() == [0, Status.TRUNCATED, 0]
    assert found.packet(1) == block.packet(1)[:50]
    assert report.remarks["element that is not hexadecimal"].count == 1


def test_unknown_packet_types_are_kept() -> None:
    """Nobody knows service 99; between good packets it is a packet all the same."""
    block = housekeeping(n=3)
    strange = bytearray(block.packet(1))
    strange[7] = 99
    found, report = read(block.packet(0) + bytes(strange) + block.packet(2))
    assert found.status.tolist() == [0, Status.UNKNOWN, 0]
    assert found.spid[1] == -1
    assert report.packets == {"ok": 2, "unknown": 1}
    known_service = bytearray(light_curves(1).packet(0))
    known_service[16] = 77
    found, _ = read(bytes(known_service) + block.packet(0))
    assert found.status.tolist() == [Status.UNKNOWN, 0]


def test_repeated_packets_are_used_once() -> None:
    """The same bytes again: duplicate; other bytes under the same identity: conflict; the whole one stays."""
    block = light_curves(3)
    changed = bytearray(block.packet(1))
    changed[-1] ^= 1
    content = (
        block.packet(0)
        + block.packet(1)
        + block.packet(0)
        + bytes(changed)
        + block.packet(2)[:40]
        + block.packet(2)
    )
    found, report = read(content)
    kept = int(found.status[3] == 0)  # of equally long ones the hash of the bytes decides
    assert found.status.tolist() == [
        0,
        Status.CONFLICT * kept,
        Status.DUPLICATE,
        Status.CONFLICT * (1 - kept),
        Status.CONFLICT,
        0,
    ]
    assert report.packets == {"ok": 3, "duplicate": 1, "conflict": 2}


def test_missing_packets_are_counted_by_apid() -> None:
    """The 14-bit counter wraps without a gap."""
    block = light_curves(6, sequence_count=np.array([16382, 16383, 0, 4, 5, 7]))
    _, report = read(block.data.tobytes())
    assert report.sequence_gaps == {1500: 4}


def test_unsynchronised_times_are_told_apart() -> None:
    """The top bit of the seconds is a flag, not part of the time."""
    block = housekeeping(n=2, synchronised=np.array([True, False]))
    found, report = read(block.data.tobytes())
    assert found.synchronised.tolist() == [True, False]
    assert found.scet_coarse.tolist() == [664_000_000, 664_000_064]
    assert report.n_unsynchronised == 1
    assert found.data.tobytes() == block.data.tobytes()


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_changed_bytes_never_stop_the_reading(data: st.DataObject) -> None:
    """Mutations of a good stream: no crash, every byte accounted for, what is decoded is consistent."""
    content = bytearray(mixed().data.tobytes())
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(content) - 1))
        action = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if action == "set":
            content[at] = data.draw(st.sampled_from([0, 255, 0x0D, 0x10, 0xDC, 21, 6]))
        elif action == "cut":
            del content[at : at + data.draw(st.integers(1, 50))]
        else:
            content[at:at] = data.draw(st.binary(min_size=1, max_size=30))
    try:
        block, report = read(bytes(content))
    except FormatError:
        return
    decoded, final = decode_all(block, load_versions())
    assert sum(len(c) for c in decoded.values()) == np.count_nonzero(final.status == Status.OK)
    report.count_packets(final)
    assert report.n_packets == len(block)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_behind_a_packet(junk: bytes) -> None:
    """The packet is found, the rest is accounted for (it may look like a packet by chance)."""
    first = housekeeping(n=1).packet(0)
    block, _ = read(first + junk)
    assert block.packet(0).startswith(first[:16])


def test_reports_are_plain_data() -> None:
    """For the catalogue and for JSON."""
    import json

    block = mixed()
    _, report = read(block.packet(0) + b"junk" + block.packet(1)[:30])
    document = report.as_document()
    assert json.loads(json.dumps(document)) == document
    assert document["bytes"] == {"packets": len(block.packet(0)) + 30, "skipped": 4}
    assert document["remarks"]["bytes between packets"] == {
        "count": 1,
        "bytes": 4,
        "first_offsets": [len(block.packet(0))],
    }
