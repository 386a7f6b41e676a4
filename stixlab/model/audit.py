"""What a person did to the archive by hand: hidden, restored, deleted, cleaned."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["Action", "AuditEntry"]


class Action(StrEnum):
    """What was done."""

    HIDE = "hide"
    SHOW = "show"
    """Hidden no more."""
    DELETE = "delete"
    BRING_BACK = "bring back"
    """Deleted no more."""
    CLEAN = "clean"
    """Removed for good by the rules of retention."""
    RESTORE = "restore"
    """Archive and catalogue were made from a backup."""
    MIGRATE = "migrate"
    """Archive and catalogue of an older version were brought up to date."""


@dataclass(frozen=True)
class AuditEntry:
    """One thing that was done; entries are added, never changed."""

    entry_id: str
    """Time and a hash, so that entries sort by when they were made."""
    time: datetime
    """UTC."""
    who: str
    """Name of the account."""
    action: Action
    subject: str
    """Id of the product, or the file or rule that it is about."""
    reason: str
    details: dict[str, Any] = field(default_factory=dict)
    """What is needed to undo it: the record as it was, the keys of its files."""
