"""Asking for runs of pipelines, and following them: directly for operators, over HTTP for members of the team.

A member's database user may only read. So a member asks the service of the runs, which checks the hub's token of
the member's server and puts the run into the queue; how far it is can be read by everybody from the run's record.
"""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from stixlab.errors import (
    AccessError,
    CatalogError,
    ConflictError,
    NotInCatalogError,
    ParameterError,
    PipelineError,
    ServiceError,
    StixlabError,
)
from stixlab.model import Run, RunStatus
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["HttpDesk", "NoDesk", "QueueDesk", "RunDesk", "follow", "open_desk"]

_POLL_S = 0.5
_TIMEOUT_S = 30.0
_MOST_BYTES = 4_000_000
_KINDS: Mapping[str, type[StixlabError]] = {
    kind.__name__: kind
    for kind in (AccessError, CatalogError, ConflictError, NotInCatalogError, ParameterError, PipelineError)
}


class RunDesk(Protocol):
    """Where runs are asked for."""

    @property
    def user(self) -> str:
        """Account in whose name it is asked."""

    @property
    def operator(self) -> bool:
        """Whether runs of others may be cancelled and tried again."""

    def submit(self, pipeline: str, given: Mapping[str, Any]) -> Run:
        """The run, in the queue; one that has succeeded before is given as it is."""

    def cancel(self, run_id: str) -> Run:
        """The run, asked to stop."""

    def retry(self, run_id: str) -> Run:
        """The run, in the queue once more."""


@dataclass(frozen=True)
class NoDesk:
    """For who may only read: everything is refused, with the reason."""

    access: str
    user: str = ""
    operator: bool = False

    def submit(self, pipeline: str, given: Mapping[str, Any]) -> Run:  # noqa: ARG002
        """Refused."""
        raise self._refusal(f"run {pipeline}")

    def cancel(self, run_id: str) -> Run:
        """Refused."""
        raise self._refusal(f"run {run_id}")

    def retry(self, run_id: str) -> Run:
        """Refused."""
        raise self._refusal(f"run {run_id}")

    def _refusal(self, what: str) -> AccessError:
        how = (
            "use it from a server of the hub, or ask an operator"
            if self.access == "team"
            else "log in as a member of the team"
        )
        return AccessError(
            f"{what}: needs a member of the team; this process has the access {self.access}; {how}"
        )


@dataclass(frozen=True)
class QueueDesk:
    """The queue itself, with the checks that belong before it.

    All that a service for others may do with a writable catalogue: three changes of the queue, each in the name
    of somebody, and nothing else.
    """

    catalog: Any
    """Stores of records, writable."""
    pipelines: Path
    """Folder of the pipeline notebooks."""
    make: Callable[[PipelineSpec, Mapping[str, Any]], Run]
    """Checks parameters and makes the record of a run, or finds the one that has done it already."""
    user: str = ""
    operator: bool = True

    def submit(self, pipeline: str, given: Mapping[str, Any]) -> Run:
        """Put a run into the queue.

        Raises
        ------
        PipelineError
            If there is no such pipeline, or it is declared wrongly.
        ParameterError
            If a parameter is unknown, missing, mistyped or out of range; nothing is queued.
        CatalogError
            If the database goes away.
        """
        planned = self.make(get_pipeline(self.pipelines, pipeline), given)
        if planned.status is RunStatus.SUCCEEDED:
            return planned
        self.catalog.runs.enqueue(dataclasses.replace(planned, asked_by=self.user))
        return self._get(planned.run_id)

    def cancel(self, run_id: str) -> Run:
        """Ask a run to stop.

        Raises
        ------
        NotInCatalogError
            If there is no such run.
        AccessError
            If somebody else asked for it, and this is no operator.
        ConflictError
            If it has ended.
        """
        run = self._own(run_id, "cancel")
        if run.status.has_ended:
            raise ConflictError(
                f"cancel {run_id}: expected a run that waits or runs; it is {run.status}", run_id=run_id
            )
        found: Run = self.catalog.runs.cancel(run_id, self.user or "operator")
        return found

    def retry(self, run_id: str) -> Run:
        """Put a run that failed or was cancelled into the queue once more.

        Raises
        ------
        NotInCatalogError, AccessError
            As `cancel`.
        ConflictError
            If it runs, or has succeeded.
        """
        self._own(run_id, "retry")
        found: Run = self.catalog.runs.retry(run_id)
        return found

    def _get(self, run_id: str) -> Run:
        run: Run | None = self.catalog.runs.get(run_id)
        if run is None:
            raise NotInCatalogError(f"run {run_id[:80]!r}: there is none; `stixlab runs` lists them")
        return run

    def _own(self, run_id: str, what: str) -> Run:
        run = self._get(run_id)
        if not self.operator and (not self.user or run.asked_by != self.user):
            raise AccessError(
                f"{what} {run_id}: expected the account that asked for it, or an operator; found {self.user!r}"
            )
        return run


