"""On-board time and UTC from several sources in the order of trust; every answer says which, and how accurate.

1. The SCLK kernel of the user, within the time that it was made for.
2. Pairs of on-board time and UTC: those of the table shipped and of published products.
3. Times that the control centre put beside the packets (EDDS headers).

Where none covers a time, the one whose end is nearest is continued, and the accuracy says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.ephemeris.scales import as_times
from stixlab.errors import TimeError
from stixlab.timing import FINE_PER_SECOND, ClockTable
from stixlab.timing.scet import CLOCK_DRIFT

__all__ = [
    "EDDS",
    "KERNEL",
    "PAIRS",
    "ClockSource",
    "ClockTime",
    "Clocks",
    "clock_from_edds",
    "clock_from_pairs",
]

KERNEL, PAIRS, EDDS = "kernel", "pairs", "edds"
"""Kinds of sources in the order of trust."""
_RANK = {KERNEL: 0, PAIRS: 1, EDDS: 2}
_CURVE_S_PER_DAY2 = 2e-5
"""Between two pairs, each days away: 0.5 s in the middle of a year, see clock.csv."""
_NS = 1_000_000_000
_NEVER_S = 1e6
"""More than any accuracy."""
_RATE_TOLERANCE = 1e-4
"""No clock on board is off by more, s/s."""
_PAIR_SPACING_S = 6 * 3600
"""Pairs that lie nearer than that tell nothing new about the rate."""


@dataclass(frozen=True, eq=False)
class ClockTime:
    """On-board time and UTC of each other; arrays of one shape."""

    utc: NDArray[np.datetime64]
    """datetime64[ns]."""
    coarse: NDArray[np.uint32]
    """Seconds of on-board time."""
    fine: NDArray[np.uint16]
    """1/65536 s."""
    accuracy_s: NDArray[np.float64]
    """How far UTC may be off, seconds."""
    source: NDArray[np.str_]
    """Name of the kernel, table or files used for each."""
    kind: NDArray[np.str_]
    """`KERNEL`, `PAIRS` or `EDDS` for each."""


@dataclass(frozen=True, eq=False)
class ClockSource:
    """A clock, what it was made from, and for which times it holds."""

    table: ClockTable
    kind: str
    """`KERNEL`, `PAIRS` or `EDDS`."""
    first_ticks: int
    """1/65536 s of on-board time: start of what it covers."""
    last_ticks: int
    """End of what it covers."""
    accuracy_is_worst: bool = False
    """Whether the accuracy of the table holds between its pairs, not only at them."""

    def covers(self, ticks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which on-board times lie within."""
        return np.asarray((ticks >= self.first_ticks) & (ticks <= self.last_ticks))

    def beyond_s(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seconds outside of what it covers; 0 within."""
        outside = np.maximum(np.maximum(self.first_ticks - ticks, ticks - self.last_ticks), 0)
        return outside / FINE_PER_SECOND

    def accuracy_s(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        """How far UTC may be off: what the source says, worse between pairs that lie far apart and outside."""
        if self.accuracy_is_worst:
            before_s = np.maximum(self.first_ticks - ticks, 0) / FINE_PER_SECOND
            return np.asarray(self.table.accuracy_at(ticks) + CLOCK_DRIFT * before_s)
        accuracy = np.full(ticks.shape, self.table.accuracy_s)
        if len(self.table.ticks) > 1:
            right = np.clip(np.searchsorted(self.table.ticks, ticks), 1, len(self.table.ticks) - 1)
            near = (
                np.maximum(ticks - self.table.ticks[right - 1], 0),
                np.maximum(self.table.ticks[right] - ticks, 0),
            )
            days = np.stack(near) / (FINE_PER_SECOND * 86_400)
            accuracy = accuracy + _CURVE_S_PER_DAY2 * days[0] * days[1]
        return accuracy + CLOCK_DRIFT * self.beyond_s(ticks)


@dataclass(frozen=True, eq=False)
class Clocks:
    """Clocks in the order of trust."""

    sources: tuple[ClockSource, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise TimeError("clock: expected at least one source; found none")
        object.__setattr__(self, "sources", tuple(sorted(self.sources, key=lambda s: _RANK[s.kind])))

    @classmethod
    def of(cls, clock: ClockTable, *others: ClockSource) -> Clocks:
        """The parts of the clock of `load_clock` before others; the table shipped always takes part."""
        from stixlab.ephemeris.clock import KERNEL_REACH_TICKS, load_clock

        table = load_clock()
        shipped = ClockSource(table, PAIRS, int(table.ticks[1]), int(table.ticks[-1]), accuracy_is_worst=True)
        kernels = []
        for each in [p.table for p in clock.parts] or [clock]:
            if each.source != table.source:
                first, last = int(each.ticks[0]), int(each.ticks[-1]) + KERNEL_REACH_TICKS
                kernels.append(ClockSource(each, KERNEL, first, last, accuracy_is_worst=True))
        return cls((*kernels, shipped, *others))

    def to_utc(self, coarse: ArrayLike, fine: ArrayLike = 0) -> ClockTime:
        """UTC of on-board times.

        Parameters
        ----------
        coarse : any shape, s
            Without the synchronisation bit.
        fine : same shape or scalar, 1/65536 s

        Raises
        ------
        TimeError
            If a time does not fit the clock of 32 bits.
        """
        ticks = np.asarray(coarse).astype(np.int64) * FINE_PER_SECOND + np.asarray(fine).astype(np.int64)
        if ticks.size and (ticks.min() < 0 or int(ticks.max()) >> 48):
            raise TimeError(
                f"on-board time: expected 0 to 2**32 s; found {int(ticks.min()) >> 16} to {int(ticks.max()) >> 16} s"
            )
        chosen = self._choose(ticks)
        utc = np.empty(ticks.shape, dtype="datetime64[ns]")
        for i, source in enumerate(self.sources):
            mine = chosen == i
            if mine.any():
                utc[mine] = source.table.ticks_to_utc(ticks[mine])
        return self._answer(ticks, utc, chosen)

    def to_scet(self, utc: Any) -> ClockTime:
        """On-board times of UTC (text, datetime, numpy or astropy time, or several).

        Raises
        ------
        TimeError
            If a time cannot be read, or lies before the start of the clock or beyond its 32 bits.
        """
        when = as_times(utc)
        rough = self._ticks(self.sources[0], when)
        for _ in range(2):  # which source holds may change with the first answer, by seconds
            chosen = self._choose(rough)
            ticks = np.empty(when.shape, dtype=np.int64)
            for i, source in enumerate(self.sources):
                mine = chosen == i
                if mine.any():
                    ticks[mine] = self._ticks(source, when[mine])
            rough = ticks
        return self._answer(ticks, when, chosen)

    @staticmethod
    def _ticks(source: ClockSource, when: NDArray[np.datetime64]) -> NDArray[np.int64]:
        coarse, fine = source.table.to_scet(when)
        return np.asarray(coarse.astype(np.int64) * FINE_PER_SECOND + fine)

    def _choose(self, ticks: NDArray[np.int64]) -> NDArray[np.intp]:
        """Of the sources that cover a time those of the most trusted kind, of these the most accurate."""
        accuracy = np.stack([s.accuracy_s(ticks) for s in self.sources])
        distrust = np.stack([np.where(s.covers(ticks), _RANK[s.kind], len(_RANK)) for s in self.sources])
        return np.asarray((distrust * _NEVER_S + accuracy).argmin(axis=0))

    def _answer(
        self, ticks: NDArray[np.int64], utc: NDArray[np.datetime64], chosen: NDArray[np.intp]
    ) -> ClockTime:
        accuracy = np.select(
            [chosen == i for i in range(len(self.sources))], [s.accuracy_s(ticks) for s in self.sources]
        )
        return ClockTime(
            utc=utc,
            coarse=(ticks >> 16).astype(np.uint32),
            fine=(ticks & 0xFFFF).astype(np.uint16),
            accuracy_s=accuracy,
            source=np.array([s.table.source for s in self.sources])[chosen],
            kind=np.array([s.kind for s in self.sources])[chosen],
        )


def clock_from_pairs(
    ticks: NDArray[np.int64],
    utc: NDArray[np.datetime64],
    *,
    source: str,
    accuracy_s: float = 0.002,
    kind: str = PAIRS,
) -> ClockSource:
    """Clock of straight lines between pairs, at least six hours long; of pairs nearer together the first counts.

    Parameters
    ----------
    ticks : (n,), 1/65536 s of on-board time
    utc : (n,), datetime64
    source
        What the pairs were taken from, for those who ask.
    accuracy_s
        Of one pair.

    Raises
    ------
    TimeError
        If there are fewer than two pairs six hours apart, or they are not those of one clock.
    """
    from stixlab.timing.leap_seconds import tt_from_utc

    ticks, order = np.unique(np.asarray(ticks, dtype=np.int64), return_index=True)
    tt = tt_from_utc(np.asarray(utc).astype("datetime64[ns]").astype(np.int64)[order])
    keep = _spaced(ticks, _PAIR_SPACING_S * FINE_PER_SECOND)
    if len(keep) < 2:
        raise TimeError(
            f"clock from {source}: expected pairs of on-board time and UTC at least {_PAIR_SPACING_S // 3600} hours apart; "
            f"found {len(ticks)} pairs within {(np.ptp(ticks) if len(ticks) else 0) / FINE_PER_SECOND / 3600:.1f} hours"
        )
    ticks, tt = ticks[keep], tt[keep]
    rate = np.diff(tt) / (np.diff(ticks) * (_NS / FINE_PER_SECOND))
    wrong = np.abs(rate - 1) > _RATE_TOLERANCE
    if wrong.any():
        at = int(np.argmax(wrong))
        raise TimeError(
            f"clock from {source}: expected pairs of one clock; between {int(ticks[at]) >> 16} and {int(ticks[at + 1]) >> 16} s "
            f"of on-board time its rate is {rate[at]:.6f}; take the wrong file away"
        )
    j2000 = int(np.datetime64("2000-01-01T12:00:00", "ns").astype(np.int64))
    table = ClockTable(
        ticks=ticks,
        tt_ns=tt - j2000,
        rate=np.append(rate, (tt[-1] - tt[0]) / ((ticks[-1] - ticks[0]) * (_NS / FINE_PER_SECOND))),
        source=source,
        accuracy_s=accuracy_s,
    )
    return ClockSource(table, kind, int(ticks[0]), int(ticks[-1]))


def clock_from_edds(
    coarse: NDArray[np.unsignedinteger[Any]],
    fine: NDArray[np.unsignedinteger[Any]],
    generation_time: NDArray[np.datetime64],
    *,
    synchronised: NDArray[np.bool_] | None = None,
    source: str = "packet times of the control centre",
) -> ClockSource:
    """Clock of the times that the control centre put beside the packets.

    Parameters
    ----------
    coarse, fine : (n,), s and 1/65536 s
        On-board time in the header of each packet.
    generation_time : (n,), datetime64 UTC
        NaT where a file has none.
    synchronised : (n,)
        Packets made while the clock was not set do not count.

    Raises
    ------
    TimeError
        If there are too few.
    """
    use = ~np.isnat(generation_time)
    if synchronised is not None:
        use &= synchronised
    ticks = coarse.astype(np.int64) * FINE_PER_SECOND + fine.astype(np.int64)
    return clock_from_pairs(ticks[use], generation_time[use], source=source, accuracy_s=0.001, kind=EDDS)


def _spaced(ticks: NDArray[np.int64], least: int) -> NDArray[np.intp]:
    """Which of ascending times to keep so that they lie at least so far apart: the first of each step that has any."""
    if not len(ticks):
        return np.zeros(0, dtype=np.intp)
    step = np.asarray((ticks - ticks[0]) // least)
    first = np.flatnonzero(np.concatenate([[True], np.diff(step) > 0]))
    far = np.concatenate([[True], np.diff(ticks[first]) >= least // 2])
    kept = first[far]
    last = len(ticks) - 1
    return np.asarray(np.append(kept, last) if ticks[last] - ticks[kept[-1]] >= least else kept)
