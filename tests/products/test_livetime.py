"""Live time from triggers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.instrument.detectors import TRIGGER_GROUPS
from stixlab.products.livetime import (
    BETA,
    DEAD_TIME_S,
    accumulator_of_detector,
    detector_livetime,
    livetime,
    livetime_fraction,
    photon_rate,
)


def test_without_triggers_all_time_is_live():
    found = livetime(np.zeros(3, int), np.zeros(3), 4.0)
    assert found.fraction.tolist() == [1, 1, 1]
    assert found.valid.all()


@given(st.floats(0.1, 5e4), st.floats(0.1, 100.0))
def test_the_rate_is_that_which_gives_the_triggers(rate, exposure):
    """A counter that is dead for tau after each trigger counts n t / (1 + n tau)."""
    triggers = rate * exposure / (1 + rate * DEAD_TIME_S)
    assert photon_rate(triggers, exposure) == pytest.approx(rate)
    assert photon_rate(16 * triggers, exposure, 16) == pytest.approx(rate)


def test_live_time_is_pile_up_and_dead_time():
    """10 000 photons a second: 1 / 1.1262 of dead time, exp(-0.02427) of pile-up."""
    assert livetime_fraction(1e4) == pytest.approx(np.exp(-BETA * 2.58e-6 * 1e4) / (1 + 1e4 * 12.62e-6))
    assert livetime_fraction(1e4) == pytest.approx(0.8666, abs=1e-4)


@given(st.integers(0, 60_000), st.floats(0, 2000))
def test_the_error_is_half_the_spread(triggers, spread):
    (fraction, error, valid) = livetime(np.array([triggers]), np.array([spread]), 1.0)
    if not valid[0]:
        return
    low, high = max(triggers - spread, 0), triggers + spread
    ends = livetime_fraction(photon_rate(np.array([low, high]), 1.0))
    assert error[0] == pytest.approx((ends[0] - ends[1]) / 2, abs=1e-6)
    assert 0 <= fraction[0] <= 1


def test_saturated_triggers_and_unknown_exposures_have_no_live_time():
    """79 239 triggers a second fill all time with dead time."""
    found = livetime(np.array([79_300, 79_000, 100]), np.zeros(3), np.array([1.0, 1.0, 0.0]))
    assert found.valid.tolist() == [False, True, False]
    assert found.fraction[[0, 2]].tolist() == [0, 0]


def test_detectors_share_the_live_time_of_their_accumulator():
    triggers = 1000 * (1 + np.arange(16))[None]
    found = detector_livetime(triggers, np.sqrt(triggers), np.array([1.0]), np.array([0xFFFFFFFE], np.uint32))
    for number, (first, second) in enumerate(TRIGGER_GROUPS):
        expected = livetime_fraction(photon_rate(1000.0 * (1 + number), 1.0))
        assert found.fraction[0, second - 1] == pytest.approx(expected, rel=1e-6)
        assert found.valid[0, first - 1] == (first != 1)
    assert found.fraction[0, 0] == 0, "a detector that is not in use"
    assert sorted(np.bincount(accumulator_of_detector())) == [2] * 16
