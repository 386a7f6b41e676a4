"""Takes every file that arrives in watched folders into the data center, for ever, losing none.

What has been dealt with is in the catalogue, by path, size and times; whatever else is found in a folder is
taken. So a watcher that was killed, or was not there, goes on where the last one was.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from stixlab.errors import ConflictError, SettingsError, StixlabError
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.lookout import Folder, Lookout, printable
from stixlab.ingest.spool import Spool
from stixlab.ingest.taking import Taker
from stixlab.ingest.wakeups import Wakeups
from stixlab.ingest.watch_notes import FolderNote
from stixlab.model import Arrival

__all__ = ["Watcher"]

_TURN_S = 0.25
"""How soon a request to stop is seen."""
_AWAY_S = (0.5, 10.0)
"""Pause before the database is asked again: the first, and the longest."""
_TAKEN_S = 5.0
"""How often a folder that somebody else watches is asked for."""
_NOTED_PROBLEMS = 20
_OWN = ("archive", "hub", "log", "mongo", "run", "work")
"""What an installation writes below its home."""


class Watcher:
    """Watches folders, and hands what has arrived to an ingestor.

    Parameters
    ----------
    folders
        What to watch; one that is not there is waited for.
    home
        Folder of the installation.
    tell
        Called with the record of each file that was dealt with, or cannot be read.
    say
        Called with what else a person should know.
    insist
        Whether a folder that somebody else watches is an error; otherwise it is waited for.
    events
        Whether to listen to the operating system, to look sooner.
    lookout
        Looks into the folders; by default with the clocks of this machine.

    Raises
    ------
    SettingsError
        If a folder holds the installation itself, or is within what it writes.
    ConflictError
        If somebody else watches one of the folders and `insist`.
    ArchiveError
        If the home cannot be written.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        home: Path,
        *,
        tell: Callable[[Arrival], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
        insist: bool = False,
        events: bool = True,
        lookout: Lookout | None = None,
    ) -> None:
        roots = list(dict.fromkeys(_checked(f, home) for f in folders))
        excluded = frozenset(str(home / name) for name in _OWN)
        self.lookout = lookout or Lookout([])
        self.lookout.folders = []
        self._waiting_for = {root: Folder(root, excluded) for root in roots}
        self._asked = 0.0
        self._say = say
        self._said: dict[str, str] = {}
        self._notes = {root: FolderNote(home, root) for root in roots}
        self._wake = threading.Event()
        self._wakeups = {root: Wakeups(root, self._wake.set) for root in roots if events}
        self._identities: dict[Path, tuple[int, int] | None] = {}
        self._hold(insist=insist)
        self._spool = Spool(home / "work" / "watch")
        self._taker = Taker(self.lookout, self._spool, tell, say)

    def __enter__(self) -> Self:
        for each in self._wakeups.values():
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of folders and copies; also safe twice."""
        for wakeups in self._wakeups.values():
            wakeups.stop()
        self._spool.close()
        for note in self._notes.values():
            note.close()

    def run(self, ingestor: Ingestor, stop: threading.Event) -> None:
        """Take what arrives until asked to stop.

        Raises
        ------
        CatalogError
            If the database goes away; nothing is lost, the next call goes on.
        AccessError
            If this process may not write.
        """
        while not stop.is_set():
            if not self.turn(ingestor):
                self.wait(self.lookout.pause_s(), stop)

    def turn(self, ingestor: Ingestor) -> bool:
        """Look once, and take what is complete; whether there was anything.

        Raises
        ------
        CatalogError, AccessError
            As `run`.
        """
        self.look()
        for folder in self.lookout.folders:
            self._taker.load(ingestor.catalog, folder)
        found = self._taker.take(ingestor)
        self._mention("database", "", good="the database is there again")
        return found

    def look(self) -> None:
        """See what has arrived."""
        if self._waiting_for and self.lookout.clock() >= self._asked + _TAKEN_S:
            self._hold()
        hints: list[str] = []
        for folder in self.lookout.folders:
            found = self._wakeups[folder.root].take() if folder.root in self._wakeups else []
            if found is None:
                folder.next_look = 0.0
            hints += found or []
        self.lookout.look(hints)
        for folder in self.lookout.folders:
            self._describe(folder)

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Do nothing until something happens, or the time is over, or it is asked to stop."""
        until = self.lookout.clock() + seconds
        while not stop.is_set() and (left := until - self.lookout.clock()) > 0:
            if self._wake.wait(min(left, _TURN_S)):
                self._wake.clear()
                return

    def wait_for_database(self, error: StixlabError, n_failures: int, stop: threading.Event) -> None:
        """Look on, without taking anything, for a time that grows with the failures in a row."""
        self._mention("database", f"waiting for the database: {error.message}")
        clock = self.lookout.clock
        until = clock() + min(_AWAY_S[0] * 2.0**n_failures, _AWAY_S[1])
        while not stop.is_set() and clock() < until:
            self.look()
            self.wait(min(max(self.lookout.pause_s(), _TURN_S), until - clock()), stop)

    def _hold(self, *, insist: bool = False) -> None:
        """Begin to watch the folders that nobody else watches."""
        self._asked = self.lookout.clock()
        for root, folder in list(self._waiting_for.items()):
            other = self._notes[root].acquire()
            if not other:
                self.lookout.folders.append(self._waiting_for.pop(root))
            elif insist:
                self.close_notes()
                raise ConflictError(f"watch {root}: {other}; stop that first, `stixlab status` shows it")
            word = f"{printable(str(folder.root))}: {other}; waiting for it to end" if other else ""
            self._mention(f"hold {root}", word, good=f"{printable(str(root))}: is watched here now")

    def close_notes(self) -> None:
        """Let go of the folders."""
        for note in self._notes.values():
            note.close()

    def _describe(self, folder: Folder) -> None:
        """Tell once what is wrong with a folder, and write down how it stands."""
        text = printable(str(folder.root))
        word = f"{text}: {folder.away}; waiting for it" if folder.away else ""
        self._mention(str(folder.root), word, good=f"{text}: is there again")
        for path, reason in folder.problems.items():
            self._mention(path, f"{printable(path)}: cannot be looked at: {reason}")
        if self._identities.setdefault(folder.root, folder.identity) != folder.identity:
            self._identities[folder.root] = folder.identity
            if folder.root in self._wakeups:
                self._wakeups[folder.root].renew()
        waiting = [c for c in self.lookout.candidates.values() if c.folder is folder]
        problems = [(p, r) for p, r in folder.problems.items()] + [
            (c.path, c.problem) for c in waiting if c.problem
        ]
        self._notes[folder.root].write(
            folder=text,
            away=folder.away,
            files=folder.n_files,
            waiting=len(waiting),
            oldest=min(c.first_seen for c in waiting).isoformat(timespec="seconds") if waiting else "",
            problems={printable(p): r for p, r in problems[:_NOTED_PROBLEMS]},
            database=self._said.get("database", ""),
        )

    def _mention(self, about: str, word: str, *, good: str = "") -> None:
        """Say something once, until it changes."""
        if word == self._said.get(about, ""):
            return
        if word:
            self._said[about] = word
        else:
            del self._said[about]
        if word or good:
            self._say(word or good)


def _checked(folder: Path, home: Path) -> Path:
    """The whole path of a folder that may be watched."""
    found = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100  (a link stays the name it has)
    real = found.resolve()
    inside = any(real.is_relative_to((home / name).resolve()) for name in _OWN)
    if real == home.resolve() or inside:
        raise SettingsError(
            f"watch {found}: expected a folder that stixlab does not write to itself; "
            f"{home} is where it keeps its files; name another, such as {home / 'incoming'}"
        )
    if found.exists() and not found.is_dir():
        raise SettingsError(f"watch {found}: expected a folder; found a file; `stixlab ingest` takes files")
    return found
