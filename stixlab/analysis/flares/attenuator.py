"""Light curves while the attenuator is in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.analysis.lightcurves import LightCurve, attenuator_spans

__all__ = ["restore_attenuated"]

_REFERENCE_BINS = 5
"""Bins on each side of a motion that say how much it took away: 20 s."""
_MOTION_BINS = 1
"""Bins beside a change of state that the motion itself may have spoilt."""


def restore_attenuated(curve: LightCurve, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts of one band as they would be without the attenuator, good enough to find one flare as one.

    Parameters
    ----------
    curve
        Even bins with their rate-control state.
    counts : (time,), counts per bin

    Returns
    -------
    (time,), counts per bin
        The very array given where the attenuator never was in. Within such a span the counts are scaled
        so that they join those just before and just after; the factor changes exponentially in between.
        Not for photometry: the true factor depends on the spectrum.
    """
    spans = attenuator_spans(curve)
    if not spans:
        return counts
    restored = counts.copy()
    for first, last in spans:
        inner_first, inner_last = max(first - _MOTION_BINS, 0), min(last + _MOTION_BINS, len(counts))
        before = _factor(
            counts[:inner_first][-_REFERENCE_BINS:], counts[first + _MOTION_BINS : last][:_REFERENCE_BINS]
        )
        after = _factor(
            counts[inner_last:][:_REFERENCE_BINS], counts[first : last - _MOTION_BINS][-_REFERENCE_BINS:]
        )
        if before is None and after is None:
            continue
        before, after = before or after or 1.0, after or before or 1.0
        share = np.linspace(0.0, 1.0, last - first)
        restored[first:last] = counts[first:last] * before ** (1 - share) * after**share
    return restored


def _factor(out: NDArray[np.float64], inside: NDArray[np.float64]) -> float | None:
    """How many times larger the counts are with the attenuator out, at least 1; None without bins to tell."""
    if not len(out) or not len(inside):
        return None
    return float(max(np.max(out) / max(np.median(inside), 1.0), 1.0))
