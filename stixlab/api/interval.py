"""Intervals as the stores take them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from stixlab.timing.intervals import Interval

__all__ = ["as_datetimes"]


def as_datetimes(interval: Interval) -> tuple[datetime, datetime]:
    """Start and end as aware `datetime`, UTC, cut to microseconds."""
    return _moment(interval.start), _moment(interval.end)


def _moment(time: np.datetime64) -> datetime:
    moment = time.astype("datetime64[us]").item()
    assert isinstance(moment, datetime)
    return moment.replace(tzinfo=UTC)
