"""Smallest, mean and largest value in even bins: what a reduced level is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "reduce_bins"]

Arrays = dict[str, NDArray[Any]]


def reduce_bins(
    times: NDArray[np.datetime64],
    values: Mapping[str, NDArray[Any]],
    width_s: int,
    valid: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Arrays:
    """Smallest, mean and largest value in even bins.

    Parameters
    ----------
    times : (time,), UTC, increasing
    values : name -> (time, ...)
    width_s
        Width of the bins, s; they begin at midnight.
    valid : name -> (time, ...), optional
        Values that count; by default all that are no NaN.

    Returns
    -------
    dict
        ``time`` (bin,) start of each bin, ns since 1970; ``n_samples`` (bin,), how many were in it; for each name an
        array (3, bin, ...), float32: smallest, mean, largest; NaN where nothing counts. Bins without samples are not there.
    """
    ticks = times.astype("datetime64[ns]").astype(np.int64) // (width_s * 1_000_000_000)
    first = np.flatnonzero(np.diff(ticks, prepend=ticks[:1] - 1))
    edges = np.append(first, len(ticks))
    arrays: Arrays = {
        "time": ticks[first] * (width_s * 1_000_000_000),
        "n_samples": np.diff(edges).astype(np.uint32),
    }
    for name, found in values.items():
        given = (valid or {}).get(name)
        arrays[name] = _statistics(found, first, given)
    return arrays


def _statistics(
    values: NDArray[Any], first: NDArray[np.intp], valid: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    if not len(first):
        return np.zeros((3, 0, *values.shape[1:]), dtype=np.float32)
    counts: NDArray[Any] = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if valid is not None:
        counts &= valid.reshape(valid.shape + (1,) * (values.ndim - valid.ndim))
    number = np.asarray(values, dtype=np.float64)
    n = np.add.reduceat(counts, first, axis=0, dtype=np.float64)
    low = np.minimum.reduceat(np.where(counts, number, np.inf), first, axis=0)
    high = np.maximum.reduceat(np.where(counts, number, -np.inf), first, axis=0)
    total = np.add.reduceat(np.where(counts, number, 0.0), first, axis=0)
    some = n > 0
    stack = np.stack([low, total / np.where(some, n, 1.0), high])
    return np.where(some, stack, np.nan).astype(np.float32)
