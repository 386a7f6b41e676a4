"""Flares are found where they are, and nowhere else."""

import numpy as np
import pytest
import xarray as xr

from stixlab.analysis.flares import identify_flares
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import SchemaError, TimeError
from stixlab.idb import load_versions
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import make_level1
from stixlab.simulation.sun import make_flare
from stixlab.telemetry.decode import decode
from stixlab.telemetry.sources import read_packets
from tests.support.flare_curves import curve, minute, moment, seconds_between, without


@pytest.fixture(scope="module")
def quicklook(real_data):
    def read(name):
        return read_fits(real_data / "l1" / "ql" / name, load_clock())

    return read


@pytest.fixture(scope="module")
def june(quicklook):
    return quicklook("solo_L1A_stix-ql-lightcurve_20210606_010104_V01.fits")


def test_the_listed_flare_of_2021_06_06_is_found_and_the_others_are_weaker(june):
    """expected_flares.csv: 2106061127, peak 11:27:26.9; two weak excursions at 23:20:57 and 23:26:17 are in no list."""
    flares = identify_flares(june)
    largest = max(flares, key=lambda f: f.peak_counts)
    assert largest.flare_id == "2106061127"
    assert seconds_between(largest.peak, np.datetime64("2021-06-06T11:27:26.943", "ns")) < 10
    assert len(flares) <= 7
    assert all(f.peak_counts < largest.peak_counts / 2 for f in flares if f is not largest)


def test_the_listed_flare_has_the_listed_span_and_counts(june):
    """Operational flare list: 11:23:46.9 to 11:30:30.9, brightest bin 1343, bands 91 83 927 495 at most."""
    flare = next(f for f in identify_flares(june) if f.flare_id == "2106061127")
    assert seconds_between(flare.start, np.datetime64("2021-06-06T11:23:46.943", "ns")) < 20
    assert seconds_between(flare.end, np.datetime64("2021-06-06T11:30:30.944", "ns")) < 20
    assert flare.peak_counts_by_band == (1343, 91, 83, 927, 495)
    assert flare.background_counts == pytest.approx(247, abs=15)
    assert not flare.attenuator


def test_no_flare_on_2020_05_06_although_there_is_a_bump_beside_a_gap(quicklook):
    """expected_flares.csv: the excursion of 17:34:09, beside a gap of 340 s, is activity of the instrument."""
    assert identify_flares(quicklook("solo_L1_stix-ql-lightcurve_20200506_V01.fits")) == []


def test_the_bump_is_no_flare_either_when_the_data_begin_there(quicklook):
    """A run over a range whose data begin late has a gap at its start, though no data tell of it."""
    ds = quicklook("solo_L1_stix-ql-lightcurve_20200506_V01.fits")
    late = ds.isel(time=np.flatnonzero(ds["time"].values > np.datetime64("2020-05-06T17:30")))
    assert identify_flares(late, start="2020-05-06", end="2020-05-07") == []


def test_no_flare_in_the_quiet_packets_of_2021_01_16(real_data):
    """expected_flares.csv: 36 raw packets, quiet."""
    path = real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits"
    versions = load_versions()
    block, _ = read_packets(path.read_bytes(), path.name, versions)
    columns, _ = decode(block, 54118, versions)
    (ds,) = make_level1(columns, load_clock(), versions)
    assert identify_flares(ds) == []


def test_flares_are_found_at_their_times_with_their_counts():
    ds = curve([(90, 500), (180, 5000), (270, 50_000)])
    flares = identify_flares(ds)
    assert [round((f.peak - moment(minute(0))).total_seconds() / 60) for f in flares] == [90, 180, 270]
    for flare, size in zip(flares, (500, 5000, 50_000), strict=True):
        assert flare.background_counts == pytest.approx(271, rel=0.05)
        assert flare.peak_counts - flare.background_counts == pytest.approx(size, rel=0.15)
        assert flare.significance == pytest.approx(
            (flare.peak_counts - flare.background_counts) / flare.background_counts**0.5, rel=0.01
        )
        assert flare.start < flare.peak < flare.end
        assert flare.duration == (flare.end - flare.start).total_seconds()
        assert flare.flare_id == f"{flare.peak:%y%m%d%H%M}"
        assert flare.origin == "flight"
    assert [f.upper_band for f in flares] == sorted(f.upper_band for f in flares)
    assert flares[0].upper_band <= 1
    assert flares[2].upper_band == 4


