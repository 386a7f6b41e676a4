"""Intervals of time as people write them, checked, with an answer that says how to write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from stixlab.errors import TimeError
from stixlab.timing.texts import parse_utc

__all__ = ["Interval", "as_text", "read_interval", "read_time"]

_EARLIEST, _LATEST = np.datetime64("2020-01-01", "ns"), np.datetime64("2100-01-01", "ns")
_EXAMPLE = "2021-06-06 or 2021-06-06T12:30:00"


@dataclass(frozen=True)
class Interval:
    """From `start` up to, not including, `end`; UTC."""

    start: np.datetime64
    """UTC, nanoseconds."""
    end: np.datetime64
    """UTC, nanoseconds; later than `start`."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float((self.end - self.start) / np.timedelta64(1, "s"))

    def moved(self, days: int) -> Interval:
        """The same length, that many days later (earlier where negative)."""
        step = np.timedelta64(days, "D")
        return Interval(self.start + step, self.end + step)


def read_time(text: str, *, name: str = "time") -> np.datetime64:
    """A time as written: a day, or a day and a time of day; UTC.

    Parameters
    ----------
    text
        ``2021-06-06``, ``2021-06-06T12:30``, ``2021-06-06 12:30:05.5``; a ``Z`` at the end is welcome.
    name
        What the time is called in the message.

    Raises
    ------
    TimeError
        If it is written otherwise, does not exist, or lies outside 2020 to 2099.
    """
    try:
        time = parse_utc(text)
    except TimeError as error:
        raise TimeError(f"{name}: expected a UTC time such as {_EXAMPLE}; found {text[:40]!r}") from error
    if not _EARLIEST <= time < _LATEST:
        raise TimeError(f"{name}: expected a time from 2020 (the launch) to 2099; found {text[:40]!r}")
    return time


def read_interval(start: str, end: str, *, longest_days: float | None = None) -> Interval:
    """The interval between two times as written.

    Parameters
    ----------
    start, end
        As `read_time` takes them. An empty end means one day after the start.
    longest_days
        Longest interval allowed; none: any.

    Raises
    ------
    TimeError
        If a time cannot be read, the end is not after the start, or the interval is too long.
    """
    first = read_time(start, name="start")
    last = read_time(end, name="end") if end.strip() else first + np.timedelta64(1, "D")
    if last <= first:
        raise TimeError(f"end: expected a time after the start, {as_text(first)}; found {as_text(last)}")
    interval = Interval(first, last)
    days = interval.duration_s / 86_400
    if longest_days is not None and days > longest_days:
        raise TimeError(
            f"start and end: expected at most {longest_days:g} days between them; found {days:.1f}; "
            "ask for shorter pieces"
        )
    return interval


def as_text(time: np.datetime64 | datetime) -> str:
    """A time as people and links write it: whole days without a time of day, no fraction that is zero.

    A `datetime` with a zone is taken to UTC; one without is taken as UTC.
    """
    if isinstance(time, datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        time = np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "ns")
    text = str(time.astype("datetime64[ns]"))
    day, _, clock = text.partition("T")
    whole, _, fraction = clock.partition(".")
    if not fraction.strip("0"):
        return day if whole == "00:00:00" else f"{day}T{whole}"
    return f"{day}T{whole}.{fraction.rstrip('0')}"
