"""Flares of a simulated Sun: when, how large, and how bright in each energy band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_BANDS", "SolarFlare", "band_counts", "draw_flares", "flare_light", "make_flare"]

N_BANDS = 5
SMALLEST, LARGEST = 200.0, 300_000.0
"""Limits of the sizes that are drawn, counts in 4 s."""
_INDEX = 1.8
"""Exponent of the distribution of sizes, dN/dS ~ S**-1.8, as observed for peak fluxes (Crosby et al. 1993)."""
_APART_S = 1800.0
"""Least time between the peaks of two drawn flares."""
_BLEND = 0.1
"""Largest share of another flare's light in the peak of a drawn one."""
_RATIO_AT_1000 = np.array([1.0, 0.035, 0.005, 0.0015, 0.0003])
"""Counts of each band, relative to the first, of a flare of 1000 counts."""
_HARDENING = np.array([0.0, 0.42, 0.60, 0.60, 0.50])
"""Exponent with which that share grows with the size: larger flares are hotter and harder."""
_IMPULSIVE = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
"""How much of each band follows the electrons (early, short) and not the hot plasma."""
_REACH = 30.0
"""Decay times after which a flare is over."""


@dataclass(frozen=True)
class SolarFlare:
    """One flare of the simulated Sun."""

    peak: np.datetime64
    """UTC at the spacecraft, maximum in 4-10 keV."""
    size: float
    """4-10 keV counts in 4 s at the maximum, over the background, attenuator out."""
    rise_s: float
    decay_s: float


def make_flare(peak: np.datetime64, size: float, *, stretch: float = 1.0) -> SolarFlare:
    """A flare with the usual times of rise and decay for its size: larger ones last longer.

    Parameters
    ----------
    peak
        UTC.
    size
        4-10 keV counts in 4 s over the background.
    stretch
        Factor on both times.
    """
    longer = (size / 1000.0) ** 0.12 * stretch
    return SolarFlare(peak.astype("datetime64[ns]"), float(size), 45.0 * longer, 120.0 * longer)


def draw_flares(
    start: np.datetime64, end: np.datetime64, rng: np.random.Generator, *, per_day: float = 9.0
) -> list[SolarFlare]:
    """Flares of a range of time: sizes from a power law, times at random but none hidden by another.

    Parameters
    ----------
    start, end
        UTC; peaks lie in between.
    rng
    per_day
        Mean number asked for; fewer come where they would hide each other.
    """
    span_s = float((end - start) / np.timedelta64(1, "s"))
    n = int(rng.poisson(per_day * span_s / 86_400))
    share, power = rng.random(n), 1.0 - _INDEX
    low, high = SMALLEST**power, LARGEST**power
    sizes = (low + share * (high - low)) ** (1.0 / power)
    at_s = rng.random(n) * span_s
    stretch = np.exp(rng.normal(0.0, 0.25, n))
    drawn = [
        make_flare(start + np.timedelta64(round(t * 1e9), "ns"), s, stretch=f)
        for t, s, f in zip(at_s, sizes, stretch, strict=True)
    ]
    return _not_hidden(drawn)


def _not_hidden(drawn: Sequence[SolarFlare]) -> list[SolarFlare]:
    """The flares that stand free, the larger ones first served; in order of time."""
    kept: list[SolarFlare] = []
    for flare in sorted(drawn, key=lambda f: -f.size):
        peak = np.array([flare.peak])
        apart = all(abs((flare.peak - k.peak) / np.timedelta64(1, "s")) >= _APART_S for k in kept)
        light = sum(k.size * float(_profile(_seconds(peak, k), k.rise_s, k.decay_s)[0]) for k in kept)
        if apart and light <= _BLEND * flare.size:
            kept.append(flare)
    return sorted(kept, key=lambda f: f.peak)


def band_counts(size: float) -> NDArray[np.float64]:
    """(energy,) peak counts in 4 s of each band over the background, for a flare of that 4-10 keV size."""
    counts: NDArray[np.float64] = size * _RATIO_AT_1000 * (size / 1000.0) ** _HARDENING
    return counts


def flare_light(time: NDArray[np.datetime64], flares: Sequence[SolarFlare]) -> NDArray[np.float64]:
    """Expected counts in 4 s over the background, attenuator out.

    Parameters
    ----------
    time : (time,), UTC
        In order.
    flares

    Returns
    -------
    (time, energy)
    """
    light = np.zeros((len(time), N_BANDS))
    for flare in flares:
        before = np.timedelta64(round(_REACH * flare.rise_s * 1e9), "ns")
        after = np.timedelta64(round(_REACH * flare.decay_s * 1e9), "ns")
        first, last = np.searchsorted(time, [flare.peak - before, flare.peak + after])
        if first == last:
            continue
        since = _seconds(time[first:last], flare)
        hot = _profile(since, flare.rise_s, flare.decay_s)
        sharp = _profile(since + flare.rise_s, 0.5 * flare.rise_s, 0.35 * flare.decay_s)
        shape = hot[:, None] * (1 - _IMPULSIVE) + sharp[:, None] * _IMPULSIVE
        light[first:last] += shape * band_counts(flare.size)
    return light


def _seconds(time: NDArray[np.datetime64], flare: SolarFlare) -> NDArray[np.float64]:
    return (time - flare.peak).astype("timedelta64[ns]").astype(np.float64) * 1e-9


def _profile(since: NDArray[np.float64], rise_s: float, decay_s: float) -> NDArray[np.float64]:
    """1 at the peak, round there, exponential far from it."""
    scaled = since / np.where(since < 0, rise_s, decay_s)
    shape: NDArray[np.float64] = np.exp(1.0 - np.sqrt(1.0 + scaled**2))
    return shape
