"""A run of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import Any

__all__ = ["Run", "RunStatus"]


_ERROR_SHOWN = 200
"""Characters of an error that a run shows of itself."""


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

    def __repr__(self) -> str:
        """What it is in one line; `dataclasses.asdict` has everything."""
        told = ", ".join(f"{name}={value!r}" for name, value in self._facts().items())
        return f"Run({told})"

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self._facts().items()
        )
        return f"<table>{rows}</table>"

    def _facts(self) -> dict[str, str]:
        """Id, status, pipeline, times, first line of the error; what is empty is left out."""
        times = {"created": self.created, "started": self.started, "finished": self.finished}
        facts = {"run_id": self.run_id, "status": str(self.status), "pipeline": self.pipeline}
        facts |= {n: f"{t:%Y-%m-%dT%H:%M:%SZ}" for n, t in times.items() if t is not None}
        first = next(iter(self.error.strip().splitlines()), "")
        error = first if len(first) <= _ERROR_SHOWN else f"{first[:_ERROR_SHOWN]}..."
        return facts | ({"error": error} if error else {})
