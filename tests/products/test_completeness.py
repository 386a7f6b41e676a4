"""Whether a day is all there, and what is said of one that is not."""

import numpy as np
import pytest
import xarray as xr

from stixlab.products.completeness import Completeness, completeness_of_day

DAY = np.datetime64("2024-03-28")
WHOLE = Completeness(complete=True)


def times(product: str, start_s, length_s) -> xr.Dataset:
    """Bins from a start, in seconds of the day, of a length."""
    start = DAY + (np.asarray(start_s, dtype=np.float64) * 1e9).astype("timedelta64[ns]")
    length = (np.broadcast_to(length_s, start.shape) * 1e9).astype("timedelta64[ns]")
    bounds = np.stack([start, start + length], axis=1).astype("datetime64[ns]")
    found = {"time_bounds": (("time", "bound"), bounds)}
    if product == "ql-spectra":
        found["counts_valid"] = (("time", "detector"), np.ones((len(start), 32), dtype=bool))
    return xr.Dataset(found, attrs={"product": product})


def light_curve(left_out=(), *, offset_s=-1.5, product="ql-lightcurve") -> xr.Dataset:
    """Bins of 4 s of a day, without some."""
    number = np.delete(np.arange(21600), left_out)
    return times(product, 4.0 * number + offset_s, 4.0)


@pytest.mark.parametrize("product", ["ql-lightcurve", "ql-background", "ql-variance", "ql-flareflag"])
def test_a_day_of_bins_is_complete_wherever_the_clock_cuts_it(product):
    for offset_s in (-1.99, 0.0, 1.99):
        assert completeness_of_day([light_curve(offset_s=offset_s, product=product)], DAY) == WHOLE


def test_a_bin_that_is_missing_is_told():
    found = completeness_of_day([light_curve([900], offset_s=0)], DAY)
    assert found == Completeness(
        complete=False, why="4 s are missing: a gap from 2024-03-28T01:00:00 to 2024-03-28T01:00:04"
    )


