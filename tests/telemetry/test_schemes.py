"""Schemes in packets: which parameter follows which, what old software did, and schemes that make no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import CompressionError
from stixlab.idb import load_versions
from stixlab.instrument.detectors import TRIGGER_GROUPS, active_trigger_groups
from stixlab.telemetry.compression import compress, decompress, scale_triggers, unscale_triggers
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.schemes import (
    SchemeProblem,
    compress_column,
    compressed_parameters,
    decompress_column,
    scheme_problems,
)
from tests.support.examples import examples
from tests.support.packets import LIGHT_CURVE, light_curves
from tests.support.structures import random_packets

PIXELS, VISIBILITIES, SPECTROGRAM, BACKGROUND, SPECTRA = 54115, 54117, 54143, 54119, 54120
ERA_179, LATEST = 4, 7


def changed(block: PacketBlock, **values: Any) -> Columns:
    """The packets decoded, some parameters set, encoded and decoded again."""
    versions = load_versions()
    columns, _ = decode(block, int(block.spid[0]), versions)
    fields = {n: v for n, v in columns.values.items() if not n.startswith("NIXG")}
    for name, value in values.items():
        fields[name] = np.broadcast_to(value, columns[name].shape)
    made = encode(columns.spid, fields, scet_coarse=block.scet_coarse, versions=versions)
    return decode(made, columns.spid, versions)[0]


def some(spid: int, era: int = LATEST, n: int = 3, seed: int = 1, **values: Any) -> Columns:
    block = random_packets(spid, era, load_versions(), np.random.default_rng(seed), n=n, most=6)
    return changed(block, **values)


def pair(columns: Columns, name: str) -> tuple[np.ndarray, np.ndarray]:
    found = decompress_column(columns, name)
    assert found is not None
    return found


def test_every_structure_of_the_facts_is_listed() -> None:
    """Wire facts section 6: 21, 22, 23, 24, 30, 31, 32, 33 and 41 (and 11 to 14); the parameters exist in every version."""
    versions = load_versions()
    assert {
        spid: len(compressed_parameters(spid))
        for spid in versions.latest.structures
        if compressed_parameters(spid)
    } == {
        54111: 17, 54112: 17, 54113: 19, 54142: 2, 54115: 17, 54116: 17, 54117: 19, 54143: 2,
        54118: 2, 54119: 2, 54120: 33, 54121: 1, 54124: 1,
    }  # fmt: skip
    for definitions in versions.distinct:
        for spid in versions.latest.structures:
            names = definitions.program(spid).columns
            assert set(compressed_parameters(spid)) <= set(names)
    assert decompress_column(some(54122), "NIX00283") is None


def test_triggers_of_pixel_data_had_the_scheme_of_the_counts_before_2_26_35() -> None:
    """Exception (a): software before 181 used EACC; from then on ETRIG, and always so in SSID 22."""
    schemes = {"NIXD0007": 0, "NIXD0008": 4, "NIXD0009": 4, "NIXD0010": 0, "NIXD0011": 5, "NIXD0012": 3}
    for spid, era, expected in (
        (PIXELS, ERA_179, (0, 4, 4)),
        (PIXELS, LATEST, (0, 5, 3)),
        (54116, ERA_179, (0, 5, 3)),
    ):
        columns = some(spid, era, **schemes)
        for name in ("NIX00242", "NIX00257"):
            assert columns[name].size
            value, variance = pair(columns, name)
            assert np.array_equal(value, decompress(columns[name], *expected)[0])
            assert np.array_equal(variance, decompress(columns[name], *expected)[1])
        assert np.array_equal(pair(columns, "NIX00260")[0], decompress(columns["NIX00260"], 0, 4, 4)[0])
    unknown = replace(some(PIXELS, ERA_179, **schemes), asw_version=None)
    assert np.array_equal(pair(unknown, "NIX00242")[0], decompress(unknown["NIX00242"], 0, 5, 3)[0])


def test_the_flux_of_visibilities_is_sent_without_sign() -> None:
    """Exception (b): (s - 1, k + 1, m) for the flux, from software 180 on."""
    columns = some(
        VISIBILITIES, LATEST, NIXD0007=1, NIXD0008=3, NIXD0009=4, NIXD0010=0, NIXD0011=5, NIXD0012=3
    )
    assert np.array_equal(pair(columns, "NIX00261")[0], decompress(columns["NIX00261"], 0, 4, 4)[0])
    for name in ("NIX00263", "NIX00264"):
        assert np.array_equal(pair(columns, name)[0], decompress(columns[name], 1, 3, 4)[0])
    assert not scheme_problems(columns).any()
    old = some(VISIBILITIES, ERA_179, NIXD0007=0, NIXD0008=3, NIXD0009=5, NIXD0010=0, NIXD0011=5, NIXD0012=3)
    assert (scheme_problems(old) == SchemeProblem.NO_SIGN).all()
    assert np.array_equal(pair(old, "NIX00261")[0], decompress(old["NIX00261"], 0, 3, 5)[0])


def test_one_impossible_scheme_does_not_lose_the_other_packets() -> None:
    """Its codes are told by a variance that is none."""
    columns = changed(light_curves(3), NIXD0102=np.array([5, 7, 5]), NIXD0103=np.array([3, 7, 3]))
    value, variance = pair(columns, "NIX00272")
    bad = np.repeat([False, True, False], columns.counts("NIX00272"))
    assert bad.any()
    assert np.isnan(variance[bad]).all()
    assert (value[bad] == 0).all()
    assert np.array_equal(value[~bad], decompress(columns["NIX00272"][~bad], 0, 5, 3)[0])
    assert scheme_problems(columns).tolist() == [0, SchemeProblem.IMPOSSIBLE, 0]
    with pytest.raises(CompressionError, match="at most 8 bits"):
        compress_column(columns, "NIX00272", value)


def test_scaled_triggers_are_undone_with_the_integration_time() -> None:
    """Wire facts section 6 (c): (code + 0.5) * 30 * n_int * n_groups."""
    columns = changed(light_curves(2, n_bins=4, n_energies=1), NIXD0104=0, NIXD0105=0, NIXD0106=7)
    value, variance = pair(columns, "NIX00274")
    n_groups = int(active_trigger_groups(np.array([0xFFFFFCFF]))[0])
    assert n_groups == 16  # detectors 9 and 10 are off, their partners 8 and 16 are on
    np.testing.assert_array_equal(value, (columns["NIX00274"] + 0.5) * 30 * 40 * 16)
    np.testing.assert_array_equal(variance, (0.5 * 30 * 40 * 16) ** 2)
    assert np.array_equal(compress_column(columns, "NIX00274", value), columns["NIX00274"])


def test_only_packets_with_that_scheme_are_scaled() -> None:
    """The others of the same file are decompressed."""
    block = light_curves(3, n_bins=2, n_energies=1)
    columns = changed(block, NIXD0104=0, NIXD0105=np.array([5, 0, 5]), NIXD0106=np.array([3, 7, 3]))
    value, _ = pair(columns, "NIX00274")
    codes = columns["NIX00274"]
    assert np.array_equal(value[[0, 1, 4, 5]], decompress(codes[[0, 1, 4, 5]], 0, 5, 3)[0])
    np.testing.assert_array_equal(value[2:4], (codes[2:4] + 0.5) * 30 * 40 * 16)


@pytest.mark.parametrize(("spid", "name"), [(BACKGROUND, "NIX00274"), (SPECTRA, "NIX00484")])
def test_triggers_of_one_detector_are_those_of_one_group(spid: int, name: str) -> None:
    """SSID 31 and 32: no detector mask in the packet."""
    columns = some(spid, NIXD0112=0, NIXD0113=0, NIXD0114=7)
    assert columns[name].size
    tenths = np.repeat(columns["NIX00405"].astype(float) + 1, columns.counts(name))
    np.testing.assert_array_equal(pair(columns, name)[0], (columns[name] + 0.5) * 30 * tenths)


def test_each_accumulator_of_pixel_data_is_one_group() -> None:
    """A group without a detector in use counts nothing; times of science requests are not one too small."""
    columns = some(PIXELS, NIXD0010=0, NIXD0011=0, NIXD0012=7)
    assert len(columns["NIX00407"]) > 3
    for i, group in enumerate(TRIGGER_GROUPS):
        name = f"NIX00{242 + i}"
        active = np.array([any(int(mask) >> (d - 1) & 1 for d in group) for mask in columns["NIX00407"]])
        expected = (columns[name] + 0.5) * 30 * columns["NIX00405"] * active
        np.testing.assert_array_equal(pair(columns, name)[0], expected)


def spectrogram(offsets: list[list[int]], closing: list[int]) -> Columns:
    """One packet with scaled triggers; two structures of all detectors."""
    flat = np.concatenate([np.array(o, dtype=int) for o in offsets])
    block = encode(
        SPECTROGRAM,
        {
            "NIXD0010": 0, "NIXD0011": 0, "NIXD0012": 7,
            "NIX00403": len(offsets),
            "NIX00407": np.full(len(offsets), 0xFFFFFFFF),
            "NIX00401": np.zeros(len(offsets), int),
            "NIX00089": np.array([len(o) for o in offsets]),
            _offset_name(): flat,
            "NIX00267": np.arange(len(flat)),
            "NIX00270": np.zeros(len(flat), int),
            "NIX00269": np.array(closing),
        },
        scet_coarse=800_000_000,
    )  # fmt: skip
    return decode(block, SPECTROGRAM, load_versions())[0]


def _offset_name() -> str:
    names = load_versions().latest.program(SPECTROGRAM).columns
    return "NIX00441" if "NIX00441" in names else "NIX00404"


def test_triggers_of_spectrograms_follow_the_length_of_each_sample() -> None:
    """Times of starts where the length of the last sample is given; times of ends where not; a structure may be empty."""
    columns = spectrogram([[10, 30], [], [40]], [35, 9, 8])
    lengths = np.array([20, 35, 8])
    np.testing.assert_array_equal(pair(columns, "NIX00267")[0], (np.arange(3) + 0.5) * 30 * lengths * 16)
    columns = spectrogram([[10, 30], [40]], [0, 0])
    lengths = np.array([10, 20, 10])
    np.testing.assert_array_equal(pair(columns, "NIX00267")[0], (np.arange(3) + 0.5) * 30 * lengths * 16)


@settings(max_examples=examples(40), deadline=None)
@given(
    st.sampled_from([54111, 54113, 54142, 54115, 54116, 54117, 54143, 54118, 54119, 54120, 54121, 54124]),
    st.integers(0, 2**32 - 1),
)
def test_counts_come_back_through_the_schemes_of_their_packets(spid: int, seed: int) -> None:
    """Every compressed parameter of random packets, whatever their schemes: the value of a code has that value again."""
    versions = load_versions()
    random = np.random.default_rng(seed)
    block = PacketBlock.concatenate(
        [random_packets(spid, era, versions, random, n=1, most=6) for era in range(len(versions.eras))]
    )
    columns, _ = decode(block, spid, versions)
    possible = scheme_problems(columns) & SchemeProblem.IMPOSSIBLE == 0
    columns = columns.select(possible)
    for name in compressed_parameters(spid):
        value, variance = pair(columns, name)
        assert value.shape == variance.shape == columns[name].shape
        finite = ~np.isnan(variance)
        if not finite.all():
            continue  # a code beyond 63 bits, which nothing can be compressed to
        try:
            codes = compress_column(columns, name, value)
        except CompressionError:
            continue  # codes that the instrument never makes: more than its exponent reaches
        same = columns.select(slice(None))
        same.values[name] = codes
        assert np.array_equal(pair(same, name)[0], value)


def test_counts_are_compressed_packet_by_packet() -> None:
    """As each alone; nothing gives nothing; what does not fit is refused."""
    values, splits = np.arange(300), np.array([0, 100, 300])
    codes = compress(values, [0, 1], [5, 4], [3, 3], splits=splits)
    assert np.array_equal(codes[:100], compress(values[:100], 0, 5, 3))
    assert np.array_equal(codes[100:], compress(values[100:], 1, 4, 3))
    assert compress(np.zeros(0, int), [], [], []).size == 0
    with pytest.raises(CompressionError, match="and splits"):
        compress(values, [0, 1], [5, 4], [3, 3])
    with pytest.raises(CompressionError, match="not compressed"):
        compress_column(some(54122), "NIX00283", [1])


@given(st.integers(0, 255), st.integers(1, 600), st.integers(1, 16))
def test_scaled_triggers_come_back(code: int, tenths: int, n_groups: int) -> None:
    """Scaling is undone to the middle of the step."""
    value, _ = unscale_triggers(np.array([code], dtype=np.uint8), tenths, n_groups)
    assert scale_triggers(value, tenths, n_groups).tolist() == [code]
    with pytest.raises(CompressionError, match="255 steps"):
        scale_triggers([30 * tenths * n_groups * 256], tenths, n_groups)


def test_compiled_and_plain_look_ups_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a scheme for each packet, and for each code."""
    random = np.random.default_rng(3)
    codes = random.integers(0, 128, 60_000, dtype=np.uint8)
    splits = np.array([0, 10, 10, 30_000, 60_000])
    schemes = np.array([[0, 5, 3], [1, 4, 3], [0, 4, 4], [1, 3, 4]]).T
    each = np.repeat(schemes, np.diff(splits), axis=1)
    results = []
    for compiled in (False, True):
        monkeypatch.setattr("stixlab.telemetry.compression.is_worth_calling", lambda _, c=compiled: c)
        results += [decompress(codes, *schemes, splits=splits), decompress(codes, *each)]
        results.append(decompress(codes, *each, value_dtype=np.int32, variance_dtype=np.float32))
    for value, variance in results[1:]:
        assert np.array_equal(value, results[0][0])
        np.testing.assert_allclose(variance, results[0][1], rtol=1e-6)


