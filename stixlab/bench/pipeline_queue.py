"""How quickly the queue drains, with real workers, kernels and database."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stixlab import factory
from stixlab.archive import Archive
from stixlab.bench import pipeline_cache
from stixlab.bench.archive import FIRST, fill
from stixlab.bench.measurement import Measurement
from stixlab.settings import Settings, project_folder
from stixlab.timing import to_datetime

__all__ = ["NAME", "measure"]

NAME = "pipelines"
N_RUNS = 300
"""Queued at once."""
N_ALONE = 100
"""The same of runs that do nothing."""
N_DAYS = 30
WORKERS = (1, 2, 4)
_READY_S = 300.0
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_FRONT = """\
title: A short run
summary: Delivers an empty list, as little as a pipeline can do.
needs: []
makes: [flare-list]
timeout: 60 s
kernel: warm
parameters:
  start: {format: time, required: true}
  end: {format: time, required: true, after: start}
  origin: {enum: ["", flight, simulated]}
"""
_PARAMETERS = """\
start: str = "2026-01-01"  # UTC, start of the range
end: str = "2026-01-02"  # UTC, end of the range
origin: str = "simulated"  # flight or simulated
"""
_BODY = """\
import stixlab
run = stixlab.start_run("short", start=start, end=end, origin=origin)
run.save("flare-list", [])
"""


def measure() -> Iterator[Measurement]:
    """Runs a second of 1, 2 and 4 workers; the queue and its database alone; a back-fill."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_notebook(root / "pipelines")
        settings = Settings(home=root / "home", access="operator")
        with factory.open_catalog(settings) as catalog:
            yield from pipeline_cache.measure(catalog)
            yield from _asking(catalog, root)
            for kernels, runs in ((False, N_ALONE), (True, N_RUNS)):
                what = (
                    f"{runs} short runs, warm kernels" if kernels else "the queue alone, runs that do nothing"
                )
                for number in WORKERS:
                    _queue(catalog, root, runs)
                    taken = _drained(catalog, root, number, runs, kernels=kernels)
                    yield Measurement(NAME, f"{what}, {_told(number)}", runs / taken, "runs/s")
            yield from _backfill(catalog, root, settings)


def _told(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def _backfill(catalog: Any, root: Path, settings: Settings) -> Iterator[Measurement]:
    """The flare list of a month of light curves: each run reads its day and an hour beside it."""
    from stixlab.pipeline.backfill import plan_backfill, queue_backfill
    from stixlab.pipeline.discovery import get_pipeline

    fill(settings, N_DAYS, types=("ql-lightcurve",))
    spec = get_pipeline(project_folder("pipelines"), "flare_list")
    start = to_datetime(FIRST)
    end = start + timedelta(days=N_DAYS)
    for number in (1, 2):
        catalog.collections["runs"].delete({})
        plan = plan_backfill(
            catalog, spec, start=start, end=end, step=timedelta(days=1), given={"origin": "simulated"}
        )
        queue_backfill(catalog, plan)
        folder = project_folder("pipelines")
        taken = _drained(catalog, root, number, N_DAYS, kernels=True, pipelines=folder)
        title = f"back-fill of {N_DAYS} days of flare_list, {_told(number)}"
        yield Measurement(NAME, title, taken, "s")


def _write_notebook(folder: Path) -> None:
    def code(source: str, *tags: str) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "execution_count": None,
            "id": tags[0] if tags else "body",
            "metadata": {"tags": list(tags)},
            "outputs": [],
            "source": source,
        }

    front = {"cell_type": "raw", "id": "front", "metadata": {"tags": ["pipeline"]}, "source": _FRONT}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": [front, code(_PARAMETERS, "parameters"), code(_BODY)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    folder.mkdir()
    (folder / "short.ipynb").write_text(json.dumps(document), encoding="utf-8")


