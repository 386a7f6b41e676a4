"""Of which time data are, and whether a day of them is all there: by its times, or by its spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_bits
from stixlab.timing import to_datetime

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Completeness", "completeness_of_day", "span_of_bins"]

_BINS = ("ql-lightcurve", "ql-background", "ql-variance", "ql-flareflag", "asp-ephemeris")
"""Products whose bins follow each other without a break: the length of a bin is the time to the next."""
_SAMPLES = ("hk-mini", "hk-maxi", "ql-spectra")
"""Products with a time, or a bin that is shorter than the time to the next, at a regular step."""
_SPECTRA = "ql-spectra"
_CALIBRATION = "cal-spectra"
_HOLE = 1.5
"""From this many steps on there is a hole between two bins."""
_EDGE = 1.05
"""From this many steps on a day is not reached: samples come up to a tenth of a second late."""
_AROUND = 4
"""The step at a sample is the median of its own and of this many on both sides."""
_SECOND, _MS = np.timedelta64(1, "s"), np.timedelta64(1, "ms")


@dataclass(frozen=True)
class Completeness:
    """What is known of whether everything that belongs to a product has arrived."""

    complete: bool | None
    """None where the data do not tell: of packets that are sent only when something happens."""
    why: str = ""
    """What is missing, in words; empty if nothing is."""


def completeness_of_day(parts: Sequence[xr.Dataset], day: np.datetime64) -> Completeness:
    """Whether some datasets are all there is of a product type on a UTC day.

    Parameters
    ----------
    parts
        Level 1, of one product type. Several if the energies changed within the day: together they cover it.
    day
        UTC, as `stixlab.products.merging.split_days` gives it.

    Notes
    -----
    A day has a hole where the next bin begins later than one and a half times the usual step, and is not reached where
    the first begins, or the last ends, more than a step from midnight. The usual step is the length of the bin; of
    samples, and of spectra that are taken of one detector after the other, the median of the steps around.
    """
    product = str(parts[0].attrs["product"])
    if product == _CALIBRATION:
        return _of_calibration(parts)
    if product not in (*_BINS, *_SAMPLES):
        return Completeness(None)
    bounds = np.concatenate([p["time_bounds"].to_numpy() for p in parts]).astype("datetime64[ns]")
    start, end = bounds[np.argsort(bounds[:, 0], kind="stable")].T
    lasts = end - start
    if product in _SAMPLES:
        lasts, end = _usual_steps(start), start
    found = _of_times(start, np.maximum.accumulate(end), lasts, day.astype("datetime64[D]"))
    return _of_detectors(parts) if found.complete and product == _SPECTRA else found


def _usual_steps(start: NDArray[np.datetime64]) -> NDArray[np.timedelta64]:
    """(n,) the usual time from each sample to the next; none of a single sample, of which it is not known."""
    steps = np.diff(start).astype(np.int64)
    if not len(steps):
        return np.zeros(len(start), dtype="timedelta64[ns]")
    around = np.pad(steps, _AROUND, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * _AROUND + 1)
    usual = np.median(windows, axis=1).astype(np.int64)
    return np.append(usual, usual[-1]).astype("timedelta64[ns]")


def _of_times(
    start: NDArray[np.datetime64],
    end: NDArray[np.datetime64],
    step: NDArray[np.timedelta64],
    day: np.datetime64,
) -> Completeness:
    """Whether bins cover a day.

    Parameters
    ----------
    start, step : (n,)
        In the order of time.
    end : (n,)
        The latest end of the bins up to each; of samples, the start.
    day
    """
    first, last = day.astype("datetime64[ns]"), (day + 1).astype("datetime64[ns]")
    low, high = np.concatenate([[first], end]), np.concatenate([start, [last]])
    nothing = np.zeros(1, dtype="timedelta64[ns]")
    rest = np.maximum(start + step - end, nothing)  # of a sample all of its step, of a bin nothing
    allowed = np.concatenate([[step[0] * _EDGE], (step * (_HOLE - 1) + rest)[:-1], [step[-1] * _EDGE]])
    gaps = np.flatnonzero(high - low > allowed)
    if not len(gaps):
        return Completeness(complete=True)
    low = low + np.concatenate([nothing, rest])
    total = float((high - low)[gaps].sum() / _SECOND)
    words = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps, the first"
    where = f"from {_iso(low[gaps[0]])} to {_iso(high[gaps[0]])}"
    return Completeness(complete=False, why=f"{total:.0f} s are missing: {words} {where}")


def _iso(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="s"))


def _of_detectors(parts: Sequence[xr.Dataset]) -> Completeness:
    """Whether each time has the spectrum of each detector of which there is one on that day."""
    valid = np.concatenate([p["counts_valid"].to_numpy().reshape(p.sizes["time"], -1) for p in parts])
    lost = valid.any(axis=0) & ~valid
    if not lost.any():
        return Completeness(complete=True)
    time = np.concatenate([p["time_bounds"].to_numpy()[:, 0] for p in parts])[lost.any(axis=1)].min()
    why = f"{int(lost.sum())} spectra of single detectors are missing: the first at {_iso(time)}"
    return Completeness(complete=False, why=why)


def _of_calibration(parts: Sequence[xr.Dataset]) -> Completeness:
    """Whether each run has a spectrum of each detector and pixel of its masks, in each of its sub-spectra."""
    n_missing = n_expected = n_runs = 0
    first = ""
    for ds in parts:
        arrays = {n: ds[n].to_numpy() for n in ("detector_mask", "pixel_mask", "subspectrum", "counts_valid")}
        detectors = mask_bits(arrays["detector_mask"], N_DETECTORS).astype(bool)
        pixels = mask_bits(arrays["pixel_mask"], N_PIXELS).astype(bool)
        asked = detectors[:, :, None] & pixels[:, None, :]
        begins = np.flatnonzero(np.diff(arrays["subspectrum"], prepend=0))
        received = np.logical_and.reduceat(arrays["counts_valid"], begins, axis=3)
        lost = (asked[..., None] & ~received).sum(axis=(1, 2, 3))
        n_missing, n_expected = n_missing + int(lost.sum()), n_expected + int(asked.sum()) * len(begins)
        if lost.any() and not first:
            first = _iso(ds["time_bounds"].to_numpy()[np.argmax(lost > 0), 0])
        n_runs += int((lost > 0).sum())
    if not n_missing:
        return Completeness(complete=True)
    runs = "the run" if n_runs == 1 else f"{n_runs} runs, the first"
    return Completeness(
        complete=False, why=f"{n_missing} of {n_expected} spectra are missing: {runs} from {first}"
    )


def span_of_bins(bounds: NDArray[np.datetime64]) -> tuple[datetime, datetime]:
    """Start and end such that ``[start, end)`` holds all bins, those without length too, in whole milliseconds.

    Parameters
    ----------
    bounds : (time, 2)
        UTC.
    """
    begin, last = bounds.min(), np.maximum(bounds[:, 1], bounds[:, 0] + _MS).max()
    end = last.astype("datetime64[ms]")
    return to_datetime(begin.astype("datetime64[ms]")), to_datetime(end + _MS if end < last else end)