def test_signal_counts_are_the_flares_own():
    """The sum over the span misses only what lies under one standard deviation of the background."""
    size, rise_s, decay_s = 5000.0, 60.0, 180.0
    flare = make_flare(minute(180), size, stretch=1.0)
    (found,) = identify_flares(curve([flare]))
    since = np.arange(-1500, 4000, 4.0)
    scaled = since / np.where(since < 0, flare.rise_s, flare.decay_s)
    expected = size * np.exp(1 - np.sqrt(1 + scaled**2)).sum()
    assert found.signal_counts == pytest.approx(expected, rel=0.03)
    assert found.total_counts - found.signal_counts == pytest.approx(271 * found.duration / 4, rel=0.05)
    assert rise_s < decay_s


@pytest.mark.parametrize("seed", range(6))
def test_noise_makes_no_flare(seed):
    assert identify_flares(curve(minutes=1440, seed=seed)) == []


def test_a_slow_swing_of_the_background_makes_no_flare():
    """A tenth up and down in twelve hours is 27 counts, more than one standard deviation."""
    ds = curve(minutes=1440, noise=False, compressed=False)
    swing = 1 + 0.1 * np.sin(np.arange(ds.sizes["time"]) * 4 / 43_200 * 2 * np.pi)
    ds["counts"] = (ds["counts"] * xr.DataArray(swing, dims="time")).round().astype("u4")
    assert identify_flares(ds) == []


def test_the_threshold_decides():
    """A flare of 160 counts is about ten standard deviations of a background of 271."""
    ds = curve([(180, 160)])
    assert len(identify_flares(ds)) == 1
    assert identify_flares(ds, threshold=15) == []


def test_two_peaks_less_than_five_minutes_apart_are_one_flare():
    assert len(identify_flares(curve([(180, 2000), (183, 1500)]))) == 1


def test_two_flares_are_two_once_half_has_decayed_in_between():
    flares = identify_flares(curve([(180, 5000), (200, 2500)]))
    assert len(flares) == 2
    assert flares[0].end <= flares[1].start


def test_a_shoulder_on_the_decay_is_no_flare_of_its_own():
    assert len(identify_flares(curve([(180, 5000), (186, 900)]))) == 1


@pytest.mark.parametrize("gap", [(176, 179), (181, 184), (179.5, 180.5)])
def test_a_flare_that_touches_a_gap_is_no_flare(gap):
    ds = without(curve([(180, 2000), (60, 2000)]), *gap)
    assert [f.flare_id for f in identify_flares(ds)] == ["2203010100"]


def test_a_gap_elsewhere_changes_nothing():
    flares = identify_flares(without(curve([(180, 2000)]), 60, 70))
    assert [f.flare_id[:8] for f in flares] == ["22030103"]


def test_a_single_missing_bin_is_a_gap_but_a_shift_of_a_fraction_is_none():
    ds = curve([(180, 2000)])
    start = 180 * 15
    assert identify_flares(ds.isel(time=np.delete(np.arange(ds.sizes["time"]), start))) == []
    late = ds["time_bounds"].values.copy()
    late[start:] += np.timedelta64(300, "ms")
    assert len(identify_flares(ds.assign_coords(time_bounds=(("time", "bound"), late)))) == 1


def test_data_that_end_within_the_range_asked_for_have_a_gap_there():
    ds = curve([(180, 2000)], minutes=182)
    assert len(identify_flares(ds)) == 1
    assert identify_flares(ds, start=minute(0), end=minute(360)) == []


