"""Light curves while the attenuator is in."""

import numpy as np
import pytest

from stixlab.analysis.flares import identify_flares
from stixlab.analysis.flares.attenuator import restore_attenuated
from stixlab.analysis.lightcurves import to_light_curve
from tests.support.flare_curves import curve, minute, seconds_between


def test_without_the_attenuator_the_very_array_is_given():
    light = to_light_curve(curve(minutes=30))
    assert restore_attenuated(light, light.counts[:, 0]) is light.counts[:, 0] or np.shares_memory(
        restore_attenuated(light, light.counts[:, 0]), light.counts
    )


def test_restored_counts_join_at_both_ends():
    light = to_light_curve(curve([(180, 400_000)], noise=False, compressed=False))
    counts = light.counts[:, 0]
    restored = restore_attenuated(light, counts)
    inside = np.flatnonzero(light.rate_control_state)
    assert np.all(restored[inside] >= counts[inside])
    for edge, neighbour in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
        assert restored[edge] == pytest.approx(counts[neighbour], rel=0.15)
    assert np.array_equal(np.delete(restored, inside), np.delete(counts, inside))


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_data_that_begin_or_end_with_the_attenuator_in_do_no_harm(cut):
    ds = curve([(180, 400_000)])
    inside = np.flatnonzero(ds["rate_control_state"].values)
    part = (slice(inside[0] + 2, None), slice(None, inside[-1] - 2), slice(inside[0], inside[-1]))[cut]
    identify_flares(ds.isel(time=part))


def test_the_attenuator_in_at_a_quiet_time_makes_no_flare():
    ds = curve([(90, 3000)])
    state = np.zeros(ds.sizes["time"], "u1")
    state[3000:3200] = 1
    (flare,) = identify_flares(ds.assign(rate_control_state=("time", state)))
    assert seconds_between(flare.peak, minute(90)) < 30
    assert not flare.attenuator
