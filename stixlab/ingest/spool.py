"""Copies of arriving files that nobody else writes to, and the contents that are kept because they failed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from stixlab import files
from stixlab.archive import Archive
from stixlab.errors import StixlabError
from stixlab.ingest.lookout import Candidate, Signature, printable, signature_of

__all__ = [
    "ChangedError",
    "Spool",
    "Spooled",
    "UnreadableError",
    "VanishedError",
    "keep",
    "let_go",
]

_CHUNK_BYTES = 1 << 20
_NAME_LENGTH = 200


class ChangedError(StixlabError):
    """A file was changed while it was read."""

    def __init__(self, message: str, signature: Signature) -> None:
        super().__init__(message)
        self.signature = signature
        """What it looks like now."""


class VanishedError(StixlabError):
    """A file is gone."""


class UnreadableError(StixlabError):
    """A file is there and cannot be read."""


@dataclass(frozen=True)
class Spooled:
    """A copy of a file as it was at one moment."""

    candidate: Candidate
    signature: Signature
    path: Path
    """Of the copy; it has the name of the file."""
    sha256: str
    begins_with: bool = False
    """Whether it begins with the content that was asked about."""


class Spool:
    """Folder of copies of files that are about to be taken.

    What is read is a copy: a file that is replaced or written to while it is read never gives a mixture of
    both, and a slow share is read before the archive is locked.

    Parameters
    ----------
    work
        Folder of the spools of all processes.

    Raises
    ------
    ArchiveError
        If it cannot be written.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._mark = secrets.token_hex(4)
        self._count = 0
        number = 0
        while (handle := _lock(work / f"{number}.lock")) < 0:
            number += 1
        self._handle = handle
        self.folder = work / str(number)

    def clear(self) -> None:
        """Remove all copies that were made."""
        for folder in self.folder.glob(f"{self._mark}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def left(self) -> dict[str, Path]:
        """Copies that processes which are gone have left, by hash; some may be cut short."""
        return {files.sha256_of(p): p for f in self._folders_left() for p in sorted(f.glob("*"))}

    def clear_left(self) -> None:
        """Remove what processes which are gone have left."""
        for folder in self._folders_left():
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all copies and give the place free; also safe twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self.clear()
            os.close(handle)

    def _folders_left(self) -> list[Path]:
        found = []
        for slot in self._work.glob("*.lock"):
            handle = -1 if slot.stem == self.folder.name else _lock(slot)
            if handle >= 0 or slot.stem == self.folder.name:
                found += [f for f in slot.with_suffix("").glob("*") if not f.name.startswith(self._mark)]
            if handle >= 0:
                os.close(handle)
        return found

    def place(self, name: str) -> Path:
        """Where the next copy goes, under the name of its file."""
        self._count += 1
        return self.folder / f"{self._mark}-{self._count}" / printable(name)[-_NAME_LENGTH:]

    def copy(self, candidate: Candidate, *, beginning: tuple[int, str] | None = None) -> Spooled:
        """A copy of a file that is complete.

        Parameters
        ----------
        candidate
            The file, which has to be as its signature says before and after it was read.
        beginning
            Size and hash of a content that the file may have begun as.

        Raises
        ------
        ChangedError
            If it is not as the signature says, or changed while it was read.
        VanishedError
            If it is gone.
        UnreadableError
            If it cannot be read.
        ArchiveError
            If the copy cannot be written.
        """
        target = self.place(Path(candidate.path).name)
        try:
            handle = os.open(candidate.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _unread(candidate, error) from error
        try:
            _check(candidate, handle)
            sha256, begins = self._fill(target, candidate, handle, beginning)
            _check(candidate, handle)
        except BaseException:
            self.remove(target)
            raise
        finally:
            os.close(handle)
        return Spooled(candidate, candidate.signature, target, sha256, begins)

    def _fill(
        self, target: Path, candidate: Candidate, handle: int, beginning: tuple[int, str] | None
    ) -> tuple[str, bool]:
        whole, begins, left = hashlib.sha256(), False, candidate.signature.size_bytes
        mark, expected = beginning or (-1, "")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                while left > 0:
                    done = candidate.signature.size_bytes - left
                    if done == mark:
                        begins = whole.hexdigest() == expected
                    n_bytes = min(_CHUNK_BYTES, left, mark - done if mark > done else left)
                    chunk = _read(candidate, handle, n_bytes)
                    whole.update(chunk)
                    stream.write(chunk)
                    left -= len(chunk)
        except OSError as error:
            raise files.write_failed(target, error) from error
        return whole.hexdigest(), begins

    def remove(self, path: Path) -> None:
        """Remove one copy."""
        shutil.rmtree(path.parent, ignore_errors=True)


def copied(source: Path, target: Path, sha256: str) -> bool:
    """Whether a content could be put under a name again, whole."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return files.sha256_of(target) == sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise files.write_failed(target, error) from error


def _lock(path: Path) -> int:
    """Descriptor that holds a lock until it is closed; negative if somebody else holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise files.write_failed(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return -1
    return handle


def _read(candidate: Candidate, handle: int, n_bytes: int) -> bytes:
    try:
        chunk = os.read(handle, n_bytes)
    except OSError as error:
        raise _unread(candidate, error) from None
    if not chunk:
        raise ChangedError(f"{candidate.path}: became shorter", signature_of(os.fstat(handle)))
    return chunk


def _check(candidate: Candidate, handle: int) -> None:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise VanishedError(f"{candidate.path}: is no file any more")
    if signature_of(found) != candidate.signature:
        raise ChangedError(f"{candidate.path}: changed while it was read", signature_of(found))


def _unread(candidate: Candidate, error: OSError) -> StixlabError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return VanishedError(f"{candidate.path}: is gone")
    return UnreadableError(f"cannot be read: {error.strerror or error}")


def _key(sha256: str) -> str:
    return f"set-aside/{sha256[:2]}/{sha256}"


def keep(archive: Archive, sha256: str, path: Path) -> None:
    """Keep the content of a file that failed.

    Raises
    ------
    ArchiveError
        If it cannot be written.
    """
    kept = archive.path(_key(sha256))
    if not kept.exists():
        with files.new_file(kept) as temporary:
            shutil.copyfile(path, temporary)


def let_go(archive: Archive, sha256: str) -> None:
    """Remove a content that need not be kept any more."""
    archive.path(_key(sha256)).unlink(missing_ok=True)


def kept_path(archive: Archive, sha256: str) -> Path:
    """Where a content that was set aside is."""
    return archive.path(_key(sha256))
