"""Pixel data of level 0: what was sent stands where it belongs, whatever packet it came in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.report import BuildReport
from stixlab.datasets.science import REQUEST_BUILDERS, build_request
from stixlab.errors import SchemaError
from stixlab.simulation.request_packets import pixel_packets, raw_pixel_packets
from stixlab.simulation.requests import SUMMED_PIXELS
from stixlab.telemetry.assembly import assemble
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import encode
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.requests import (
    CLOCK,
    NEW,
    OLD,
    VERSIONS,
    asked,
    columns_of,
    leaving,
    level0,
    pixels,
)


def sent(data, *, ssid=21, time_stamp=NEW):
    return pixel_packets(asked(time_stamp), data, leaving(time_stamp), VERSIONS, ssid=ssid)


@pytest.mark.parametrize("time_stamp", [OLD, NEW])
@settings(deadline=None, max_examples=examples(12))
@given(
    st.integers(1, 6),
    st.integers(1, 20),
    st.sampled_from([0xFFFFFFFF, 0xFFFFFCFF, 0x300, 1]),
    st.sets(st.integers(0, 11), min_size=1),
)
def test_every_count_comes_back_at_its_place(time_stamp, n_times, n_energies, mask, numbers):
    """Both names of the start of a bin; energies of a bin are spread over packets as on board."""
    sets = tuple(1 << p for p in sorted(numbers))
    data = pixels(n_times, n_energies, sets=sets, mask=mask)
    ds = level0(sent(data, time_stamp=time_stamp))
    assert np.array_equal(ds.counts_code, compress(data.counts, 0, 4, 4))
    assert ds.pixel.to_numpy().tolist() == sorted(numbers)
    assert ds.detector.to_numpy().tolist() == list(range(1, 33))
    assert ds.counts_valid.to_numpy().all()
    assert np.array_equal(ds.triggers_code, data.triggers)
    assert set(ds.detector_mask.to_numpy()) == {mask}
    assert set(ds.pixel_mask.to_numpy()) == {sum(sets)}
    ticks = ds.scet_coarse.to_numpy().astype(int) << 16 | ds.scet_fine.to_numpy()
    assert np.abs(ticks - (time_stamp * 65536 + data.start_tenths * 6553.6)).max() <= 0.5
    assert np.array_equal(np.rint(ds.integration_time.to_numpy() * 10), data.duration_tenths)


def test_dimensions_stand_in_the_order_of_the_vocabulary():
    ds = level0(sent(pixels()))
    assert ds.counts_code.dims == ("time", "detector", "pixel", "energy")
    assert ds.attrs["request_id"] == 2203011234
    assert (ds.attrs["complete"], ds.attrs["incomplete_because"]) == (1, "")


def test_summed_pixels_keep_the_mask_of_each_sum():
    data = pixels(3, 5, sets=SUMMED_PIXELS)
    ds = level0(sent(data, ssid=22))
    assert ds.attrs["product"] == "sci-xray-scpd"
    assert ds.pixel_sets.to_numpy().tolist() == [list(SUMMED_PIXELS)] * 3
    assert ds.pixel.to_numpy().tolist() == [0, 1, 2, 3]
    assert set(ds.pixel_mask.to_numpy()) == {0xFFF}
    assert np.array_equal(ds.counts_code, compress(data.counts, 0, 4, 4))


def test_energies_of_several_channels_have_their_own_bounds():
    low, high = (2, 5, 9), (3, 8, 9)
    ds = level0(sent(pixels(2, 3, energy_low=low, energy_high=high)))
    assert (tuple(ds.channel_low.to_numpy()), tuple(ds.channel_high.to_numpy())) == (low, high)
    assert int(ds.energy_edge_mask[0]) == sum(1 << e for e in (2, 4, 5, 9, 10))


def test_a_lost_packet_leaves_a_hole_that_is_told():
    """Bins and energies of the other packets are there; what is lost is false in `counts_valid`, and 0."""
    data = pixels(12, 20)
    block = sent(data)
    assert len(block) > 5
    kept = block.select(np.arange(len(block)) != 3)
    ds, whole = level0(kept), level0(block)
    assert ds.attrs["complete"] == 0
    assert ds.attrs["n_packets_missing"] == 1
    assert "1 packet between sequence counts 2 and 4" in ds.attrs["incomplete_because"]
    valid = ds.counts_valid.to_numpy()
    assert 0 < (~valid).sum() <= 20
    assert ds.sizes["time"] in (11, 12)
    same = np.isin(whole.time, ds.time)
    expected = whole.counts_code.to_numpy()[same] * valid[:, None, None, :]
    assert np.array_equal(ds.counts_code, expected)


def test_the_order_of_packets_does_not_matter():
    block = sent(pixels(12, 20))
    order = np.random.default_rng(1).permutation(len(block))
    assert level0(block).identical(level0(block.select(order)))


def test_pixels_that_the_rate_control_switched_off_are_absent_for_that_time():
    """Two requests with the same numbers and other pixels, one after the other: sets change within a request."""
    first, second = pixels(2, 3), pixels(2, 3, sets=(0x10, 0x20), seed=1, start_tenths=np.array([500, 540]))
    columns = [columns_of(sent(d)).values for d in (first, second)]
    joined = {n: np.concatenate([c[n] for c in columns]) for n in columns[0]}
    block = encode(
        54115, joined, scet_coarse=NEW + 9000 + np.arange(2), sequence_count=np.arange(2), sequence_flag=[1, 2],
        versions=VERSIONS,
    )  # fmt: skip
    ds = level0(block)
    assert ds.sizes["pixel"] == 12
    assert ds.pixel_mask.to_numpy().tolist() == [0xFFF, 0xFFF, 0x30, 0x30]
    assert ds.pixel_sets.to_numpy()[2].tolist() == [0, 0, 0, 0, 0x10, 0x20, 0, 0, 0, 0, 0, 0]
    codes = ds.counts_code.to_numpy()
    assert np.array_equal(codes[2:, :, 4:6], second.counts)
    assert not codes[2:, :, [0, 3, 6]].any()


def test_counts_that_do_not_fit_the_masks_are_left_out_and_noted():
    columns = columns_of(sent(pixels(2, 3))).values
    columns = dict(columns, NIX00407=np.array([0xFFFFFFFF, 0xFF], dtype=np.uint32))
    block = encode(54115, columns, scet_coarse=NEW + 9000, sequence_flag=[3], versions=VERSIONS)
    report = BuildReport()
    ds = level0(block, report)
    assert ds.sizes["time"] == 1
    assert "the number of counts does not fit the masks of detectors and pixels" in report.offsets


def test_an_energy_that_came_twice_stands_once():
    columns = columns_of(sent(pixels(2, 3))).values
    starts = np.full(2, 11)
    block = encode(
        54115, dict(columns, NIX00404=starts), scet_coarse=NEW + 9000, sequence_flag=[3], versions=VERSIONS
    )
    report = BuildReport()
    ds = level0(block, report)
    assert ds.sizes["time"] == 1
    assert np.array_equal(ds.counts_code[0], pixels(2, 3).counts[0])
    assert list(report.offsets) == ["an energy of a bin was sent twice"]


@pytest.mark.parametrize("sent_anyway", [True, False])
def test_detectors_that_were_not_recorded_are_told_by_the_number_of_counts(sent_anyway):
    """Some months of 2020/21: the mask names detectors 9 and 10, which may be absent or sent as nothing."""
    data = pixels(2, 3, mask=0xFFFFFCFF)
    block = sent(replace(data, detector_mask=0xFFFFFFFF) if sent_anyway else data, time_stamp=OLD)
    columns = dict(columns_of(block).values, NIX00407=np.full(2, 0xFFFFFFFF, dtype=np.uint32))
    block = encode(54115, columns, scet_coarse=OLD + 9000, sequence_flag=[3], versions=VERSIONS)
    ds = level0(block)
    assert np.array_equal(ds.counts_code, data.counts)
    assert set(ds.detector_mask.to_numpy()) == {0xFFFFFFFF}, "level 0 is as sent"


@settings(deadline=None, max_examples=examples(12))
@given(st.integers(1, 5), st.floats(0.01, 400), st.integers(0, 5))
def test_raw_counts_come_back_whatever_bytes_they_take(n_times, mean, seed):
    rng = np.random.default_rng(seed)
    data = pixels(n_times, 32, energy_low=tuple(range(32)), energy_high=tuple(range(32)))
    data = replace(data, counts=rng.poisson(mean, data.counts.shape) * rng.integers(0, 2, data.counts.shape))
    ds = level0(raw_pixel_packets(asked(), data, leaving(), VERSIONS))
    assert np.array_equal(ds.counts, data.counts)
    assert np.array_equal(ds.triggers, data.triggers)
    assert ds.counts_valid.to_numpy().all()


def test_raw_counts_beside_a_missing_packet_are_not_said_to_be_whole():
    """Pixels without counts are not sent, so nothing shows what a lost packet held."""
    data = pixels(6, 32, mean=2.0, energy_low=tuple(range(32)), energy_high=tuple(range(32)))
    block = raw_pixel_packets(asked(), data, leaving(), VERSIONS)
    assert len(block) > 4
    ds = level0(block.select(np.arange(len(block)) != 2))
    wrong = [
        t
        for t in range(ds.sizes["time"])
        if not np.array_equal(
            ds.counts[t],
            data.counts[np.flatnonzero(level0(block).time.to_numpy() == ds.time.to_numpy()[t])[0]],
        )
    ]
    valid = ds.counts_valid.to_numpy().all(axis=1)
    assert wrong
    assert not valid[wrong].any()
    assert valid.any()


def test_a_request_without_data_gives_none():
    values = {"NIX00001": [91], "NIX00037": [5], "NIX00402": [NEW << 16], "NIX00403": [0]}
    block = encode(54115, values, scet_coarse=NEW + 9000, sequence_flag=[3], versions=VERSIONS)
    assert level0(block) is None


def test_a_request_of_an_unsynchronised_clock_is_left_out():
    block = sent(pixels(1, 1), time_stamp=NEW)
    columns = dict(columns_of(block).values, NIX00402=np.array([(NEW | 1 << 31) << 16], dtype=np.uint64))
    report = BuildReport()
    assert level0(encode(54115, columns, scet_coarse=NEW + 9000, sequence_flag=[3]), report) is None
    assert list(report.offsets) == ["on-board time is not synchronised"]


def test_other_structures_are_named():
    (one,) = assemble(columns_of(sent(pixels(1, 1))))
    with pytest.raises(SchemaError, match=r"SSID.*20, 21, 22, 23, 24, 42; found 30"):
        build_request(replace(one, ssid=30), CLOCK, BuildReport())
    assert {b.spec.product for b in REQUEST_BUILDERS.values()} == {
        b.product for b in REQUEST_BUILDERS.values()
    }


def test_a_real_packet_of_raw_counts(real_data):
    """2020-05-19: three bins of a second; sums as the tree of the official decoder has them."""
    path = real_data / "telemetry" / "hex" / "21_6_20.hex"
    block, _ = read_packets(path.read_bytes(), path.name, VERSIONS)
    ds = level0(block)
    assert ds.sizes["time"] == 3
    assert int((ds.counts > 0).sum()) == 473
    assert int(ds.counts[0, 23, 9, 0]) == 23
    assert ds.counts[0, 24, :, 0].to_numpy().tolist() == [0, 0, 0, 0, 16, 252, 95, 60, 2, 9, 352, 812]
    assert ds.rate_control_state.to_numpy().tolist() == [5, 5, 5]
    assert str(ds.time_bounds.to_numpy()[0, 0])[:21] == "2020-05-19T10:22:56.9"