def open_desk(catalog: Any, pipelines: Path, *, user: str, operator: bool) -> QueueDesk:
    """Where somebody asks for runs, straight at the queue.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    pipelines
        Folder of the pipeline notebooks.
    user
        Account in whose name it is asked.
    operator
        Whether runs of others may be cancelled and tried again.
    """
    from stixlab.pipeline.cache import plan_run

    return QueueDesk(catalog, pipelines, partial(plan_run, catalog), user, operator)


@dataclass(frozen=True)
class HttpDesk:
    """The service of the runs, asked in the name of a member of the team."""

    url: str
    """Address of the installation on this machine, without a slash at its end."""
    token: str = field(repr=False)
    """The hub's, of the member's server."""
    user: str = ""
    operator: bool = False

    def submit(self, pipeline: str, given: Mapping[str, Any]) -> Run:
        """As `QueueDesk.submit`; ServiceError if the service does not answer."""
        plain = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in given.items()
        }
        return self._post("", {"pipeline": pipeline, "parameters": plain})

    def cancel(self, run_id: str) -> Run:
        """As `QueueDesk.cancel`."""
        return self._post(f"/{quote(run_id, safe='')}/cancel", {})

    def retry(self, run_id: str) -> Run:
        """As `QueueDesk.retry`."""
        return self._post(f"/{quote(run_id, safe='')}/retry", {})

    def _post(self, path: str, body: Mapping[str, Any]) -> Run:
        url = f"{self.url}/api/v1/runs{path}"
        if urlsplit(url).scheme not in ("http", "https"):
            raise ServiceError(
                f"service of the runs: expected an address of http or https; found {self.url!r}"
            )
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  (checked above)
                found = json.loads(answer.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (OSError, ValueError) as error:
            raise ServiceError(
                f"service of the runs: expected an answer from {self.url}; {error}; is the data center up?"
            ) from error
        return run_from_json(found)


def run_from_json(found: Mapping[str, Any]) -> Run:
    """A run as the service sends it; times stay texts where only the identity and the status matter."""
    return Run(
        run_id=str(found["run_id"]),
        pipeline=str(found["pipeline"]),
        parameters=dict(found["parameters"]),
        status=RunStatus(found["status"]),
        created=datetime.fromisoformat(found["created"]),
        asked_by=str(found.get("asked_by", "")),
        cancel_asked=str(found.get("cancel_asked", "")),
        error=str(found.get("error", "")),
    )


def _refused(error: urllib.error.HTTPError) -> StixlabError:
    """What the service said, as the error it was there."""
    with error:
        text = error.read(_MOST_BYTES)
    try:
        said = json.loads(text)["error"]
        kind, message = str(said["kind"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"service of the runs: answered with status {error.code}"
    if error.code in (401, 403):
        return AccessError(message)
    return _KINDS.get(kind, ServiceError)(message)


def follow(
    catalog: Any,
    run_id: str,
    show: Callable[[Run], None],
    *,
    poll_s: float = _POLL_S,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """A run when it has ended; until then `show` gets its record whenever something is new.

    Parameters
    ----------
    catalog
        Stores of records; reading is enough.
    stop
        Asked between two looks; the run is given as it is then.

    Raises
    ------
    NotInCatalogError
        If there is no such run (any more).
    CatalogError
        If the database goes away.
    """
    last: tuple[Any, ...] | None = None
    while True:
        run: Run | None = catalog.runs.get(run_id)
        if run is None:
            raise NotInCatalogError(f"run {run_id}: there is none (any more)")
        seen = (run.status, run.cells_done, run.cells, run.attempts, run.error, run.cancel_asked)
        if seen != last:
            show(run)
            last = seen
        if run.status.has_ended or stop():
            return run
        time.sleep(poll_s)
