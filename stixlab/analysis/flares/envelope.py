"""The slowly varying level under the peaks of a light curve (SNIP clipping)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["background_level", "clip_peaks"]


def clip_peaks(values: NDArray[np.float64], half_window: int) -> NDArray[np.float64]:
    """Lower envelope of a curve, by clipping with windows that shrink to nothing.

    Parameters
    ----------
    values : (time,)
    half_window
        Half width, in points, of the widest peak that is taken away; limited to what fits.

    Returns
    -------
    (time,), nowhere above `values`

    Notes
    -----
    In each pass a point becomes the smaller of itself and what its neighbours at distance w predict;
    the prediction is the largest of the polynomials of degree 1, 3 and 5 through them, so that a curved
    level is followed. Ryan et al. 1988, NIM B 34, 396; decreasing windows and higher orders: Morhac et
    al. 1997, NIM A 401, 113. Points nearer to an end than w are not clipped in that pass.
    """
    level = np.array(values, dtype=np.float64)
    n = len(level)
    for w in range(min(half_window, (n - 1) // 2), 0, -1):
        inner = level[w : n - w]
        predicted = (level[: n - 2 * w] + level[2 * w :]) * 0.5
        if (half := w // 2) > 0:
            predicted = np.maximum(predicted, _predict(level, w, half, (4 / 6, -1 / 6)))
        if (third := w // 3) > 0:
            predicted = np.maximum(predicted, _predict(level, w, third, (15 / 20, -6 / 20, 1 / 20)))
        level[w : n - w] = np.minimum(inner, predicted)
    return level


def _predict(
    level: NDArray[np.float64], w: int, step: int, weights: tuple[float, ...]
) -> NDArray[np.float64]:
    """Weighted sum of the neighbours at 1, 2, ... steps on both sides, for all points at least w from the ends."""
    n = len(level)
    total = np.zeros(n - 2 * w)
    for k, weight in enumerate(weights, start=1):
        d = k * step
        total += weight * (level[w - d : n - w - d] + level[w + d : n - w + d])
    return total


def background_level(smoothed: NDArray[np.float64], *, block: int, half_window: int) -> NDArray[np.float64]:
    """Background of a smoothed light curve at each bin.

    Parameters
    ----------
    smoothed : (time,), counts per bin
        Mean over `block` bins; taken at one point of each block, as there is nothing finer in it.
    block
        Bins in a block.
    half_window
        Half width, in bins, of the widest peak taken away.

    Returns
    -------
    (time,), counts per bin
        Not the lower envelope itself but the middle of the quiet scatter above it, so that a sum of
        counts less this level has no bias.
    """
    n = len(smoothed)
    at = np.arange(block // 2, n, block)
    sampled = smoothed[at]
    if len(sampled) < 3:
        return np.full(n, float(np.median(smoothed)))
    envelope = clip_peaks(sampled, half_window // block)
    envelope = np.convolve(np.pad(envelope, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    above = sampled - envelope
    quiet = above < np.sqrt(np.maximum(envelope, 1.0))
    offset = float(np.median(above[quiet])) if quiet.mean() > 0.1 else 0.0
    return np.interp(np.arange(n), at, envelope + offset)
