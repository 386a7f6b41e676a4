"""Runs of pipelines: what was asked for, what is under way, what became of it. This is the queue, too.

A worker *claims* a run for a lease and extends it by heartbeats. A run whose lease has run out, or whose
worker was on this host and is gone, is claimed anew by whoever asks next; what the former holder still
does is refused, since it is known by its name and the count of attempts.

Leases run by the clock of the database server. The clocks of the workers do not matter. Should that of the
server be set while workers run, they see it and take nothing over until the holders had time to tell that
they live; a worker that started after that may do a run twice, of which one result is refused.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from stixlab.catalog.changes import FREED, ask_again, asked_again, cancelled, worn_out
from stixlab.catalog.clock import ServerClock
from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.catalog.waiting import Waiting
from stixlab.catalog.workers import worker_is_dead
from stixlab.errors import ConflictError, NotInCatalogError
from stixlab.model.run import Run, RunStatus

__all__ = ["MAX_ATTEMPTS", "Runs"]

MAX_ATTEMPTS = 3
"""So often a run may be begun; if its worker dies then, it counts as failed."""

_QUEUED, _RUNNING, _FAILED = RunStatus.QUEUED.value, RunStatus.RUNNING.value, RunStatus.FAILED.value
_CANCELLED, _SUCCEEDED = RunStatus.CANCELLED.value, RunStatus.SUCCEEDED.value
_WINDOWS = (timedelta(days=1), timedelta(days=30), None)
_LONGEST_LEASE = timedelta(hours=2)
"""A lease that ends later was given by a clock that has been set back since: it counts as run out."""
_LOOK_S = 1.0
_STEADY_S = 60.0
"""So long after the server's clock was set every holder has sent a heartbeat."""
_HELD = ("status", "worker", "attempts", "lease_until", "created", "cancel_asked", "failures")


