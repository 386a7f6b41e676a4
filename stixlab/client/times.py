"""On-board time and UTC for users: both ways, with the clock that was used and how accurate it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.errors import TimeError
from stixlab.timing import ClockTable, format_scet, format_utc, parse_scet, parse_time, parse_utc, to_datetime
from stixlab.vocabulary import FLIGHT

if TYPE_CHECKING:
    from stixlab.ephemeris.correlation import Clocks, ClockSource, ClockTime

__all__ = ["ConvertedTime", "convert_time"]

_AROUND = timedelta(days=3)
"""Packets of that time around say what the clock showed."""
_MOST_FILES = 50
_EDDS_KIND = "edds-tm"


@dataclass(frozen=True)
class ConvertedTime:
    """A time on board and in UTC, by one clock."""

    input: str
    given: str
    """What the input was: ``utc`` or ``scet``."""
    scet: str
    """``coarse:fine``."""
    utc: str
    clock: str
    """The kernel, table or files that it was converted by."""
    kind: str
    """``kernel``, ``pairs`` (correlation table from published products) or ``edds`` (times of the control centre)."""
    accuracy_s: float
    """How far UTC may be off."""
    better: ConvertedTime | None = None
    """By the most trusted clock that covers the time, where that is not the clock of the products made here."""

    @property
    def best(self) -> ConvertedTime:
        """The answer to be trusted most."""
        return self.better or self

    @property
    def converted(self) -> str:
        """The other of the two: UTC of an on-board time, on-board time of a UTC."""
        return self.scet if self.given == "utc" else self.utc

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    def __str__(self) -> str:
        told = f"{self.input}: {self.converted} by {self.clock} ({self.kind}), accurate to {self.accuracy_s:.3g} s"
        return f"{told}; {self.better}" if self.better else told


def convert_time(time: Any, clock: ClockTable, *, catalog: Any = None, archive: Any = None) -> ConvertedTime:
    """A time converted, with its source and accuracy.

    Parameters
    ----------
    time
        On-board time (``coarse:fine`` or seconds), or UTC.
    clock
        That of the products made here.
    catalog, archive
        For the times that the control centre put beside the packets, asked where kernel and table do not reach.

    Raises
    ------
    TimeError
        If it cannot be read.
    """
    text = str(time) if isinstance(time, str | int | float | np.number) else _utc_text(time)
    utc = parse_time(text, clock)
    given = _given(text)
    coarse, fine = parse_scet(text) if given == "scet" else tuple(int(v) for v in clock.to_scet(utc))
    clocks = _clocks(clock)
    found = _answer(clocks, given, utc, coarse, fine)
    if not _is_covered(clocks, found) and catalog is not None and archive is not None:
        packets = edds_clock(catalog, archive, utc)
        if packets is not None:
            clocks = _clocks_with(clock, packets)
            found = _answer(clocks, given, utc, coarse, fine)
    own = clocks.sources[0]
    ticks = np.asarray((coarse << 16) + fine)
    better = None
    if str(found.source) != clock.source:
        better = ConvertedTime(
            input=text,
            given=given,
            scet=format_scet(int(found.coarse), int(found.fine)),
            utc=format_utc(_one(found.utc)),
            clock=str(found.source),
            kind=str(found.kind),
            accuracy_s=float(found.accuracy_s),
        )
    return ConvertedTime(
        input=text,
        given=given,
        scet=format_scet(coarse, fine),
        utc=format_utc(utc),
        clock=clock.source,
        kind=own.kind,
        accuracy_s=float(own.accuracy_s(ticks)),
        better=better,
    )


def _utc_text(time: Any) -> str:
    from stixlab.ephemeris.scales import as_times

    found = as_times(time)
    if found.ndim:
        raise TimeError(f"time: expected one time; found {found.size}; convert each by itself")
    return str(np.datetime_as_string(found, unit="ns"))


def _given(text: str) -> str:
    """What a text is that `parse_time` takes."""
    try:
        parse_utc(text)
    except TimeError:
        return "scet"
    return "utc"


def _one(utc: Any) -> np.datetime64:
    return np.datetime64(int(np.asarray(utc).astype("datetime64[ns]").astype(np.int64)), "ns")


def _answer(clocks: Clocks, given: str, utc: np.datetime64, coarse: int, fine: int) -> ClockTime:
    return clocks.to_scet(utc) if given == "utc" else clocks.to_utc(coarse, fine)


def _is_covered(clocks: Clocks, found: ClockTime) -> bool:
    ticks = np.asarray((int(found.coarse) << 16) + int(found.fine))
    return any(bool(s.covers(ticks)) for s in clocks.sources if s.table.source == str(found.source))


def edds_clock(catalog: Any, archive: Any, utc: np.datetime64) -> ClockSource | None:
    """Clock of the times beside the packets of the days around a time; None if there are too few packets.

    Raises
    ------
    FormatError
        If stored packets are damaged.
    CatalogError
        If the database does not answer.
    """
    from stixlab.ephemeris.correlation import clock_from_edds

    middle = to_datetime(utc)
    files = catalog.raw_files.find(
        start=middle - _AROUND, end=middle + _AROUND, kind=_EDDS_KIND, origin=FLIGHT, brief=True
    )
    names = ("scet_coarse", "scet_fine", "generation_time", "synchronised")
    parts: list[list[np.ndarray]] = [[] for _ in names]
    for each in files[:_MOST_FILES]:
        if archive.has_packets(each.sha256):
            packets = archive.open_packets(each.sha256)
            for part, name in zip(parts, names, strict=True):
                part.append(np.asarray(packets[name]))
    if not parts[0]:
        return None
    coarse, fine, generated, synchronised = (np.concatenate(p) for p in parts)
    try:
        return clock_from_edds(
            coarse, fine, generated.astype("datetime64[ns]"), synchronised=synchronised.astype(bool)
        )
    except TimeError:  # packets of a few hours say nothing about the rate
        return None


@lru_cache(maxsize=4)
def _clocks(clock: ClockTable) -> Clocks:
    from stixlab.ephemeris.correlation import Clocks

    return Clocks.of(clock)


def _clocks_with(clock: ClockTable, other: ClockSource) -> Clocks:
    from stixlab.ephemeris.correlation import Clocks

    return Clocks.of(clock, other)
