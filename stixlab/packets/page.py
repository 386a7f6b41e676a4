"""The page that a search fills: the best packets so far, in one order whatever else arrives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.timing import FINE_PER_SECOND, ClockTable

if TYPE_CHECKING:
    from stixlab.model import RawFile
    from stixlab.telemetry.packet_file import PacketFile

__all__ = [
    "CLOCK_SPAN",
    "UNTIMED",
    "UNTIMED_RANK",
    "Mark",
    "Page",
    "copy_keys",
    "covered_times",
    "header_column",
    "header_ticks",
]

UNTIMED = int(np.iinfo(np.int64).min)
"""Stands for the time of a packet that has none."""
UNTIMED_RANK = int(np.iinfo(np.int64).max)
"""Where such a packet comes in the order."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Spreads times over 64 bits."""
CLOCK_SPAN = (np.datetime64("2000-01-02", "us"), np.datetime64("2136-01-01", "us"))
"""Times that the on-board clock can show; a time of the control centre before is none, it writes 1970 for unknown."""

Ticks = NDArray[np.int64]
"""Times in 1/65536 s of the on-board clock."""
Mark = tuple[int, str, int]
"""Place of a packet in the order: rank of its time, hash of its file, place in it."""


def header_ticks(packets: PacketFile, index: NDArray[np.intp], clock: ClockTable) -> Ticks:
    """(len(index),) time of packets in 1/65536 s of the on-board clock; `UNTIMED` if unknown.

    Packets whose clock was not synchronised have the time that the control centre gives for their making.
    """
    ticks: Ticks = packets["scet_coarse"][index].astype(np.int64) * FINE_PER_SECOND
    ticks += packets["scet_fine"][index]
    unsure = np.flatnonzero(~packets["synchronised"][index])
    if len(unsure):
        ticks[unsure] = UNTIMED
        said = packets["generation_time"][index[unsure]]
        known = (said > CLOCK_SPAN[0]) & (said < CLOCK_SPAN[1])
        if known.any():
            coarse, fine = clock.to_scet(said[known])
            ticks[unsure[known]] = coarse.astype(np.int64) * FINE_PER_SECOND + fine
    return ticks


def covered_times(packets: PacketFile, clock: ClockTable) -> tuple[np.datetime64, np.datetime64] | None:
    """Earliest and latest UTC under which a search finds a packet of the file; None if no packet has a time."""
    ticks = header_ticks(packets, np.arange(len(packets)), clock)
    timed = ticks[ticks != UNTIMED]
    if not len(timed):
        return None
    utc = clock.ticks_to_utc(np.array([timed.min(), timed.max()]))
    return utc[0], utc[1]


def _no_places() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


def copy_keys(packets: PacketFile, index: NDArray[np.intp], ticks: Ticks) -> NDArray[np.uint64]:
    """(len(index),) equal for packets of the same bytes and time: copies that came in several files."""
    return _mixed(ticks, packets["content_hash"][index])


@dataclass
class Page:
    """The first packets found so far: by time, then by the hash of the file, then by place in it."""

    limit: int
    """How many are kept."""
    newest_first: bool
    """Packets without a time come last either way."""
    distinct: bool = False
    """Of copies that came in several files the first alone is kept."""
    ticks: Ticks = field(default_factory=_no_places)
    """(n,) time of each packet."""
    index: NDArray[np.int64] = field(default_factory=_no_places)
    """(n,) its place in its file."""
    file: NDArray[np.int64] = field(default_factory=_no_places)
    """(n,) number of its file in `files`."""
    files: list[tuple[RawFile, PacketFile]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether a further packet has to push another one out."""
        return len(self.ticks) >= self.limit

    def rank(self, ticks: Ticks) -> Ticks:
        """What packets are ordered by: time, or time backwards."""
        ordered = -ticks if self.newest_first else ticks
        return np.where(ticks == UNTIMED, UNTIMED_RANK, ordered)

    def behind(self, ticks: Ticks, index: NDArray[np.intp], sha256: str, mark: Mark) -> NDArray[np.bool_]:
        """(n,) which packets of a file come after a mark."""
        rank = self.rank(ticks)
        later = index > mark[2] if sha256 == mark[1] else np.full(len(index), sha256 > mark[1])
        return np.greater(rank, mark[0]) | (np.equal(rank, mark[0]) & later)

    def take(self, raw_file: RawFile, packets: PacketFile, index: NDArray[np.intp], ticks: Ticks) -> None:
        """Put packets of one file onto the page; those that no longer fit go."""
        rank = self.rank(ticks)
        if self.is_full:
            chosen = np.flatnonzero(rank <= self.rank(self.ticks[-1:]))
            index, ticks, rank = index[chosen], ticks[chosen], rank[chosen]
        if len(index) > self.limit:
            chosen = np.lexsort((index, rank))
            if self.distinct:
                chosen = chosen[_first_of_each(copy_keys(packets, index[chosen], ticks[chosen]))]
            chosen = chosen[: self.limit]
            index, ticks = index[chosen], ticks[chosen]
        if not len(index):
            return
        self.files.append((raw_file, packets))
        ticks = np.concatenate([self.ticks, ticks])
        index = np.concatenate([self.index, index])
        file = np.append(self.file, np.full(len(index) - len(self.file), len(self.files) - 1))
        hashes = np.array([f.sha256 for f, _ in self.files])
        order = np.lexsort((index, hashes[file], self.rank(ticks)))
        self._keep(ticks, index, file, order)
        if self.distinct:
            order = order[_first_of_each(_mixed(self.ticks, self.gather("content_hash")))]
        self._keep(ticks, index, file, order[: self.limit])
        kept, self.file = np.unique(self.file, return_inverse=True)
        self.files = [self.files[i] for i in kept]

    def cut(self, limit: int) -> None:
        """Let go of what is behind the first packets."""
        self._keep(self.ticks, self.index, self.file, np.arange(min(limit, len(self.ticks))))

    def _keep(
        self, ticks: Ticks, index: NDArray[np.int64], file: NDArray[np.int64], order: NDArray[np.intp]
    ) -> None:
        self.ticks, self.index, self.file = ticks[order], index[order], file[order]

    def gather(self, name: str) -> NDArray[Any]:
        """(n,) a column of the packets on the page; ``origin``: index into `ORIGINS`."""
        found = np.zeros(len(self.ticks), dtype=np.int64)
        for number, (_, packets) in enumerate(self.files):
            values = header_column(packets, name)
            rows = np.flatnonzero(self.file == number)
            found = found.astype(values.dtype, copy=False)
            found[rows] = values[self.index[rows]]
        return found


def _mixed(ticks: Ticks, content_hash: NDArray[np.uint64]) -> NDArray[np.uint64]:
    spread: NDArray[np.uint64] = ticks.view(np.uint64) * _ODD
    return spread ^ content_hash


def _first_of_each(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Places of the first of equal keys, in order."""
    return np.sort(np.unique(keys, return_index=True)[1])


def header_column(packets: PacketFile, name: str) -> NDArray[Any]:
    """(n,) a column of a file; ``origin``: index into `stixlab.vocabulary.ORIGINS`."""
    if name != "origin":
        return packets[name]
    origin: NDArray[np.uint8] = packets.block.origin
    return origin
