"""The decoding loop on invented structures: nesting, overlays, guards, odd widths; and on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError, PacketError
from stixlab.idb import Versions
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode, make_headers
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.headers import parse_headers
from stixlab.telemetry.kernels import decode_packets, encode_packets, get_kernel
from tests.support.examples import examples
from tests.support.packets import invented


def packet(body: bytes, versions: Versions) -> PacketBlock:
    """One packet of the invented structure with that body (its first byte is the discriminator)."""
    length = np.array([16 + len(body)])
    head = make_headers(
        length,
        service=21,
        subtype=6,
        apid=1500,
        sequence_flag=3,
        sequence_count=0,
        scet_coarse=1,
        scet_fine=0,
    )
    data = np.frombuffer(head.tobytes() + body, dtype=np.uint8)
    return parse_headers(
        data,
        np.array([0]),
        length,
        truncated=np.array([False]),
        source_offset=np.array([0]),
        versions=versions,
    )


def read(body: bytes, versions: Versions) -> tuple[Columns, int]:
    columns, statuses = decode(packet(body, versions), 1, versions)
    return columns, int(statuses[0])


NESTED = [
    ("SSID", 8, 0, 0),
    ("N", 8, 0, 4),
    ("A", 4, 0, 0),
    ("M", 4, 0, 2),
    ("B", 3, 0, 0),
    ("C", 5, 0, 0),
    ("Z", 8, 0, 0),
]


def test_groups_within_groups_end_together() -> None:
    """The inner group is the last part of the outer one, so both end at the same field."""
    body = bytes([99, 2, 0x12, 0b001_00010, 0b011_00100, 0x31, 0b101_00110, 77])
    columns, status = read(body, invented(NESTED))
    assert status == Status.OK
    assert columns["A"].tolist() == [1, 3]
    assert columns["M"].tolist() == [2, 1]
    assert columns["B"].tolist() == [1, 3, 5]
    assert columns["C"].tolist() == [2, 4, 6]
    assert columns["Z"].tolist() == [77]
    assert columns.splits["B"].tolist() == [0, 3]


def test_a_group_may_repeat_no_times() -> None:
    """Wire facts section 5: a zero repeat is legal, also for the inner group."""
    columns, status = read(bytes([99, 0, 7]), invented(NESTED))
    assert (status, columns["A"].tolist(), columns["Z"].tolist()) == (Status.OK, [], [7])
    columns, status = read(bytes([99, 1, 0x50, 7]), invented(NESTED))
    assert (status, columns["A"].tolist(), columns["B"].tolist(), columns["Z"].tolist()) == (
        Status.OK,
        [5],
        [],
        [7],
    )


def test_bits_are_read_again_behind_a_negative_gap() -> None:
    """A word and the fields within it, as for the compression schemes of the quicklook packets."""
    fields = [
        ("SSID", 8, 0, 0),
        ("G", 8, 0, 0),
        ("S", 1, -7, 0),
        ("K", 3, 0, 0),
        ("M", 3, 0, 0),
        ("E", 5, 3, 0),
    ]
    columns, status = read(bytes([99, 0b0_0_101_011, 0b000_11111]), invented(fields))
    assert status == Status.OK
    assert [int(columns[n][0]) for n in ("G", "S", "K", "M", "E")] == [0b00101011, 0, 5, 3, 31]


def test_three_levels_with_a_counter_of_three_meanings() -> None:
    """As SSID 20: 0, 1 or 2 continuation bytes behind each pixel, fields not aligned to bytes."""
    fields = [
        ("SSID", 8, 0, 0),
        ("T", 8, 0, 5),
        ("P", 8, 0, 4),
        ("X", 4, 0, 0),
        ("Y", 2, 0, 0),
        ("Q", 2, 0, 1),
        ("V", 8, 0, 0),
    ]
    body = bytes([99, 1, 3, 0b0001_01_00, 0b0010_10_01, 200, 0b0011_11_10, 1, 2])
    columns, status = read(body, invented(fields))
    assert status == Status.OK
    assert columns["X"].tolist() == [1, 2, 3]
    assert columns["Q"].tolist() == [0, 1, 2]
    assert columns["V"].tolist() == [200, 1, 2]


def test_signed_fields_and_fields_longer_than_an_integer() -> None:
    """Two's complement of any width; 96 bits are kept as bytes."""
    fields = [("SSID", 8, 0, 0), ("I", 12, 0, 0), ("J", 4, 0, 0), ("L", 96, 0, 0), ("H", 48, -48, 0)]
    body = bytes([99, 0xFF, 0xE8]) + bytes(range(1, 13))
    columns, status = read(body, invented(fields, signed=("I", "J")))
    assert status == Status.OK
    assert columns["I"].tolist() == [-2]
    assert columns["I"].dtype == np.int16
    assert columns["J"].tolist() == [-8]
    assert columns["L"].tolist() == [list(range(1, 13))]
    assert columns["H"].tolist() == [int.from_bytes(bytes(range(7, 13)), "big")]


