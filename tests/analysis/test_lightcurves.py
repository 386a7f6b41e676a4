"""Light curves as arrays: spans, even bins, smoothing, reduction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.analysis.lightcurves import (
    attenuator_spans,
    iter_segments,
    quiet_statistics,
    reduce_min_max,
    smooth,
    to_even_bins,
    to_light_curve,
)
from tests.support.flare_curves import curve, minute, without


def test_a_light_curve_is_split_at_its_gaps_only():
    whole = to_light_curve(without(without(curve(minutes=60), 10, 12), 30, 31))
    lengths = [len(s) for s in iter_segments(whole)]
    assert lengths == [150, 270, 435]
    flags = [(s.after_gap, s.before_gap) for s in iter_segments(whole)]
    assert flags == [(False, True), (True, True), (True, False)]


def test_limits_of_the_range_asked_for_are_gaps_where_data_are_missing():
    whole = to_light_curve(curve(minutes=60))
    (segment,) = iter_segments(whole, start=minute(-1), end=minute(60))
    assert (segment.after_gap, segment.before_gap) == (True, False)


def test_no_data_have_no_spans():
    assert list(iter_segments(to_light_curve(curve(minutes=0)))) == []


def test_even_bins_are_left_alone():
    (segment,) = iter_segments(to_light_curve(curve(minutes=10)))
    assert to_even_bins(segment) is segment


@pytest.mark.parametrize("bin_s", [1.0, 3.0, 10.0, 32.0])
def test_even_bins_keep_the_sum_of_the_counts(bin_s):
    (segment,) = iter_segments(to_light_curve(curve(minutes=32, bin_s=bin_s)))
    even = to_even_bins(segment)
    assert even.counts.sum() == pytest.approx(segment.counts.sum(), rel=1e-9)
    assert np.all((even.end - even.start) == np.timedelta64(4, "s"))
    assert even.start[0] == segment.start[0]


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=60),
    points=st.sampled_from([1, 3, 5, 15]),
)
def test_smoothing_is_a_moving_mean_with_continued_ends(values, points):
    values = np.array(values)
    padded = np.pad(values, points // 2, mode="edge")
    expected = np.convolve(padded, np.full(points, 1 / points), mode="valid")
    assert np.allclose(smooth(values, points), expected, rtol=1e-6, atol=1e-6)


def test_spans_of_the_attenuator_are_first_and_one_past_the_last_bin():
    ds = curve(minutes=10)
    state = np.zeros(ds.sizes["time"], "u1")
    state[:3], state[10:20], state[-1] = 1, 2, 1
    assert attenuator_spans(to_light_curve(ds.assign(rate_control_state=("time", state)))) == [
        (0, 3),
        (10, 20),
        (149, 150),
    ]


def test_the_quiet_sun_is_quiet_and_a_flare_is_not():
    """algorithms.md section 1: quiet if std < 3 sqrt(median)."""
    assert quiet_statistics(curve(minutes=60)["counts"].values[:, 0].astype(float)).is_quiet
    assert not quiet_statistics(curve([(30, 5000)], minutes=60)["counts"].values[:, 0].astype(float)).is_quiet


@given(seed=st.integers(0, 100), n=st.integers(1, 3000), n_out=st.integers(4, 400))
def test_reduction_keeps_the_extremes_and_the_ends(seed, n, n_out):
    values = np.random.default_rng(seed).normal(size=n)
    kept = reduce_min_max(values, n_out)
    assert np.all(np.diff(kept) > 0)
    assert {0, n - 1, int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    assert len(kept) <= max(n_out, 6)
    if n <= n_out:
        assert len(kept) == n
