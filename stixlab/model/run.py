"""A run of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["Run", "RunStatus"]


class RunStatus(StrEnum):
    """What has become of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more becomes of a run in this status, unless it is asked for again."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True)
class Run:
    """One execution of a pipeline, asked for or done."""

    run_id: str
    pipeline: str
    parameters: dict[str, Any]
    status: RunStatus
    created: datetime
    trigger: str = "manual"
    """Why it was asked for: ``manual``, ``product``, ``schedule`` or ``back-fill``."""
    asked_by: str = ""
    """Account that asked for it; empty: the data center itself."""
    priority: int = 0
    """Higher ones first; runs asked for by people have 10, back-fills -10."""
    not_before: datetime | None = None
    """Not to be claimed earlier: the pause before another attempt."""
    after: tuple[str, ...] = ()
    """Runs that must have succeeded before."""
    batch: str = ""
    """Back-fill it belongs to."""
    started: datetime | None = None
    finished: datetime | None = None
    attempts: int = 0
    worker: str = ""
    """``host:pid:start`` of the process that holds it."""
    lease_until: datetime | None = None
    """Past this time another worker may take it over."""
    cancel_asked: str = ""
    """Account that asked to stop it."""
    cells_done: int = 0
    cells: int = 0
    """Cells there are; 0 until it has begun."""
    notebook: str = ""
    """Key of the executed notebook under the archive."""
    notebook_sha256: str = ""
    """Hash of the pipeline notebook that was executed."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Product id -> content hash of what it read."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """What it delivered, by name: kind and number of records."""
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    environment_sha256: str = ""
    """Hash of the versions of all that decides about the result."""
    log: str = ""
    """Key of its log under the archive."""
    error: str = ""
    """Why it failed, or will be tried again, in one paragraph; empty otherwise."""
    failures: tuple[str, ...] = ()
    """Why earlier attempts failed, first to last."""