@pytest.mark.parametrize(
    "body", [bytes([99, 255]), bytes([99, 3, 0x12]), bytes([99, 1, 0x1F, 1]), bytes([99])]
)
def test_counters_that_do_not_fit_make_a_packet_corrupt(body: bytes) -> None:
    """No loop over what is not there, and nothing of it in the columns."""
    columns, status = read(body, invented(NESTED))
    assert status == Status.CORRUPT
    assert len(columns) == 0
    assert all(len(v) == 0 for v in columns.values.values())


def test_bytes_left_over_are_told() -> None:
    """Fewer than eight spare bits are padding, a byte is not."""
    fields = [("SSID", 8, 0, 0), ("A", 3, 0, 0)]
    assert read(bytes([99, 0xFF]), invented(fields))[1] == Status.OK
    assert read(bytes([99, 0xFF, 0]), invented(fields))[1] == Status.TRAILING
    kept, _ = decode(packet(bytes([99, 0xFF, 0]), invented(fields)), 1, invented(fields), keep_trailing=True)
    assert kept["A"].tolist() == [7]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("N", 8, 0, 2), ("M", 8, 0, 2), ("A", 8, 0, 0), ("B", 8, 0, 0)], "behind it"),
        ([("N", 8, 0, 2), ("A", 8, 0, 0), ("B", 8, -16, 0)], "no bits"),
        ([("A", 60, 0, 0)], "whole bytes"),
        ([(f"N{i}", 8, 0, 20 - i) for i in range(20)] + [("A", 8, 0, 0)], "at most"),
    ],
)
def test_definitions_that_make_no_sense_are_refused(
    fields: list[tuple[str, int, int, int]], message: str
) -> None:
    """Before any packet is read, with the field at fault."""
    with pytest.raises(FormatError, match=message):
        invented(fields).latest.program(1)


def test_encoding_refuses_what_does_not_fit() -> None:
    """Each message names the parameter."""
    versions = invented(NESTED)
    with pytest.raises(PacketError, match=r"A as integers in 0..15; found int64 in 16..16"):
        encode(1, {"N": [1], "A": [16], "M": [0]}, scet_coarse=[1], versions=versions)
    with pytest.raises(PacketError, match="more elements of B"):
        encode(1, {"N": [1], "A": [1], "M": [2], "B": [1], "C": [1, 1]}, scet_coarse=[1], versions=versions)
    with pytest.raises(PacketError, match="bytes of C"):
        encode(
            1,
            {"N": [1], "A": [1], "M": [2], "B": [1, 1], "C": [1] * 3},
            scet_coarse=[1],
            versions=versions,
        )
    with pytest.raises(PacketError, match="found Q too"):
        encode(1, {"Q": [1]}, scet_coarse=[1], versions=versions)
    with pytest.raises(PacketError, match="integers"):
        encode(1, {"Z": [1.5]}, scet_coarse=[1], versions=versions)
    with pytest.raises(PacketError, match=r"SCET coarse in 0..2147483647"):
        encode(1, {"Z": [1]}, scet_coarse=[2**31], versions=versions)


@st.composite
def structures(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    """Invented structures: up to three levels of groups, any widths, words that are read again."""

    def fields(depth: int) -> list[tuple[str, int, int, int]]:
        made: list[tuple[str, int, int, int]] = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from(["plain", "plain", "word", "group"] if depth < 3 else ["plain"]))
            if kind == "group":
                inner = fields(depth + 1)
                made.append(("", draw(st.sampled_from([2, 8, 16])), 0, len(inner)))
                made += inner
            elif kind == "word":
                made += [("", 8, 0, 0), ("", 3, -8, 0), ("", 5, 0, 0)]
            else:
                made.append(
                    (
                        "",
                        draw(st.sampled_from([1, 3, 4, 8, 8, 12, 16, 24, 32, 48, 72])),
                        draw(st.sampled_from([0, 0, 0, 3])),
                        0,
                    )
                )
        return made

    body = fields(0)
    return [("SSID", 8, 0, 0)] + [(f"P{i}", *facts) for i, (_, *facts) in enumerate(body)]  # type: ignore[misc]


