"""What a watcher writes down about a folder for others, and the lock that makes it the only one there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from stixlab.catalog.workers import process_is, process_start
from stixlab.files import write_failed

__all__ = ["FolderNote", "read_notes"]


def _notes_folder(home: Path) -> Path:
    return home / "run" / "watch"


class FolderNote:
    """Lock and note of one watched folder of one home.

    Parameters
    ----------
    home
        Folder of the installation.
    folder
        The folder that is watched.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        key = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:12]
        self._lock_path = _notes_folder(home) / f"{key}.lock"
        self._path = _notes_folder(home) / f"{key}.json"
        self._handle = -1
        self._written: dict[str, Any] = {}

    def acquire(self) -> str:
        """Be the only watcher of the folder; empty if that was got, else who the other is.

        Raises
        ------
        ArchiveError
            If the home cannot be written.
        """
        if self._handle >= 0:
            return ""
        try:
            self._lock_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise write_failed(self._lock_path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            other = _read(self._path) or {}
            return f"process {other.get('pid', 'unknown')} watches it already"
        self._handle = handle
        return ""

    def write(self, **facts: Any) -> None:
        """Put what is to be known in the place of what was; a disk that is full does not matter here."""
        if self._handle < 0 or facts == self._written:
            return
        me = {"pid": os.getpid(), "start": process_start(os.getpid())}
        temporary = self._path.with_suffix(".new")
        with suppress(OSError):
            temporary.write_text(json.dumps(me | facts))
            temporary.replace(self._path)
            self._written = facts

    def close(self) -> None:
        """Let go of the folder; also safe twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self._path.unlink(missing_ok=True)
            os.close(handle)


def read_notes(home: Path) -> list[dict[str, Any]]:
    """What the watchers that run on a home say, one mapping for each folder, sorted by folder."""
    found = (_read(path) for path in _notes_folder(home).glob("*.json"))
    notes = [n for n in found if n is not None and process_is(n.get("pid", 0), n.get("start", ""))]
    return sorted(notes, key=lambda n: str(n.get("folder", "")))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None
