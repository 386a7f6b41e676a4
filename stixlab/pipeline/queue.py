"""The queue from without: run what is queued, run something now, work for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.errors import CatalogError, StixlabError
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.inputs import find_inputs
from stixlab.pipeline.runner import prepare
from stixlab.pipeline.spec import PipelineSpec
from stixlab.pipeline.worker import POLL_S, Progress, Worker

__all__ = ["Worker", "drain", "find_inputs", "run_now", "work"]

log = logging.getLogger(__name__)

_BETWEEN_S = 20.0
"""What is to be done between runs is done this often."""


def drain(
    catalog: Any,
    run_ids: Iterable[str] | None = None,
    *,
    pipelines: Path,
    archive: Archive,
    environment: Mapping[str, str],
    progress: Progress | None = None,
    **more: Any,
) -> list[Run]:
    """Do what is queued, and wait for what other workers have in hand.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    run_ids
        Only these, and what they wait for; none: all, until the queue is empty.
    pipelines
        Folder of the pipeline notebooks.
    archive
        Opened for writing; keeps the executed notebooks.
    environment
        What the kernels see, from `stixlab.pipeline.runner.kernel_environment`.
    progress
        Called with the pipeline, the cells done and the cells there are.
    **more
        Other fields of the `Worker`.

    Returns
    -------
    list of Run
        What became of them, failed ones included. Without `run_ids` those that were ended here.

    Raises
    ------
    CatalogError
        If the database goes away; the run in hand is done again later.
    """
    worker = Worker(catalog, pipelines, archive, environment, progress=progress, **more)
    if run_ids is not None:
        return [worker.see_done(run_id) for run_id in run_ids]
    done = []
    while not worker.stop():
        run = worker.do_next()
        if run is not None and run.status.has_ended:
            done.append(run)
        elif run is None and not catalog.runs.has_queued(worker.only):
            if not worker.holds_unknown():
                break
        elif run is None:
            _wait(POLL_S, worker.stop)
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
    asked_by: str = "",
    **more: Any,
) -> Run:
    """Run a pipeline by hand and wait for it; one that succeeded before on the same inputs is not run again.

    Parameters
    ----------
    catalog, pipelines, archive, environment, progress, **more
        As for `drain`.
    spec
        The pipeline.
    given
        Its parameters.
    asked_by
        Account that asks.

    Returns
    -------
    Run
        Succeeded, failed or cancelled.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range; nothing is queued.
    CatalogError
        If the database goes away.
    """
    run = plan_run(catalog, spec, given, asked_by=asked_by)
    if run.status is RunStatus.SUCCEEDED:
        return run
    catalog.runs.enqueue(run)
    worker = Worker(catalog, pipelines, archive, environment, progress=progress, **more)
    return worker.see_done(run.run_id)


def work(
    catalog: Any,
    *,
    pipelines: Path,
    archive: Archive,
    environment: Mapping[str, str],
    stop: Callable[[], bool],
    poll_s: float = POLL_S,
    between: Callable[[], None] | None = None,
    **more: Any,
) -> None:
    """Do what is queued, until told to stop; a database that is away is waited for.

    Parameters
    ----------
    catalog, pipelines, archive, environment, **more
        As for `drain`.
    stop
        Asked between runs, during runs and while waiting. The run in hand has the grace of the worker to
        end by itself, then it goes back into the queue.
    poll_s
        Seconds between two looks at an empty queue.
    between
        Called now and then between runs, such as to queue what the clock asks for.
    """
    # Beside the loop, so that a run is claimed, or the end seen, at once.
    preparing = threading.Thread(target=prepare, name="prepare", daemon=True)
    preparing.start()
    worker = Worker(catalog, pipelines, archive, environment, stop=stop, **more)
    told = {"worker": worker.name, "only": worker.only}
    log.info("worker began", extra=told)
    done_at: float | None = None
    while not stop():
        try:
            if between is not None and (done_at is None or time.monotonic() - done_at >= _BETWEEN_S):
                done_at = time.monotonic()
                _do_between(between)
            idle = worker.do_next() is None
        except CatalogError as error:
            log.warning("catalogue away", extra={"reason": str(error)})
            idle = True
        if idle:
            _wait(poll_s, stop)
    preparing.join()
    log.info("worker ended", extra=told)


def _do_between(between: Callable[[], None]) -> None:
    """What cannot be done between runs is told; the runs go on."""
    try:
        between()
    except CatalogError:
        raise
    except StixlabError as error:
        log.error("not done between runs", extra={"reason": str(error)})  # noqa: TRY400  (the reason says it all)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