def test_every_fifth_packet_that_is_missing_is_told():
    """Packets of 580 bins: 8 of 38 are missing, the last of them within the day by 140 bins."""
    number = np.arange(21600)
    found = completeness_of_day([light_curve(number[number // 580 % 5 == 1], offset_s=0)], DAY)
    lost = int((number // 580 % 5 == 1).sum()) * 4
    assert found.complete is False
    assert found.why.startswith(f"{lost} s are missing: 8 gaps, the first from 2024-03-28T00:38:40 to")


def test_a_day_that_begins_late_or_ends_early_is_not_complete():
    late = completeness_of_day([light_curve(np.arange(900), offset_s=0)], DAY)
    assert late.why == "3600 s are missing: a gap from 2024-03-28T00:00:00 to 2024-03-28T01:00:00"
    early = completeness_of_day([light_curve(np.arange(20700, 21600), offset_s=0)], DAY)
    assert early.why == "3600 s are missing: a gap from 2024-03-28T23:00:00 to 2024-03-29T00:00:00"
    assert completeness_of_day([light_curve([0], offset_s=0)], DAY) == WHOLE, "a bin may miss midnight"


def test_bins_may_change_their_length():
    """4 s, then 1 s, then 32 s; a bin less than its length late is a matter of clocks."""
    start = np.concatenate([np.arange(0, 3600, 4), np.arange(3600, 7200, 1), np.arange(7200, 86400, 32)])
    length = np.diff(start, append=86400)
    assert completeness_of_day([times("ql-lightcurve", start, length)], DAY) == WHOLE
    late = start + np.where(start >= 7200, 0.4, 0)
    assert completeness_of_day([times("ql-lightcurve", late, length)], DAY) == WHOLE


def test_parts_of_other_energies_cover_a_day_together():
    first, second = light_curve(np.arange(9000, 21600)), light_curve(np.arange(9000))
    assert completeness_of_day([first, second], DAY) == WHOLE
    assert completeness_of_day([second], DAY).complete is False


def test_housekeeping_is_judged_by_its_usual_step():
    """Steps of 64 s, within a tenth of a second; of 32 s in the afternoon."""
    jitter = np.random.default_rng(3).uniform(0, 0.07, 1350)
    start = 30.2 + 64 * np.arange(1350) + jitter
    assert completeness_of_day([times("hk-maxi", start, 0)], DAY) == WHOLE
    both = np.concatenate([np.arange(10, 43200, 64), np.arange(43200, 86400, 32)])
    assert completeness_of_day([times("hk-maxi", both, 0)], DAY) == WHOLE
    found = completeness_of_day([times("hk-maxi", np.delete(start, np.arange(4, 1340, 5)), 0)], DAY)
    assert found.complete is False
    assert "268 gaps, the first from 2024-03-28T00:04:46" in found.why
    assert abs(int(found.why.split()[0]) - 268 * 64) < 0.07 * 268


def test_spectra_are_judged_by_the_time_from_one_to_the_next():
    """32 s each, of one detector after the other: one in 1024 s."""
    start = 200 + 1024 * np.arange(85)
    assert completeness_of_day([times("ql-spectra", start, 32)], DAY) == WHOLE
    found = completeness_of_day([times("ql-spectra", np.delete(start, [5]), 32)], DAY)
    assert found.why.startswith("1024 s are missing: a gap")
    one_lost = times("ql-spectra", start, 32)
    one_lost["counts_valid"][7, 3] = False
    found = completeness_of_day([one_lost], DAY)
    assert found.why == "1 spectra of single detectors are missing: the first at 2024-03-28T02:02:48"
    off = times("ql-spectra", start, 32)
    off["counts_valid"][:, 3] = False
    assert completeness_of_day([off], DAY) == WHOLE, "a detector that is off all day is not missing"


@pytest.mark.parametrize("number", [1, 2])
def test_one_or_two_samples_are_no_day(number):
    found = completeness_of_day([times("hk-mini", 512.0 * np.arange(number) + 5, 0)], DAY)
    assert found.complete is False


def test_what_comes_only_when_something_happens_cannot_be_judged():
    ds = times("ql-tmstatusflarelist", [400.0], 0)
    assert completeness_of_day([ds], DAY) == Completeness(complete=None)


def calibration(lost=()) -> xr.Dataset:
    """Two runs of 3 detectors, 2 pixels and 2 sub-spectra of 5 and 3 points; places (run, detector, pixel, point)."""
    valid = np.zeros((2, 32, 12, 8), dtype=bool)
    valid[:, :3, 4:6] = True
    for place in lost:
        valid[place] = False
    start = DAY + np.array([0, 43200]).astype("timedelta64[s]")
    return xr.Dataset(
        {
            "time_bounds": (("time", "bound"), np.stack([start, start + 40000], axis=1)),
            "counts_valid": (("time", "detector", "pixel", "channel"), valid),
            "subspectrum": ("channel", np.repeat([1, 2], [5, 3]).astype(np.uint8)),
            "detector_mask": ("time", np.full(2, 7, dtype=np.uint32)),
            "pixel_mask": ("time", np.full(2, 3 << 4, dtype=np.uint16)),
        },
        attrs={"product": "cal-spectra"},
    )


def test_a_calibration_run_has_all_spectra_of_its_masks():
    assert completeness_of_day([calibration()], DAY) == WHOLE
    found = completeness_of_day([calibration([(1, 2, 4, slice(5, 8)), (1, 0, 5, slice(0, 5))])], DAY)
    assert found == Completeness(
        complete=False, why="2 of 24 spectra are missing: the run from 2024-03-28T12:00:00"
    )
    both = completeness_of_day([calibration([(0, 0, 4, 0), (1, 2, 4, 7)])], DAY)
    assert both.why == "2 of 24 spectra are missing: 2 runs, the first from 2024-03-28T00:00:00"
