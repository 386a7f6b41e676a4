"""Identification of flares in the 4-10 keV quicklook light curve.

The method is that of the STIX data center (Xiao et al. 2023, A&A 673, A142): a smoothed light curve, its
background from clipping, peaks that stand out of it. What differs: the background is taken at the peak and
not as the least of the whole span; spans are never joined over data gaps; a second peak counts on its own
once half of the height over background has decayed between the two (the rule of the GOES event list).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import find_peaks

from stixlab.analysis.flares.attenuator import restore_attenuated
from stixlab.analysis.flares.envelope import background_level
from stixlab.analysis.lightcurves import (
    BIN_S,
    LightCurve,
    iter_segments,
    quiet_statistics,
    smooth,
    to_even_bins,
    to_light_curve,
)
from stixlab.model.flare import Flare
from stixlab.timing import to_datetime, to_datetime64
from stixlab.vocabulary import FLIGHT

__all__ = ["identify_flares"]

SMOOTHING_BINS = 15
"""Moving mean of 60 s."""
PEAK_DISTANCE_BINS = 75
"""Peaks closer than 300 s are one."""
ENVELOPE_HALF_BINS = 900
"""Half width of the widest peak that is no background: one hour."""
ENVELOPE_LEAST_BINS = 301
"""A span shorter than 20 min has no envelope; it is judged by its median, if it is quiet."""
PROMINENCE_SIGMA = 2.0
"""Least rise over the higher of the two neighbouring valleys."""
_BAND_SIGMA = 5.0
"""A band shows a flare when its smoothed counts exceed the quiet ones by this many of their scatter."""
_HALF = SMOOTHING_BINS // 2


@dataclass(frozen=True)
class _Baseline:
    """Background and its standard deviation for single bins, both (time,), counts per bin."""

    level: NDArray[np.float64]
    sigma: NDArray[np.float64]


@dataclass(frozen=True)
class _Event:
    """A flare by the bins of its span: first, brightest, last."""

    left: int
    peak: int
    right: int


def identify_flares(
    ds: xr.Dataset,
    *,
    threshold: float = 3.0,
    start: str | np.datetime64 | datetime | None = None,
    end: str | np.datetime64 | datetime | None = None,
) -> list[Flare]:
    """Flares whose peak lies in ``[start, end)``, in order of peak time.

    Parameters
    ----------
    ds : ``counts (time, energy)``, a quicklook light curve
        The first band, 4-10 keV, decides. Give an hour more on both sides of the range wanted, for the
        background. Bins that are not of 4 s are rescaled to 4 s.
    threshold
        Least height over the background, in standard deviations of the counts of one bin of 4 s.
    start, end
        UTC; all of the dataset where not given.

    Returns
    -------
    list of Flare
        Counts are per bin of 4 s. While the attenuator is in, the counts are the attenuated ones.

    Raises
    ------
    SchemaError
        If the dataset is no light curve.
    TimeError
        If a time given as text cannot be read.

    Notes
    -----
    A peak is left out when its span touches a data gap or it lies within 300 s of one, the distance under
    which two peaks are one: nobody can say what happened there. Data that begin after `start` or stop
    before `end` have a gap there too. At other limits of the dataset the span of a flare just ends.
    """
    first = None if start is None else to_datetime64(start)
    last = None if end is None else to_datetime64(end)
    origin = str(ds.attrs.get("origin", FLIGHT))
    flares: list[Flare] = []
    for segment in iter_segments(to_light_curve(ds), start=first, end=last):
        even = to_even_bins(segment)
        if len(even) <= 2 * SMOOTHING_BINS:
            continue
        flares += [
            f
            for f in _flares_of_segment(even, threshold, origin)
            if (first is None or to_datetime64(f.peak) >= first)
            and (last is None or to_datetime64(f.peak) < last)
        ]
    return sorted(flares, key=lambda f: f.peak)


def _flares_of_segment(segment: LightCurve, threshold: float, origin: str) -> list[Flare]:
    """Flares of one unbroken span of even bins."""
    observed = smooth(segment.counts, SMOOTHING_BINS)
    quick = segment.counts[:, 0]
    restored = restore_attenuated(segment, quick)
    curve = observed[:, 0] if restored is quick else smooth(restored, SMOOTHING_BINS)
    base = _baseline(curve, quick)
    if base is None:
        return []
    peaks, _ = find_peaks(
        curve,
        height=base.level + threshold * base.sigma,
        prominence=PROMINENCE_SIGMA * base.sigma,
        width=SMOOTHING_BINS,
        rel_height=0.9,
        distance=PEAK_DISTANCE_BINS,
    )
    events = [e for e in _spans(curve, base, peaks) if _is_whole(e, segment)]
    if not events:
        return []
    quiet = _quiet_bins(curve, base)
    return [_measure(e, segment, observed, base, quiet=quiet, origin=origin) for e in events]


def _baseline(curve: NDArray[np.float64], counts: NDArray[np.float64]) -> _Baseline | None:
    """Background of a span; of a short one only if it is quiet."""
    if len(curve) >= ENVELOPE_LEAST_BINS:
        level = background_level(curve, block=SMOOTHING_BINS, half_window=ENVELOPE_HALF_BINS)
        return _Baseline(level, np.sqrt(np.maximum(level, 1.0)))
    quiet = quiet_statistics(counts)
    if quiet.std >= 2 * np.sqrt(quiet.median):
        return None
    return _Baseline(np.full(len(curve), quiet.median), np.full(len(curve), max(quiet.std, 1.0)))


def _spans(curve: NDArray[np.float64], base: _Baseline, peaks: NDArray[np.intp]) -> list[_Event]:
    """Span of each peak that counts on its own, from the highest down."""
    above = curve >= base.level + base.sigma
    height = curve - base.level
    events: list[_Event] = []
    for peak in sorted(peaks.tolist(), key=lambda p: -height[p]):
        left, right = _run_around(above, peak)
        rivals = [e for e in events if left <= e.peak <= right]
        before = max((e.peak for e in rivals if e.peak < peak), default=None)
        after = min((e.peak for e in rivals if e.peak > peak), default=None)
        valleys = [_valley(height, *sorted((peak, e))) for e in (before, after) if e is not None]
        if any(height[v] > height[peak] / 2 for v in valleys):
            continue
        left = max([left, *(v + 1 for v in valleys if v < peak)])
        right = min([right, *(v for v in valleys if v > peak)])
        events = [_cut(e, peak, height) for e in events]
        events.append(_Event(left, peak, right))
    return sorted(events, key=lambda e: e.peak)


def _run_around(above: NDArray[np.bool_], peak: int) -> tuple[int, int]:
    """First and last bin of the run of true values around a peak; 60 s where there is none."""
    off = np.flatnonzero(~above)
    at = int(np.searchsorted(off, peak))
    left = int(off[at - 1]) + 1 if at > 0 else 0
    right = int(off[at]) - 1 if at < len(off) else len(above) - 1
    if left >= right:
        left, right = max(peak - _HALF, 0), min(peak + _HALF, len(above) - 1)
    return left, right


def _valley(height: NDArray[np.float64], first: int, last: int) -> int:
    return first + int(np.argmin(height[first : last + 1]))


def _cut(event: _Event, peak: int, height: NDArray[np.float64]) -> _Event:
    """An event that ends where the rise to a later accepted peak within its span begins, or starts after it."""
    if not event.left <= peak <= event.right:
        return event
    valley = _valley(height, *sorted((peak, event.peak)))
    if peak < event.peak:
        return _Event(max(event.left, valley + 1), event.peak, event.right)
    return _Event(event.left, event.peak, min(event.right, valley))


def _is_whole(event: _Event, segment: LightCurve) -> bool:
    """Whether neither gap nor limit of the data reaches into what makes the event one."""
    last = len(segment) - 1
    if event.peak - _HALF <= 0 or event.peak + _HALF >= last:
        return False
    starts_seen = event.left > _HALF and event.peak >= PEAK_DISTANCE_BINS
    ends_seen = event.right < last - _HALF and event.peak <= last - PEAK_DISTANCE_BINS
    return (starts_seen or not segment.after_gap) and (ends_seen or not segment.before_gap)


def _quiet_bins(curve: NDArray[np.float64], base: _Baseline) -> NDArray[np.bool_]:
    """Bins without a flare: within one standard deviation of the background."""
    quiet: NDArray[np.bool_] = curve < base.level + base.sigma
    return quiet


def _measure(
    event: _Event,
    segment: LightCurve,
    observed: NDArray[np.float64],
    base: _Baseline,
    *,
    quiet: NDArray[np.bool_],
    origin: str,
) -> Flare:
    """Everything the record of a flare says, from the bins of its span."""
    span = slice(event.left, event.right + 1)
    counts = segment.counts[span]
    background = float(base.level[event.peak])
    peak_counts = float(observed[span, 0].max())
    start, end = to_datetime(segment.start[event.left]), to_datetime(segment.end[event.right])
    peak = to_datetime(segment.middle[event.peak])
    total = float(counts[:, 0].sum())
    return Flare(
        flare_id=f"{peak:%y%m%d%H%M}",
        origin=origin,
        start=start,
        peak=peak,
        end=end,
        duration=(end - start).total_seconds(),
        peak_counts=peak_counts,
        background_counts=background,
        significance=(peak_counts - background) / float(base.sigma[event.peak]),
        total_counts=total,
        signal_counts=total - float(base.level[span].sum()),
        peak_counts_by_band=tuple(float(v) for v in counts.max(axis=0)),
        upper_band=_upper_band(event, observed, quiet),
        attenuator=bool((segment.rate_control_state[span] > 0).any()),
    )


def _upper_band(event: _Event, observed: NDArray[np.float64], quiet: NDArray[np.bool_]) -> int:
    """Highest band whose smoothed counts exceed its quiet ones of an hour around the flare."""
    hour = round(3600 / BIN_S)
    near = slice(max(event.left - hour, 0), event.right + hour)
    calm = observed[near][quiet[near]]
    if len(calm) < 2 * SMOOTHING_BINS:
        calm = observed[quiet]
    if len(calm) < 2 * SMOOTHING_BINS:
        return 0
    level = np.median(calm, axis=0)
    scatter = 1.4826 * np.median(np.abs(calm - level), axis=0)
    scatter = np.maximum(scatter, np.sqrt(np.maximum(level, 1.0) / SMOOTHING_BINS))
    excess = observed[event.left : event.right + 1].max(axis=0) - level
    shown = np.flatnonzero(excess > _BAND_SIGMA * scatter)
    return int(shown[-1]) if len(shown) else 0
