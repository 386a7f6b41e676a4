import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.calibration_spectra import CALIBRATION_L0, build_calibration
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.examples import examples
from tests.support.quicklooks import START, calibration, decoded

THREE = ((25, 2, 200), (200, 1, 250), (23, 24, 450))
"""Points, channels in a point and lowest channel of real packets."""


def build(*blocks):
    report = BuildReport()
    return build_calibration(decoded(*blocks), load_clock(None), report), report


def test_points_stand_at_their_pixel_and_channel():
    (ds,), report = build(calibration([(0, 3, 0, [1, 2, 3, 4]), (31, 11, 0, [5, 6, 7, 8])]))
    assert ds.sizes == {"time": 1, "detector": 32, "pixel": 12, "channel": 4, "bound": 2}
    assert ds.counts_code.sel(detector=1, pixel=3).to_numpy().tolist() == [[1, 2, 3, 4]]
    assert ds.counts_code.sel(detector=32, pixel=11).to_numpy().tolist() == [[5, 6, 7, 8]]
    assert int(ds.counts_valid.sum()) == 8
    assert int(ds.counts_code.sum()) == 36
    assert ds.channel_bounds.to_numpy()[0].tolist() == [200, 201]
    assert not report.n_packets
    check(ds, CALIBRATION_L0)


def test_axis_is_that_of_all_sub_spectra_one_behind_the_other():
    codes = [np.arange(p) % 200 + 1 for p, _, _ in THREE]
    (ds,), _ = build(
        calibration([(4, 0, 2, codes[2]), (4, 0, 0, codes[0])], mask=7, subspectra=THREE),
        calibration([(4, 0, 1, codes[1])], mask=7, subspectra=THREE, sent=START + 3700),
    )
    assert ds.sizes["channel"] == 248
    assert ds.counts_code.to_numpy()[0, 4, 0].tolist() == np.concatenate(codes).tolist()
    bounds = ds.channel_bounds.to_numpy()
    assert bounds[[0, 24, 25, 224, 225, 247]].tolist() == [
        [200, 202], [248, 250], [250, 251], [449, 450], [450, 474], [978, 1002],
    ]  # fmt: skip
    assert ds.channel.to_numpy()[225] == 462
    assert np.unique(ds.subspectrum.to_numpy(), return_counts=True)[1].tolist() == [25, 200, 23]


def test_a_sub_spectrum_that_is_not_in_the_mask_has_no_place():
    (ds,), _ = build(calibration([(4, 0, 1, np.ones(200))], mask=2, subspectra=THREE))
    assert ds.sizes["channel"] == 200
    assert set(ds.subspectrum.to_numpy().tolist()) == {2}


def test_packets_of_a_run_are_one_time_however_long_it_took_to_send_them():
    """2020-05-06: the duration in the packets goes on while they are sent; the live time does not."""
    (ds,), _ = build(
        calibration([(1, 0, 0, [4] * 4)], duration=49_104, sent=START + 49_115),
        calibration([(0, 0, 0, [3] * 4)], duration=45_599, sent=START + 45_601),
    )
    assert ds.sizes["time"] == 1
    assert float(ds.integration_time[0]) == 45_599
    assert ds.counts_code.to_numpy()[0, :2, 0, 0].tolist() == [3, 4]
    length = ds.time_bounds.to_numpy()[0, 1] - ds.time_bounds.to_numpy()[0, 0]
    assert length == np.timedelta64(45_599, "s")


def test_runs_stand_in_the_order_of_time_and_other_sub_spectra_apart():
    datasets, _ = build(
        calibration([(0, 0, 0, [9] * 4)], coarse=START + 90_000),
        calibration([(0, 0, 0, np.ones(25))], coarse=START + 50_000, subspectra=THREE),
        calibration([(0, 0, 0, [8] * 4)], live_ms=5),
    )
    assert [ds.sizes["channel"] for ds in datasets] == [4, 25]
    assert datasets[0].counts_code.to_numpy()[:, 0, 0, 0].tolist() == [8, 9]
    assert datasets[0].live_time.to_numpy().tolist() == [5, 1_700_000]


@settings(max_examples=examples(25), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 31), st.integers(0, 11), st.integers(0, 1), st.integers(0, 255)),
        min_size=1, max_size=12,
    ),
    st.randoms(),
)  # fmt: skip
def test_any_order_of_packets_gives_the_same(placed, random):
    """Contradicting ones among them."""
    blocks = [
        calibration(
            [(d, p, 0, [code] * 4)],
            coarse=START + run * 90_000,
            sent=START + 200_000 + i,
        )
        for i, (d, p, run, code) in enumerate(placed)
    ]
    (first,), _ = build(*blocks)
    random.shuffle(blocks)
    (again,), _ = build(*blocks, blocks[0])
    xr.testing.assert_identical(first, again)
    slots = {(r, d, p) for d, p, r, _ in placed}
    assert int(first.counts_valid.sum()) == 4 * len(slots)
    for d, p, run, code in reversed(placed):
        wanted = next(c for dd, pp, rr, c in placed if (dd, pp, rr) == (d, p, run))
        row = sorted({r for _, _, r, _ in placed}).index(run)
        assert int(first.counts_code[row, d, p, 0]) == wanted, code


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"spectra_sent": [(0, 0, 0, [1, 2, 3])]}, "calibration spectra do not fit the sub-spectra of the packet"),
        ({"spectra_sent": [(0, 12, 0, [1] * 4)]}, "calibration spectra do not fit the sub-spectra of the packet"),
        ({"spectra_sent": [(0, 0, 1, [1] * 4)]}, "calibration spectra do not fit the sub-spectra of the packet"),
        ({"subspectra": ((4, 300, 200),)}, "calibration spectra do not fit the sub-spectra of the packet"),
        ({"mask": 0}, "calibration spectra do not fit the sub-spectra of the packet"),
        ({"scheme": (1, 4, 3)}, "compression scheme is signed or wider than 8 bits"),
        ({"synchronised": False}, "on-board time is not synchronised"),
    ],
)  # fmt: skip
def test_faulty_packet_is_reported_and_the_others_are_kept(fault, reason):
    faulty = {"spectra_sent": [(0, 0, 0, [1] * 4)], "coarse": START + 50_000} | fault
    (ds,), report = build(calibration(**faulty), calibration([(0, 0, 0, [7] * 4)]))
    assert ds.counts_code.to_numpy()[:, 0, 0].tolist() == [[7] * 4]
    assert report.as_document() == {reason: {"packets": 1, "first_offsets_bytes": [0]}}


def test_empty_packets_are_dropped_silently():
    datasets, report = build(calibration([]))
    assert datasets == []
    assert not report.n_packets
