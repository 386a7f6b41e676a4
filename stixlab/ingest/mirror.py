"""A local copy of a public archive of FITS files, by its index pages: resumable, polite, with checksums.

Files take their names only when they are whole. Nothing is ever removed: what the archive no longer lists stays and
is told. Whether something changed is seen in the index page; where that says nothing the server is asked.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from stixlab.errors import AccessError, FormatError
from stixlab.ingest.mirror_files import MOST_BYTES, NEW, UNCHANGED, Getter, now_text
from stixlab.ingest.mirror_http import Asker, RefusedError
from stixlab.ingest.mirror_notes import Notes, verify_mirror
from stixlab.ingest.mirror_pages import Entry, Selection, read_index_page

__all__ = ["MirrorReport", "Selection", "mirror", "verify_mirror"]

DELAY_S = 0.5
"""Pause between requests, seconds."""
TIMEOUT_S = 60.0
"""Of a silent connection, seconds."""
_MAX_PAGE_BYTES = 1 << 24
_MAX_DEPTH = 12
_MAX_PAGES = 200_000
_FOR_ONE = (RefusedError, AccessError, FormatError)
"""What concerns one address only: it is told, the rest goes on."""


@dataclass
class MirrorReport:
    """What a mirror did."""

    url: str
    folder: str
    new: list[str] = field(default_factory=list)
    """Files that were not there before, relative to the folder."""
    changed: list[str] = field(default_factory=list)
    """Files whose content changed, or that had been damaged here."""
    unchanged: int = 0
    left_out: int = 0
    """Files that the selection does not take."""
    gone: list[str] = field(default_factory=list)
    """Files that the archive no longer lists; they stay here."""
    problems: list[str] = field(default_factory=list)
    n_requests: int = 0
    n_bytes: int = 0
    """Bytes of files received."""
    seconds: float = 0.0

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return {"type": "mirror", **self.__dict__}


def mirror(
    url: str,
    folder: Path,
    selection: Selection | None = None,
    *,
    delay_s: float = DELAY_S,
    most_bytes: int = MOST_BYTES,
    ask_all: bool = False,
    verify: bool = False,
    tell: Callable[[str, str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> MirrorReport:
    """Bring a local copy of a public archive up to date. Safe to repeat, safe to kill.

    Parameters
    ----------
    url, folder
        Address of an index page, what lies below it is taken; and where to. A folder serves one address.
    selection
        What to take; everything if None.
    delay_s
        Pause between requests, seconds; more if the server asks for it.
    most_bytes
        Larger files are left out, and told among the problems.
    ask_all, verify
        Ask for every file whether it changed, even where the index page says that it did not; read every file that is
        there first, and get those anew that are damaged.
    tell
        Called with what became of a file (``new``, ``changed``, ``failed``, ``gone``) and which.
    sleep
        For tests.

    Returns
    -------
    MirrorReport
        What could not be got stands in ``problems``.

    Raises
    ------
    ParameterError, ServiceError, AccessError
        If the address or the limit makes no sense, the server does not answer with an index, or its robots.txt forbids it.
    ConflictError, ArchiveError
        If the folder is a copy of something else, is being filled, cannot be written, or its disk is full. What is
        complete stays, and the same call goes on from there.
    """
    began = time.monotonic()
    base = url if url.endswith("/") else url + "/"
    asker = Asker(base, delay_s=delay_s, timeout_s=TIMEOUT_S, sleep=sleep)
    report = MirrorReport(base, str(folder))
    with Notes.held(folder, base) as notes:
        asker.read_robots()
        damaged = set(verify_mirror(folder)) if verify else set()
        getter = Getter(asker, notes, ask_all=ask_all, damaged=damaged, most_bytes=most_bytes)
        walk = _Walk(asker, notes, getter, selection or Selection(), report, tell or _silent)
        try:
            walk.run()
        finally:
            report.n_requests, report.n_bytes = asker.n_requests, getter.n_bytes
            report.seconds = time.monotonic() - began
    return report


def _silent(_what: str, _path: str) -> None:
    """Nothing told."""


@dataclass
class _Walk:
    """One walk through the index pages."""

    asker: Asker
    notes: Notes
    getter: Getter
    selection: Selection
    report: MirrorReport
    tell: Callable[[str, str], None]
    listed: dict[str, set[str]] = field(default_factory=dict)
    """Names in each folder that was read, by its path."""

    def run(self) -> None:
        entries, url = self._page("", self.asker.base)
        self.asker.base = url
        if not entries:
            self._failed(url, f"{url}: the page lists nothing below it; is it the index of an archive?")
        for folder, here, inside in self._folders("", url, entries, 0):
            for entry in inside:
                if not entry.is_folder:
                    self._file(f"{folder}{entry.name}", here + quote(entry.name), entry)
        self._note_gone()

    def _folders(
        self, folder: str, url: str, entries: list[Entry], depth: int
    ) -> Iterator[tuple[str, str, list[Entry]]]:
        """Folders as they are read, each with its path here, its address and what it holds."""
        yield folder, url, entries
        root = tuple(unquote(p) for p in urlsplit(url).path.split("/") if p)
        for entry in entries:
            if not entry.is_folder or not self.selection.takes_folder((*root, entry.name)):
                continue
            path, below = f"{folder}{entry.name}/", f"{url}{quote(entry.name)}/"
            if depth + 1 > _MAX_DEPTH or len(self.listed) >= _MAX_PAGES:
                self._failed(path, f"{below}: expected fewer folders; left out; is it a loop of links?")
                continue
            try:
                inside, there = self._page(path, below)
            except _FOR_ONE as error:
                self._failed(path, error.message)
                continue
            yield from self._folders(path, there, inside, depth + 1)

    def _page(self, folder: str, url: str) -> tuple[list[Entry], str]:
        """What a folder holds by its index page, and the address it really has."""
        with self.asker.get(url) as answer:
            kind = str(answer.headers.get("Content-Type") or "no type").lower()
            packed = str(answer.headers.get("Content-Encoding") or "identity").lower()
            try:
                content = answer.body.read(_MAX_PAGE_BYTES + 1)
            except (OSError, http.client.HTTPException) as error:
                raise RefusedError(
                    f"{url}: expected a whole index page; the connection broke: {error}"
                ) from error
            short = answer.length is not None and len(content) < answer.length
            if "html" not in kind or len(content) > _MAX_PAGE_BYTES or short or packed != "identity":
                raise RefusedError(
                    f"{url}: expected an index page (HTML, at most {_MAX_PAGE_BYTES} bytes); found {kind}, {packed},"
                    f" {len(content)} bytes"
                )
            there = answer.url if answer.url.endswith("/") else answer.url + "/"
        entries, refused = read_index_page(content.decode("utf-8", "replace"), there)
        for name in refused:
            self._failed(repr(name), f"{url}: {name!r} cannot be the name of a file; left out")
        self.listed[folder] = {entry.name for entry in entries}
        return entries, there

    def _file(self, path: str, url: str, entry: Entry) -> None:
        if not self.selection.takes_file(entry.name):
            self.report.left_out += 1
            return
        try:
            became = self.getter.get(path, url, entry)
        except _FOR_ONE as error:
            self._failed(path, error.message)
            return
        if became == UNCHANGED:
            self.report.unchanged += 1
            return
        (self.report.new if became == NEW else self.report.changed).append(path)
        self.tell(became, path)

    def _failed(self, path: str, reason: str) -> None:
        self.report.problems.append(reason)
        self.tell("failed", f"{path}: {reason}")

    def _note_gone(self) -> None:
        """Files that are here and stand in no index page of those that would name them."""
        for path, known in sorted(self.notes.files.items()):
            parts = path.split("/")
            folders = ["".join(f"{p}/" for p in parts[:n]) for n in range(len(parts))]
            read = [(f, name) for f, name in zip(folders, parts, strict=True) if f in self.listed]
            if all(name in self.listed[f] for f, name in read):
                continue
            self.report.gone.append(path)
            if not known.gone:
                self.notes.add(replace(known, gone=now_text()))
                self.tell("gone", path)
