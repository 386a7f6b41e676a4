"""Runs of pipelines: what was asked for, what is under way, what became of it. This is the queue, too.

A worker *claims* a run for a lease and extends it by heartbeats. A run whose lease has run out, or whose
worker was on this host and is gone, is claimed anew by whoever asks next; what the former holder still
does is refused, since it is known by its name and the count of attempts.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.catalog.workers import worker_is_dead
from stixlab.errors import ConflictError
from stixlab.model import Run, RunStatus

__all__ = ["MAX_ATTEMPTS", "Runs"]

MAX_ATTEMPTS = 3
"""So often a run may take its worker down before it counts as failed."""

_QUEUED, _RUNNING = RunStatus.QUEUED.value, RunStatus.RUNNING.value
_KNOWN_S = 5.0
"""How long the order of the queue is remembered; a claim within it costs one question, not a search."""
_WINDOWS = (timedelta(days=1), timedelta(days=30), None)


class Runs:
    """Store of `Run` records and queue of the workers."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: deque[str] = deque()
        self._known_until = 0.0

    def get(self, run_id: str) -> Run | None:
        """Run of that id, None if there is none."""
        found = self._collection.get(run_id)
        return None if found is None else from_document(found, Run)

    def find(
        self,
        *,
        status: RunStatus | str | None = None,
        pipeline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 0,
    ) -> list[Run]:
        """Runs asked for within ``[start, end)``, newest first.

        Parameters
        ----------
        status, pipeline
            Only runs of this status, of this pipeline.
        start, end
            UTC with a zone. Open where None.
        limit
            At most so many, 0 for all.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query: Document = {}
        if status is not None:
            query["status"] = str(status)
        if pipeline is not None:
            query["pipeline"] = pipeline
        # The newest are looked for in growing stretches of time, so that few documents are read.
        for window in _WINDOWS if limit and start is None and end is None else (None,):
            begin = start if window is None else datetime.now(UTC) - window
            bounds: Document = {} if begin is None else {"$gte": truncate(begin)}
            bounds |= {} if end is None else {"$lt": truncate(end)}
            found = self._collection.find(({"created": bounds} if bounds else {}) | query)
            if limit and len(found) >= limit:
                break
        runs = sorted((from_document(d, Run) for d in found), key=_order, reverse=True)
        return runs[:limit] if limit else runs

    def save(self, run: Run) -> None:
        """Put a record in the place of the one with its id, if any, whoever holds it."""
        self._collection.replace(to_document(run, run.run_id))

    def delete(self, run_id: str) -> bool:
        """Whether there was such a run."""
        return self._collection.delete({"_id": run_id}) > 0

    def enqueue(self, run: Run) -> bool:
        """Ask for a run.

        Returns
        -------
        bool
            False if one of that id is there already, be it queued, running or done. One that failed is
            asked for again.
        """
        document = to_document(dataclasses.replace(run, status=RunStatus.QUEUED), run.run_id)
        if self._collection.insert(document):
            return True
        return self._collection.swap({"_id": run.run_id, "status": RunStatus.FAILED.value}, document)

    def claim(self, worker: str, lease_s: float, *, run_id: str | None = None) -> Run | None:
        """The next run to do, held by this worker from now on; None if there is none.

        Abandoned runs come first, then the one that has waited longest. Of any number of workers that ask
        at once, one gets it.

        Parameters
        ----------
        worker
            From `stixlab.catalog.worker_name`.
        lease_s
            Seconds until it may be taken over, unless a heartbeat comes.
        run_id
            Only this one.
        """
        abandoned = self._claim_abandoned(worker, lease_s, run_id)
        if abandoned is not None:
            return abandoned
        for candidate in (run_id,) if run_id else self._candidates():
            found = self._collection.update({"_id": candidate, "status": _QUEUED}, _holding(worker, lease_s))
            if found is not None:
                return from_document(found, Run)
        return None

    def heartbeat(self, run: Run, lease_s: float) -> bool:
        """Extend the lease of a claimed run; False if it is no longer ours, and must be given up."""
        lease = truncate(datetime.now(UTC) + timedelta(seconds=lease_s))
        return self._collection.update(_held_by(run), {"$set": {"lease_until": lease}}) is not None

    def release(self, run: Run) -> bool:
        """Put a claimed run back into the queue, as if it had not been claimed; False if it is no longer ours."""
        freed = {"status": _QUEUED, "worker": "", "lease_until": None, "started": None}
        change = {"$set": freed, "$inc": {"attempts": -1}}
        return self._collection.update(_held_by(run), change) is not None

    def finish(self, run: Run) -> None:
        """Store what became of a claimed run.

        Parameters
        ----------
        run
            With status ``succeeded`` or ``failed``, and worker and attempts as they were claimed.

        Raises
        ------
        ConflictError
            If it is no longer ours: the lease ran out and another worker took it. Nothing is stored.
        """
        finished = dataclasses.replace(run, lease_until=None)
        document = to_document(finished, run.run_id)
        if self._collection.swap(_held_by(run), document) or self._collection.get(run.run_id) == document:
            return
        raise ConflictError(
            f"run {run.run_id}: expected to be held by {run.worker}, attempt {run.attempts}; the lease ran out "
            "and it was taken over, or it was deleted; its result is not stored",
            run_id=run.run_id,
        )

    def _candidates(self) -> Iterator[str]:
        """Ids of queued runs, the longest waiting first; each is handed out once until the queue is read anew."""
        if time.monotonic() >= self._known_until:
            self._waiting.clear()
        with suppress(IndexError):
            while True:
                yield self._waiting.popleft()
        found = self._collection.find({"status": _QUEUED}, ("created",))
        self._waiting.extend(d["_id"] for d in sorted(found, key=lambda d: (d["created"], d["_id"])))
        self._known_until = time.monotonic() + _KNOWN_S
        with suppress(IndexError):
            while True:
                yield self._waiting.popleft()

    def _claim_abandoned(self, worker: str, lease_s: float, run_id: str | None) -> Run | None:
        now = datetime.now(UTC)
        query = {"status": _RUNNING} | ({"_id": run_id} if run_id else {})
        held = sorted((from_document(d, Run) for d in self._collection.find(query)), key=_order)
        for run in held:
            if not ((run.lease_until or now) <= now or worker_is_dead(run.worker)):
                continue
            if run.attempts >= MAX_ATTEMPTS:
                why = (
                    f"{run.attempts} workers in turn died or fell silent while they ran it, the last was {run.worker}; "
                    "look for too little memory, then ask for it again"
                )
                failed = {"status": RunStatus.FAILED.value, "error": why, "finished": truncate(now)}
                self._collection.update(_held_by(run), {"$set": failed | {"lease_until": None}})
                continue
            unchanged = _held_by(run) | {"lease_until": run.lease_until}
            found = self._collection.update(unchanged, _holding(worker, lease_s))
            if found is not None:
                return from_document(found, Run)
        return None


def _holding(worker: str, lease_s: float) -> Document:
    now = datetime.now(UTC)
    held = {
        "status": _RUNNING,
        "worker": worker,
        "started": truncate(now),
        "lease_until": truncate(now + timedelta(seconds=lease_s)),
    }
    return {"$set": held, "$inc": {"attempts": 1}}


def _held_by(run: Run) -> Document:
    return {"_id": run.run_id, "status": _RUNNING, "worker": run.worker, "attempts": run.attempts}


def _order(run: Run) -> tuple[datetime, str]:
    return run.created, run.run_id