def test_light_curves_decompress_by_their_own_names() -> None:
    """LC for counts and TRIG30 for triggers."""
    columns = changed(light_curves(1, n_bins=3), NIXD0101=0, NIXD0102=4, NIXD0103=4)
    assert columns.spid == LIGHT_CURVE
    assert np.array_equal(pair(columns, "NIX00272")[0], decompress(columns["NIX00272"], 0, 4, 4)[0])
    assert np.array_equal(pair(columns, "NIX00274")[0], decompress(columns["NIX00274"], 0, 5, 3)[0])


def test_samples_of_both_names_may_come_together() -> None:
    """Packets from before and after the offset changed its name: each has the lengths that it has alone."""
    old = encode(SPECTROGRAM, sample_values("NIX00441"), scet_coarse=650_000_000)
    new = encode(SPECTROGRAM, sample_values("NIX00404"), scet_coarse=800_000_000)
    versions = load_versions()
    apart = [decompress_column(decode(b, SPECTROGRAM, versions)[0], "NIX00267") for b in (old, new)]
    together = decode(PacketBlock.concatenate([new, old, new]), SPECTROGRAM, versions)[0]
    value, variance = decompress_column(together, "NIX00267")
    assert value.tolist() == [*apart[1][0], *apart[0][0], *apart[1][0]]
    assert variance.tolist() == [*apart[1][1], *apart[0][1], *apart[1][1]]


def sample_values(offset: str) -> dict[str, object]:
    return {
        "NIXD0010": 0, "NIXD0011": 0, "NIXD0012": 7, "NIX00403": 1, "NIX00407": [0xFFFFFFFF], "NIX00401": [0],
        "NIX00089": [3], offset: [0, 10, 30], "NIX00267": [1, 2, 3], "NIX00270": [0, 0, 0], "NIX00269": [5],
    }  # fmt: skip
