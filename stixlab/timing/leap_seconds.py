"""TAI - UTC since 1999, and the constant offset of terrestrial time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TT_MINUS_TAI_NS", "leap_steps", "tt_from_utc", "utc_from_tt"]

TT_MINUS_TAI_NS = 32_184_000_000
"""Terrestrial time minus atomic time, nanoseconds (IAU 1991)."""

_TABLE = (
    ("1999-01-01", 32),
    ("2006-01-01", 33),
    ("2009-01-01", 34),
    ("2012-07-01", 35),
    ("2015-07-01", 36),
    ("2017-01-01", 37),
)
"""First UTC day and TAI - UTC in seconds (IERS Bulletin C); none has been announced since."""

_STARTS = np.array([day for day, _ in _TABLE], dtype="datetime64[ns]").astype(np.int64)
_OFFSETS = np.array([seconds for _, seconds in _TABLE], dtype=np.int64) * 1_000_000_000 + TT_MINUS_TAI_NS


def tt_from_utc(utc_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Terrestrial time of UTC; both in nanoseconds since 1970-01-01T00:00 of their own scale."""
    return utc_ns + _offsets(_STARTS, utc_ns)


def utc_from_tt(tt_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """UTC of terrestrial time, nanoseconds; a leap second repeats the second before it."""
    return tt_ns - _offsets(_STARTS + _OFFSETS, tt_ns)


def leap_steps() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Terrestrial time (ns since 1970) from which each difference TT - UTC (ns) holds."""
    return _STARTS + _OFFSETS, _OFFSETS


def _offsets(starts: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64] | np.int64:
    if times.size and times.min() >= starts[-1]:
        return np.int64(_OFFSETS[-1])
    return _OFFSETS[np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)]
