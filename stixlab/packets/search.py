"""Search for packets: the catalogue says which files may hold them, their header columns say which do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import ArchiveError, FormatError, ParameterError
from stixlab.idb import Versions
from stixlab.packets.identity import file_of_packet
from stixlab.packets.page import (
    CLOCK_SPAN,
    UNTIMED,
    UNTIMED_RANK,
    Mark,
    Page,
    copy_keys,
    header_column,
    header_ticks,
)
from stixlab.packets.query import LARGEST_PAGE, STATUSES, PacketQuery
from stixlab.packets.table import PacketTable, table_of
from stixlab.timing import FINE_PER_SECOND, ClockTable, to_datetime
from stixlab.vocabulary import FLIGHT, ORIGINS

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.catalog.stores import Catalog
    from stixlab.model import RawFile
    from stixlab.telemetry.packet_file import PacketFile

__all__ = ["find_packets"]

_TEXT_DIGITS = 6
"""Digits from which on the text for a file is also taken as the start of its hash."""
_SLACK = np.timedelta64(2, "s")
"""How far times in the catalogue may be off: they are cut to milliseconds, and may come from an earlier clock."""
_COLUMN_OF = {
    "services": "service",
    "subtypes": "subtype",
    "ssids": "ssid",
    "apids": "apid",
    "requests": "request",
    "statuses": "status",
    "spids": "spid",
}
"""Condition and the column that it is held against."""


def find_packets(
    catalog: Catalog,
    archive: Archive,
    versions: Versions,
    clock: ClockTable,
    *,
    limit: int = 100,
    after: str | None = None,
    newest_first: bool = True,
    count: bool = True,
    distinct: bool = False,
    **conditions: Any,
) -> PacketTable:
    """Packets that meet all conditions, a page at a time.

    Parameters
    ----------
    catalog, archive, versions, clock
        Of the installation.
    limit
        Packets of a page, at most 10,000.
    after
        Id of the last packet of the page before; what arrives in the meantime does not shift the pages.
    newest_first
        Order by time; packets without a time come last either way, and only where no time is asked for.
    count
        Count all packets that are found. Without it a search stops when the page is full.
    distinct
        Of copies that came in several files (the same bytes, the same time) list and count the first alone.
    **conditions
        ``start``, ``end``, ``spid``, ``service``, ``subtype``, ``ssid``, ``apid``, ``request``, ``status``,
        ``file``, ``text``, ``origin``: see `PacketQuery.make`.

    Returns
    -------
    PacketTable

    Raises
    ------
    ParameterError
        If a condition cannot be met, the page is too large, or `after` is no id.
    NotInCatalogError
        If the file of the packet `after` is no longer there.
    TimeError
        If a time cannot be read.
    """
    query = PacketQuery.make(versions, clock, **conditions)
    if not 1 <= limit <= LARGEST_PAGE:
        raise ParameterError(f"limit: expected 1 to {LARGEST_PAGE} packets a page; found {limit}")
    # one more than asked for, to know whether there are more
    page = Page(limit + 1, newest_first, distinct)
    mark = None if after is None else _mark(page, catalog, archive, clock, after)
    look = _Look(page, archive, query, clock, mark)
    look.through(_files(catalog, query, versions, newest_first=newest_first), count=count)
    return look.table(versions, limit, count=count)


@dataclass
class _Look:
    """Looks into files, one after the other, and fills the page."""

    page: Page
    archive: Archive
    query: PacketQuery
    clock: ClockTable
    mark: Mark | None
    n_files: int = 0
    missing: list[str] = field(default_factory=list)
    _n: int = 0
    _keys: list[NDArray[np.uint64]] = field(default_factory=list)
    _before: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        self._low = _ticks(self.query.start, self.clock, UNTIMED + 1)
        self._high = _ticks(self.query.end, self.clock, np.iinfo(np.int64).max)
        self._timed = self.query.start is not None or self.query.end is not None

    @property
    def total(self) -> int:
        """Packets found; copies once if the page keeps them once."""
        if not self.page.distinct:
            return self._n
        keys = np.sort(np.concatenate([np.zeros(0, dtype=np.uint64), *self._keys]))
        return len(keys) and 1 + int(np.count_nonzero(keys[1:] != keys[:-1]))

    def through(self, files: Sequence[RawFile], *, count: bool) -> None:
        """Take what files have, in the order of the page; all of them if packets are counted, else until it is full."""
        if self.mark is not None and self.page.distinct:
            self.note_before(files)
        for raw_file in files:
            if not count and self.page.is_full and _is_behind(raw_file, self.page, self.clock):
                break
            self.into(raw_file, count=count)

    def table(self, versions: Versions, limit: int, *, count: bool) -> PacketTable:
        """The page without what was taken beyond its limit."""
        more = len(self.page.ticks) > limit
        self.page.cut(limit)
        return table_of(
            self.page,
            self.archive,
            versions,
            self.clock,
            total=self.total if count else None,
            more=more,
            n_files=self.n_files,
            missing=self.missing,
        )

    def into(self, raw_file: RawFile, *, count: bool) -> None:
        """Take what a file has."""
        try:
            packets = self.archive.open_packets(raw_file.sha256)
        except (ArchiveError, FormatError):
            self.missing.append(raw_file.names[0])
            return
        self.n_files += 1
        index, ticks = self._found(packets)
        self._n += len(index)
        if self.page.distinct and count:
            self._keys.append(copy_keys(packets, index, ticks))
        if self.mark is not None:
            chosen = self.page.behind(ticks, index, raw_file.sha256, self.mark)
            if self._before is not None:
                chosen &= ~np.isin(copy_keys(packets, index, ticks), self._before)
            index, ticks = index[chosen], ticks[chosen]
        self.page.take(raw_file, packets, index, ticks)

    def note_before(self, files: Iterable[RawFile]) -> None:
        """Remember which packets of the time of the mark stand on the pages before it: their copies do not follow."""
        assert self.mark is not None
        keys = [np.zeros(0, dtype=np.uint64)]
        for raw_file in files:
            if not self._may_hold_mark(raw_file):
                continue
            with suppress(ArchiveError, FormatError):
                packets = self.archive.open_packets(raw_file.sha256)
                index, ticks = self._found(packets)
                chosen = self.page.rank(ticks) == self.mark[0]
                index, ticks = index[chosen], ticks[chosen]
                chosen = ~self.page.behind(ticks, index, raw_file.sha256, self.mark)
                keys.append(copy_keys(packets, index[chosen], ticks[chosen]))
        self._before = np.concatenate(keys)

    def _may_hold_mark(self, raw_file: RawFile) -> bool:
        assert self.mark is not None
        ticks = abs(self.mark[0])
        if raw_file.start is None or raw_file.end is None or ticks == UNTIMED_RANK:
            return True
        low, high = (np.datetime64(t.replace(tzinfo=None), "us") for t in (raw_file.start, raw_file.end))
        return bool(_ticks(low - _SLACK, self.clock, 0) <= ticks <= _ticks(high + _SLACK, self.clock, 0))

    def _found(self, packets: PacketFile) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Places and times of the packets that meet all conditions."""
        index = _matching(packets, self.query)
        ticks = header_ticks(packets, index, self.clock)
        if self._timed:
            chosen = (ticks >= self._low) & (ticks < self._high)
            index, ticks = index[chosen], ticks[chosen]
        return index, ticks


