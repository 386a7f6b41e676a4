"""Of which time the data in packets of bulk science are; the time of the packet is that of its dump."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.decode import Columns

__all__ = ["data_spans", "first_values", "start_offsets", "time_stamps"]

_STAMP, _STAMP_COARSE_ONLY = "NIX00402", 1 << 32
_OFFSETS = ("NIX00404", "NIX00441")
"""Start of a time bin behind the time stamp, 0.1 s; which of them a structure has depends on its version."""
_DURATION, _CLOSING = "NIX00405", "NIX00269"
_COARSE, _FINE = "NIX00445", "NIX00446"
_SUMMED, _AVERAGED, _SAMPLES = "NIX00088", "NIX00490", "NIX00089"
_TICKS = 65536


def first_values(columns: Columns, name: str, default: int = 0) -> NDArray[np.int64]:
    """(n,) the first value of a parameter in each packet; `default` where the packet (or the structure) has none.

    A parameter of 48 bits is given as one integer.
    """
    found = np.full(len(columns), default, dtype=np.int64)
    if name in columns:
        splits = columns.splits[name]
        there = np.flatnonzero(np.diff(splits) > 0)
        found[there] = _as_integers(columns[name][splits[there]])
    return found


def _as_integers(values: NDArray[Any]) -> NDArray[np.int64]:
    """Values as integers; long fields are rows of bytes, the highest first."""
    if values.ndim == 1:
        return values.astype(np.int64)
    weights = 1 << 8 * np.arange(values.shape[1] - 1, -1, -1, dtype=np.int64)
    return np.asarray(values.astype(np.int64) @ weights, dtype=np.int64)


def time_stamps(columns: Columns) -> NDArray[np.int64]:
    """(n,) time stamp that all packets of a request share, on-board ticks of 1/65536 s; -1 where there is none.

    The oldest packets give whole seconds only.
    """
    stamp = first_values(columns, _STAMP, -1)
    return np.where((stamp >= 0) & (stamp < _STAMP_COARSE_ONLY), stamp << 16, stamp)


def start_offsets(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts of the time bins behind the time stamp, 0.1 s, and the (n + 1,) parts of the packets in them.

    Versions of a structure have them under different names.
    """
    return _either(columns, _OFFSETS)


def data_spans(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of the data in each packet.

    Returns
    -------
    start, end : (n,), on-board ticks of 1/65536 s
        -1 in both where a packet holds no data. The end of a spectrogram is the start of its last bin
        and the closing offset.
    """
    if _SUMMED in columns:
        return _aspect(columns)
    begins, splits = _either(columns, _OFFSETS)
    ends = begins
    if _DURATION in columns and len(columns[_DURATION]) == len(begins):
        ends = begins + columns[_DURATION]
    stamp = time_stamps(columns)
    low, high = _reduce(np.minimum, begins, splits), _reduce(np.maximum, ends, splits)
    if _CLOSING in columns:
        closing = columns[_CLOSING].astype(np.int64)
        high = high + np.maximum(_reduce(np.maximum, closing, columns.splits[_CLOSING]), 0)
    there = (low >= 0) & (stamp >= 0)
    return tuple(np.where(there, stamp + tenths * _TICKS // 10, -1) for tenths in (low, high))  # type: ignore[return-value]


def _aspect(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Photodiodes are read once a millisecond, summed, and averaged."""
    n_samples = first_values(columns, _SAMPLES)
    start = first_values(columns, _COARSE) << 16 | first_values(columns, _FINE)
    step_ms = first_values(columns, _SUMMED) * first_values(columns, _AVERAGED)
    there = n_samples > 0
    return np.where(there, start, -1), np.where(there, start + n_samples * step_ms * _TICKS // 1000, -1)


def _either(columns: Columns, names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values of whichever of some parameters a packet has, and where each packet's part is."""
    present = [n for n in names if n in columns and len(columns[n])]
    if not present:
        return np.zeros(0, dtype=np.int64), np.zeros(len(columns) + 1, dtype=np.int64)
    if len(present) == 1:
        return columns[present[0]].astype(np.int64), columns.splits[present[0]]
    counts = [columns.counts(n) for n in present]
    splits = np.zeros(len(columns) + 1, dtype=np.int64)
    np.cumsum(np.sum(counts, axis=0), out=splits[1:])
    values = np.zeros(splits[-1], dtype=np.int64)
    at = splits[:-1].copy()
    for name, count in zip(present, counts, strict=True):
        shift = np.repeat(at - columns.splits[name][:-1], count)
        values[np.arange(len(shift)) + shift] = columns[name]
        at += count
    return values, splits


def _reduce(function: np.ufunc, values: NDArray[np.int64], splits: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) smallest or largest value of each packet; -1 where it has none."""
    found = np.full(len(splits) - 1, -1, dtype=np.int64)
    there = np.flatnonzero(np.diff(splits) > 0)
    if len(there):
        found[there] = function.reduceat(values, splits[there])
    return found
