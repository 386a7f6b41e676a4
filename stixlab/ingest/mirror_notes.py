"""What a mirror keeps about itself, in a hidden folder of it: whose copy it is, its files with checksums, pieces begun.

A line is added to the journal when a file is whole; the last line about a file counts, and a line cut short by a
killed process is none. At the end the checksums are written whole as well, for `sha256sum -c .mirror/SHA256SUMS`.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stixlab.errors import ConflictError, FormatError
from stixlab.files import remove_temporaries, sha256_of, write_bytes, write_failed

__all__ = ["FOLDER", "Copied", "Notes", "verify_mirror"]

FOLDER = ".mirror"
"""Name of the hidden folder within a mirror."""


@dataclass(frozen=True)
class Copied:
    """A file of the mirror, as it was got."""

    path: str
    """Relative to the mirror, with slashes."""
    size: int
    """Bytes."""
    sha256: str
    etag: str = ""
    last_modified: str = ""
    """As the server said them, to ask whether it changed."""
    row: str = ""
    """What the index page said beside it."""
    fetched: str = ""
    """UTC."""
    gone: str = ""
    """UTC since when the archive no longer lists it; empty: it does."""


class Notes:
    """The notes of one mirror, held by one process; see `Notes.held`.

    Parameters
    ----------
    folder
        Of the mirror.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hidden = folder / FOLDER
        self._journal = self.hidden / "journal.jsonl"
        self.files: dict[str, Copied] = {}
        self.begun: dict[str, dict[str, Any]] = {}
        """Pieces of files on the disk: bytes that are safe and what the server called that version, by path."""

    @classmethod
    @contextmanager
    def held(cls, folder: Path, url: str) -> Iterator[Notes]:
        """Notes of a mirror of an address, for this process alone; checksums are written at the end, come what may.

        Raises
        ------
        ConflictError
            If another process mirrors into it, or it is a copy of something else.
        FormatError
            If its notes are damaged.
        ArchiveError
            If it cannot be written.
        """
        notes = cls(folder)
        lock = notes.hidden / "lock"
        try:
            notes.hidden.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise write_failed(lock, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConflictError(
                    f"mirror: {folder} is being filled by another process; wait for it or stop it"
                ) from None
            remove_temporaries(notes.hidden)
            notes._read()
            notes._claim(url)
            try:
                yield notes
            finally:
                notes._close()
        finally:
            os.close(handle)

    def _claim(self, url: str) -> None:
        path = self.hidden / "source.json"
        if path.exists():
            try:
                there = str(json.loads(path.read_bytes())["url"])
            except (ValueError, LookupError, TypeError) as error:
                raise FormatError(
                    f"mirror: expected the address of the archive in {path}; found {error}; remove the folder {FOLDER} to"
                    " start anew"
                ) from error
            if there == url:
                return
            if self.files or self.begun:
                raise ConflictError(
                    f"mirror: expected a copy of {url} in {self.folder}; it is one of {there}; name another folder"
                )
        write_bytes(path, json.dumps({"url": url}).encode())

    def _read(self) -> None:
        if not self._journal.exists():
            return
        for line in self._journal.read_bytes().splitlines():
            try:
                record = json.loads(line)
                if record.pop("piece", False):
                    self.begun[record["path"]] = record
                else:
                    copied = Copied(**record)
                    self.files[copied.path] = copied
                    self.begun.pop(copied.path, None)
            except (ValueError, TypeError, LookupError, AttributeError):
                continue  # cut short by a killed process: the file is asked for again

    def add(self, copied: Copied) -> None:
        """A file that is whole and in its place."""
        self.files[copied.path] = copied
        self.begun.pop(copied.path, None)
        self._append(dataclasses.asdict(copied))

    def add_piece(self, path: str, size: int, etag: str, last_modified: str) -> None:
        """The beginning of a file that is safe on the disk."""
        record = {"path": path, "size": size, "etag": etag, "last_modified": last_modified}
        self.begun[path] = record
        self._append({"piece": True, **record})

    def drop_piece(self, path: str) -> None:
        """What was begun is of no use."""
        self.begun.pop(path, None)
        self.piece(path).unlink(missing_ok=True)

    def piece(self, path: str) -> Path:
        """Where the beginning of a file is kept."""
        return self.hidden / "pieces" / hashlib.sha256(path.encode()).hexdigest()

    def _append(self, record: dict[str, Any]) -> None:
        try:
            with self._journal.open("ab") as stream:
                # Begins on a line of its own even where the last one was cut short.
                stream.write(b"\n" + json.dumps(record, ensure_ascii=True).encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise write_failed(self._journal, error) from error

    def _close(self) -> None:
        """Write the notes anew, short, and the checksums."""
        records = [dataclasses.asdict(c) for _, c in sorted(self.files.items())]
        lines = [json.dumps(r) for r in records]
        lines += [json.dumps({"piece": True, **r}) for _, r in sorted(self.begun.items())]
        write_bytes(self._journal, "".join(f"{line}\n" for line in lines).encode())
        sums = "".join(f"{c.sha256}  {path}\n" for path, c in sorted(self.files.items()))
        write_bytes(self.hidden / "SHA256SUMS", sums.encode())
        for left in (self.hidden / "pieces").glob("*"):
            if left not in {self.piece(path) for path in self.begun}:
                left.unlink(missing_ok=True)


def verify_mirror(folder: Path) -> dict[str, str]:
    """Read every file of a mirror and compare it with its checksum.

    Returns
    -------
    dict
        What is wrong (``missing``, ``damaged``), by path; empty if all is well.

    Raises
    ------
    FormatError
        If the folder is no mirror.
    """
    notes = Notes(folder)
    if not (notes.hidden / "source.json").is_file():
        raise FormatError(f"mirror: expected a folder made by `stixlab mirror`; {folder} is none")
    notes._read()  # noqa: SLF001  (the same class)
    wrong = {}
    for path, copied in sorted(notes.files.items()):
        file = folder / path
        if not file.is_file():
            wrong[path] = "missing"
        elif file.stat().st_size != copied.size or sha256_of(file) != copied.sha256:
            wrong[path] = "damaged"
    return wrong
