"""On-board time and UTC for users: both ways, with the clock that was used and how accurate it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.client.onboard_times import NOT_SYNCHRONISED, UNSYNCHRONISED, format_scets, read_scet
from stixlab.errors import TimeError
from stixlab.timing import (
    ClockTable,
    format_scet,
    format_utc,
    parse_scet,
    parse_time,
    parse_utc,
    to_datetime,
)
from stixlab.vocabulary import FLIGHT

if TYPE_CHECKING:
    from stixlab.ephemeris.correlation import Clocks, ClockSource, ClockTime

__all__ = [
    "ConvertedTime",
    "ConvertedTimes",
    "convert_time",
    "convert_times",
]

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
    synchronised: bool = True
    """False if the top bit of an on-board time is set: the clock was not set then, and `utc` is that of the other bits,
    which may be off by any amount."""
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
        """Plain types; without an accuracy where the clock was not synchronised."""
        document = asdict(self)
        return document if self.synchronised else document | {"accuracy_s": None}

    def __str__(self) -> str:
        how_good = f"accurate to {self.accuracy_s:.3g} s" if self.synchronised else NOT_SYNCHRONISED
        told = f"{self.input}: {self.converted} by {self.clock} ({self.kind}), {how_good}"
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
    given, synchronised = _given(text, clock), True
    if given == "scet":
        shown = parse_scet(text)
        synchronised = not shown[0] & UNSYNCHRONISED
        coarse, fine = shown[0] & ~UNSYNCHRONISED, shown[1]
        utc = _one(clock.to_utc(coarse, fine))
    else:
        utc = parse_utc(text)
        coarse, fine = (int(v) for v in clock.to_scet(utc))
        shown = (coarse, fine)
    clocks = _clocks(clock)
    found = _answer(clocks, given, utc, coarse, fine)
    if synchronised and not _is_covered(clocks, found) and catalog is not None and archive is not None:
        packets = edds_clock(catalog, archive, utc)
        if packets is not None:
            clocks = _clocks_with(clock, packets)
            found = _answer(clocks, given, utc, coarse, fine)
    ticks = np.asarray((coarse << 16) + fine)
    used = clock.source_at(ticks)
    own = next(s for s in clocks.sources if s.table.source == used)
    better = None
    if synchronised and str(found.source) != used:
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
        scet=format_scet(*shown),
        utc=format_utc(utc),
        clock=used,
        kind=own.kind,
        accuracy_s=float(own.accuracy_s(ticks)),
        synchronised=synchronised,
        better=better,
    )


@dataclass(frozen=True, eq=False)
class ConvertedTimes:
    """Times on board and in UTC; arrays of the shape of what was given."""

    given: str
    """What the input was: ``utc`` or ``scet``."""
    utc: NDArray[np.datetime64]
    """datetime64[ns]."""
    scet_coarse: NDArray[np.uint32]
    """s, without the bit that says that the clock was not set."""
    scet_fine: NDArray[np.uint16]
    """1/65536 s."""
    clock: NDArray[np.str_]
    """The kernel, table or files that each was converted by."""
    kind: NDArray[np.str_]
    """``kernel`` or ``pairs`` (correlation table from published products)."""
    accuracy_s: NDArray[np.float64]
    """How far UTC may be off; infinite where the clock was not synchronised."""
    synchronised: NDArray[np.bool_]
    """False where the top bit of an on-board time is set."""
    better: ConvertedTimes | None = None
    """By the most trusted clock that covers each time, if that is not everywhere the clock of the products made here."""

    @property
    def best(self) -> ConvertedTimes:
        """The answer to be trusted most."""
        return self.better or self

    @property
    def scet(self) -> NDArray[np.str_]:
        """On-board times as ``coarse:fine``."""
        return format_scets(self.scet_coarse, self.scet_fine)


def convert_times(times: Any, clock: ClockTable) -> ConvertedTimes:
    """Times converted, with source and accuracy of each.

    Parameters
    ----------
    times
        UTC (text, datetime, numpy or astropy times) or on-board times (``coarse:fine`` or seconds), any shape.
    clock
        That of the products made here.

    Raises
    ------
    TimeError
        If one cannot be read, or some are UTC and some on-board times.
    """
    given = _all_given(times, clock)
    clocks = _clocks(clock)
    if given == "scet":
        coarse, fine, synchronised = read_scet(times)
        utc, best = clock.to_utc(coarse, fine), clocks.to_utc(coarse, fine)
    else:
        from stixlab.ephemeris.scales import as_times

        utc = as_times(times)
        coarse, fine = (part.astype(np.int64) for part in clock.to_scet(utc))
        synchronised, best = np.ones(utc.shape, dtype=bool), clocks.to_scet(utc)
    used, kind, accuracy_s = _own(clock, clocks, (coarse << 16) + fine)
    mine = ConvertedTimes(
        given=given,
        utc=np.asarray(utc),
        scet_coarse=coarse.astype(np.uint32),
        scet_fine=fine.astype(np.uint16),
        clock=used,
        kind=kind,
        accuracy_s=np.where(synchronised, accuracy_s, np.inf),
        synchronised=synchronised,
    )
    if (best.source == used).all():
        return mine
    better = ConvertedTimes(
        given=given,
        utc=best.utc,
        scet_coarse=best.coarse,
        scet_fine=best.fine,
        clock=best.source,
        kind=best.kind,
        accuracy_s=np.where(synchronised, best.accuracy_s, np.inf),
        synchronised=synchronised,
    )
    return replace(mine, better=better)


def _own(
    clock: ClockTable, clocks: Clocks, ticks: NDArray[np.int64]
) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.float64]]:
    """Source, kind and accuracy of the clock of the products at some on-board times."""
    tables = [p.table for p in clock.parts] or [clock]
    starts = [p.first_ticks for p in clock.parts[1:]]
    part = np.searchsorted(starts, ticks, side="right")
    sources = [next(s for s in clocks.sources if s.table.source == t.source) for t in tables]
    accuracy_s = np.choose(part, [s.accuracy_s(ticks) for s in sources])
    return np.array([t.source for t in tables])[part], np.array([s.kind for s in sources])[part], accuracy_s


def _all_given(times: Any, clock: ClockTable) -> str:
    """What all of some times are: ``utc`` or ``scet``."""
    values = times.to_numpy() if hasattr(times, "to_numpy") else times
    if hasattr(values, "scale"):  # astropy
        return "utc"
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        return "scet"
    if array.dtype.kind == "M":
        return "utc"
    kinds = {
        _given(str(v), clock) if isinstance(v, str | int | float) else "utc" for v in array.ravel().tolist()
    }
    if len(kinds) > 1:
        raise TimeError("times: expected all in UTC, or all on-board times; found both; convert them apart")
    return next(iter(kinds), "utc")


def _utc_text(time: Any) -> str:
    from stixlab.ephemeris.scales import as_times

    found = as_times(time)
    if found.ndim:
        raise TimeError(f"time: expected one time; found {found.size}; `convert_times` takes several")
    return str(np.datetime_as_string(found, unit="ns"))


def _given(text: str, clock: ClockTable) -> str:
    """What a text is that `parse_time` takes."""
    parse_time(text, clock)
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
