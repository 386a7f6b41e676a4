"""Times of spacecraft and Earth in the scale in which things move: barycentric dynamical time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import TimeError
from stixlab.timing import to_datetime64
from stixlab.timing.leap_seconds import tt_from_utc

__all__ = ["as_times", "from_dynamical", "to_dynamical"]

_J2000_NS = int(np.datetime64("2000-01-01T12:00:00", "ns").astype(np.int64))
_K, _EB, _M0, _M1 = 1.657e-3, 1.671e-2, 6.239996, 1.99096871e-7
"""Periodic difference TDB - TT: amplitude (s), eccentricity, mean anomaly at J2000 and its rate (NAIF leap second kernel)."""


def as_times(time: Any) -> NDArray[np.datetime64]:
    """UTC of a time, or of several, as people and programs hand them over.

    Parameters
    ----------
    time
        ISO text, datetime, numpy time, an astropy Time, or a sequence or array of them.

    Returns
    -------
    same shape, datetime64[ns]

    Raises
    ------
    TimeError
        If one of them is no time.
    """
    if hasattr(time, "scale") and hasattr(time, "datetime64"):
        time = time.utc.datetime64
    elif hasattr(time, "to_numpy"):
        time = time.to_numpy()
    if isinstance(time, np.ndarray) and not time.ndim and time.dtype.kind != "M":
        time = time.item()
    if isinstance(time, str | datetime | np.datetime64):
        found = np.asarray(to_datetime64(time))
    elif isinstance(time, np.ndarray) and time.dtype.kind == "M":
        found = time.astype("datetime64[ns]")
    elif isinstance(time, Iterable):
        items = np.asarray([to_datetime64(t) for t in time], dtype="datetime64[ns]")
        found = items
    else:
        raise TimeError(
            f"time: expected UTC such as 2021-06-06T12:00:01.5, or a list of them; found {time!r}"
        )
    if np.isnat(found).any():
        raise TimeError("time: expected times; found some that are none (NaT)")
    return found


def to_dynamical(utc: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Seconds of dynamical time since J2000, as SPICE counts them ("ET"), to a microsecond.

    Parameters
    ----------
    utc : any shape, datetime64[ns]

    Returns
    -------
    same shape, s
    """
    tt = (tt_from_utc(np.asarray(utc).astype(np.int64)) - _J2000_NS) / 1e9
    anomaly = _M0 + _M1 * tt
    return np.asarray(tt + _K * np.sin(anomaly + _EB * np.sin(anomaly)))


def from_dynamical(seconds: float) -> np.datetime64:
    """UTC of dynamical seconds since J2000, to a microsecond; the inverse of `to_dynamical` for one time."""
    guess = np.datetime64(round((seconds - 69.184) * 1e6) * 1000 + _J2000_NS, "ns")
    late = seconds - float(to_dynamical(np.asarray(guess)))
    return guess + np.timedelta64(round(late * 1e6) * 1000, "ns")
