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


@dataclass(frozen=True)
class Run:
    """One execution of a pipeline, asked for or done."""

    run_id: str
    pipeline: str
    parameters: dict[str, Any]
    status: RunStatus
    created: datetime
    trigger: str = "manual"
    """Why it was asked for: ``manual`` or ``product``."""
    started: datetime | None = None
    finished: datetime | None = None
    attempts: int = 0
    worker: str = ""
    """``host:pid:start`` of the process that holds it."""
    lease_until: datetime | None = None
    """Past this time another worker may take it over."""
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
    error: str = ""
    """Why it failed, in one paragraph; empty otherwise."""
