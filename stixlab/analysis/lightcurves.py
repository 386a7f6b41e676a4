"""Light curves as arrays: unbroken spans, even bins, smoothing, quiet statistics, reduction for display."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stixlab.errors import SchemaError

__all__ = [
    "BIN_S",
    "GAP_BINS",
    "LightCurve",
    "QuietStatistics",
    "attenuator_spans",
    "iter_segments",
    "quiet_statistics",
    "reduce_min_max",
    "smooth",
    "to_even_bins",
    "to_light_curve",
]

BIN_S = 4.0
"""Seconds: the nominal bin of the quicklook light curve, to which all counts are scaled."""
GAP_BINS = 1.5
"""A step between bin starts longer than this many bins is a gap."""
_UNEVEN = 0.01
"""Bins that differ from `BIN_S` by less than this fraction are taken as they are."""


@dataclass(frozen=True)
class LightCurve:
    """Counts in time bins without overlap; all arrays have the bins along the first axis."""

    start: NDArray[np.datetime64]
    """(time,), UTC, start of each bin."""
    end: NDArray[np.datetime64]
    """(time,), UTC, end of each bin."""
    counts: NDArray[np.float64]
    """(time, energy), counts as measured in the bin."""
    rate_control_state: NDArray[np.uint8]
    """(time,), 0: attenuator out."""
    after_gap: bool = False
    """Whether the first bin follows a gap (and not just the limit of the data asked for)."""
    before_gap: bool = False
    """Whether a gap follows the last bin."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def middle(self) -> NDArray[np.datetime64]:
        """(time,), UTC, middle of each bin."""
        middle: NDArray[np.datetime64] = self.start + (self.end - self.start) // 2
        return middle

    def select(self, which: slice | NDArray[np.intp], **limits: bool) -> LightCurve:
        """The bins named."""
        return LightCurve(
            self.start[which], self.end[which], self.counts[which], self.rate_control_state[which], **limits
        )


def to_light_curve(ds: xr.Dataset) -> LightCurve:
    """Arrays of a quicklook light-curve dataset, in order of time and without overlapping bins.

    Parameters
    ----------
    ds : ``counts (time, energy)``, with ``time_bounds (time, bound)`` or ``integration_time`` [s]
        Lazy arrays are computed. ``rate_control_state`` is taken as 0 where absent.

    Returns
    -------
    LightCurve
        Bins that begin more than half a bin before the end of the one before are left out.

    Raises
    ------
    SchemaError
        If counts or the limits of bins are missing, or a bin has no length.
    """
    if "counts" not in ds or ds["counts"].dims != ("time", "energy"):
        raise SchemaError(
            f"light curve: expected counts (time, energy); found {_dims(ds)}; open a ql-lightcurve product"
        )
    if "time_bounds" in ds:
        bounds = np.asarray(ds["time_bounds"].values).astype("datetime64[ns]")
        start, end = bounds[:, 0], bounds[:, 1]
    elif "integration_time" in ds:
        half = np.round(np.asarray(ds["integration_time"].values, float) * 0.5e9).astype("timedelta64[ns]")
        middle = np.asarray(ds["time"].values).astype("datetime64[ns]")
        start, end = middle - half, middle + half
    else:
        raise SchemaError(
            "light curve: expected time_bounds or integration_time; found neither in the dataset"
        )
    counts = np.asarray(ds["counts"].values, dtype=np.float64)
    if np.any(end <= start):
        where = int(np.argmax(end <= start))
        raise SchemaError(
            f"light curve: expected bins that end after they start; bin {where} starts {start[where]} "
            f"and ends {end[where]}; make the product again"
        )
    state = ds["rate_control_state"].values if "rate_control_state" in ds else np.zeros(len(start))
    curve = LightCurve(start, end, counts, np.asarray(state).astype(np.uint8))
    return _without_overlaps(curve)


def _dims(ds: xr.Dataset) -> str:
    return ", ".join(f"{name} {tuple(map(str, v.dims))}" for name, v in ds.data_vars.items()) or "nothing"


def _without_overlaps(curve: LightCurve) -> LightCurve:
    if len(curve) < 2:
        return curve
    order = np.argsort(curve.start, kind="stable")
    curve = curve.select(order)
    latest = np.maximum.accumulate(curve.end.astype(np.int64))
    width = (curve.end - curve.start).astype(np.int64)
    keep = np.ones(len(curve), dtype=bool)
    keep[1:] = latest[:-1] - curve.start[1:].astype(np.int64) <= width[1:] // 2
    return curve if keep.all() else curve.select(np.flatnonzero(keep))


