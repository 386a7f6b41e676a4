"""A worker that kills itself at a stage of a run: a process of its own, with a real database.

Kernels are real where a run is killed in the midst of its execution; elsewhere the execution is made up.
"""

import os
import signal
from datetime import timedelta
from pathlib import Path

from stixlab.archive import Archive
from stixlab.catalog import MongoCatalog, connect_database
from stixlab.pipeline import queue, worker
from stixlab.pipeline.outputs import Output, range_of
from stixlab.pipeline.runner import Execution, kernel_environment
from tests.support import records
from tests.support.pipelines import GIVEN, stand_in

FROZEN = "frozen"
"""It stands still until it is told to go on, all checks done and nothing committed."""
STAGES = ("claimed", "executing", "staged", "committing", "committed", "finished")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def parts(folder: Path) -> dict:
    return {
        "pipelines": folder / "pipelines",
        "archive": Archive(folder / "archive", writable=True),
        "environment": kernel_environment(os.environ, **stand_in(folder / "stand-in")),
    }


START, END = range_of(GIVEN)
FLARES = tuple(
    records.flare(origin="simulated", start=peak, peak=peak, end=peak, flare_id=f"{peak:%y%m%d%H%M}")
    for peak in (START + timedelta(minutes=n) for n in (90, 180))
)


def pretend(run: object, spec: object, *, folder: Path, **_others: object) -> Execution:
    """An execution that takes no kernel."""
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"{spec.name}.ipynb"
    notebook.write_text("{}")
    output = Output("flare-list", "simulated", START, END, {"p": "h"}, FLARES)
    return Execution(notebook, {"flare-list": output}, run.started, run.started)


def arm(stage: str, catalog: MongoCatalog, folder: Path) -> dict:
    """Set the trap; what the queue is to be given beside the usual."""
    execute, commit, finish = worker.execute, worker.commit_outputs, catalog.runs.finish
    if stage == "claimed":
        worker.execute = lambda *_given, **_named: die()
    elif stage == "executing":

        def at_a_cell(_pipeline: str, done: int, _cells: int) -> None:
            if done >= 3:
                die()

        return {"progress": at_a_cell}
    elif stage == "staged":
        worker.execute = lambda *given, **named: (execute(*given, **named), die())
    elif stage == FROZEN:

        def freeze(*given: object, **named: object) -> object:
            os.kill(os.getpid(), signal.SIGSTOP)
            return commit(*given, **named)

        worker.commit_outputs = freeze
    elif stage == "committing":
        flares = catalog.collections["flares"]

        def half(documents: list, _stale: object) -> None:
            flares.replace(documents[0])
            die()

        flares.replace_range = half
    elif stage == "committed":
        worker.commit_outputs = lambda *given, **named: (commit(*given, **named), die())
    elif stage == "finished":
        catalog.runs.finish = lambda run: (finish(run), die())
    return {}


def run_worker(folder: Path, uri: str, stage: str = "", *, kernel: bool = False) -> None:
    """Do what is queued until nothing is; killed at the stage."""
    if not kernel:
        worker.execute = pretend
    with MongoCatalog(connect_database(uri), writable=True) as catalog:
        queue.drain(catalog, **parts(folder), **arm(stage, catalog, folder))
