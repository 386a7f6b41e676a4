"""Keeps the records of data requests: made from all stored packets, whenever a file adds some."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from stixlab.archive import Archive
from stixlab.catalog.documents import Document, to_document, truncate
from stixlab.errors import NotInCatalogError
from stixlab.idb import Versions
from stixlab.model import ScienceRequest
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.requests import Gathered, RequestIndex, RequestKey, gather
from stixlab.timing import ClockTable, to_datetime
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["FoundRequest", "RequestKeeper", "assemble_request", "identity_of"]

log = logging.getLogger(__name__)

_TYPES = {t.packet[2]: t.name for t in PRODUCT_TYPES.values() if t.packet[:2] == (21, 6)}
"""Product type by structure."""
_GAPS_KEPT = 100
_ASKED_AT_ONCE = 200
_OPEN_FILES = 100
"""Packet files that stay open; a process may open about a thousand."""
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_UNSYNCHRONISED = 1 << 47
"""Set in a time stamp of 48 bits that was taken before the clock was set."""


@dataclass(frozen=True)
class FoundRequest:
    """A request as it is now."""

    record: ScienceRequest
    part: Assembled | None
    """None if all its packets are damaged."""


Then = Callable[[list[FoundRequest], list[str]], None]


class _Shelf:
    """Packet files that were used last, open, and which request is in which of them.

    Parameters
    ----------
    catalog, archive
    """

    def __init__(self, catalog: Any, archive: Archive) -> None:
        self._catalog, self._archive = catalog, archive
        self._names: dict[str, set[str]] = {}
        self._open: dict[str, RequestIndex] = {}

    def look_up(self, keys: Iterable[str]) -> list[str]:
        """Hashes of the files that have packets of any of some requests; asked for once."""
        wanted = list(keys)
        unknown = [k for k in wanted if k not in self._names]
        for begin in range(0, len(unknown), _ASKED_AT_ONCE):
            asked = unknown[begin : begin + _ASKED_AT_ONCE]
            self._names |= {k: set() for k in asked}
            for file in self._catalog.raw_files.with_requests(asked):
                for key in self._names.keys() & {*file.requests}:
                    self._names[key].add(file.sha256)
        return sorted(set().union(*(self._names[k] for k in wanted)))

    def open(self, sha256: str) -> RequestIndex:
        """Packets of a file; it stays open until enough others were used."""
        index = self._open.pop(sha256, None) or RequestIndex(self._archive.open_packets(sha256))
        self._open[sha256] = index
        while len(self._open) > _OPEN_FILES:
            del self._open[next(iter(self._open))]
        return index


@dataclass(frozen=True)
class RequestKeeper:
    """Makes records of data requests.

    A record is a function of the packets that are stored: it comes out the same in whatever order and in
    whatever files they arrived, but for `ScienceRequest.version` and `ScienceRequest.updated`.
    """

    catalog: Any
    """Stores of records; writable for `make`."""
    archive: Archive
    versions: Versions
    clock: ClockTable

    def make(
        self,
        keys: Iterable[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        then: Then | None = None,
    ) -> tuple[list[ScienceRequest], int]:
        """Make and catalogue the requests that new files have packets of.

        Parameters
        ----------
        keys
            `RawFile.requests` of the new files, which are in the catalogue and whose packets are in the archive.
        start, end
            UTC from the first to the last packet of the new files. Incomplete requests of that time are looked
            at too: what they seem to miss may be other packets that are there now.
        then
            Called with requests that were looked at, when they are catalogued, and with the ids of those that there
            are no more.

        Returns
        -------
        list of ScienceRequest, int
            Those that are new or changed, by id, and how many came out as they were.

        Raises
        ------
        CatalogError
            If the database does not answer; the same call again goes on from there.
        ArchiveError, FormatError
            If stored packets are missing or damaged.
        ParameterError
            If a key is none.
        """
        waiting = {*keys}
        if start is not None and end is not None:
            for each in self.catalog.requests.find_incomplete(sent_from=start, sent_until=end):
                waiting.update(each.keys)
        done: set[str] = set()
        changed: list[ScienceRequest] = []
        unchanged = 0
        for key in sorted(waiting):
            if key not in done:
                some, others = self._make_together(key, done, then)
                changed += some
                unchanged += others
        log.info("requests made", extra={"n_changed": len(changed), "n_unchanged": unchanged})
        return changed, unchanged

    def _make_together(self, key: str, done: set[str], then: Then | None) -> tuple[list[ScienceRequest], int]:
        """Make the requests of a key, and of those keys that may share packets with it."""
        waiting = [key]
        found: dict[str, FoundRequest] = {}
        stale: dict[str, ScienceRequest] = {}
        while waiting:
            key = waiting.pop()
            done.add(key)
            before = {r.id: r for r in self.catalog.requests.find(key=key)}
            now = {f.record.id: f for f in self.find_all(key)}
            found, stale = found | now, stale | before
            # packets without numbers may have come together over midnight, or apart
            linked = {k for r in (*before.values(), *(f.record for f in now.values())) for k in r.keys}
            waiting = sorted(linked.union(waiting) - done)
        changed, unchanged = self._save({i: f.record for i, f in found.items()}, stale)
        if then is not None:
            then([f for _, f in sorted(found.items())], sorted(set(stale) - set(found)))
        return changed, unchanged

    def find_all(self, key: str, shelf: _Shelf | None = None) -> list[FoundRequest]:
        """Requests of a key as the stored packets have them; several if it was sent twice, or is of a day.

        Parameters
        ----------
        key
            As in `RawFile.requests`.
        shelf
            Files that were opened before.

        Raises
        ------
        ArchiveError, FormatError
            If stored packets are missing or damaged.
        ParameterError
            If it is no key.
        """
        wanted = RequestKey.parse(key)
        shelf = shelf or _Shelf(self.catalog, self.archive)
        first, last = wanted.day, wanted.day
        while True:
            gathered = self._gather(wanted.beside(first - 1, last + 1), shelf)
            days = [_days(part) for part in gathered.parts]
            touching = [i for i, d in enumerate(days) if wanted.day < 0 or wanted.day in d]
            reached = [d for i in touching for d in days[i]] if wanted.day >= 0 else []
            if all(first <= d <= last for d in reached):
                break
            first, last = min(first, *reached), max(last, *reached)
        return self._records(wanted, gathered, touching)

    def _gather(self, keys: list[RequestKey], shelf: _Shelf) -> Gathered:
        """Packets of the keys from all files; files of the same time are read only if something is missing."""
        names = shelf.look_up(map(str, keys))

        def neighbours(parts: Sequence[Assembled]) -> Iterator[RequestIndex]:
            there = set(names)
            for part in parts:
                start, end = self._sent(part)
                if part.has_gaps_within and start is not None and end is not None:
                    found = self.catalog.raw_files.find(start=start, end=end + _SECOND, brief=True)
                    there |= {f.sha256 for f in found if f.packets}
            yield from map(shelf.open, sorted(there))

        return gather(keys, {name: shelf.open(name) for name in names}, self.versions, neighbours=neighbours)

    def _records(self, key: RequestKey, gathered: Gathered, chosen: list[int]) -> list[FoundRequest]:
        """Records of the parts that were chosen.

        Damaged packets are told with the first of them; those without numbers in a record of their day.
        """
        found: list[FoundRequest] = []
        taken: Counter[str] = Counter()
        for i in chosen:
            part = gathered.parts[i]
            stem = identity_of(part)
            taken[stem] += 1
            record = self._record(part, key, stem + (f"-{taken[stem]}" if taken[stem] > 1 else ""))
            found.append(FoundRequest(replace(record, sources=gathered.sources[i]), part))
        damaged = np.arange(len(gathered.damaged))
        if key.day >= 0:
            damaged = np.flatnonzero(gathered.damaged.scet_coarse // _DAY_S == key.day)
        if len(damaged):
            files = {gathered.damaged_sources[i] for i in damaged}
            if found and key.day < 0:
                found[0] = FoundRequest(_with_damaged(found[0].record, len(damaged), files), found[0].part)
            else:
                found.append(FoundRequest(_with_damaged(_nothing_good(key), len(damaged), files), None))
        return found

    def _record(self, part: Assembled, key: RequestKey, stem: str) -> ScienceRequest:
        block = part.columns.block
        sent_start, sent_end = self._sent(part)
        start, end = part.span
        known = start >= 0 and end < _UNSYNCHRONISED
        keys = [key] if key.day < 0 else [replace(key, day=d) for d in _days(part)]
        return ScienceRequest(
            id=f"{stem}_{part.origin}",
            type=_TYPES[part.ssid],
            request_id=part.request,
            tc_packet_id=part.tc_packet,
            tc_sequence=part.tc_sequence,
            ssid=part.ssid,
            origin=part.origin,
            n_packets=len(part),
            n_missing=part.n_missing,
            n_damaged=0,
            n_conflicts=part.n_conflicts,
            complete=part.complete,
            why=part.why,
            gaps=tuple(map(str, part.gaps[:_GAPS_KEPT])),
            start=self._utc(start) if known else None,
            end=self._utc(end) if known else None,
            sent_start=sent_start,
            sent_end=sent_end,
            size_bytes=int(block.lengths.sum()),
            keys=tuple(map(str, keys)),
            content_sha256=hashlib.sha256(
                block.data[block.offsets[0] : block.offsets[-1]].tobytes()
            ).hexdigest(),
        )

    def _utc(self, ticks: int) -> datetime:
        return truncate(to_datetime(self.clock.ticks_to_utc(np.array([ticks]))[0]))

    def _sent(self, part: Assembled) -> tuple[datetime | None, datetime | None]:
        """UTC of the earliest and latest synchronised header."""
        block = part.columns.block
        chosen = block.synchronised
        if not chosen.any():
            return None, None
        utc = self.clock.to_utc(block.scet_coarse[chosen], block.scet_fine[chosen])
        return truncate(to_datetime(utc.min())), truncate(to_datetime(utc.max()))

    def _save(
        self, fresh: dict[str, ScienceRequest], before: dict[str, ScienceRequest]
    ) -> tuple[list[ScienceRequest], int]:
        changed = []
        now = datetime.now(UTC).replace(microsecond=0)
        for identity, record in sorted(fresh.items()):
            known = before.get(identity) or self.catalog.requests.get(identity)
            if known is not None:
                version = known.version + (known.content_sha256 != record.content_sha256)
                record = replace(record, version=version, updated=known.updated)  # noqa: PLW2901
            if known is None or _stored(record) != _stored(known):
                changed.append(replace(record, updated=now))
                self.catalog.requests.save(changed[-1])
        for identity in sorted(set(before) - set(fresh)):
            self.catalog.requests.delete(identity)
        return changed, len(fresh) - len(changed)


def _days(part: Assembled) -> list[int]:
    """On-board days on which the packets of a request were made."""
    return [int(d) for d in np.unique(part.columns.block.scet_coarse // _DAY_S)]


def identity_of(part: Assembled) -> str:
    """What a request is called, but for its origin."""
    if part.request or part.tc_sequence:
        return f"{_TYPES[part.ssid]}_{part.request:010d}-{part.tc_sequence:05d}"
    data = part.time_stamp if part.time_stamp >= 0 else part.span[0]
    sent = int(part.columns.block.scet_coarse[0])
    return f"{_TYPES[part.ssid]}_t{max(data, 0) >> 16:010d}-{sent:010d}"


def _nothing_good(key: RequestKey) -> ScienceRequest:
    """Record of packets none of which can be decoded."""
    name = f"{key.request:010d}-{key.tc_sequence:05d}" if key.day < 0 else f"day{key.day}-damaged"
    return ScienceRequest(
        id=f"{_TYPES[key.ssid]}_{name}_{key.origin}",
        type=_TYPES[key.ssid],
        request_id=key.request,
        tc_packet_id=0,
        tc_sequence=key.tc_sequence,
        ssid=key.ssid,
        origin=key.origin,
        n_packets=0,
        n_missing=0,
        n_damaged=0,
        n_conflicts=0,
        complete=False,
        keys=(str(key),),
    )


def _with_damaged(record: ScienceRequest, n: int, sources: set[str]) -> ScienceRequest:
    words = f"{n} packet{'s' if n != 1 else ''} cannot be decoded"
    return replace(
        record,
        n_damaged=n,
        why="" if record.complete else "; ".join(filter(None, (record.why, words))),
        sources=tuple(sorted({*record.sources, *sources})),
    )


def _stored(record: ScienceRequest) -> Document:
    """What the catalogue keeps of it, but for the time of the change."""
    return to_document(replace(record, updated=None), record.id)


def assemble_request(record: ScienceRequest, keeper: RequestKeeper) -> Assembled:
    """All packets of a catalogued request, decoded and in order.

    Raises
    ------
    NotInCatalogError
        If none of its packets can be decoded, or they belong to another record by now.
    ArchiveError, FormatError
        If stored packets are missing or damaged.
    """
    for key in record.keys:
        for found in keeper.find_all(key):
            if found.record.id == record.id and found.part is not None:
                return found.part
    raise NotInCatalogError(
        f"request {record.id}: expected its packets in {len(record.sources)} raw files; found none that can be decoded "
        f"({record.why or 'changed since it was looked up'}); `stixlab requests` lists what there is",
        request=record.id,
    )