class Runs:
    """Store of `Run` records and queue of the workers."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._clock = ServerClock(collection.now)
        self._waiting = Waiting(collection, self._fail_waiting)
        self._looked = -1e9

    def get(self, run_id: str) -> Run | None:
        """Run of that id, None if there is none."""
        found = self._collection.get(run_id)
        return None if found is None else from_document(found, Run)

    def find(
        self,
        *,
        status: RunStatus | str | None = None,
        pipeline: str | None = None,
        batch: str | None = None,
        trigger: str | None = None,
        asked_by: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 0,
    ) -> list[Run]:
        """Runs asked for within ``[start, end)``, newest first.

        Parameters
        ----------
        status, pipeline, batch, trigger, asked_by
            Only runs of this status, of this pipeline, of this back-fill, asked for by this trigger or account.
        start, end
            UTC with a zone. Open where None.
        limit
            At most so many, 0 for all.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        named = {"batch": batch, "status": status, "pipeline": pipeline}
        named |= {"trigger": trigger, "asked_by": asked_by}
        query: Document = {k: str(v) for k, v in named.items() if v is not None}
        # The newest are looked for in growing stretches of time, so that few documents are read.
        bounded = limit and start is None and end is None and batch is None
        for window in _WINDOWS if bounded else (None,):
            begin = start if window is None else datetime.now(UTC) - window
            bounds: Document = {} if begin is None else {"$gte": truncate(begin)}
            bounds |= {} if end is None else {"$lt": truncate(end)}
            created = {"created": bounds} if bounds else {}
            found = self._collection.find(query | created if batch is not None else created | query)
            if limit and len(found) >= limit:
                break
        runs = sorted((from_document(d, Run) for d in found), key=_order, reverse=True)
        return runs[:limit] if limit else runs

    def waiting_for(self, run_ids: Iterable[str]) -> list[Run]:
        """Queued runs that wait for one of these."""
        query = {"status": _QUEUED, "after": {"$in": list(run_ids)}}
        return [from_document(d, Run) for d in self._collection.find(query)]

    def count_by_status(
        self, *, batch: str | None = None, pipeline: str | None = None
    ) -> dict[RunStatus, int]:
        """How many runs there are of each status, zeros included; of all, of a back-fill, of a pipeline."""
        query = {k: v for k, v in {"batch": batch, "pipeline": pipeline}.items() if v is not None}
        counts = self._collection.count_by("status", query)
        return {status: counts.get(status.value, 0) for status in RunStatus}

    def save(self, run: Run) -> None:
        """Put a record in the place of the one with its id, if any, whoever holds it."""
        self._collection.replace(to_document(run, run.run_id))
        self._waiting.forget()

    def delete(self, run_id: str) -> bool:
        """Whether there was such a run."""
        return self._collection.delete({"_id": run_id}) > 0

    def withdraw(self, run_id: str) -> bool:
        """Take a run out of the queue as if it had never been asked for; False if it has begun or is not there."""
        return self._collection.delete({"_id": run_id, "status": _QUEUED}) > 0

    def enqueue(self, run: Run) -> bool:
        """Ask for a run.

        Returns
        -------
        bool
            False if one of that id is there already, be it queued, running or done; if it is queued and
            less urgent, it gets the priority of this one. One that failed is asked for again, and one
            that was cancelled if a person or a back-fill asks.
        """
        document = to_document(dataclasses.replace(run, status=RunStatus.QUEUED), run.run_id)
        self._waiting.forget()
        return self._collection.insert(document) or self._enqueue_again(document)

    def enqueue_many(self, runs: Iterable[Run]) -> list[str]:
        """Ask for many runs at once, each as by `enqueue`; those that have to succeed before others come first.

        Returns
        -------
        list of str
            Ids of those that were not there or are asked for again.
        """
        documents = [to_document(dataclasses.replace(r, status=RunStatus.QUEUED), r.run_id) for r in runs]
        self._waiting.forget()
        added = self._collection.insert_new(documents)
        return [d["_id"] for d in documents if d["_id"] in added or self._enqueue_again(d)]

    def _enqueue_again(self, document: Document) -> bool:
        known = self._collection.get(document["_id"])
        if known is None:
            return self._collection.insert(document)
        if known["status"] == _QUEUED and document["priority"] > known.get("priority", 0):
            query = {"_id": known["_id"], "status": _QUEUED}
            self._collection.change(query, {"$set": {"priority": document["priority"]}})
        if not ask_again(known, document["trigger"]):
            return False
        unchanged = {"_id": known["_id"], "status": known["status"], "attempts": known["attempts"]}
        return self._collection.swap(unchanged, document | {"failures": asked_again(known)["failures"]})

    def claim(
        self, worker: str, lease_s: float, *, run_id: str | None = None, pipelines: Sequence[str] = ()
    ) -> Run | None:
        """The next run to do, held by this worker from now on; None if there is none.

        Abandoned runs come first (looked for once a second while others wait), then those of the highest priority, then the one that has waited longest.
        A run begins only past its ``not_before`` and when all in its ``after`` have succeeded; if one of
        those failed or was cancelled, it fails with that reason. Of any number of workers that ask at
        once, one gets a run.

        Parameters
        ----------
        worker
            From `stixlab.catalog.worker_name`.
        lease_s
            Seconds until it may be taken over, unless a heartbeat comes.
        run_id
            Only this one.
        pipelines
            Only runs of these; empty: of all.
        """
        now = self._clock.now()
        of = tuple(pipelines)
        looked = run_id is not None or time.monotonic() - self._looked >= _LOOK_S
        if looked and (run := self._claim_abandoned(worker, lease_s, run_id, of, now)) is not None:
            return run
        for candidate in self._one(run_id, now) if run_id else self._waiting.ids(now, of):
            run = self._take({"_id": candidate, "status": _QUEUED}, worker, now, lease_s)
            if run is not None:
                return run
        return None if looked else self._claim_abandoned(worker, lease_s, run_id, of, now)

    def held_by(self, worker: str) -> list[Run]:
        """Runs that a worker holds: the answer to a claim may have been lost."""
        found = self._collection.find({"status": _RUNNING, "worker": worker})
        return sorted((from_document(d, Run) for d in found), key=_order)

    def has_queued(self, pipelines: Sequence[str] = ()) -> bool:
        """Whether anything waits, ready or not."""
        query: Document = {"pipeline": {"$in": list(pipelines)}} if pipelines else {}
        return bool(self._collection.count_by("status", {"status": _QUEUED} | query))

    def heartbeat(
        self, run: Run, lease_s: float, *, cells_done: int | None = None, cells: int | None = None
    ) -> bool:
        """Extend the lease of a claimed run and tell how far it is; False if it is no longer ours, and must be given up."""
        lease = truncate(self._clock.now() + timedelta(seconds=lease_s))
        told: Document = {"lease_until": lease, "cells_done": cells_done, "cells": cells}
        change = {k: v for k, v in told.items() if v is not None}
        return self._collection.change(_held_by(run), {"$set": change})

    def release(self, run: Run) -> bool:
        """Put a claimed run back into the queue, as if it had not been claimed; False if it is no longer ours."""
        self._waiting.forget()
        return self._collection.change(_held_by(run), {"$set": FREED, "$inc": {"attempts": -1}})

    def postpone(self, run: Run, pause: timedelta, why: str) -> bool:
        """Put a claimed run back into the queue for another attempt after a pause; False if it is no longer ours."""
        after = {"not_before": truncate(self._clock.now() + pause), "error": why}
        failures = [*run.failures, f"attempt {run.attempts}: {why}"]
        return self._collection.change(_held_by(run), {"$set": FREED | after | {"failures": failures}})

    def finish(self, run: Run) -> None:
        """Store what became of a claimed run.

        Parameters
        ----------
        run
            With status ``succeeded``, ``failed`` or ``cancelled``, and worker and attempts as they were claimed.

        Raises
        ------
        ConflictError
            If it is no longer ours: the lease ran out and another worker took it. Nothing is stored.
        """
        finished = dataclasses.replace(run, lease_until=None)
        document = to_document(finished, run.run_id)
        self._waiting.ended(run.run_id)
        if self._collection.swap(_held_by(run), document) or self._collection.get(run.run_id) == document:
            return
        raise ConflictError(
            f"run {run.run_id}: expected to be held by {run.worker}, attempt {run.attempts}; the lease ran out "
            "and it was taken over, or it was deleted; its result is not stored",
            run_id=run.run_id,
        )

    def cancel(self, run_id: str, by: str = "") -> Run:
        """Stop a run: one that waits at once; one that runs is asked to, its worker does so within seconds.

        Parameters
        ----------
        run_id
        by
            Account that asks; empty: an operator's command.

        Returns
        -------
        Run
            As it is now; one that is done stays what it is.

        Raises
        ------
        NotInCatalogError
            If there is no such run.
        """
        name = by or "an operator"
        now = self._clock.now()
        asked = {"cancel_asked": name}
        stopped = asked | cancelled(name, now)
        if not self._collection.change({"_id": run_id, "status": _QUEUED}, {"$set": stopped}):
            self._collection.change({"_id": run_id, "status": _RUNNING}, {"$set": asked})
            held = self._collection.get(run_id)
            if held is not None and held["status"] == _RUNNING and self._is_abandoned(held, now):
                self._collection.change(_held(held), {"$set": stopped})
        return self._known(run_id)

    def retry(self, run_id: str) -> Run:
        """Ask again for a run that failed or was cancelled, and for those that were not begun because of it.

        One that waits for its next attempt begins at once.

        Returns
        -------
        Run
            As it is now.

        Raises
        ------
        NotInCatalogError
            If there is no such run.
        ConflictError
            If it runs, or has succeeded.
        """
        run = self._known(run_id)
        document = to_document(run, run_id)
        self._waiting.forget()
        if run.status is RunStatus.QUEUED:
            self._collection.change({"_id": run_id, "status": _QUEUED}, {"$set": {"not_before": None}})
        elif run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
            unchanged = {"_id": run_id, "status": document["status"], "attempts": run.attempts}
            self._collection.swap(unchanged, document | asked_again(document))
            for next_one in self._collection.find({"status": _FAILED, "after": run_id}, ("attempts",)):
                if next_one["attempts"] == 0:
                    self.retry(next_one["_id"])
        else:
            why = (
                "it runs; cancel it first"
                if run.status is RunStatus.RUNNING
                else "there is nothing to do again"
            )
            raise ConflictError(
                f"run {run_id}: expected one that failed or was cancelled; found {run.status}: {why}",
                run_id=run_id,
            )
        return self._known(run_id)

    def _known(self, run_id: str) -> Run:
        found = self.get(run_id)
        if found is None:
            raise NotInCatalogError(
                f"run {run_id}: expected in the catalogue; found none; `stixlab runs` lists them",
                run_id=run_id,
            )
        return found

    def _one(self, run_id: str, now: datetime) -> list[str]:
        found = self._collection.find({"_id": run_id, "status": _QUEUED})
        return [d["_id"] for d in self._waiting.ready(found, now)]

    def _take(
        self, query: Document, worker: str, now: datetime, lease_s: float, **more: object
    ) -> Run | None:
        lease = truncate(now + timedelta(seconds=lease_s))
        held = {
            "status": _RUNNING,
            "worker": worker,
            "started": truncate(now),
            "lease_until": lease,
        }
        fresh = {"cells_done": 0, "cells": 0, "error": "", "not_before": None}
        if not self._collection.change(query, {"$set": held | fresh | more, "$inc": {"attempts": 1}}):
            return None
        run = self.get(query["_id"])
        ours = run is not None and (run.status, run.worker, run.lease_until) == (
            RunStatus.RUNNING,
            worker,
            lease,
        )
        return run if ours else None

    def _claim_abandoned(
        self, worker: str, lease_s: float, run_id: str | None, pipelines: tuple[str, ...], now: datetime
    ) -> Run | None:
        if run_id is None:
            self._looked = time.monotonic()
        query: Document = {"status": _RUNNING} | ({"_id": run_id} if run_id else {})
        query |= {"pipeline": {"$in": list(pipelines)}} if pipelines else {}
        held = self._collection.find(query, _HELD)
        for document in sorted(held, key=lambda d: (d["created"], d["_id"])):
            if not self._is_abandoned(document, now):
                continue
            why = f"attempt {document['attempts']}: its worker {document['worker']} died or fell silent"
            failures = [*document.get("failures", ()), why]
            if document.get("cancel_asked"):
                self._collection.change(_held(document), {"$set": cancelled(document["cancel_asked"], now)})
            elif document["attempts"] >= MAX_ATTEMPTS:
                self._collection.change(_held(document), {"$set": worn_out(document, failures, now)})
            elif (run := self._take(_held(document), worker, now, lease_s, failures=failures)) is not None:
                return run
        return None

    def _is_abandoned(self, held: Document, now: datetime) -> bool:
        if worker_is_dead(held["worker"]):
            return True
        lease = held.get("lease_until") or now
        return not now < lease <= now + _LONGEST_LEASE and self._clock.was_steady(_STEADY_S)

    def _fail_waiting(self, document: Document, why: str) -> None:
        failed = {"status": _FAILED, "error": why, "finished": truncate(self._clock.now())}
        self._collection.change({"_id": document["_id"], "status": _QUEUED}, {"$set": failed})


def _held_by(run: Run) -> Document:
    return {"_id": run.run_id, "status": _RUNNING, "worker": run.worker, "attempts": run.attempts}


def _held(document: Document) -> Document:
    """What finds a held run as long as nobody takes it over and no heartbeat comes."""
    return {k: document[k] for k in ("_id", "status", "worker", "attempts", "lease_until")}


def _order(run: Run) -> tuple[datetime, str]:
    return run.created, run.run_id
