"""What the simulated instrument makes of the light: background, attenuator, counting noise, triggers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BACKGROUND", "Expectation", "Observation", "count", "expect", "observe"]

BACKGROUND = np.array([271.0, 41.0, 67.0, 799.0, 450.0])
"""(energy,) quiet counts in 4 s of the five bands: typical medians of the mission."""
TRANSMISSION = np.array([0.01, 0.10, 0.55, 0.90, 0.97])
"""(energy,) share of a flare's counts that passes 0.6 mm of aluminium, rounded."""
IN_ABOVE, OUT_BELOW = 150_000.0, 90_000.0
"""4-10 keV counts in 4 s, attenuator out, above which it goes in and below which it comes out again."""
_QUIET_TRIGGERS = 4200.0
_TRIGGERS_PER_COUNT = 1.3
_RIPPLE = 0.01
_RIPPLE_S = 2400.0
"""The background follows the detectors' temperature, a cycle of about 40 min, by 1 %."""


@dataclass(frozen=True)
class Observation:
    """What the quicklook light curve transmits, before compression."""

    counts: NDArray[np.int64]
    """(time, energy), counts in 4 s."""
    triggers: NDArray[np.int64]
    """(time,), triggers in 4 s."""
    rate_control_state: NDArray[np.uint8]
    """(time,), 0: attenuator out, 1: in."""


@dataclass(frozen=True)
class Expectation:
    """What is counted on average in the bins of 4 s."""

    quiet: NDArray[np.float64]
    """(time, energy), counts in 4 s of the background."""
    flare: NDArray[np.float64]
    """(time, energy), counts in 4 s of the flares, behind the attenuator where it is in."""
    rate_control_state: NDArray[np.uint8]
    """(time,), 0: attenuator out, 1: in."""

    def select(self, chosen: slice) -> Expectation:
        """Some of the bins."""
        return Expectation(self.quiet[chosen], self.flare[chosen], self.rate_control_state[chosen])


def expect(time: NDArray[np.datetime64], light: NDArray[np.float64]) -> Expectation:
    """Mean counts of the five bands.

    Parameters
    ----------
    time : (time,), UTC
    light : (time, energy), expected counts of the flares in 4 s, attenuator out
    """
    state = _rate_control(light[:, 0])
    passed = np.where(state[:, None] > 0, light * TRANSMISSION, light)
    phase = (
        time.astype("datetime64[ns]").astype(np.int64) % round(_RIPPLE_S * 1e9) * (2e-9 * np.pi / _RIPPLE_S)
    )
    quiet = BACKGROUND * (1.0 + _RIPPLE * np.sin(phase))[:, None]
    return Expectation(quiet, passed, state)


def observe(
    time: NDArray[np.datetime64], light: NDArray[np.float64], rng: np.random.Generator
) -> Observation:
    """Counts of the five bands: `expect` and `count` in one."""
    return count(expect(time, light), rng)


def count(expected: Expectation, rng: np.random.Generator) -> Observation:
    """Counts of the five bands and triggers, with the noise of counting.

    Parameters
    ----------
    expected
    rng
    """
    triggers = _QUIET_TRIGGERS + _TRIGGERS_PER_COUNT * expected.flare.sum(axis=1)
    return Observation(
        rng.poisson(expected.quiet + expected.flare), rng.poisson(triggers), expected.rate_control_state
    )


def _rate_control(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(time,) 1 from where the light exceeds `IN_ABOVE` to where it falls below `OUT_BELOW`."""
    event = np.where(light > IN_ABOVE, 1, np.where(light < OUT_BELOW, 0, -1))
    latest = np.maximum.accumulate(np.where(event >= 0, np.arange(len(light)), 0))
    return np.where(event[latest] == 1, 1, 0).astype(np.uint8)
