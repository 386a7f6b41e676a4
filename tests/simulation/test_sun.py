"""The simulated Sun and what the instrument makes of it."""

import numpy as np
import pytest

from stixlab.simulation.instrument import BACKGROUND, TRANSMISSION, observe
from stixlab.simulation.sun import LARGEST, SMALLEST, band_counts, draw_flares, flare_light, make_flare
from tests.support.flare_curves import T0, minute

TIME = T0 + np.arange(2, 21_600, 4) * np.timedelta64(1, "s")


def test_a_flare_peaks_at_its_time_with_its_size():
    light = flare_light(TIME, [make_flare(minute(180), 3000)])
    top = int(light[:, 0].argmax())
    assert abs(TIME[top] - minute(180)) <= np.timedelta64(4, "s")
    assert light[top, 0] == pytest.approx(3000, rel=0.01)
    assert light[0, 0] < 1e-6


def test_a_flare_rises_faster_than_it_decays_and_earlier_at_high_energies():
    light = flare_light(TIME, [make_flare(minute(180), 3000)])
    top = light.argmax(axis=0)
    assert top[3] < top[2] < top[0]
    half = np.flatnonzero(light[:, 0] > 1500)
    assert top[0] - half[0] < half[-1] - top[0]


def test_larger_flares_are_harder_and_longer():
    small, large = band_counts(300) / 300, band_counts(30_000) / 30_000
    assert small[0] == large[0] == 1
    assert np.all(large[1:] > 3 * small[1:])
    assert make_flare(T0, 30_000).decay_s > make_flare(T0, 300).decay_s


def test_drawn_flares_stand_free_and_follow_a_power_law():
    rng = np.random.default_rng(0)
    days = [draw_flares(T0, T0 + np.timedelta64(1, "D"), rng) for _ in range(200)]
    sizes = np.array([f.size for day in days for f in day])
    assert 4 < len(sizes) / 200 < 9
    assert sizes.min() >= SMALLEST
    assert sizes.max() <= LARGEST
    assert 0.1 < np.mean(sizes > 1000) / np.mean(sizes > 200) < 0.45
    for day in days:
        peaks = np.array([f.peak for f in day])
        assert np.all(np.diff(peaks) >= np.timedelta64(30, "m"))


def test_counts_scatter_as_counts_do():
    seen = observe(TIME, np.zeros((len(TIME), 5)), np.random.default_rng(0))
    assert np.allclose(seen.counts.mean(axis=0), BACKGROUND, rtol=0.01)
    assert np.allclose(seen.counts.var(axis=0), BACKGROUND, rtol=0.1)
    assert seen.triggers.mean() == pytest.approx(4200, rel=0.01)
    assert not seen.rate_control_state.any()


def test_the_attenuator_goes_in_once_and_takes_its_share_of_the_flare_only():
    light = flare_light(TIME, [make_flare(minute(180), 400_000)])
    seen = observe(TIME, light, np.random.default_rng(0))
    changes = np.flatnonzero(np.diff(seen.rate_control_state))
    assert len(changes) == 2
    inside = np.flatnonzero(seen.rate_control_state)
    expected = BACKGROUND + light[inside] * TRANSMISSION
    assert np.allclose(seen.counts[inside], expected, rtol=0.2)
    assert light[changes[0] + 1, 0] > 150_000
    assert light[changes[1] + 1, 0] < 90_000
