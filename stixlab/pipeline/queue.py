"""The worker: takes runs from the queue, executes them, takes their results into the catalogue.

A run that a worker holds when it is killed is taken over by the next; whatever was done twice comes out
the same, since results replace what was there.
"""

from __future__ import annotations

import dataclasses
import logging
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.archive.layout import run_key
from stixlab.catalog.workers import worker_name
from stixlab.errors import CatalogError, ConflictError, NotInCatalogError, StixlabError
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.identity import make_run
from stixlab.pipeline.inputs import find_inputs
from stixlab.pipeline.outputs import commit_outputs
from stixlab.pipeline.parameters import check_parameters
from stixlab.pipeline.runner import Execution, execute, stage_folder
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["Worker", "drain", "run_now", "work"]

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""Without a sign of life for so long, a run goes to another worker."""
_POLL_S = 1.0
Progress = Callable[[str, int, int], None]
"""Called with the pipeline, the cells done and the cells there are."""


def drain(
    catalog: Any,
    run_ids: Iterable[str] | None = None,
    *,
    pipelines: Path,
    archive: Archive,
    environment: Mapping[str, str],
    progress: Progress | None = None,
) -> list[Run]:
    """Do what is queued, and wait for what other workers have in hand.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    run_ids
        Only these; none: whatever there is, without waiting for others.
    pipelines
        Folder of the pipeline notebooks.
    archive
        Opened for writing; keeps the executed notebooks.
    environment
        What the kernels see, from `stixlab.pipeline.runner.kernel_environment`.
    progress
        Called with the pipeline, the cells done and the cells there are.

    Returns
    -------
    list of Run
        What became of them, failed ones included.

    Raises
    ------
    CatalogError
        If the database goes away; the run in hand is done again later.
    """
    worker = Worker(catalog, pipelines, archive, environment, progress=progress)
    if run_ids is not None:
        return [worker.see_done(run_id) for run_id in run_ids]
    done = []
    while (run := worker.do_next()) is not None:
        done.append(run)
    return done


def run_now(
    catalog: Any,
    spec: PipelineSpec,
    given: Mapping[str, Any],
    *,
    pipelines: Path,
    archive: Archive,
    environment: Mapping[str, str],
    progress: Progress | None = None,
) -> Run:
    """Run a pipeline by hand and wait for it; one that succeeded before on the same inputs is not run again.

    Parameters
    ----------
    catalog, pipelines, archive, environment, progress
        As for `drain`.
    spec
        The pipeline.
    given
        Its parameters.

    Returns
    -------
    Run
        Succeeded or failed.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range; nothing is queued.
    CatalogError
        If the database goes away.
    """
    parameters = check_parameters(spec, given)
    run = make_run(spec, parameters, inputs=find_inputs(catalog, spec, parameters))
    known = catalog.runs.get(run.run_id)
    if known is not None and known.status is RunStatus.SUCCEEDED:
        return known  # type: ignore[no-any-return]
    catalog.runs.enqueue(run)
    worker = Worker(catalog, pipelines, archive, environment, progress=progress)
    return worker.see_done(run.run_id)


def work(
    catalog: Any,
    *,
    pipelines: Path,
    archive: Archive,
    environment: Mapping[str, str],
    stop: Callable[[], bool],
    poll_s: float = _POLL_S,
) -> None:
    """Do what is queued, until told to stop; a database that is away is waited for.

    Parameters
    ----------
    catalog, pipelines, archive, environment
        As for `drain`.
    stop
        Asked between runs and while waiting.
    poll_s
        Seconds between two looks at an empty queue.
    """
    worker = Worker(catalog, pipelines, archive, environment)
    while not stop():
        try:
            idle = worker.do_next() is None
        except CatalogError:
            log.warning("catalogue away", exc_info=True)
            idle = True
        if idle:
            _wait(poll_s, stop)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


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
    name: str = field(default_factory=worker_name)
    """Known to no other process."""
    lease_s: float = LEASE_S
    timeout_s: float | None = None
    """Longest time of a run; none: what its pipeline declares."""
    progress: Progress | None = None

    def see_done(self, run_id: str) -> Run:
        """A run that is queued, done here or, if another worker has it, there.

        Raises
        ------
        NotInCatalogError
            If there is no such run.
        CatalogError
            If the database goes away.
        """
        while True:
            done = self.do_next(run_id)
            found = done or self.catalog.runs.get(run_id)
            if found is None:
                raise NotInCatalogError(f"run {run_id}: expected in the queue; found none; ask for it again")
            if found.status in (RunStatus.SUCCEEDED, RunStatus.FAILED):
                return found
            time.sleep(_POLL_S)

    def do_next(self, run_id: str | None = None) -> Run | None:
        """Claim one run, execute it, store what became of it.

        Parameters
        ----------
        run_id
            Only this one.

        Returns
        -------
        Run or None
            None if there was nothing to claim, or the run was taken over by another worker meanwhile.

        Raises
        ------
        CatalogError
            If the database goes away.
        """
        run: Run | None = self.catalog.runs.claim(self.name, self.lease_s, run_id=run_id)
        if run is None:
            return None
        log.info("run claimed", extra={"run_id": run.run_id, "attempt": run.attempts})
        try:
            with self._kept_alive(run) as lost:
                done = self._do(run, lost)
            self.catalog.runs.finish(done)
        except ConflictError as error:
            log.warning("run given up", extra={"run_id": run.run_id, "reason": str(error)})
            return None
        except CatalogError:
            raise
        except BaseException:
            with suppress(StixlabError):
                self.catalog.runs.release(run)
            raise
        log.info("run finished", extra={"run_id": run.run_id, "status": str(done.status)})
        return done

    def _do(self, run: Run, lost: threading.Event) -> Run:
        """The record of a run after its execution; only one that succeeded has changed the catalogue."""
        folder = self.archive.run_folder(run.run_id)
        try:
            execution = self._execute(run, folder, lost)
            self._check_ours(run, lost)
            delivered = commit_outputs(self.catalog, run, execution.outputs, archive=self.archive)
        except (ConflictError, CatalogError):
            raise
        except Exception as error:  # the runner's edge: whatever went wrong, the run says so
            if not isinstance(error, StixlabError):
                log.exception("run failed", extra={"run_id": run.run_id})
            return self._failed(run, folder, error)
        finally:
            shutil.rmtree(stage_folder(folder), ignore_errors=True)
        inputs = {k: v for output in execution.outputs.values() for k, v in output.inputs.items()}
        return dataclasses.replace(
            run,
            status=RunStatus.SUCCEEDED,
            finished=datetime.now(UTC),
            notebook=f"{run_key(run.run_id)}/{execution.notebook.name}",
            inputs=inputs or run.inputs,
            outputs=delivered,
            lease_until=None,
            machine=platform.node(),
            error="",
        )

    def _execute(self, run: Run, folder: Path, lost: threading.Event) -> Execution:
        spec = get_pipeline(self.pipelines, run.pipeline)
        progress = self.progress
        return execute(
            run,
            spec,
            folder=folder,
            environment=self.environment,
            timeout_s=self.timeout_s,
            cancel=lost,
            progress=None if progress is None else lambda done, total: progress(run.pipeline, done, total),
        )

    def _check_ours(self, run: Run, lost: threading.Event) -> None:
        if lost.is_set() or not self.catalog.runs.heartbeat(run, self.lease_s):
            raise ConflictError(
                f"run {run.run_id}: its lease ran out during the execution", run_id=run.run_id
            )

    def _failed(self, run: Run, folder: Path, error: Exception) -> Run:
        kept = folder / "failed.ipynb"
        return dataclasses.replace(
            run,
            status=RunStatus.FAILED,
            finished=datetime.now(UTC),
            notebook=f"{run_key(run.run_id)}/{kept.name}" if kept.exists() else "",
            lease_until=None,
            machine=platform.node(),
            error=str(error) if isinstance(error, StixlabError) else f"{type(error).__name__}: {error}",
        )

    @contextmanager
    def _kept_alive(self, run: Run) -> Iterator[threading.Event]:
        """Heartbeats in a thread of their own; the event is set when the run is no longer ours."""
        lost, done = threading.Event(), threading.Event()

        def beat() -> None:
            while not done.wait(self.lease_s / 3):
                try:
                    if not self.catalog.runs.heartbeat(run, self.lease_s):
                        lost.set()
                        return
                except CatalogError:
                    log.warning("heartbeat failed", extra={"run_id": run.run_id})

        thread = threading.Thread(target=beat, name=f"heartbeat-{run.run_id}", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()
