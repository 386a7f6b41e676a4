"""Every structure of every version: there and back, each packet by the version of its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError, PacketError, UnknownPacketError
from stixlab.idb import Versions, load_versions
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.decode import decode, decode_all
from stixlab.telemetry.encode import encode, encode_again
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.layouts import lay_out, programs_of
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.packets import invented, read_hex
from tests.support.structures import random_packets, same_columns

REAL_TYPES = 36


def _eras() -> list[int]:
    """One era of each set of definitions that differs."""
    return sorted(eras[-1] for eras in load_versions().distinct.values())


@pytest.mark.parametrize(
    "era", [*(pytest.param(e, marks=pytest.mark.slow) for e in _eras()[:-1]), _eras()[-1]]
)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_decoding_undoes_encoding_of_every_structure(era: int, seed: int) -> None:
    """Random bits in every field, headers too: decode(encode(x)) == x and encode(decode(b)) == b."""
    versions = load_versions()
    random = np.random.default_rng(seed)
    for spid in versions[era].structures:
        block = random_packets(spid, era, versions, random)
        columns, statuses = decode(block, spid, versions)
        assert statuses.tolist() == [Status.OK] * len(block), spid
        made = encode(
            spid,
            columns.values,
            scet_coarse=block.scet_coarse,
            scet_fine=block.scet_fine,
            sequence_count=block.sequence_count,
            sequence_flag=block.sequence_flag,
            destination=block.destination,
            versions=versions,
        )
        assert made.data.tobytes() == block.data.tobytes(), spid
        again, _ = decode(made, spid, versions)
        assert same_columns(again, columns), spid


@settings(max_examples=examples(20), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), spid=st.sampled_from([54115, 54143, 54117, 54118, 54124, 54120, 54114])
)
def test_large_packets_come_back(seed: int, spid: int) -> None:
    """The science structures with many repeats, close to the largest packet."""
    versions = load_versions()
    block = random_packets(spid, len(versions.eras) - 1, versions, np.random.default_rng(seed), n=1, most=12)
    columns, statuses = decode(block, spid, versions)
    assert statuses.tolist() == [Status.OK]
    assert encode_again(columns, versions).data.tobytes() == block.data.tobytes()


def test_every_real_packet_is_made_anew_to_the_bit(real_data: Path) -> None:
    """Trailing bytes and spare bits included."""
    versions = load_versions()
    names = sorted(p.stem for p in (real_data / "telemetry" / "hex").glob("*.hex"))
    assert len(names) == REAL_TYPES
    for name in names:
        block, _ = read_packets(read_hex(real_data, name), name, versions)
        decoded, _ = decode_all(block, versions, keep_trailing=True)
        for columns in decoded.values():
            made = encode_again(columns, versions)
            assert made.data.tobytes() == block.data.tobytes(), name
            assert made.era.tolist() == block.era.tolist()


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spid=st.sampled_from([54112, 54115, 54122, 54117, 54344]))
def test_packets_of_all_eras_are_decoded_together(seed: int, spid: int) -> None:
    """In any order: the columns of each packet are those of decoding it alone, and the bytes come back."""
    versions = load_versions()
    random = np.random.default_rng(seed)
    parts = [random_packets(spid, era, versions, random, n=2) for era in range(len(versions.eras))]
    whole = PacketBlock.concatenate(parts)
    block = whole.select(random.permutation(len(whole)))
    columns, statuses = decode(block, spid, versions)
    assert not statuses.any()
    assert columns.block.data.tobytes() == block.data.tobytes()
    assert encode_again(columns, versions).data.tobytes() == block.data.tobytes()
    for i in range(len(block)):
        alone, _ = decode(block.select(np.array([i])), spid, versions)
        for name in columns:
            expected = alone[name] if name in alone else np.zeros(0)
            assert columns.of_packet(name, i).tolist() == expected.tolist()
        assert columns.asw_version is not None
        assert columns.asw_version[i] == versions.eras[int(block.era[i])].asw_version
    joined = Columns.concatenate([columns.select(slice(0, 5)), columns.select(slice(5, None))])
    assert same_columns(joined, columns)
    assert joined.block.data.tobytes() == columns.block.data.tobytes()


@pytest.mark.parametrize(
    "spid", [54102, 54114, 54115, 54117, 54143, 54120, 54124, 54122, 54130, 54137, 54126]
)
def test_compiled_and_plain_loops_agree(spid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that are read column by column, copied, or walked through; signed fields too."""
    versions = load_versions()
    block = random_packets(spid, len(versions.eras) - 1, versions, np.random.default_rng(spid), n=6, most=9)
    found = []
    for compiled in (False, True):
        for module in ("decode", "encode"):
            monkeypatch.setattr(f"stixlab.telemetry.{module}.is_worth_compiling", lambda _, c=compiled: c)
        columns, statuses = decode(block, spid, versions)
        assert not statuses.any()
        assert encode_again(columns, versions).data.tobytes() == block.data.tobytes()
        found.append(columns)
    assert same_columns(*found)


def two_versions(first: list[tuple[str, int, int, int]], second: list[tuple[str, int, int, int]]) -> Versions:
    """Two eras of an invented structure; the second begins at 1000 s."""
    one, two = invented(first), invented(second)
    era = one.eras[0]
    return Versions(
        [era, type(era)(1, 1000, "second", 181)],
        [one.latest, two.latest],
    )