def _ticks(time: np.datetime64 | None, clock: ClockTable, none: Any) -> Any:
    """On-board time in 1/65536 s; times that the clock cannot show are those at its ends."""
    if time is None:
        return none
    coarse, fine = clock.to_scet(min(max(time, CLOCK_SPAN[0]), CLOCK_SPAN[1]))
    return int(coarse) * FINE_PER_SECOND + int(fine)


def _mark(page: Page, catalog: Catalog, archive: Archive, clock: ClockTable, after: str) -> Mark:
    raw_file, index = file_of_packet(catalog, archive, after)
    packets = archive.open_packets(raw_file.sha256)
    if index >= len(packets):
        raise ParameterError(
            f"packet {after}: its file has {len(packets)} packets; take an id that a search gave"
        )
    rank = page.rank(header_ticks(packets, np.array([index]), clock))
    return int(rank[0]), raw_file.sha256, index


def _is_behind(raw_file: RawFile, page: Page, clock: ClockTable) -> bool:
    """Whether all of a file comes behind the full page; so do the files after it."""
    time = raw_file.end if page.newest_first else raw_file.start
    last = int(page.ticks[-1])
    if time is None or last == UNTIMED:
        return False
    edge = np.datetime64(time.replace(tzinfo=None), "us")
    if page.newest_first:
        return bool(_ticks(edge + _SLACK, clock, 0) < last)
    return bool(_ticks(edge - _SLACK, clock, 0) > last)


