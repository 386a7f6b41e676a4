"""One worker: claims a run, executes it, stores what became of it.

What it asks of a database that is away it asks again; a run that it holds meanwhile goes on. A worker that
is killed leaves nothing half done: its run is taken over, and whatever was done twice comes out the same,
since results replace what was there.
"""

from __future__ import annotations

import dataclasses
import logging
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.archive.layout import run_key
from stixlab.catalog.workers import new_worker_name
from stixlab.errors import CatalogError, ConflictError, NotInCatalogError, PipelineError, StixlabError
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.dependencies import follow_ups
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.hold import CANCELLED, LOST, STOPPED, Hold
from stixlab.pipeline.outputs import commit_outputs
from stixlab.pipeline.retries import AWAY_S, ask_patiently, is_recoverable, pause_before_next
from stixlab.pipeline.runner import FAILED_NAME, LOG_NAME, Execution, execute, stage_folder
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["LEASE_S", "POLL_S", "Progress", "Worker"]

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""Without a sign of life for so long, a run goes to another worker."""
POLL_S = 1.0
Progress = Callable[[str, int, int], None]
"""Called with the pipeline, the cells done and the cells there are."""


@dataclass(frozen=True)
class Worker:
    """One process that executes runs, one at a time."""

    catalog: Any
    """Stores of records, writable."""
    pipelines: Path
    """Folder of the pipeline notebooks."""
    archive: Archive
    """Opened for writing; keeps the executed notebooks."""
    environment: Mapping[str, str]
    """What the kernels see."""
    name: str = field(default_factory=new_worker_name)
    """Known to no other worker."""
    only: tuple[str, ...] = ()
    """Pipelines it takes runs of; empty: all."""
    lease_s: float = LEASE_S
    timeout_s: float | None = None
    """Longest time of a run; none: what its pipeline declares."""
    memory_bytes: int | None = None
    """Most memory of a kernel whose pipeline declares none."""
    pool: Any = None
    """Warm kernels, `stixlab.pipeline.warm.KernelPool`."""
    runner: Callable[..., Execution] | None = None
    """In place of `stixlab.pipeline.runner.execute`."""
    progress: Progress | None = None
    stop: Callable[[], bool] = lambda: False
    """Whether it was asked to end; the run in hand may go on for `grace_s`, then it goes back into the queue."""
    grace_s: float = 3.0
    away_s: float = AWAY_S
    """So long a database that is away is waited for with a run in hand."""
    _unsure: threading.Event = field(default_factory=threading.Event)

    def see_done(self, run_id: str) -> Run:
        """A run that is queued, done here or, if another worker has it, there; with those it waits for.

        Raises
        ------
        NotInCatalogError
            If there is no such run.
        CatalogError
            If the database goes away.
        """
        while True:
            self.do_next(run_id)
            found = self._patiently(lambda: self.catalog.runs.get(run_id))
            if found is None:
                raise NotInCatalogError(f"run {run_id}: expected in the queue; found none; ask for it again")
            if found.status.has_ended or self.stop():
                return found  # type: ignore[no-any-return]
            if not self._do_before(found):
                time.sleep(POLL_S)

    def _do_before(self, run: Run) -> bool:
        """Whether one of the runs that this one waits for, or that those wait for, was done here."""
        for name in run.after:
            if self.do_next(name) is not None:
                return True
            before = self._patiently(partial(self.catalog.runs.get, name))
            if before is not None and before.status is RunStatus.QUEUED and self._do_before(before):
                return True
        return False

    def do_next(self, run_id: str | None = None) -> Run | None:
        """Claim one run, execute it, store what became of it.

        Parameters
        ----------
        run_id
            Only this one.

        Returns
        -------
        Run or None
            Queued if it is to be tried again or was given back. None if there was nothing to claim, or the
            run was taken over by another worker meanwhile.

        Raises
        ------
        CatalogError
            If the database goes away for long.
        """
        run = self._patiently(lambda: self._claim(run_id))
        if run is None:
            return None
        told = {"run_id": run.run_id, "pipeline": run.pipeline}
        log.info("run claimed", extra=told | {"attempt": run.attempts})
        try:
            with Hold(
                self.catalog.runs,
                run,
                self.lease_s,
                stop=self.stop,
                grace_s=self.grace_s,
                progress=self.progress,
            ) as hold:
                done = self._do(run, hold)
        except ConflictError as error:
            log.warning("run given up", extra=told | {"reason": str(error)})
            return None
        except CatalogError:
            raise
        except BaseException:
            with suppress(StixlabError):
                self.catalog.runs.release(run)
            raise
        seconds = round(hold.elapsed.total_seconds(), 3)
        ended = {"status": str(done.status), "seconds": seconds, "error": done.error}
        log.info("run ended", extra=told | ended)
        return done

    def holds_unknown(self) -> bool:
        """Whether it holds a run that it does not know of, since an answer was lost; the next claim gives it that run.

        Raises
        ------
        CatalogError
            If the database goes away for long.
        """
        if self._patiently(lambda: self.catalog.runs.held_by(self.name)):
            self._unsure.set()
        return self._unsure.is_set()

    def _patiently(self, question: Callable[[], Any]) -> Any:
        return ask_patiently(question, stop=self.stop, limit_s=self.away_s)

    def _claim(self, run_id: str | None) -> Run | None:
        """A claim whose answer was lost may have been heard: then the run is ours."""
        runs = self.catalog.runs
        if self._unsure.is_set():
            held = [run for run in runs.held_by(self.name) if run_id in (None, run.run_id)]
            self._unsure.clear()
            if held:
                return held[0]  # type: ignore[no-any-return]
        try:
            return runs.claim(self.name, self.lease_s, run_id=run_id, pipelines=self.only)  # type: ignore[no-any-return]
        except CatalogError:
            self._unsure.set()
            raise

    def _do(self, run: Run, hold: Hold) -> Run:
        """The record of a run after its execution; only one that succeeded has changed the catalogue."""
        folder = self.archive.run_folder(run.run_id)
        spec: PipelineSpec | None = None
        try:
            spec = get_pipeline(self.pipelines, run.pipeline)
            execution = self._execute(run, spec, folder, hold)
            self._patiently(hold.check)
            hold.check_wanted()
            self._check_inputs(run, execution)
            delivered = self._commit(run, execution, hold)
        except (ConflictError, CatalogError):
            raise
        except Exception as error:  # the runner's edge: whatever went wrong, the run says so
            if not isinstance(error, StixlabError):
                log.exception("run failed", extra={"run_id": run.run_id})
            return self._ended(run, spec, folder, hold, error)
        finally:
            shutil.rmtree(stage_folder(folder), ignore_errors=True)
        read = {k: v for output in execution.outputs.values() for k, v in output.inputs.items()}
        done = dataclasses.replace(
            self._record(run, hold, RunStatus.SUCCEEDED, ""),
            notebook=f"{run_key(run.run_id)}/{execution.notebook.name}",
            log="" if execution.log is None else f"{run_key(run.run_id)}/{execution.log.name}",
            inputs=read or run.inputs,
            outputs=delivered,
        )
        # Before the run is marked: a worker killed in between does the run again, and nothing that follows is lost.
        self._patiently(lambda: follow_ups(self.catalog, self.pipelines, done))
        return self._finish(done)

    def _commit(self, run: Run, execution: Execution, hold: Hold) -> dict[str, Any]:
        """Take over what a run delivers.

        The lease is renewed right before each change: a process that stood still after the checks, or waited long for
        the archive, finds that the run was taken over. Left is one that stands still for longer than a whole
        lease between that answer and the change it sends next; the database knows no change on that condition.
        """
        fence = partial(self._patiently, hold.check)
        commit = partial(commit_outputs, archive=self.archive, fence=fence)
        return self._patiently(lambda: commit(self.catalog, run, execution.outputs))  # type: ignore[no-any-return]

    def _execute(self, run: Run, spec: PipelineSpec, folder: Path, hold: Hold) -> Execution:
        if spec.memory_bytes is None and self.memory_bytes is not None:
            spec = dataclasses.replace(spec, memory_bytes=self.memory_bytes)
        more = {} if self.pool is None else {"pool": self.pool}
        return (self.runner or execute)(
            run,
            spec,
            folder=folder,
            environment=self.environment,
            timeout_s=self.timeout_s,
            cancel=hold.end,
            progress=hold.progress,
            **more,
        )

    def _check_inputs(self, run: Run, execution: Execution) -> None:
        """Refuse a result that was made from what is no longer in the catalogue."""
        read = {k: v for output in execution.outputs.values() for k, v in output.inputs.items()}
        now = self._patiently(lambda: self.catalog.products.get_many(read)) if read else {}
        changed = sorted(k for k, product in now.items() if product.content_sha256 != read[k])
        if changed:
            raise PipelineError(
                f"run {run.run_id}: {', '.join(changed)} changed while it was read; "
                "ask for the run again, which will read the new content",
                run_id=run.run_id,
                changed=tuple(changed),
            )

    def _ended(self, run: Run, spec: PipelineSpec | None, folder: Path, hold: Hold, error: Exception) -> Run:
        """What becomes of a run that did not succeed."""
        why = str(error) if isinstance(error, StixlabError) else f"{type(error).__name__}: {error}"
        if hold.reason == LOST:
            raise ConflictError(f"run {run.run_id}: no longer ours", run_id=run.run_id)
        if hold.reason == STOPPED:
            return self._back(run, lambda: self.catalog.runs.release(run))
        if hold.reason == CANCELLED:
            return self._finish(
                self._failed(run, hold, folder, RunStatus.CANCELLED, f"cancelled by {hold.by}")
            )
        pause = pause_before_next(run, spec) if spec is not None and is_recoverable(error) else None
        if pause is None:
            return self._finish(self._failed(run, hold, folder, RunStatus.FAILED, why))
        log.warning(
            "run to be tried again",
            extra={"run_id": run.run_id, "pause_s": pause.total_seconds(), "reason": why},
        )
        return self._back(run, lambda: self.catalog.runs.postpone(run, pause, why))

    def _back(self, run: Run, put: Callable[[], bool]) -> Run:
        """Put a run back into the queue; what is then there."""
        self._patiently(put)
        found: Run | None = self._patiently(lambda: self.catalog.runs.get(run.run_id))
        if found is None:
            raise ConflictError(f"run {run.run_id}: it was deleted", run_id=run.run_id)
        return found

    def _finish(self, done: Run) -> Run:
        self._patiently(lambda: self.catalog.runs.finish(done))
        return done

    def _failed(self, run: Run, hold: Hold, folder: Path, status: RunStatus, why: str) -> Run:
        kept = {
            name: f"{run_key(run.run_id)}/{name}"
            for name in (FAILED_NAME, LOG_NAME)
            if (folder / name).exists()
        }
        ended = self._record(run, hold, status, why)
        return dataclasses.replace(ended, notebook=kept.get(FAILED_NAME, ""), log=kept.get(LOG_NAME, ""))

    def _record(self, run: Run, hold: Hold, status: RunStatus, why: str) -> Run:
        return dataclasses.replace(
            run,
            status=status,
            finished=(run.started or run.created) + hold.elapsed,
            lease_until=None,
            machine=platform.node(),
            error=why,
            cells_done=hold.cells[0],
            cells=hold.cells[1],
            cancel_asked=hold.by,
        )