def iter_segments(
    curve: LightCurve, *, start: np.datetime64 | None = None, end: np.datetime64 | None = None
) -> Iterator[LightCurve]:
    """The unbroken spans of a light curve, split where a step exceeds `GAP_BINS` bins.

    Parameters
    ----------
    curve
    start, end
        UTC, what was asked for: data that begin later than `start` follow a gap, data that stop before
        `end` precede one.
    """
    if not len(curve):
        return
    width = (curve.end - curve.start).astype(np.int64)
    free = (curve.start[1:] - curve.end[:-1]).astype(np.int64)
    slack = GAP_BINS - 1
    cuts = np.flatnonzero(free > slack * np.minimum(width[1:], width[:-1])) + 1
    limits = [0, *cuts.tolist(), len(curve)]
    late = start is not None and int((curve.start[0] - start).astype(np.int64)) > slack * width[0]
    early = end is not None and int((end - curve.end[-1]).astype(np.int64)) > slack * width[-1]
    for n, (first, last) in enumerate(pairwise(limits)):
        yield curve.select(slice(first, last), after_gap=n > 0 or late, before_gap=n < len(cuts) or early)


def to_even_bins(segment: LightCurve) -> LightCurve:
    """An unbroken span in bins of `BIN_S`; unchanged where its bins are that already.

    Counts are shared between bins in proportion to the overlap, so that sums are kept; a rest
    shorter than a bin at the end is left out, a span shorter than a bin becomes none.
    """
    width_s = (segment.end - segment.start).astype(np.int64) * 1e-9
    if np.all(np.abs(width_s - BIN_S) <= _UNEVEN * BIN_S):
        return segment
    origin = segment.start[0]
    edges_s = np.append(
        (segment.start - origin).astype(np.int64), (segment.end[-1] - origin).astype(np.int64)
    )
    edges_s = np.maximum.accumulate(edges_s * 1e-9)
    n_bins = int(edges_s[-1] / BIN_S + 1e-6)
    new_s = np.arange(n_bins + 1) * BIN_S
    sums = np.vstack([np.zeros(segment.counts.shape[1]), np.cumsum(segment.counts, axis=0)])
    counts = np.column_stack([np.diff(np.interp(new_s, edges_s, band)) for band in sums.T])
    nearest = np.clip(np.searchsorted(edges_s, new_s[:-1] + BIN_S / 2, "right") - 1, 0, len(segment) - 1)
    ticks = origin + np.round(new_s * 1e9).astype("timedelta64[ns]")
    return LightCurve(
        ticks[:-1],
        ticks[1:],
        counts,
        segment.rate_control_state[nearest],
        after_gap=segment.after_gap,
        before_gap=segment.before_gap,
    )


def smooth(values: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Unweighted moving mean along the first axis; the ends are continued with their own value.

    Parameters
    ----------
    values : (time, ...)
    points
        Odd number of bins in the mean.
    """
    half = points // 2
    padded = np.pad(values, [(half + 1, half)] + [(0, 0)] * (values.ndim - 1), mode="edge")
    sums = np.cumsum(padded, axis=0)
    mean: NDArray[np.float64] = (sums[2 * half + 1 :] - sums[: -(2 * half + 1)]) / (2 * half + 1)
    return mean


def attenuator_spans(curve: LightCurve) -> list[tuple[int, int]]:
    """First and one past the last bin of each time the attenuator was in (rate-control state above 0)."""
    inside = np.concatenate([[False], curve.rate_control_state > 0, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@dataclass(frozen=True)
class QuietStatistics:
    """What a band does while nothing happens, in counts per bin of `BIN_S`."""

    median: float
    std: float
    is_quiet: bool
    """Whether the spread is what counting alone makes: std < 3 sqrt(median)."""


def quiet_statistics(counts: NDArray[np.float64]) -> QuietStatistics:
    """Median and standard deviation of the counts of one band, and whether that is a quiet Sun.

    Parameters
    ----------
    counts : (time,), counts per bin
    """
    median, std = float(np.median(counts)), float(np.std(counts))
    return QuietStatistics(median, std, std < 3 * np.sqrt(median))


def reduce_min_max(values: NDArray[np.float64], n_out: int) -> NDArray[np.intp]:
    """Indices of a subset that keeps every visible extreme: smallest and largest of even stretches.

    Parameters
    ----------
    values : (time,)
    n_out
        About how many points may remain, at least 4; the first and last always do.

    Returns
    -------
    (n,), increasing; everything where there are no more than `n_out` points
    """
    n = len(values)
    if n <= n_out:
        return np.arange(n)
    n_blocks = max(n_out // 2 - 1, 1)
    size = -(-n // n_blocks)
    padded = np.pad(values, (0, n_blocks * size - n), mode="edge").reshape(n_blocks, size)
    base = np.arange(n_blocks) * size
    found = np.concatenate([[0, n - 1], base + padded.argmin(axis=1), base + padded.argmax(axis=1)])
    return np.unique(np.minimum(found, n - 1)).astype(np.intp)