def _files(catalog: Catalog, query: PacketQuery, versions: Versions, *, newest_first: bool) -> list[RawFile]:
    """Files that may hold what is looked for, by what the catalogue says of them, in the order of the page."""
    if query.spids is not None and not query.spids:
        return []
    found = catalog.raw_files.find(
        start=None if query.start is None else to_datetime(query.start - _SLACK),
        end=None if query.end is None else to_datetime(query.end + _SLACK),
        brief=True,
    )
    statuses = {STATUSES[s] for s in query.statuses}
    requests = {str(r) for r in query.requests}
    kinds = _Kinds(query, versions)
    chosen = [
        f
        for f in found
        if f.packets
        and (query.origin is None or f.origin in (query.origin, FLIGHT))
        and (not query.file or _is_named(f, query.file))
        and (not statuses or not statuses.isdisjoint(f.packets))
        and (not requests or not requests.isdisjoint(r.split("/")[2] for r in f.requests))
        and kinds.any_of(f.structures)
    ]
    timed = [f for f in chosen if f.start is not None and f.end is not None]
    timed.sort(key=lambda f: f.end if newest_first else f.start, reverse=newest_first)  # type: ignore[arg-type, return-value]
    return timed + [f for f in chosen if f.start is None or f.end is None]


def _is_named(raw_file: RawFile, text: str) -> bool:
    lower = text.lower()
    by_hash = len(lower) >= _TEXT_DIGITS and raw_file.sha256.startswith(lower)
    return by_hash or any(lower in name.lower() for name in raw_file.names)


class _Kinds:
    """Which of the structures that a file is said to hold, such as ``21,6,30``, may be looked for."""

    def __init__(self, query: PacketQuery, versions: Versions) -> None:
        self._query = query
        self._known: dict[str, bool] = {}
        self._all = not (query.spids or query.services or query.subtypes or query.ssids)
        spids = query.spids or frozenset()
        self._any_kind = not spids or -1 in spids
        self._wanted = {
            (t.service, t.subtype, t.pi1)
            for definitions in versions.distinct
            for spid, t in definitions.packet_types.items()
            if spid in spids
        }

    def any_of(self, structures: Iterable[str]) -> bool:
        """Whether a file with these structures may hold what is looked for."""
        return self._all or any(self._may_be(text) for text in structures)

    def _may_be(self, text: str) -> bool:
        if text not in self._known:
            service, subtype, ssid = ([int(v) for v in text.split(",")] + [-1])[:3]
            query = self._query
            self._known[text] = (
                (not query.services or service in query.services)
                and (not query.subtypes or subtype in query.subtypes)
                and (not query.ssids or ssid in query.ssids)
                and (self._any_kind or (service, subtype, max(ssid, 0)) in self._wanted)
            )
        return self._known[text]


def _matching(packets: PacketFile, query: PacketQuery) -> NDArray[np.intp]:
    """Places of the packets of a file that meet the conditions on header fields, but for time."""
    met = np.ones(len(packets), dtype=np.bool_)
    for condition, column in _COLUMN_OF.items():
        wanted = getattr(query, condition)
        if wanted:
            met &= _is_one_of(packets[column], sorted(wanted))
    if query.origin is not None:
        met &= header_column(packets, "origin") == ORIGINS.index(query.origin)
    return np.flatnonzero(met)


def _is_one_of(values: NDArray[Any], wanted: Sequence[int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = values == wanted[0] if len(wanted) == 1 else np.isin(values, wanted)
    return found
