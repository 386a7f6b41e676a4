"""What there is in watched folders: which files are new, which of them still change, which are complete.

Everything here rests on looking: events of the operating system only say where to look sooner. A look
through a folder asks the file system about every file only as often as that costs a twentieth of the time;
in between it reads names alone, which finds new files and costs little where there are many.
"""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

__all__ = ["Candidate", "Folder", "Lookout", "Signature", "is_unfinished", "printable", "signature_of"]

SETTLE_S = 1.0
"""A file is complete when size and times were the same so long."""
INTERVAL_S = 0.5
"""Pause between two looks through a folder, if these are quick."""
_EMPTY_SETTLE_S = 10.0
"""Many programs make a file first and fill it later."""
_COARSE_SETTLE_S = 2.5
"""Where the file system keeps whole or even seconds, a change could hide within one."""
_NAMES_SHARE, _ALL_SHARE = 10.0, 20.0
"""A look at names takes at most a tenth of the time, one at all files a twentieth."""
_AFTER_ALL = 2.5
"""Pause after a look at all files, which takes about four times as long as one at names."""
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")
_INT64_MAX = 2**63 - 1


class Signature(NamedTuple):
    """What changes when a file does."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int


def signature_of(found: os.stat_result) -> Signature:
    """Size and times of a file; times that no document can hold are cut."""
    mtime, ctime = (max(-_INT64_MAX, min(t, _INT64_MAX)) for t in (found.st_mtime_ns, found.st_ctime_ns))
    return Signature(found.st_size, mtime, ctime)


def is_unfinished(name: str) -> bool:
    """Whether a name says that the file is hidden or still being written."""
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def printable(path: str) -> str:
    """A path in which whatever cannot be shown, or is no text at all, stands as an escape."""
    if path.isprintable():
        return path
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(slots=True)
class Candidate:
    """A file that is not known yet."""

    path: str
    folder: Folder
    signature: Signature
    first_seen: datetime
    """UTC."""
    arrived: float
    """When it was changed last, as well as is known; monotonic, s."""
    changed: float
    """When a change of it was seen last; monotonic, s."""
    ready: bool = False
    alone: bool = False
    """To be taken apart from others: with them it led to an error."""
    failures: int = 0
    not_before: float = 0.0
    """When it may be tried (again); monotonic, s."""
    problem: str = ""

    @property
    def settle_s(self) -> float:
        """How long it must not change to be complete, s."""
        if self.signature.size_bytes == 0:
            return _EMPTY_SETTLE_S
        return _COARSE_SETTLE_S if self.signature.ctime_ns % 1_000_000_000 == 0 else SETTLE_S

    def postpone(self, now: float) -> None:
        """Leave it alone for a while, longer each time, up to a minute."""
        self.failures += 1
        self.not_before = now + min(2.0**self.failures, 60.0)


@dataclass(eq=False)
class Folder:
    """A folder with all below it."""

    root: Path
    excluded: frozenset[str] = frozenset()
    """Folders below it that are not looked into."""
    known: dict[str, tuple[Signature, ...]] = field(default_factory=dict)
    """Files that were dealt with: what they looked like then, by path."""
    away: str = ""
    """Why it cannot be looked into now; empty if it can."""
    problems: dict[str, str] = field(default_factory=dict)
    """What below it could not be looked at in the last look, and why."""
    identity: tuple[int, int] | None = None
    """Device and number of the folder itself."""
    n_files: int = 0
    """Files at the last look."""
    next_look: float = 0.0
    _all_looked: float = -1e9
    _all_took: float = 0.0
    last_look: float | None = None

    def knows(self, path: str, signature: Signature) -> bool:
        """Whether the file was dealt with as it is now."""
        return signature in self.known.get(printable(path), ())

    def learn(self, path: str, signature: Signature) -> None:
        """Count a file as dealt with."""
        text = printable(path)
        if signature not in self.known.get(text, ()):
            self.known[text] = (*self.known.get(text, ()), signature)

    def look(self, clock: Callable[[], float]) -> Iterator[tuple[str, Signature]]:
        """Files that are not known as they are now; those known by name are asked about only now and then."""
        began = clock()
        every = began - self._all_looked >= _ALL_SHARE * self._all_took
        self.n_files, self.problems = 0, {}
        try:
            found = self.root.stat()
            self.identity = (found.st_dev, found.st_ino)
            yield from self.walk(every=every)
        except OSError as error:
            self.away, self.identity = _reason(error), None
        else:
            self.away = ""
        ended = clock()
        if every:
            self._all_looked, self._all_took = ended, ended - began
        self.last_look = began
        self.next_look = ended + max(INTERVAL_S, (_AFTER_ALL if every else _NAMES_SHARE) * (ended - began))

    def look_at(self, path: str) -> Iterator[tuple[str, Signature]]:
        """The file of a path, or the files below it, as far as they are not known."""
        inside = os.path.relpath(path, self.root)
        if inside == ".":
            self.next_look = 0.0
        if any(is_unfinished(part) for part in Path(inside).parts) or path in self.excluded:
            return
        try:
            found = os.stat(path)  # noqa: PTH116  (a path may hold what is no text)
            if stat.S_ISDIR(found.st_mode):
                yield from self._walk(path, every=True)
            elif stat.S_ISREG(found.st_mode) and not self.knows(path, signature_of(found)):
                yield path, signature_of(found)
        except OSError:
            return

    def walk(self, *, every: bool) -> Iterator[tuple[str, Signature]]:
        """Unknown files; known ones are asked about if `every`, otherwise passed over by their names.

        Raises
        ------
        OSError
            If the folder itself cannot be looked into.
        """
        yield from self._walk(str(self.root), every=every)

    def _walk(self, top: str, *, every: bool) -> Iterator[tuple[str, Signature]]:
        """Unknown files below a folder; only a fault of the folder itself is raised."""
        waiting, linked = [top], {os.path.realpath(self.root)}
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(here) as entries:
                    for entry in entries:
                        if not is_unfinished(entry.name):
                            yield from self._meet(entry, waiting, linked, every=every)
            except OSError as error:
                if here == str(self.root):
                    raise
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    self.problems[here] = _reason(error)

    def _meet(
        self, entry: os.DirEntry[str], waiting: list[str], linked: set[str], *, every: bool
    ) -> Iterator[tuple[str, Signature]]:
        path = entry.path
        try:
            if entry.is_dir(follow_symlinks=False):
                if path not in self.excluded:
                    waiting.append(path)
                return
            self.n_files += 1
            if not every and (path if path.isprintable() else printable(path)) in self.known:
                return
            found = entry.stat()
            if stat.S_ISREG(found.st_mode):
                signature = signature_of(found)
                if not self.knows(path, signature):
                    yield path, signature
                return
            self.n_files -= 1
            if stat.S_ISDIR(found.st_mode):
                _follow(path, waiting, linked, self.excluded)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self.problems[path] = _reason(error)


def _follow(path: str, waiting: list[str], linked: set[str], excluded: frozenset[str]) -> None:
    """Look into a linked folder, unless it stands within what is looked through, or around it."""
    target = os.path.realpath(path)
    inside = any(_within(target, other) or _within(other, target) for other in linked)
    if not inside and not any(_within(target, e) or _within(e, target) for e in excluded):
        linked.add(target)
        waiting.append(path)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


class Lookout:
    """Watches folders for files that are complete and not known.

    Parameters
    ----------
    folders
        What to look through.
    clock, now
        Monotonic seconds, and UTC; both are given so that no clock that is set shows in what settles.
    """

    def __init__(
        self,
        folders: Iterable[Folder],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folders = list(folders)
        self.clock = clock
        self.now = now
        self.candidates: dict[str, Candidate] = {}
        self.vanished: list[str] = []
        """Complete files that were gone before they were taken."""

    def look(self, hints: Iterable[str] = ()) -> None:
        """See what is new, what has changed, and what is complete now.

        Parameters
        ----------
        hints
            Paths where something has just happened.
        """
        for path in hints:
            for folder in self.folders:
                if not folder.away and _within(path, str(folder.root)):
                    self._see(folder, folder.look_at(path))
                    break
        for folder in self.folders:
            if self.clock() >= folder.next_look:
                self._see(folder, folder.look(self.clock))
        self._settle()

    def pause_s(self) -> float:
        """Seconds until there is something to look at, if nothing happens."""
        times = [f.next_look for f in self.folders]
        times += [
            c.not_before if c.ready else c.changed + c.settle_s for c in self.candidates.values()
        ]  # fmt: skip
        return max(0.02, min(times, default=INTERVAL_S) - self.clock())

    def ready(self, *, max_files: int, max_bytes: int) -> list[Candidate]:
        """Complete files, the oldest first: at least one if there is any, and no more than may be taken at once."""
        now = self.clock()
        waiting = (c for c in self.candidates.values() if c.ready and c.not_before <= now)
        chosen: list[Candidate] = []
        size = 0
        for each in heapq.nsmallest(max_files, waiting, key=_age):
            size += each.signature.size_bytes
            if chosen and size > max_bytes:
                break
            chosen.append(each)
        return chosen

    def drop(self, candidate: Candidate, *, known: Signature | None = None) -> None:
        """Forget a candidate; it is known as it was then, if it was dealt with."""
        self.candidates.pop(candidate.path, None)
        if known is not None:
            candidate.folder.learn(candidate.path, known)

    def changed(self, candidate: Candidate, signature: Signature) -> None:
        """A candidate is not what it was: let it settle anew."""
        candidate.arrived = self._arrival(candidate.folder, signature)
        candidate.signature = signature
        candidate.changed = self.clock()
        candidate.ready, candidate.problem = False, ""

    def _see(self, folder: Folder, found: Iterable[tuple[str, Signature]]) -> None:
        for path, signature in found:
            known = self.candidates.get(path)
            if known is None:
                self.candidates[path] = Candidate(
                    path, folder, signature, self.now(), self._arrival(folder, signature), self.clock()
                )
            elif known.signature != signature:
                self.changed(known, signature)

    def _settle(self) -> None:
        now = self.clock()
        for each in list(self.candidates.values()):
            if each.ready or now < each.changed + each.settle_s:
                continue
            try:
                found = os.stat(each.path)  # noqa: PTH116  (a path may hold what is no text)
            except OSError:
                self.drop(each)
                continue
            if signature_of(found) != each.signature:
                self.changed(each, signature_of(found))
            elif each.folder.knows(each.path, each.signature):
                self.drop(each)
            else:
                each.ready = True

    def _arrival(self, folder: Folder, signature: Signature) -> float:
        """When the file was changed, by its own time if that lies after the look before; else now."""
        now = self.clock()
        if folder.last_look is None:
            return now
        age = self.now().timestamp() - signature.ctime_ns / 1e9
        return now - max(0.0, min(age, now - folder.last_look))


def _age(candidate: Candidate) -> tuple[bool, datetime, int, str]:
    return candidate.alone, candidate.first_seen, candidate.signature.mtime_ns, candidate.path