def _queue(catalog: Any, root: Path, number: int) -> float:
    """Queue so many runs; the seconds it took."""
    from stixlab.pipeline.discovery import get_pipeline
    from stixlab.pipeline.identity import make_run

    spec = get_pipeline(root / "pipelines", "short")
    catalog.collections["runs"].delete({})
    runs = []
    for day in range(number):
        start, end = (_FIRST + timedelta(days=day + n) for n in (0, 1))
        given = {"start": f"{start:%Y-%m-%d}", "end": f"{end:%Y-%m-%d}", "origin": "simulated"}
        runs.append(make_run(spec, given, inputs={}, trigger="back-fill"))
    began = time.perf_counter()
    if len(catalog.runs.enqueue_many(runs)) != number:
        raise RuntimeError(f"bench pipelines: expected {number} runs in the queue")
    return time.perf_counter() - began


def _asking(catalog: Any, root: Path) -> Iterator[Measurement]:
    seconds = _queue(catalog, root, N_RUNS)
    yield Measurement(NAME, f"{N_RUNS} runs queued at once", seconds, "s")
    began = time.perf_counter()
    claimed = 0
    while catalog.runs.claim("bench:0:0", 60.0) is not None:
        claimed += 1
    yield Measurement(NAME, "claims, one process", claimed / (time.perf_counter() - began), "claims/s")


def _drained(
    catalog: Any, root: Path, workers: int, runs: int, *, kernels: bool, pipelines: Path | None = None
) -> float:
    """Seconds until all runs in the queue are done, from the moment at which the workers are ready."""
    with _crew(root, workers, pipelines or root / "pipelines", kernels=kernels) as (go, processes):
        began = time.perf_counter()
        go.set()
        for process in processes:
            process.join()
        taken = time.perf_counter() - began
    found = catalog.runs.count_by_status()
    if found["succeeded"] != runs:
        wrong = {k.value: n for k, n in found.items() if n}
        why = next((r.error for r in catalog.runs.find(limit=1000) if r.error), "")
        raise RuntimeError(f"bench pipelines: expected {runs} runs to succeed; found {wrong}; {why}")
    return taken


@contextmanager
def _crew(root: Path, workers: int, pipelines: Path, *, kernels: bool) -> Iterator[tuple[Any, list[Any]]]:
    """Workers that are ready and wait for the word to go."""
    context = multiprocessing.get_context("spawn")
    go, ready = context.Event(), context.Semaphore(0)
    with ExitStack() as stack:
        processes = []
        for _ in range(workers):
            process = context.Process(target=_work, args=(root, pipelines, kernels, ready, go))
            process.start()
            stack.callback(process.kill)
            processes.append(process)
        for _ in processes:
            if not ready.acquire(timeout=_READY_S):
                raise RuntimeError(f"bench pipelines: a worker was not ready within {_READY_S:.0f} s")
        yield go, processes


def _work(root: Path, pipelines: Path, kernels: bool, ready: Any, go: Any) -> None:  # noqa: FBT001  (by position, across processes)
    from stixlab.pipeline import queue
    from stixlab.pipeline.runner import kernel_environment, prepare
    from stixlab.pipeline.warm import KernelPool

    given = {"STIXLAB_HOME": str(root / "home"), "STIXLAB_ACCESS": "team", "STIXLAB_MONGO_URI": ""}
    environment = kernel_environment(os.environ, **given)
    settings = Settings(home=root / "home", access="operator")
    with factory.open_catalog(settings) as catalog, ExitStack() as stack:
        how: dict[str, Any] = {
            "pipelines": pipelines,
            "archive": Archive(factory.archive_folder(settings), writable=True),
            "environment": environment,
        }
        if kernels:
            prepare()
            how["pool"] = stack.enter_context(KernelPool(environment))
            how["pool"].wait_ready(_READY_S)
        else:
            how["runner"] = _nothing
        ready.release()
        go.wait()
        queue.drain(catalog, **how)


def _nothing(run: Any, spec: Any, *, folder: Path, **_others: Any) -> Any:
    """An execution that does nothing: what is left is the queue."""
    from stixlab.pipeline.runner import Execution

    return Execution(folder / f"{spec.name}.ipynb", {}, run.started, run.started)
