"""One file of a mirror: asked for only where it may have changed, gone on with where it was begun, named when whole."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from stixlab.errors import ArchiveError, FormatError, ParameterError
from stixlab.files import flush_folder, sha256_of, write_failed
from stixlab.ingest.mirror_http import Answer, Asker, RefusedError, read_count
from stixlab.ingest.mirror_notes import Copied, Notes
from stixlab.ingest.mirror_pages import Entry

__all__ = ["CHANGED", "KEPT_FREE_BYTES", "MOST_BYTES", "NEW", "UNCHANGED", "Getter", "free_bytes", "now_text"]

NEW, CHANGED, UNCHANGED = "new", "changed", "unchanged"
MOST_BYTES = 2_000_000_000
"""Size of the largest file that is got, unless another is asked for: a day of raw pixel data has a few hundred MB."""
KEPT_FREE_BYTES = 1 << 28
"""So much of the disk is left to others."""
_READ_BYTES = 1 << 16
_SAFE_EVERY_BYTES = 1 << 23
"""So much of a large file is lost at most when the process is killed."""
_FITS_NAMES = (".fits", ".fits.gz", ".fit")
_FITS_BEGINS = (b"SIMPLE  =", b"\x1f\x8b")


class _BrokenError(Exception):
    """The connection broke in the middle."""


class Getter:
    """Gets files of one mirror.

    Parameters
    ----------
    asker
        Of the server.
    notes
        Of the mirror.
    ask_all
        Ask even where the index page says that nothing changed.
    damaged
        Files to be got anew, whatever is known of them.
    most_bytes
        Larger files are left out.

    Raises
    ------
    ParameterError
        If no file could be that small.
    """

    def __init__(
        self,
        asker: Asker,
        notes: Notes,
        *,
        ask_all: bool,
        damaged: set[str],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if most_bytes < 1:
            raise ParameterError(f"mirror: expected the most bytes of a file, 1 or more; found {most_bytes}")
        self.n_bytes = 0
        """Bytes of files received."""
        self._most_bytes = most_bytes
        self._asker, self._notes, self._ask_all, self._damaged = asker, notes, ask_all, damaged

    def get(self, path: str, url: str, entry: Entry) -> str:
        """Bring a file up to date; what became of it: new, changed or unchanged.

        Parameters
        ----------
        path
            Where it belongs, relative to the mirror.
        url
            Where it is.
        entry
            Its line of the index page.

        Raises
        ------
        RefusedError, AccessError, FormatError
            If this file cannot be got; what was begun of it is gone on with next time.
        ServiceError
            If the server does not answer at all.
        ArchiveError
            If it cannot be written, or the disk has no room for it.
        """
        known = self._known(path)
        if (
            known is not None
            and known.row
            and known.row == entry.row
            and not known.gone
            and not self._ask_all
        ):
            return UNCHANGED
        headers = self._if_same(path) if known is None else _if_changed(known)
        try:
            with self._asker.get(url, headers) as answer:
                return self._receive(path, answer, entry, known)
        except RefusedError as error:
            if error.details.get("status") != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        # What was begun is longer than what there is now.
        self._notes.drop_piece(path)
        with self._asker.get(url) as answer:
            return self._receive(path, answer, entry, known)

    def _known(self, path: str) -> Copied | None:
        """What is known of a file that is there, with the size it should have."""
        known = self._notes.files.get(path)
        file = self._notes.folder / path
        there = known is not None and file.is_file() and file.stat().st_size == known.size
        return known if there and path not in self._damaged else None

    def _if_same(self, path: str) -> dict[str, str]:
        """Headers that ask for the rest of a file of which the beginning is here."""
        begun, piece = self._notes.begun.get(path), self._notes.piece(path)
        if begun is None:
            return {}
        validator = "" if begun["etag"].startswith("W/") else begun["etag"]
        validator = validator or begun["last_modified"]
        if not validator or not piece.is_file() or piece.stat().st_size < begun["size"]:
            self._notes.drop_piece(path)
            return {}
        os.truncate(piece, begun["size"])
        return {"Range": f"bytes={begun['size']}-", "If-Range": validator}

    def _receive(self, path: str, answer: Answer, entry: Entry, known: Copied | None) -> str:
        if answer.status == http.client.NOT_MODIFIED and known is not None:
            self._notes.add(replace(known, row=entry.row, gone=""))
            return UNCHANGED
        if answer.status not in (http.client.OK, http.client.PARTIAL_CONTENT) or answer.url.endswith("/"):
            raise RefusedError(f"{answer.url}: expected the file; found status {answer.status}, or a folder")
        piece, target = self._notes.piece(path), self._notes.folder / path
        try:
            size = self._store(path, piece, answer)
            self._check(path, piece, answer.url)
            sha256 = sha256_of(piece)
            same = known is not None and known.sha256 == sha256
            target.parent.mkdir(parents=True, exist_ok=True)
            if same:
                piece.unlink()
            else:
                piece.replace(target)
                flush_folder(target.parent)
        except OSError as error:
            raise write_failed(target, error) from error
        earlier = path in self._notes.files
        etag, modified = _version(answer)
        self._notes.add(Copied(path, size, sha256, etag, modified, entry.row, now_text()))
        return UNCHANGED if same else CHANGED if earlier else NEW

    def _store(self, path: str, piece: Path, answer: Answer) -> int:
        """Write what comes to the piece; its size when all of it is there and on the disk."""
        begun, start = self._notes.begun.get(path), _range_start(answer)
        if start is not None and (begun is None or start != begun["size"]):
            self._notes.drop_piece(path)
            raise RefusedError(f"{answer.url}: expected the rest of the file; found another part; try again")
        piece.parent.mkdir(parents=True, exist_ok=True)
        with piece.open("wb" if start is None else "ab") as stream:
            size = safe = stream.tell()
            expected = None if answer.length is None else size + answer.length
            self._check_size(path, answer.url, expected or size)
            _check_room(piece, answer.length or 0)
            broken = ""
            try:
                for block in _blocks(answer.body):
                    self._check_size(path, answer.url, size + len(block))
                    stream.write(block)
                    size += len(block)
                    self.n_bytes += len(block)
                    if size - safe >= _SAFE_EVERY_BYTES:
                        _check_room(piece, 0)
                        self._make_safe(path, stream, size, answer)
                        safe = size
            except _BrokenError as error:
                broken = str(error)
            if broken or (expected is not None and size != expected):
                self._make_safe(path, stream, size, answer)
                raise RefusedError(
                    f"{answer.url}: expected {expected or 'more'} bytes; found {size} ({broken or 'the connection ended'});"
                    " the same command gets the rest"
                )
            stream.flush()
            os.fsync(stream.fileno())
        return size

    def _check_size(self, path: str, url: str, size: int) -> None:
        """Refuse a file that is larger than asked for; what was begun of it goes."""
        if size > self._most_bytes:
            self._notes.drop_piece(path)
            raise RefusedError(
                f"{url}: expected a file of at most {self._most_bytes} bytes; the server sends {size} or more; left out;"
                " if it is wanted, give a larger --most-bytes"
            )

    def _make_safe(self, path: str, stream: IO[bytes], size: int, answer: Answer) -> None:
        stream.flush()
        os.fsync(stream.fileno())
        self._notes.add_piece(path, size, *_version(answer))

    def _check(self, path: str, piece: Path, url: str) -> None:
        """Refuse what only has the name of a FITS file: a page that says sorry with status 200."""
        if not path.lower().endswith(_FITS_NAMES):
            return
        with piece.open("rb") as stream:
            beginning = stream.read(16)
        if not beginning.startswith(_FITS_BEGINS):
            self._notes.drop_piece(path)
            raise FormatError(f"{url}: expected a FITS file; it begins with {beginning!r}; left out")


def _check_room(piece: Path, n_bytes: int) -> None:
    """Refuse to fill the disk.

    Raises
    ------
    ArchiveError
        If less than `KEPT_FREE_BYTES` would be left.
    """
    free = free_bytes(piece.parent)
    if free < n_bytes + KEPT_FREE_BYTES:
        raise ArchiveError(
            f"mirror: expected room for {n_bytes} bytes, {KEPT_FREE_BYTES} kept free; {free} are free in {piece.parent};"
            " free some or name a folder on another disk; what is complete stays, the same command goes on from there",
            path=piece,
            recoverable=True,
        )


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder."""
    return shutil.disk_usage(folder).free


def _blocks(body: IO[bytes]) -> Iterator[bytes]:
    """What comes, as long as it comes."""
    while True:
        try:
            block = body.read(_READ_BYTES)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise _BrokenError("the connection ended") from error
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(str(error) or type(error).__name__) from error
        if not block:
            return
        yield block


def _version(answer: Answer) -> tuple[str, str]:
    """What the server calls this version of a file: tag and time."""
    return str(answer.headers.get("ETag") or ""), str(answer.headers.get("Last-Modified") or "")


def _range_start(answer: Answer) -> int | None:
    """First byte of a part of a file; None for a whole one."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return None
    text = str(answer.headers.get("Content-Range") or "")
    first = read_count(text.removeprefix("bytes").strip().split("-")[0])
    return -1 if first is None else first


def _if_changed(known: Copied) -> dict[str, str]:
    headers: dict[str, Any] = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in headers.items() if value}


def now_text() -> str:
    """UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
