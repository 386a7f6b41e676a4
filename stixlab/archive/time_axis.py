"""The time axis of a span of years: an index that reads the times of a day only when something in that day is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray.core.indexing import IndexSelResult
from xarray.indexes import PandasIndex

from stixlab.archive.stored_arrays import Part, Stretch, read_times
from stixlab.errors import ParameterError

__all__ = ["TimeAxis", "is_short", "narrow"]

_Method = Literal["backfill", "bfill", "ffill", "pad", "nearest"]
_SHORT_PARTS, _SHORT_TIMES = 40, 1 << 20
"""Axes of no more days and bins are read at once and indexed by pandas, as xarray does by itself."""


def is_short(parts: Sequence[Part]) -> bool:
    """Whether an axis is read at once."""
    return len(parts) <= _SHORT_PARTS and sum(map(len, parts)) <= _SHORT_TIMES


def narrow(parts: Sequence[Part], start: int, stop: int) -> list[Part]:
    """The bins from `start` to `stop` of several stretches, one behind the other."""
    found, at = [], 0
    for part in parts:
        first, last = max(start - at, 0), min(stop - at, len(part))
        if first < last:
            found.append(part.narrowed(first, last))
        at += len(part)
    return found


class TimeAxis(xr.Index):
    """Index of a long time axis; selections from it that are short are indexed by pandas.

    Parameters
    ----------
    parts
        Stretches of datasets, each within one UTC day, in the order of time.
    dim
        Name of the dimension.
    """

    def __init__(self, parts: Sequence[Part], dim: str = "time") -> None:
        self.parts = tuple(parts)
        self.dim = dim
        self._edges = np.concatenate([[0], np.cumsum([len(p) for p in self.parts], dtype=np.int64)])
        self._days = np.array([p.day for p in self.parts], dtype="datetime64[D]")

    def __len__(self) -> int:
        return int(self._edges[-1])

    def create_variables(self, variables: Mapping[Any, xr.Variable] | None = None) -> dict[Any, xr.Variable]:
        """The coordinate; its values stay on the disk."""
        found = (variables or {}).get(self.dim)
        if found is not None and found.shape == (len(self),):
            return {self.dim: found}
        attrs = None if found is None else found.attrs
        return {self.dim: xr.Variable(self.dim, Stretch(self.parts).array("time", "datetime64[ns]"), attrs)}

    def to_pandas_index(self) -> pd.Index:
        """All times, read."""
        return pd.DatetimeIndex(read_times(self.parts), name=self.dim)

    def equals(self, other: xr.Index, **_: Any) -> bool:
        """Whether it is the same axis."""
        return isinstance(other, TimeAxis) and (self.parts, self.dim) == (other.parts, other.dim)

    def rename(self, name_dict: Mapping[Any, Any], dims_dict: Mapping[Any, Any]) -> TimeAxis:  # noqa: ARG002
        """The same under another name."""
        return TimeAxis(self.parts, name_dict.get(self.dim, self.dim))

    def isel(self, indexers: Mapping[Any, Any]) -> xr.Index | None:
        """Index of some bins, by number; None for a single one."""
        key = indexers[self.dim]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            chosen = narrow(self.parts, start, stop)
            if step == 1:
                return self._pandas(read_times(chosen)) if is_short(chosen) else TimeAxis(chosen, self.dim)
            return self._pandas(read_times(self.parts)[key])
        values = np.asarray(key)
        if values.ndim != 1:
            return None
        return self._pandas(read_times(self.parts)[values])

    def _pandas(self, times: NDArray[np.datetime64]) -> PandasIndex:
        return PandasIndex(pd.DatetimeIndex(times), self.dim)

    def sel(
        self, labels: dict[Any, Any], method: _Method | None = None, tolerance: Any = None
    ) -> IndexSelResult:
        """Numbers of the bins at some times; of the days at the edges of what is asked for the times are read.

        Raises
        ------
        KeyError
            If there is no bin at a time.
        ParameterError
            If a slice has a step that is no number.
        """
        label = labels[self.dim]
        if isinstance(label, slice):
            if label.step is not None and not isinstance(label.step, int):
                raise ParameterError(f"{self.dim}: expected a whole number as step; found {label.step!r}")
            low = 0 if label.start is None else self._position(_bounds(label.start)[0], "left")
            high = len(self) if label.stop is None else self._position(_bounds(label.stop)[1], "right")
            return IndexSelResult({self.dim: slice(low, high, label.step)})
        values = getattr(label, "values", label)
        if np.ndim(values) == 0:
            return IndexSelResult({self.dim: self._one(values, method, tolerance)})
        wanted = pd.DatetimeIndex(np.asarray(values))
        found = pd.DatetimeIndex(read_times(self.parts)).get_indexer(
            wanted, method=method, tolerance=tolerance
        )
        if (found < 0).any():
            raise KeyError(f"not all values found in index {self.dim!r}")
        return IndexSelResult({self.dim: found})

    def _one(self, value: Any, method: _Method | None, tolerance: Any) -> int | slice:
        first, last = _bounds(value)
        low, high = self._position(first, "left"), self._position(last, "right")
        if method is None:
            # As pandas has it: a stretch of time between two bins is empty, one beyond all bins is an error.
            if low == high and (first == last or low in (0, len(self))):
                raise KeyError(value)
            return low if first == last else slice(low, high)
        around = slice(max(low - 1, 0), min(low + 2, len(self)))
        times = pd.DatetimeIndex(read_times(narrow(self.parts, around.start, around.stop)))
        found = int(times.get_indexer(pd.DatetimeIndex([first]), method=method, tolerance=tolerance)[0])
        if found < 0:
            raise KeyError(value)
        return around.start + found

    def _position(self, time: np.datetime64, side: str) -> int:
        """How many bins lie before a time (``left``), or before or at it (``right``)."""
        day = time.astype("datetime64[D]")
        first = int(np.searchsorted(self._days, day, "left"))
        last = int(np.searchsorted(self._days, day, "right"))
        if first == last:
            return int(self._edges[first])
        times = read_times(self.parts[first:last])
        return int(self._edges[first] + np.searchsorted(times, time, side=side))  # type: ignore[call-overload]  # numpy wants a literal


def _bounds(value: Any) -> tuple[np.datetime64, np.datetime64]:
    """First and last moment that a label means: ``2021-06-06`` is a day, ``2021-06-06T12`` an hour."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.dtype.kind not in "Mm" else value[()]
    if isinstance(value, str):
        period = pd.Period(value)
        if period.start_time != pd.Timestamp(value):  # finer than a period can be
            return pd.Timestamp(value).to_datetime64(), pd.Timestamp(value).to_datetime64()
        return period.start_time.to_datetime64(), period.end_time.to_datetime64()
    if not isinstance(value, np.datetime64 | pd.Timestamp | datetime | date):
        raise KeyError(value)
    moment = pd.Timestamp(value)
    moment = moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo is not None else moment
    time = moment.to_datetime64().astype("datetime64[ns]")
    return time, time
