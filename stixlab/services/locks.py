"""Locks between processes: files under flock(2), which a dying process lets go of by itself."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stixlab.errors import ConflictError, ServiceError

__all__ = ["FileLock", "exclusive", "write_problem"]

_POLL_S = 0.02


def write_problem(path: Path, error: OSError) -> ServiceError:
    """What to tell when a service cannot write below the home."""
    return ServiceError(
        f"{path}: expected to be writable; found: {error.strerror or error}; "
        "free the disk, correct its owner, or set STIXLAB_HOME to another place"
    )


class FileLock:
    """A lock on a file; taken shared by many or exclusively by one.

    Each object holds a lock of its own, also within one process.

    Raises
    ------
    ServiceError
        If the file cannot be opened.
    """

    def __init__(self, path: Path, *, inheritable: bool = False) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise write_problem(path, error) from error
        os.set_inheritable(self._handle, inheritable)

    def acquire(self, *, shared: bool = False, timeout_s: float = 0.0) -> bool:
        """Whether the lock was got in time."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL_S)
            else:
                return True

    def close(self) -> None:
        """Let go of the lock; also safe twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


@contextmanager
def exclusive(path: Path, *, timeout_s: float, doing: str) -> Iterator[None]:
    """Hold a lock alone.

    Raises
    ------
    ConflictError
        If another process keeps it beyond the time.
    """
    lock = FileLock(path)
    try:
        if not lock.acquire(timeout_s=timeout_s):
            raise ConflictError(
                f"{path}: another process has been {doing} for more than {timeout_s:.0f} s; "
                "see who it is with `stixlab status`, or stop it"
            )
        yield
    finally:
        lock.close()
