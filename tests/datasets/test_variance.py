import numpy as np
import pytest

from stixlab.datasets.report import BuildReport
from stixlab.datasets.variance import VARIANCE_L0, build_variance
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.quicklooks import decoded, variance


def build(*blocks):
    report = BuildReport()
    return build_variance(decoded(*blocks), load_clock(None), report), report


def test_bins_follow_each_other_in_one_band():
    (ds,), report = build(variance(range(9)), variance([7, 8], coarse=664_150_000))
    assert ds.variance_code.to_numpy()[:, 0].tolist() == [*range(9), 7, 8]
    assert (np.diff(ds.scet_coarse.to_numpy())[:8] == 4).all()
    assert set(ds.samples_per_variance.to_numpy().tolist()) == {40}
    assert not report.n_packets
    check(ds, VARIANCE_L0)


@pytest.mark.parametrize(
    ("mask", "band"), [(0x7FFE0000, (25, 150)), (0x7FFE, (4, 20)), (1, (0, 4)), (1 << 31, (150, np.inf))]
)
def test_band_reaches_from_the_lowest_to_the_highest_channel_of_the_mask(mask, band):
    (ds,), _ = build(variance([1, 2], energy_mask=mask))
    assert tuple(ds.energy_bounds.to_numpy()[0]) == band
    assert set(ds.energy_mask.to_numpy().tolist()) == {mask}


def test_other_bands_are_other_datasets_in_the_order_of_time():
    datasets, _ = build(
        variance([1, 2], coarse=664_150_000),
        variance([3], energy_mask=0x7FFE),
        variance([4], coarse=664_160_000),
    )
    assert [ds.variance_code.to_numpy()[:, 0].tolist() for ds in datasets] == [[3], [1, 2, 4]]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"energy_mask": 0}, "energy mask has no channel"),
        ({"scheme": (1, 4, 3)}, "compression scheme is signed or wider than 8 bits"),
        ({"synchronised": False}, "on-board time is not synchronised"),
    ],
)
def test_faulty_packet_is_reported_and_the_others_are_kept(fault, reason):
    (ds,), report = build(variance([5], **fault), variance([6], coarse=664_150_000))
    assert ds.variance_code.to_numpy().tolist() == [[6]]
    assert report.as_document() == {reason: {"packets": 1, "first_offsets_bytes": [0]}}


def test_empty_packets_are_dropped_silently():
    datasets, report = build(variance([]), variance([], energy_mask=0))
    assert datasets == []
    assert not report.n_packets