def test_only_peaks_within_the_range_are_given():
    ds = curve([(90, 2000), (180, 2000), (270, 2000)])
    assert len(identify_flares(ds, start=minute(100), end=minute(200))) == 1
    assert len(identify_flares(ds, start=moment(minute(100)))) == 2
    first = identify_flares(ds)[0].peak
    assert len(identify_flares(ds, start=first)) == 3, "the start belongs to the range"
    assert identify_flares(ds, end=first) == [], "the end does not"


def test_a_time_as_text_that_cannot_be_read_is_refused():
    with pytest.raises(TimeError, match="yesterday"):
        identify_flares(curve(), start="yesterday")


@pytest.mark.parametrize("bin_s", [1.0, 8.0, 20.0])
def test_bins_of_other_lengths_are_scaled_to_four_seconds(bin_s):
    (flare,) = identify_flares(curve([(180, 2000)], bin_s=bin_s))
    assert seconds_between(flare.peak, minute(180)) < 30
    assert flare.background_counts == pytest.approx(271, rel=0.05)
    assert flare.peak_counts == pytest.approx(2271, rel=0.15)


def test_a_change_of_the_bin_length_is_no_gap():
    fast, slow = curve([(180, 2000)], minutes=120), curve([(180, 2000)], bin_s=8.0)
    late = slow.isel(time=slice(120 * 60 // 8, None))
    (flare,) = identify_flares(xr.concat([fast, late], dim="time", data_vars="minimal"))
    assert seconds_between(flare.peak, minute(180)) < 30


def test_bins_out_of_order_and_doubled_are_put_right():
    ds = curve([(180, 2000)])
    order = np.random.default_rng(0).permutation(np.r_[np.arange(ds.sizes["time"]), np.arange(100)])
    assert identify_flares(ds.isel(time=order)) == identify_flares(ds)


def test_a_short_quiet_span_is_judged_by_its_median():
    """Less than 20 min: no envelope. A flare makes the span unquiet unless it is small."""
    assert identify_flares(curve(minutes=15)) == []
    small = curve([(7, 60)], minutes=14, compressed=False, seed=3)
    assert len(identify_flares(small, threshold=2.0)) <= 1
    assert identify_flares(curve([(7, 5000)], minutes=14)) == [], "not quiet: nobody can tell the background"


@pytest.mark.parametrize("minutes", [0, 0.1, 1, 2.5])
def test_hardly_any_data_give_no_flare(minutes):
    assert identify_flares(curve(minutes=minutes)) == []


def test_a_flare_with_the_attenuator_in_is_one_flare():
    """4-10 keV fall to a hundredth while it is in; the flare must not be taken for two, nor its peak for a valley."""
    ds = curve([(180, 400_000)])
    assert int(ds["rate_control_state"].sum()) > 10
    (flare,) = identify_flares(ds)
    assert flare.attenuator
    assert seconds_between(flare.peak, minute(180)) < 60
    assert flare.upper_band == 4


def test_simulated_data_give_simulated_flares():
    (flare,) = identify_flares(curve([(180, 2000)], origin="simulated"))
    assert flare.origin == "simulated"


def test_lazy_data_give_the_same():
    ds = curve([(180, 2000)])
    assert identify_flares(ds.chunk({"time": 500})) == identify_flares(ds)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda ds: ds.drop_vars("counts"), "expected counts"),
        (lambda ds: ds.drop_vars(["time_bounds", "integration_time"]), "time_bounds"),
        (lambda ds: ds.assign_coords(time_bounds=ds["time_bounds"][:, ::-1]), "bin 0 starts"),
    ],
)
def test_a_dataset_that_is_no_light_curve_is_refused(spoil, words):
    with pytest.raises(SchemaError, match=words):
        identify_flares(spoil(curve(minutes=30)))


def test_without_bounds_the_integration_time_serves():
    ds = curve([(180, 2000)])
    assert identify_flares(ds.drop_vars("time_bounds")) == identify_flares(ds)
