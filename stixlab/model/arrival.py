"""A file that arrived in a watched folder, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

__all__ = ["Arrival", "ArrivalStatus", "arrival_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ArrivalStatus(StrEnum):
    """What has become of a file that arrived."""

    WAITING = "waiting"
    """Seen, its products are not made yet."""
    TAKEN = "taken"
    REPEATED = "repeated"
    """The same content was there already."""
    SET_ASIDE = "set aside"
    """It failed; the reason is recorded, the content is kept in the archive, it is tried again on demand."""
    SUPERSEDED = "superseded"
    """It was set aside while it was still growing; all of it is in the longer file that was taken later."""
    GONE = "gone"
    """It vanished, or was replaced, before it could be taken."""


def arrival_id(path: str, sha256: str) -> str:
    """Identity of a content under a path; ``unread`` stands for a content that could not be read yet."""
    return f"{hashlib.sha256(path.encode()).hexdigest()[:12]}.{sha256[:12] or 'unread'}"


@dataclass(frozen=True)
class Arrival:
    """One content under one path; the same content again under the same path is the same arrival."""

    arrival_id: str
    folder: str
    """The folder that is watched."""
    path: str
    """Path of the file, letters that cannot be shown as escapes."""
    name: str
    """Last part of the path."""
    sha256: str
    """Hash of the bytes, hexadecimal; empty while they cannot be read."""
    size_bytes: int
    mtime_ns: int
    """When the content was changed last, as the file system tells, ns since 1970 UTC."""
    ctime_ns: int
    """When content, name or rights were changed last, as the file system tells, ns since 1970 UTC."""
    first_seen: datetime
    """UTC."""
    status: ArrivalStatus
    complete: datetime | None = None
    """UTC when it was found to change no more."""
    ingested: datetime | None = None
    """UTC when its products were in the catalogue."""
    seconds: float | None = None
    """From its arrival (its last change) to its products in the catalogue, s."""
    reason: str = ""
    """Why it waits or was set aside."""
    attempts: int = 0
    """How many times its ingest was begun."""

    @property
    def mtime(self) -> datetime:
        """UTC of the last change of content."""
        return _EPOCH + timedelta(microseconds=self.mtime_ns // 1000)
