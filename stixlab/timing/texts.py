"""Times written by people and programs: read and written in one way everywhere."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import numpy as np

from stixlab.errors import TimeError
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = [
    "format_scet",
    "format_utc",
    "parse_scet",
    "parse_time",
    "parse_utc",
    "to_datetime",
    "to_datetime64",
]

_UTC = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2}|\d{4}\d{2}\d{2}(?=T|$))"
    r"(?:[T ](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,12}))?)?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?"
)
_SCET = re.compile(r"(?P<coarse>\d{1,10})(?::(?P<fine>\d{1,5})|\.(?P<decimal>\d+))?")
_FIRST_YEAR, _LAST_YEAR = 1970, 2200


def parse_utc(text: str) -> np.datetime64:
    """UTC (datetime64[ns]) of ISO 8601 text; a date alone means its midnight, no zone means UTC.

    Raises
    ------
    TimeError
        If the text is no time, or a time before 1970 or after 2200.

    Examples
    --------
    >>> parse_utc("2021-06-06T12:00:01.5Z")
    np.datetime64('2021-06-06T12:00:01.500000000')
    """
    match = _UTC.fullmatch(text.strip())
    if match is None:
        raise TimeError(
            f"time: expected UTC such as 2021-06-06 or 2021-06-06T12:00:01.5; found {text!r}", text=text
        )
    day = match["day"].replace("-", "")
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    try:
        moment = datetime(
            int(day[:4]), int(day[4:6]), int(day[6:]), hour, minute, second, tzinfo=_zone(match["zone"])
        )
    except ValueError as error:
        raise TimeError(
            f"time: expected a time that exists, such as 2021-06-06T12:00:01.5; found {text!r} ({error})",
            text=text,
        ) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise TimeError(f"time: expected a year in {_FIRST_YEAR}..{_LAST_YEAR}; found {text!r}", text=text)
    seconds = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)  # noqa: UP017
    fraction = int((match["fraction"] or "0")[:9].ljust(9, "0"))
    return np.datetime64(seconds * 1_000_000_000 + fraction, "ns")


def _zone(text: str | None) -> timezone:
    if text in {None, "Z", "UTC"}:
        return timezone.utc  # noqa: UP017
    assert text is not None
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def parse_scet(text: str) -> tuple[int, int]:
    """On-board time (coarse, fine) of ``coarse:fine``, ``coarse`` or decimal seconds.

    Raises
    ------
    TimeError
        If the text is none of them or does not fit the 32 and 16 bits of the clock.

    Examples
    --------
    >>> parse_scet("664148503:10710"), parse_scet("664148503.5")
    ((664148503, 10710), (664148503, 32768))
    """
    match = _SCET.fullmatch(text.strip())
    if match is None:
        raise TimeError(
            f"on-board time: expected seconds:fine such as 664148503:10710, or decimal seconds; found {text!r}",
            text=text,
        )
    fine = int(match["fine"] or 0)
    if match["decimal"]:
        digits = match["decimal"]
        scale: int = 10 ** len(digits)
        fine = (int(digits) * FINE_PER_SECOND + scale // 2) // scale
    ticks = int(match["coarse"]) * FINE_PER_SECOND + fine
    if ticks >> 48 or (match["fine"] and fine >= FINE_PER_SECOND):
        raise TimeError(
            f"on-board time: expected at most 4294967295 s and a fine part below 65536; found {text!r}",
            text=text,
        )
    return ticks >> 16, ticks & 0xFFFF


def parse_time(text: str, clock: ClockTable) -> np.datetime64:
    """UTC of text that is either UTC or on-board time (``664148503:10710``, ``664148503.5``).

    Raises
    ------
    TimeError
        If it is neither.
    """
    stripped = text.strip()
    is_day = re.fullmatch(r"(19|20|21)\d{6}", stripped)
    if _SCET.fullmatch(stripped) and not is_day:
        coarse, fine = parse_scet(stripped)
        return np.datetime64(int(clock.to_utc(coarse, fine).astype(np.int64)), "ns")
    if _UTC.fullmatch(stripped):
        return parse_utc(stripped)
    raise TimeError(
        "time: expected UTC such as 2021-06-06T12:00:01.5, or on-board time such as 664148503:10710; "
        f"found {text!r}",
        text=text,
    )


def format_utc(time: np.datetime64, *, digits: int = 6) -> str:
    """ISO 8601 text with `digits` decimals of a second (0 to 9), rounded, ending in Z.

    Raises
    ------
    TimeError
        If the time is not a time (NaT).
    """
    if np.isnat(time):
        raise TimeError("time: expected a time; found none (NaT)")
    nanoseconds = int(time.astype("datetime64[ns]").astype(np.int64))
    step = 10 ** (9 - digits)
    rounded = (nanoseconds + step // 2) // step * step
    text = str(np.datetime64(rounded, "ns"))
    return f"{text[: 20 + digits] if digits else text[:19]}Z"


def to_datetime(time: np.datetime64) -> datetime:
    """The same instant as a datetime with its zone, whole microseconds, towards the past."""
    microseconds = int(time.astype("datetime64[us]").astype(np.int64))
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=microseconds)  # noqa: UP017


def to_datetime64(time: str | datetime | np.datetime64) -> np.datetime64:
    """UTC (datetime64[ns]) of a time as people hand it over; a datetime without a zone is taken as UTC.

    Raises
    ------
    TimeError
        If it is a text that is no time.
    """
    if isinstance(time, np.datetime64):
        stamp: np.datetime64 = time.astype("datetime64[ns]")
        return stamp
    if isinstance(time, datetime):
        naive = time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time  # noqa: UP017
        return np.datetime64(naive, "ns")
    return parse_utc(str(time))


def format_scet(coarse: int, fine: int) -> str:
    """Text ``coarse:fine``, as in the headers of products.

    Examples
    --------
    >>> format_scet(664148503, 710)
    '0664148503:00710'
    """
    return f"{int(coarse):010d}:{int(fine):05d}"