def random_columns(draw: st.DrawFn, versions: Versions, n: int) -> dict[str, list[int]]:
    """Contents of n packets; words are left to the fields that are read again from them."""
    fields = versions.latest.structures[1]
    signed = {f.parameter: versions.latest.parameters[f.parameter].signed for f in fields}
    columns: dict[str, list[int]] = {f.parameter: [] for f in fields}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def make(first: int, last: int) -> None:
        i = first
        while i < last:
            field = fields[i]
            width = versions.latest.parameters[field.parameter].width_bits
            if field.group_size:
                repeats = int(random.integers(0, 4))
                columns[field.parameter].append(repeats)
                for _ in range(repeats):
                    make(i + 1, i + 1 + field.group_size)
                i += field.group_size
            elif width > 56:
                columns[field.parameter] += random.integers(0, 256, width // 8).tolist()
            else:
                low = -(1 << (width - 1)) if signed[field.parameter] else 0
                columns[field.parameter].append(int(random.integers(low, low + (1 << width))))
            i += 1

    for _ in range(n):
        columns["SSID"].append(99)
        make(1, len(fields))
    return columns


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(structures(), st.data())
def test_decoding_undoes_encoding_of_any_structure(
    fields: list[tuple[str, int, int, int]], data: st.DataObject
) -> None:
    """Both forms of the loop, compiled and not, and both directions: decode(encode(x)) == x, encode(decode(b)) == b."""
    flags = data.draw(st.lists(st.booleans(), min_size=len(fields), max_size=len(fields)))
    signed = tuple(
        name
        for (name, width, _, group), flag in zip(fields, flags, strict=True)
        if flag and not group and 1 < width <= 56 and name != "SSID"
    )
    versions = invented(fields, signed=signed)
    n = data.draw(st.integers(1, 3))
    columns = random_columns(data.draw, versions, n)
    words = {fields[i - 1][0] for i in range(1, len(fields)) if fields[i][2] < 0}
    given_columns = {name: np.array(v, dtype=np.int64) for name, v in columns.items() if name not in words}
    try:
        block = encode(1, given_columns, scet_coarse=np.arange(n), versions=versions)
    except PacketError as error:
        if "at most 4113" in error.message:
            return
        raise
    decoded, statuses = decode(block, 1, versions)
    assert statuses.tolist() == [Status.OK] * n
    for name, values in given_columns.items():
        assert np.asarray(decoded[name]).ravel().tolist() == values.tolist()
    again = encode(1, decoded.values, scet_coarse=np.arange(n), versions=versions)
    assert again.data.tobytes() == block.data.tobytes()


def test_the_compiled_loops_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba's form against plain Python on packets of an uneven structure."""
    versions = invented(NESTED)
    random = np.random.default_rng(5)
    n = 200
    repeats = random.integers(0, 5, n)
    inner = random.integers(0, 16, repeats.sum())
    columns = {
        "N": repeats, "A": random.integers(0, 16, len(inner)), "M": inner,
        "B": random.integers(0, 8, inner.sum()), "C": random.integers(0, 32, inner.sum()), "Z": np.arange(n),
    }  # fmt: skip
    monkeypatch.setattr("stixlab.telemetry.encode.is_worth_compiling", lambda _: False)
    monkeypatch.setattr("stixlab.telemetry.decode.is_worth_compiling", lambda _: False)
    plain = encode(1, columns, scet_coarse=np.arange(n), versions=versions)
    decoded, _ = decode(plain, 1, versions)
    assert get_kernel(decode_packets) is not None
    assert get_kernel(encode_packets) is not None
    monkeypatch.setattr("stixlab.telemetry.encode.is_worth_compiling", lambda _: True)
    monkeypatch.setattr("stixlab.telemetry.decode.is_worth_compiling", lambda _: True)
    compiled = encode(1, columns, scet_coarse=np.arange(n), versions=versions)
    assert compiled.data.tobytes() == plain.data.tobytes()
    again, statuses = decode(compiled, 1, versions)
    assert (statuses == Status.OK).all()
    for name in decoded:
        assert (
            again[name].tolist()
            == decoded[name].tolist()
            == (columns[name].tolist() if name in columns else [99] * n)
        )
        assert again.splits[name].tolist() == decoded.splits[name].tolist()


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package folder that is read-only and no home: compiled for this process only."""
    import numba

    real = numba.njit

    def refuse(**options: bool) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refuse)
    get_kernel.cache_clear()
    try:
        assert get_kernel(decode_packets) is not None
    finally:
        get_kernel.cache_clear()
