"""The page that a search fills: the best packets so far, in one order whatever else arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.timing import FINE_PER_SECOND, ClockTable

if TYPE_CHECKING:
    from stixlab.archive import Archive
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
    spread: NDArray[np.uint64] = ticks.view(np.uint64) * _ODD
    spread ^= packets["content_hash"][index]
    return spread


@dataclass
class Page:
    """The first packets found so far: by time, then by the hash of the file, then by place in it.

    It keeps places, not open files: a page may be made of more files than a process may have open.
    """

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
    keys: NDArray[np.uint64] = field(default_factory=lambda: _no_places().view(np.uint64))
    """(n,) equal for copies."""
    files: list[RawFile] = field(default_factory=list)

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
        if not len(index):
            return
        keys = copy_keys(packets, index, ticks)
        chosen = self._first(np.lexsort((index, rank)), keys)
        self.files.append(raw_file)
        self.ticks = np.concatenate([self.ticks, ticks[chosen]])
        self.index = np.concatenate([self.index, index[chosen]])
        self.keys = np.concatenate([self.keys, keys[chosen]])
        self.file = np.append(self.file, np.full(len(chosen), len(self.files) - 1))
        hashes = np.array([f.sha256 for f in self.files])
        order = np.lexsort((self.index, hashes[self.file], self.rank(self.ticks)))
        self._keep(self._first(order, self.keys))

    def cut(self, limit: int) -> None:
        """Let go of what is behind the first packets."""
        self._keep(np.arange(min(limit, len(self.ticks))))

    def _first(self, order: NDArray[np.intp], keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        """The part of an order that fits onto the page."""
        if self.distinct:
            order = order[np.sort(np.unique(keys[order], return_index=True)[1])]
        return order[: self.limit]

    def _keep(self, order: NDArray[np.intp]) -> None:
        self.ticks, self.index, self.keys = self.ticks[order], self.index[order], self.keys[order]
        kept, self.file = np.unique(self.file[order], return_inverse=True)
        self.files = [self.files[i] for i in kept]


def gather(page: Page, archive: Archive, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """(n,) columns of the packets on a page; ``origin``: index into `stixlab.vocabulary.ORIGINS`."""
    found: dict[str, NDArray[Any]] = {name: np.zeros(len(page.ticks), dtype=np.int64) for name in names}
    for number, raw_file in enumerate(page.files):
        packets = archive.open_packets(raw_file.sha256)
        rows = np.flatnonzero(page.file == number)
        for name in names:
            values = header_column(packets, name)
            found[name] = found[name].astype(values.dtype, copy=False)
            found[name][rows] = values[page.index[rows]]
    return found


def header_column(packets: PacketFile, name: str) -> NDArray[Any]:
    """(n,) a column of a file; ``origin``: index into `stixlab.vocabulary.ORIGINS`."""
    if name != "origin":
        return packets[name]
    origin: NDArray[np.uint8] = packets.block.origin
    return origin
