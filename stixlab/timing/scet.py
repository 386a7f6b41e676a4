"""On-board time (SCET) to UTC and back, for whole arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.compiled import get_kernel, is_worth_calling
from stixlab.errors import TimeError
from stixlab.timing.kernels import fill_bin_ticks, fill_utc
from stixlab.timing.leap_seconds import leap_steps, tt_from_utc, utc_from_tt

__all__ = ["CLOCK_DRIFT", "FINE_PER_SECOND", "ClockPart", "ClockTable", "bin_ticks", "normalise_scet"]

FINE_PER_SECOND = 65536
"""Units of the fine part in one on-board second."""
CLOCK_DRIFT = 2e-7
"""By how much the rate of the clock changes with the months, s/s: the kernel of 2020-09, continued, was off by
5.7 s in 2022-11 (8e-8) and 12.6 s in 2024-03 (1.2e-7)."""
_NS = 1_000_000_000
_PIECE = 1 << 15
"""Times converted at once, so that what is computed in between stays in the cache."""
_J2000_NS = int(np.datetime64("2000-01-01T12:00:00", "ns").astype(np.int64))


def normalise_scet(coarse: ArrayLike, fine: ArrayLike) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """On-board time with the fine part in 0..65535, carried into the seconds.

    Raises
    ------
    TimeError
        If the time lies before the start of the clock or beyond its 32 bits.
    """
    ticks = np.asarray(coarse).astype(np.int64) * FINE_PER_SECOND + np.asarray(fine).astype(np.int64)
    if ticks.size and (int(ticks.min()) < 0 or int(ticks.max()) >> 48):
        raise TimeError(
            f"on-board time: expected 0 to 2**32 s; found {int(ticks.min()) / FINE_PER_SECOND} to "
            f"{int(ticks.max()) / FINE_PER_SECOND} s"
        )
    return (ticks >> 16).astype(np.uint32), (ticks & 0xFFFF).astype(np.uint16)


def bin_ticks(
    start: NDArray[np.int64], n_bins: NDArray[np.int64], tenths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """On-board time of the middle of bins that follow each other without a gap, as the quicklook packets have them.

    Parameters
    ----------
    start : (n,), 1/65536 s
        Start of the first bin of each packet.
    n_bins : (n,)
        Bins of each packet.
    tenths : (n,), 0.1 s
        Length of the bins of each packet.

    Returns
    -------
    (n_bins.sum(),), 1/65536 s
        The part of a unit is cut off.
    """
    start, n_bins, tenths = (np.ascontiguousarray(a, dtype=np.int64) for a in (start, n_bins, tenths))
    total = int(n_bins.sum())
    kernel = get_kernel(fill_bin_ticks) if is_worth_calling(total) else None
    if kernel is not None:
        ticks = np.empty(total, dtype=np.int64)
        kernel(start, n_bins, tenths, ticks)
        return ticks
    number = np.arange(total) - np.repeat(np.cumsum(n_bins) - n_bins, n_bins)
    return np.repeat(start, n_bins) + ((2 * number + 1) * np.repeat(tenths, n_bins) * FINE_PER_SECOND) // 20


@dataclass(frozen=True, eq=False)
class ClockTable:
    """Relation of the on-board clock to terrestrial time: straight pieces, the last one continued."""

    ticks: NDArray[np.int64]
    """(n,) start of each piece, 1/65536 s of on-board time, ascending from 0."""
    tt_ns: NDArray[np.int64]
    """(n,) the same instant in terrestrial time, nanoseconds past 2000-01-01T12:00:00 TT."""
    rate: NDArray[np.float64]
    """(n,) seconds of terrestrial time in one on-board second."""
    source: str
    """Where the pieces come from: the name of a kernel, or of the table shipped."""
    accuracy_s: float
    """How far UTC may be off within the span of the table, seconds."""
    parts: tuple[ClockPart, ...] = ()
    """Of a clock that was joined of several, in the order of time; none of a clock of one source."""

    def __post_init__(self) -> None:
        lengths = {len(self.ticks), len(self.tt_ns), len(self.rate)}
        if lengths == {0} or len(lengths) > 1:
            raise TimeError(
                f"clock {self.source}: expected as many ticks as times and rates; found {sorted(lengths)}"
            )
        if (np.diff(self.ticks) <= 0).any() or (np.diff(self.tt_ns) <= 0).any() or (self.rate <= 0).any():
            raise TimeError(
                f"clock {self.source}: expected pieces in ascending order; found some that go back"
            )

    def source_at(self, ticks: ArrayLike) -> str:
        """Sources of the pieces that hold at some on-board times, in the order of time.

        Parameters
        ----------
        ticks : any shape, 1/65536 s
        """
        if not self.parts:
            return self.source
        used = np.unique(self._part(ticks)).tolist()
        return ", ".join(self.parts[i].table.source for i in used)

    def accuracy_at(self, ticks: ArrayLike) -> NDArray[np.float64]:
        """How far UTC may be off, seconds: what the source says, and behind its end what the rate may have changed.

        Parameters
        ----------
        ticks : any shape, 1/65536 s
        """
        asked = np.asarray(ticks, dtype=np.int64)
        if self.parts:
            found = [p.table.accuracy_at(asked) for p in self.parts]
            return np.asarray(np.choose(self._part(asked), found), dtype=np.float64)
        beyond_s = np.maximum(asked - int(self.ticks[-1]), 0) / FINE_PER_SECOND
        return np.asarray(self.accuracy_s + CLOCK_DRIFT * beyond_s)

    def _part(self, ticks: ArrayLike) -> NDArray[np.intp]:
        starts = [p.first_ticks for p in self.parts]
        return np.maximum(np.searchsorted(starts, np.asarray(ticks), side="right") - 1, 0)

    def to_utc(self, coarse: ArrayLike, fine: ArrayLike = 0) -> NDArray[np.datetime64]:
        """UTC of on-board times.

        Parameters
        ----------
        coarse : any shape, s
            Without the synchronisation bit.
        fine : same shape or scalar, 1/65536 s

        Returns
        -------
        same shape, datetime64[ns]
        """
        ticks = np.asarray(coarse).astype(np.int64) * FINE_PER_SECOND + np.asarray(fine).astype(np.int64)
        return self.ticks_to_utc(ticks)

    def ticks_to_utc(self, ticks: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """UTC of on-board times in units of 1/65536 s."""
        flat = np.asarray(ticks, dtype=np.int64).ravel()
        utc = np.empty(flat.shape, dtype=np.int64)
        kernel = get_kernel(fill_utc) if is_worth_calling(flat.size) else None
        if kernel is not None:
            kernel(flat, *self._kernel_tables, utc)
            return utc.view("datetime64[ns]").reshape(np.shape(ticks))
        for start in range(0, len(flat), _PIECE):
            part = slice(start, start + _PIECE)
            utc[part] = self._utc_ns(flat[part])
        return utc.view("datetime64[ns]").reshape(np.shape(ticks))

    @cached_property
    def _kernel_tables(self) -> tuple[NDArray[Any], ...]:
        """Pieces of the clock and of the leap seconds as the compiled loop takes them."""
        drift = (self.rate - 1.0) * (_NS / FINE_PER_SECOND)
        columns = (self.ticks, self.tt_ns + _J2000_NS, drift, *leap_steps())
        return tuple(np.ascontiguousarray(column).copy() for column in columns)

    def _utc_ns(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        return utc_from_tt(self.ticks_to_tt(ticks) + _J2000_NS)

    def ticks_to_tt(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Terrestrial time of on-board times in units of 1/65536 s, nanoseconds past 2000-01-01T12:00:00 TT."""
        piece = self._piece(self.ticks, ticks)
        since = ticks - self.ticks[piece]
        # whole nanoseconds of the nominal rate exactly, the small drift in floating point
        nominal = (since >> 16) * _NS + (((since & 0xFFFF) * _NS + 0x8000) >> 16)
        drift = np.rint(since * ((self.rate[piece] - 1.0) * (_NS / FINE_PER_SECOND))).astype(np.int64)
        return np.asarray(nominal + drift + self.tt_ns[piece])

    def to_scet(self, utc: ArrayLike) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """On-board time (coarse, fine) of UTC, to the nearest 1/65536 s.

        Parameters
        ----------
        utc : any shape, datetime64

        Raises
        ------
        TimeError
            If a time lies before the start of the clock or beyond its 32 bits.
        """
        when = np.asarray(utc, dtype="datetime64[ns]").astype(np.int64)
        tt = tt_from_utc(when) - _J2000_NS
        piece = self._piece(self.tt_ns, tt)
        since = (tt - self.tt_ns[piece]).astype(np.int64)
        nominal = since // _NS * FINE_PER_SECOND
        rest = since % _NS * (FINE_PER_SECOND / _NS)
        drift = since * ((1.0 / self.rate[piece] - 1.0) * (FINE_PER_SECOND / _NS))
        ticks = self.ticks[piece] + nominal + np.rint(rest + drift).astype(np.int64)
        return normalise_scet(0, ticks)

    @staticmethod
    def _piece(starts: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.intp] | int:
        """Piece of each value; one number if all lie in the same, as those of a file mostly do."""
        if values.size:
            low, high = np.searchsorted(starts, [values.min(), values.max()], side="right")
            if low == high:
                return max(int(low) - 1, 0)
        return np.maximum(np.searchsorted(starts, values, side="right") - 1, 0)


@dataclass(frozen=True, eq=False)
class ClockPart:
    """One of several clocks that were joined."""

    first_ticks: int
    """1/65536 s of on-board time from which on it holds."""
    table: ClockTable
