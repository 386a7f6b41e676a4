"""Motion around the Sun alone, for whole arrays: from a position and a velocity to those of another time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GM_SUN", "propagate"]

GM_SUN = 132_712_440_041.939
"""Gravity of the Sun, km3/s2 (Park et al. 2021, AJ 161:105, DE440)."""
_STEPS = 50
_ENOUGH = 1e-13


def propagate(
    position: NDArray[np.float64], velocity: NDArray[np.float64], seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and velocities some time later (or earlier) on the ellipses that they belong to.

    Parameters
    ----------
    position, velocity : (n, 3), km and km/s
        Relative to the Sun, axes that do not turn.
    seconds : (n,), s

    Returns
    -------
    position, velocity : (n, 3), km and km/s

    Notes
    -----
    Kepler's equation for the change of the eccentric anomaly, then Lagrange's f and g
    (Battin 1999, An Introduction to the Mathematics and Methods of Astrodynamics, section 4.3).
    """
    distance = np.linalg.norm(position, axis=1)
    axis = 1.0 / (2.0 / distance - (velocity**2).sum(axis=1) / GM_SUN)
    motion = np.sqrt(GM_SUN / axis**3)
    cosine = 1.0 - distance / axis
    sine = (position * velocity).sum(axis=1) / np.sqrt(GM_SUN * axis)
    mean = motion * seconds
    turn = mean.copy()
    for _ in range(_STEPS):
        miss = turn + sine * (1.0 - np.cos(turn)) - cosine * np.sin(turn) - mean
        step = miss / (1.0 + sine * np.sin(turn) - cosine * np.cos(turn))
        turn -= step
        if not step.size or np.abs(step).max() < _ENOUGH:
            break
    cos, sin = np.cos(turn), np.sin(turn)
    later = axis * (1.0 - cosine * cos + sine * sin)
    f = 1.0 - axis / distance * (1.0 - cos)
    g = seconds - (turn - sin) / motion
    f_rate = -np.sqrt(GM_SUN * axis) / (later * distance) * sin
    g_rate = 1.0 - axis / later * (1.0 - cos)
    return (
        f[:, None] * position + g[:, None] * velocity,
        f_rate[:, None] * position + g_rate[:, None] * velocity,
    )
