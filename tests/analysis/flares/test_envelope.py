"""The background under flares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.analysis.flares.envelope import background_level, clip_peaks


@given(seed=st.integers(0, 50), n=st.integers(1, 200), half=st.integers(1, 150))
def test_the_envelope_is_nowhere_above_the_curve(seed, n, half):
    values = np.random.default_rng(seed).gamma(2.0, 50.0, n)
    assert np.all(clip_peaks(values, half) <= values)


@pytest.mark.parametrize("degree", [0, 1])
def test_a_straight_line_is_its_own_envelope(degree):
    line = 100 + degree * np.arange(300.0)
    assert np.allclose(clip_peaks(line, 60), line)


def test_a_peak_narrower_than_the_window_is_taken_away():
    x = np.arange(600.0)
    curve = 250 + 0.05 * x + 4000 * np.exp(-(((x - 300) / 12) ** 2))
    envelope = clip_peaks(curve, 60)
    assert np.abs(envelope - (250 + 0.05 * x)).max() < 5


def test_a_background_that_curves_slowly_is_followed():
    """A quarter of the counts in half a day is clipped by less than the standard deviation of a bin, 17 counts."""
    x = np.linspace(0, np.pi, 1440)
    curve = 250 + 60 * np.sin(x)
    assert np.abs(clip_peaks(curve, 60) - curve).max() < 12


def test_a_long_flare_is_not_taken_for_background():
    """Decay in 10 min, half window of an hour: the level under it stays that beside it."""
    x = np.arange(600.0)
    curve = 250 + 140_000 * np.exp(-np.abs(x - 300) / np.where(x < 300, 3, 10))
    assert clip_peaks(curve, 60).max() < 290


def test_the_background_of_noise_is_its_mean():
    noise = np.random.default_rng(0).normal(271, 4.2, 21_600)
    level = background_level(noise, block=15, half_window=900)
    assert level.mean() == pytest.approx(271, abs=1.0)
    assert np.ptp(level) < 16.5, "less than one standard deviation of a bin"


def test_few_points_give_their_median():
    assert np.all(background_level(np.array([1.0, 5.0, 3.0]), block=15, half_window=900) == 3)
