"""From a complete file in a watched folder to its record: copied, ingested, set aside if it failed.

The record of a file is written before its ingest begins and after it ended. So whatever kills the process in
between, the next one knows what was under way, and what took the process down again and again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.archive.layout import raw_key
from stixlab.errors import AccessError, CatalogError, StixlabError
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.lookout import Candidate, Folder, Lookout, Signature, printable
from stixlab.ingest.report import FileResult, IngestReport
from stixlab.ingest.spool import (
    ChangedError,
    Spool,
    Spooled,
    UnreadableError,
    VanishedError,
    copied,
    keep,
    let_go,
)
from stixlab.model import Arrival, ArrivalStatus, arrival_id

__all__ = ["MAX_ATTEMPTS", "Taker"]

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
"""So often a file may take the process down while it is taken before it is set aside."""
_MAX_FILES, _MAX_BYTES = 500, 1 << 29
"""Taken in one ingest at most: what arrives meanwhile waits for it."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class _Work:
    """A copy to be taken, and its record."""

    copy: Spooled
    arrival: Arrival
    again: bool
    """Whether its ingest was begun before, be it by a process that is gone."""


class Taker:
    """Takes what a lookout found.

    Parameters
    ----------
    lookout
        Knows what is complete.
    spool
        Keeps the copies.
    tell, say
        As for `stixlab.ingest.watch.Watcher`.
    """

    def __init__(
        self, lookout: Lookout, spool: Spool, tell: Callable[[Arrival], None], say: Callable[[str], None]
    ) -> None:
        self.lookout = lookout
        self.spool = spool
        self._tell, self._say = tell, say
        self._begun: dict[str, Arrival] = {}
        """Arrivals whose ingest was begun and whose end is not recorded, by id."""
        self._earlier: set[str] = set()
        """Those of them that a process before this one has begun."""
        self._aside: dict[str, Arrival] = {}
        """What was set aside last, by path."""
        self._loaded: set[str] = set()
        self._lost_not_before = 0.0
        self._tidied = False

    def load(self, catalog: Any, folder: Folder) -> None:
        """What was dealt with in a folder, and what was begun and not ended, as the catalogue has it; once.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        name = printable(str(folder.root))
        if name in self._loaded:
            return
        for each in catalog.arrivals.find(folder=name):
            if each.status is ArrivalStatus.WAITING:
                self._begun[each.arrival_id] = each
                self._earlier.add(each.arrival_id)
                continue
            signature = Signature(each.size_bytes, each.mtime_ns, each.ctime_ns)
            folder.known[each.path] = (*folder.known.get(each.path, ()), signature)
            if each.status is ArrivalStatus.SET_ASIDE:
                self._aside.setdefault(each.path, each)
        self._loaded.add(name)

    def take(self, ingestor: Ingestor) -> bool:
        """Take what is complete, the oldest first; whether there was anything.

        Raises
        ------
        CatalogError
            If the database goes away; what was at hand is taken later.
        AccessError
            If this process may not write.
        """
        try:
            self._see_to_the_lost(ingestor)
            chosen = self.lookout.ready(max_files=_MAX_FILES, max_bytes=_MAX_BYTES)
            copies = [c for c in (self._copy(each, ingestor.catalog) for each in chosen) if c is not None]
            work = [w for w in (self._begin(c, ingestor) for c in copies) if w is not None]
            if work:
                ingestor.catalog.arrivals.save([w.arrival for w in work])
                self._begun |= {w.arrival.arrival_id: w.arrival for w in work}
            alone = [w for w in work if w.copy.candidate.alone or w.arrival.attempts > 1]
            together = [w for w in work if w not in alone]
            for group in [together, *([each] for each in alone)]:
                if group:
                    self._ingest(group, ingestor)
        finally:
            self.spool.clear()
        return bool(chosen)

    def _copy(self, candidate: Candidate, catalog: Any) -> Spooled | None:
        """A copy of a file; None if it is not what it was, or cannot be read now."""
        former = self._aside.get(printable(candidate.path))
        grown = former is not None and former.size_bytes < candidate.signature.size_bytes
        beginning = (former.size_bytes, former.sha256) if former is not None and grown else None
        try:
            return self.spool.copy(candidate, beginning=beginning)
        except ChangedError as error:
            self.lookout.changed(candidate, error.signature)
        except VanishedError:
            self._say(f"{printable(candidate.path)}: was gone before it could be taken")
            self.lookout.drop(candidate)
        except UnreadableError as error:
            candidate.postpone(self.lookout.clock())
            if candidate.problem != error.message:
                candidate.problem = error.message
                record = replace(self._record(candidate, ""), reason=error.message)
                catalog.arrivals.save([record])
                self._begun[record.arrival_id] = record
                self._tell(record)
        except StixlabError as error:  # no room for the copy
            self._postpone(candidate, error.message)
        return None

    def _postpone(self, candidate: Candidate, reason: str) -> None:
        candidate.postpone(self.lookout.clock())
        if candidate.problem != reason:
            candidate.problem = reason
            self._say(f"{printable(candidate.path)}: waits: {reason}")

    def _record(self, candidate: Candidate, sha256: str) -> Arrival:
        text = printable(candidate.path)
        return Arrival(
            arrival_id(text, sha256),
            folder=printable(str(candidate.folder.root)),
            path=text,
            name=Path(text).name,
            sha256=sha256,
            **candidate.signature._asdict(),
            first_seen=candidate.first_seen,
            status=ArrivalStatus.WAITING,
        )

    def _begin(self, copy: Spooled, ingestor: Ingestor) -> _Work | None:
        """What is to be done for a copy; None if this content under this path was dealt with before, and is stored."""
        candidate, catalog = copy.candidate, ingestor.catalog
        record = self._record(candidate, copy.sha256)
        if record.path in candidate.folder.known:
            known = catalog.arrivals.get(record.arrival_id)
            done = known is not None and known.status in (ArrivalStatus.TAKEN, ArrivalStatus.REPEATED)
            if known is not None and done and not _is_lost(record.sha256, ingestor):
                catalog.arrivals.save([replace(known, **copy.signature._asdict())])
                self.lookout.drop(candidate, known=copy.signature)
                return None
        settled = self.lookout.clock() - candidate.changed - candidate.settle_s
        complete = self.lookout.now() - timedelta(seconds=max(0.0, settled))
        former = self._begun.get(record.arrival_id)
        if former is None:
            return _Work(copy, replace(record, complete=complete, attempts=1), again=False)
        # What this process has begun itself and could not end, it survived.
        attempts = former.attempts + (record.arrival_id in self._earlier)
        self._earlier.discard(record.arrival_id)
        first_seen = min(former.first_seen, record.first_seen)
        return _Work(
            copy, replace(record, complete=complete, attempts=attempts, first_seen=first_seen), again=True
        )

    def _ingest(self, group: list[_Work], ingestor: Ingestor) -> None:
        """Take copies in one call; if that fails by more than a file's contents, each is tried alone later."""
        try:
            report = self._report(group, ingestor)
            if report is not None:
                self._end(group, report, ingestor)
        except (CatalogError, AccessError):
            raise
        except StixlabError as error:  # no room, a lock that somebody keeps: nothing that a file can do about
            first = group[0].copy.candidate
            self._postpone(first, error.message)
            for each in group:
                each.copy.candidate.alone = True
                each.copy.candidate.problem = error.message
                each.copy.candidate.not_before = first.not_before

    def _report(self, group: list[_Work], ingestor: Ingestor) -> IngestReport | None:
        """What the ingest says of copies; None if it failed, and not by the only one of them."""
        first, alone = group[0], len(group) == 1
        if alone and first.arrival.attempts > MAX_ATTEMPTS:
            reason = f"the process died {MAX_ATTEMPTS} times while it was taken; is memory too small for it?"
        else:
            try:
                report = ingestor.ingest([w.copy.path for w in group])
            except StixlabError:
                raise
            except Exception as error:
                log.exception("ingest failed", extra={"n_files": len(group)})
                for each in group:
                    each.copy.candidate.alone = True
                if not alone:
                    return None
                reason = f"{type(error).__name__}: {error}"
            else:
                for problem in report.problems:
                    self._say(problem)
                return report
        return IngestReport([FileResult(str(first.copy.path), "failed", error=reason)])

    def _end(self, group: list[_Work], report: IngestReport, ingestor: Ingestor) -> None:
        """Record what became of files, keep those that failed, and know them all from now on."""
        catalog, archive = ingestor.catalog, ingestor.archive
        results = {result.path: result for result in report.files}
        ended, others = [], []
        for each in group:
            path = str(each.copy.path)
            result = results.get(path) or FileResult(path, "failed", error="the ingest says nothing about it")
            record = self._outcome(each, result, catalog)
            if record.status is ArrivalStatus.SET_ASIDE:
                keep(archive, record.sha256, each.copy.path)
            ended.append(record)
            others += self._superseded(each.copy, record)
        unread = [i for i in (arrival_id(a.path, "") for a in ended) if i in self._begun]
        catalog.arrivals.save([*others, *ended], drop=unread)
        for old in others:
            self._aside.pop(old.path, None)
            if not any(a.sha256 == old.sha256 for a in [*self._aside.values(), *ended]):
                let_go(archive, old.sha256)
        for each, record in zip(group, ended, strict=True):
            self.lookout.drop(each.copy.candidate, known=each.copy.signature)
            if record.status is ArrivalStatus.SET_ASIDE:
                self._aside[record.path] = record
            self._tell(record)
        for identity in (*unread, *(a.arrival_id for a in ended)):
            self._begun.pop(identity, None)

    def _superseded(self, copy: Spooled, record: Arrival) -> list[Arrival]:
        """The record of a beginning of this file that was set aside, changed to say so."""
        former = self._aside.get(record.path)
        if former is None or not copy.begins_with:
            return []
        reason = "it was still growing; all of it is in what was taken later"
        return [replace(former, status=ArrivalStatus.SUPERSEDED, reason=reason)]

    def _outcome(self, work: _Work, result: FileResult, catalog: Any) -> Arrival:
        """The record of a file after its ingest."""
        arrival, now = work.arrival, self.lookout.now()
        if result.status == "failed":
            reason = result.error.replace(str(work.copy.path), arrival.path)
            return replace(arrival, status=ArrivalStatus.SET_ASIDE, reason=reason, ingested=now)
        status = ArrivalStatus.TAKEN if result.status == "new" else ArrivalStatus.REPEATED
        reason = "; ".join(result.findings[-1:]) if result.status == "repaired" else ""
        seconds = self.lookout.clock() - work.copy.candidate.arrived
        if work.again:
            seconds = max(seconds, (now - arrival.first_seen).total_seconds())
            raw_file = catalog.raw_files.get(arrival.sha256)
            if raw_file is not None and raw_file.received > arrival.first_seen - _SECOND:
                status = ArrivalStatus.TAKEN
        return replace(arrival, status=status, reason=reason, ingested=now, seconds=round(seconds, 3))

    def _see_to_the_lost(self, ingestor: Ingestor) -> None:
        """End what was begun by a process that was killed, and is not in its folder any more."""
        if not self._begun:
            if not self._tidied and self.lookout.folders:
                self.spool.clear_left()
                self._tidied = True
            return
        if self.lookout.clock() < self._lost_not_before:
            return
        there = {printable(path) for path in self.lookout.candidates}
        folders = {
            printable(str(f.root)): f for f in self.lookout.folders if f.last_look is not None and not f.away
        }
        lost = [a for a in self._begun.values() if a.path not in there and a.folder in folders]
        left = self.spool.left() if lost else {}
        for each in lost:
            copy = self._recover(each, folders[each.folder], ingestor.archive, left)
            if copy is None:
                gone = replace(each, status=ArrivalStatus.GONE, reason="was gone before it could be taken")
                ingestor.catalog.arrivals.save([gone])
                del self._begun[each.arrival_id]
                self._tell(gone)
                continue
            work = self._begin(copy, ingestor)
            if work is not None:
                ingestor.catalog.arrivals.save([work.arrival])
                self._begun[work.arrival.arrival_id] = work.arrival
                self._ingest([work], ingestor)
                self._lost_not_before = copy.candidate.not_before

    def _recover(
        self, arrival: Arrival, folder: Folder, archive: Archive, left: dict[str, Path]
    ) -> Spooled | None:
        """A copy of a content that is in its folder no more: from the archive, or from a process that was killed."""
        if not arrival.sha256:
            return None
        target = self.spool.place(arrival.name)
        for source in (archive.path(raw_key(arrival.sha256)), left.get(arrival.sha256)):
            if source is not None and copied(source, target, arrival.sha256):
                signature = Signature(arrival.size_bytes, arrival.mtime_ns, arrival.ctime_ns)
                now = self.lookout.clock()
                candidate = Candidate(
                    arrival.path, folder, signature, arrival.first_seen, now, now, ready=True
                )
                return Spooled(candidate, signature, target, arrival.sha256)
        return None


def _is_lost(sha256: str, ingestor: Ingestor) -> bool:
    """Whether a file is catalogued whose content is missing or damaged: taking it again repairs it."""
    return ingestor.catalog.raw_files.get(sha256) is not None and not ingestor.archive.is_raw_sound(sha256)
