"""From the five bands of the light curve to 32 science channels, 32 detectors and 12 pixels."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.instrument.energy_channels import NOMINAL
from stixlab.simulation.instrument import Expectation

__all__ = ["LOCATOR", "MONITOR", "N_CHANNELS", "N_IMAGING", "channel_counts", "pixel_pattern", "pixel_share"]

N_CHANNELS = 32
LOCATOR, MONITOR = 8, 9
"""Indices of the coarse flare locator and of the background monitor, which the light curve leaves out."""
N_IMAGING = N_DETECTORS - 2
_BAND_LIMITS = (1, 7, 12, 17, 23, 28)
"""First science channel of each band of the light curve, and the end of the last."""
_SOURCE_LINES = {18: 9.0, 19: 3.0, 27: 9.0}
"""Counts of the calibration source in the channels of its lines at 31, 35 and 81 keV, against a continuum of 1 per keV."""
_OUTSIDE = {0: (0, 0.05), 28: (4, 0.5), 29: (4, 0.4), 30: (4, 0.4), 31: (4, 0.8)}
"""Channels that are in no band: the band they follow, and their quiet counts relative to it."""
_FLARE_FALL_KEV = (1.7, 2.2, 4.0, 9.0, 15.0)
"""Energy over which the counts of flares fall by a factor e within each band."""
_SMALL_PIXEL = 0.11
"""Counts of a small pixel (8 to 11), relative to a large one: the ratio of their areas."""


@cache
def _shares() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(band, channel) share of each band's counts in each channel: quiet, flare."""
    edges = np.array([0.0, *NOMINAL, 250.0])
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    lines = np.array([_SOURCE_LINES.get(c, 0.0) for c in range(N_CHANNELS)])
    quiet, flare = np.zeros((5, N_CHANNELS)), np.zeros((5, N_CHANNELS))
    for band, (low, high) in enumerate(pairwise(_BAND_LIMITS)):
        inside = slice(low, high)
        quiet[band, inside] = width[inside] + lines[inside]
        flare[band, inside] = width[inside] * np.exp(-middle[inside] / _FLARE_FALL_KEV[band])
    quiet /= quiet.sum(axis=1, keepdims=True)
    flare /= flare.sum(axis=1, keepdims=True)
    for channel, (band, share) in _OUTSIDE.items():
        quiet[band, channel] = share
        flare[band, channel] = 0.02 if channel < N_CHANNELS - 1 else 0.01
    return quiet, flare


def channel_counts(expected: Expectation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean counts in 4 s of each science channel, of the 30 detectors of the light curve together.

    Returns
    -------
    quiet, flare : (time, channel)
    """
    quiet, flare = _shares()
    return expected.quiet @ quiet, expected.flare @ flare


def pixel_share() -> NDArray[np.float64]:
    """(pixel,) share of a detector's counts in each of its pixels, where the light is even."""
    area = np.where(np.arange(N_PIXELS) < 8, 1.0, _SMALL_PIXEL)
    share: NDArray[np.float64] = area / area.sum()
    return share


def pixel_pattern(seed: int) -> NDArray[np.float64]:
    """(detector, pixel) share of a flare's counts, 1 together for the 30 imaging detectors.

    The columns of pixels follow a wave, as behind the grids, of an amplitude and phase of its own for each detector.
    They are drawn at random: an image made of them shows nothing.

    Parameters
    ----------
    seed
        The same for all data of one flare.
    """
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(0.1, 0.6, N_DETECTORS)
    amplitude[[LOCATOR, MONITOR]] = 0.0
    phase = rng.uniform(0, 2 * np.pi, N_DETECTORS)
    column = np.arange(N_PIXELS) % 4 * (np.pi / 2)
    wave = 1 + amplitude[:, None] * np.cos(column + phase[:, None])
    pattern: NDArray[np.float64] = wave * pixel_share() / N_IMAGING
    pattern[LOCATOR] *= 0.6
    pattern[MONITOR] *= 0.03
    return pattern