def test_a_field_that_grew_has_the_wider_dtype() -> None:
    """Groups that are copied byte by byte in one version are not in the other; a parameter of one only is empty in the other."""
    old = [("SSID", 8, 0, 0), ("N", 8, 0, 1), ("A", 8, 0, 0), ("GONE", 8, 0, 0)]
    new = [("SSID", 8, 0, 0), ("N", 8, 0, 1), ("A", 24, 0, 0), ("CAME", 16, 0, 0)]
    versions = two_versions(old, new)
    block = encode(
        1,
        {"N": [2, 1, 0, 2], "A": [1, 2, 70000, 254, 255], "GONE": [7, 8], "CAME": [300, 400]},
        scet_coarse=[0, 1000, 1001, 5],
        versions=versions,
    )
    assert block.lengths.tolist() == [16 + 5, 16 + 7, 16 + 4, 16 + 5]
    columns, statuses = decode(block, 1, versions)
    assert not statuses.any()
    assert columns["A"].dtype == np.uint32
    assert [columns.of_packet("A", i).tolist() for i in range(4)] == [[1, 2], [70000], [], [254, 255]]
    assert columns.splits["GONE"].tolist() == [0, 1, 1, 1, 2]
    assert columns["CAME"].tolist() == [300, 400]
    assert columns.select(np.array([3]))["GONE"].tolist() == [8]


def test_a_value_too_large_for_an_old_field_is_refused() -> None:
    """Although the field of another version would hold it."""
    old, new = [("SSID", 8, 0, 0), ("A", 8, 0, 0)], [("SSID", 8, 0, 0), ("A", 24, 0, 0)]
    with pytest.raises(PacketError, match=r"A as integers in 0..255; found .* in 256..256"):
        encode(1, {"A": [256, 256]}, scet_coarse=[5, 1000], versions=two_versions(old, new))


def test_a_scalar_is_taken_for_the_packets_that_have_the_parameter() -> None:
    """Not for those of versions without it."""
    old, new = [("SSID", 8, 0, 0), ("A", 8, 0, 0)], [("SSID", 8, 0, 0), ("A", 8, 0, 0), ("B", 8, 0, 0)]
    versions = two_versions(old, new)
    block = encode(1, {"A": 3, "B": 9}, scet_coarse=[5, 1000, 2000], versions=versions)
    columns, _ = decode(block, 1, versions)
    assert (columns["A"].tolist(), columns["B"].tolist()) == ([3, 3, 3], [9, 9])


def test_a_parameter_may_not_be_bytes_in_one_version_only() -> None:
    """One column cannot hold both."""
    old, new = [("SSID", 8, 0, 0), ("A", 96, 0, 0)], [("SSID", 8, 0, 0), ("A", 8, 0, 0)]
    versions = two_versions(old, new)
    programs, _ = programs_of(1, np.array([0, 1], dtype=np.uint8), versions)
    with pytest.raises(FormatError, match="one form in all versions"):
        lay_out(programs)


def test_a_structure_of_one_version_only_is_used_for_all_times() -> None:
    """A packet that came before its definition is better read by it than not at all; one of an era too far is too."""
    only = invented([("SSID", 8, 0, 0), ("A", 8, 0, 0)])
    empty = invented([("SSID", 8, 0, 0)])
    empty.latest.structures.clear()
    versions = Versions(two_versions([("SSID", 8, 0, 0)], []).eras, [empty.latest, only.latest])
    block = encode(1, {"A": [1, 2]}, scet_coarse=[5, 1005], versions=versions)
    assert block.era.tolist() == [0, 1]
    block = block.with_status(np.zeros(2, dtype=np.uint8))
    assert decode(block, 1, versions)[0]["A"].tolist() == [1, 2]
    assert decode(block, 1, only)[0]["A"].tolist() == [1, 2]
    nowhere = Versions(versions.eras, [empty.latest, empty.latest])
    with pytest.raises(UnknownPacketError):
        decode(block, 1, nowhere)
    decoded, final = decode_all(block, nowhere)
    assert (decoded, final.status.tolist()) == ({}, [Status.UNDECODED] * 2)


def test_spare_bits_and_trailing_bytes_are_kept() -> None:
    """Zeros behind the last field too: the length of a packet is its own."""
    versions = invented([("SSID", 8, 0, 0), ("A", 4, 3, 0)])
    block = encode(1, {"A": [5, 6]}, scet_coarse=[1, 2], versions=versions)
    first, second = bytearray(block.packet(0)), bytearray(block.packet(1))
    first[17] |= 0b1010_0000
    second += b"\x07\x00"
    second[5] += 2
    content = bytes(first + second)
    dirty, _ = read_packets(content, "x", versions)
    columns, statuses = decode(dirty, 1, versions, keep_trailing=True)
    assert statuses.tolist() == [Status.OK, Status.TRAILING]
    assert columns["A"].tolist() == [5, 6]
    assert encode_again(columns, versions).data.tobytes() == content


def test_parts_of_different_structures_are_not_joined() -> None:
    """Nor is nothing."""
    with pytest.raises(PacketError, match="no part"):
        Columns.concatenate([])
