"""Live time: which part of the exposure a detector was able to record, from its triggers.

Not here: corrections of counts with it; they are one division.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.instrument.detectors import N_DETECTORS, TRIGGER_GROUPS, mask_bits

__all__ = [
    "ASIC_READ_OUT_S",
    "BETA",
    "DEAD_TIME_S",
    "FPGA_LATENCY_S",
    "Livetime",
    "accumulator_of_detector",
    "detector_livetime",
    "livetime",
    "livetime_fraction",
    "photon_rate",
]

FPGA_LATENCY_S = 10.04e-6
"""Dead time of the logic after a trigger. Source: instrument team, 2023-07-04."""
ASIC_READ_OUT_S = 2.58e-6
"""Time in which a second event spoils the first (pile-up). Source: instrument team, 2023-07-04."""
DEAD_TIME_S = FPGA_LATENCY_S + ASIC_READ_OUT_S
"""Dead time after each trigger."""
BETA = 0.94059104
"""Probability that two photons that reach a detector together are both lost: 1 less half the part of the large pixels."""


class Livetime(NamedTuple):
    """Live time with its error, all of one shape."""

    fraction: NDArray[np.float32]
    """0 to 1; 0 where there is none."""
    error: NDArray[np.float32]
    """Standard deviation, from that of the triggers."""
    valid: NDArray[np.bool_]
    """Exposure known, triggers below saturation."""


def photon_rate(triggers: ArrayLike, exposure_s: ArrayLike, n_groups: ArrayLike = 1) -> NDArray[np.float64]:
    """Rate of photons that reach one accumulator, 1/s; infinite where the triggers are saturated.

    Parameters
    ----------
    triggers : any shape
        Of one accumulator, or summed over several.
    exposure_s : broadcast with triggers, s
    n_groups : broadcast with triggers
        How many accumulators are summed.

    Notes
    -----
    n = triggers / (n_groups dt - tau triggers): each trigger takes `DEAD_TIME_S` from one accumulator.
    """
    found = np.asarray(triggers, dtype=np.float64)
    left = np.asarray(exposure_s, dtype=np.float64) * np.asarray(n_groups) - DEAD_TIME_S * found
    possible = left > 0
    return np.where(possible, found / np.where(possible, left, 1.0), np.inf)


def livetime_fraction(rate: ArrayLike) -> NDArray[np.float64]:
    """Part of the time that is live at a rate of photons.

    Parameters
    ----------
    rate : any shape, 1/s

    Notes
    -----
    exp(-beta n tau_asic) / (1 + n tau): the first factor is pile-up within the read-out, the second the dead time.
    """
    n = np.asarray(rate, dtype=np.float64)
    return np.asarray(np.exp(-BETA * ASIC_READ_OUT_S * n) / (1.0 + n * DEAD_TIME_S))


def livetime(
    triggers: NDArray[np.integer],
    triggers_error: NDArray[np.floating],
    exposure_s: ArrayLike,
    n_groups: ArrayLike = 1,
) -> Livetime:
    """Live time of triggers.

    Parameters
    ----------
    triggers, triggers_error : any shape
        Of one accumulator, or summed over several.
    exposure_s : broadcast with triggers, s
        Time over which they were collected; 0: not known.
    n_groups : broadcast with triggers
        How many accumulators are summed.

    Returns
    -------
    Livetime
        The error is half the spread of the live time between triggers less and plus their error.
    """
    exposure = np.broadcast_to(np.asarray(exposure_s, dtype=np.float64), triggers.shape)
    groups = np.broadcast_to(np.asarray(n_groups, dtype=np.float64), triggers.shape)
    middle = triggers.astype(np.float64)
    rate = photon_rate(middle, exposure, groups)
    valid = (exposure > 0) & (groups > 0) & np.isfinite(rate)
    spread = triggers_error.astype(np.float64)
    more = livetime_fraction(photon_rate(middle + spread, exposure, groups))
    less = livetime_fraction(photon_rate(np.maximum(middle - spread, 0.0), exposure, groups))
    return Livetime(
        np.where(valid, livetime_fraction(rate), 0.0).astype(np.float32),
        np.where(valid, np.abs(less - more) / 2, 0.0).astype(np.float32),
        valid,
    )


@cache
def accumulator_of_detector() -> NDArray[np.intp]:
    """Index of the accumulator that counts the triggers of each detector; (32,)."""
    found = np.zeros(N_DETECTORS, dtype=np.intp)
    for number, group in enumerate(TRIGGER_GROUPS):
        found[np.array(group) - 1] = number
    found.flags.writeable = False
    return found


def detector_livetime(
    triggers: NDArray[np.integer],
    triggers_error: NDArray[np.floating],
    exposure_s: NDArray[np.floating],
    detector_mask: NDArray[np.unsignedinteger],
) -> Livetime:
    """Live time of each detector; those that share an accumulator share it.

    Parameters
    ----------
    triggers, triggers_error : (time, 16)
    exposure_s : (time,), s
    detector_mask : (time,)
        Detectors in use, lowest bit: detector 1. Others have no live time.

    Returns
    -------
    Livetime
        (time, 32) each.
    """
    of_group = livetime(triggers, triggers_error, exposure_s[:, None])
    fraction, error, valid = (values[:, accumulator_of_detector()] for values in of_group)
    used = mask_bits(detector_mask, N_DETECTORS).astype(bool) & valid
    return Livetime(
        np.where(used, fraction, np.float32(0)), np.where(used, error, np.float32(0)), np.asarray(used)
    )
