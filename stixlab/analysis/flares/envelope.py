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
    In each pass a point becomes the smaller of itself and the mean of its neighbours at distance w (Ryan
    et al. 1988, NIM B 34, 396), from the widest w down (Morhac et al. 1997, NIM A 401, 113). Predictions of
    higher order, as existing software uses them, follow long flares up: of a flare of 140,000 counts that
    decays in 10 min they took a tenth for background. Points nearer to an end than w are not clipped in
    that pass.
    """
    level = np.array(values, dtype=np.float64)
    n = len(level)
    for w in range(min(half_window, (n - 1) // 2), 0, -1):
        mean = (level[: n - 2 * w] + level[2 * w :]) * 0.5
        np.minimum(level[w : n - w], mean, out=level[w : n - w])
    return level


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
