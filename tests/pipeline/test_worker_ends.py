"""A worker that is asked to end, as a process of its own with its database and its kernels."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest

from stixlab import factory
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.identity import make_run
from stixlab.settings import Settings
from tests.support.pipelines import FRONT, GIVEN, write_notebook
from tests.support.processes import wait_for

pytestmark = [pytest.mark.alone, pytest.mark.slow]

COMMAND = """\
import sys
from pathlib import Path
from stixlab import factory
factory.project_folder = lambda _name: Path(sys.argv[1])
from stixlab.cli.main import main
main(["worker", "--grace", sys.argv[2]])
"""
START = """\
if False:
    run = stixlab.start_run("trial", start=start, end=end, origin=origin)
    run.save("flare-list", [])"""


@pytest.fixture
def catalog(tmp_path):
    settings = Settings(home=tmp_path / "home", access="operator", mongo_uri="", mongo_read_uri="")
    with factory.open_catalog(settings) as catalog:
        yield catalog


def ask(folder, catalog, *code, kernel="fresh"):
    front = FRONT + f"kernel: {kernel}\n"
    write_notebook(folder / "pipelines", *code, front=front, start=START)
    run = make_run(get_pipeline(folder / "pipelines", "trial"), GIVEN, inputs={})
    assert catalog.runs.enqueue(run)
    return run.run_id


@contextmanager
def worker(folder, grace="0"):
    folder.joinpath("pipelines").mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STIXLAB_")}
    environment |= {"STIXLAB_HOME": str(folder / "home"), "STIXLAB_ACCESS": "operator"}
    told = folder / "worker.log"
    with (
        told.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(folder / "pipelines"), grace], env=environment, stderr=log
        ) as process,
    ):
        try:
            wait_for(lambda: b"worker began" in told.read_bytes(), "the worker to begin", 60)
            yield process
        finally:
            process.kill()


def end(process):
    """Ask it to end; what descended from it and lives on."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    return psutil.wait_procs(family, timeout=5)[1]


def test_one_that_has_nothing_to_do_ends_with_all_its_kernels(tmp_path, catalog):
    """Warm ones are there since the first run that asked for one."""
    name = ask(tmp_path, catalog, "1 / 0", kernel="warm")
    with worker(tmp_path) as process:
        wait_for(lambda: catalog.runs.get(name).status is RunStatus.FAILED, "the run to end", 60)
        wait_for(psutil.Process(process.pid).children, "the process that makes kernels", 60)
        assert end(process) == []


@pytest.mark.parametrize("kernel", ["fresh", "warm"])
def test_the_run_in_hand_goes_back_into_the_queue(tmp_path, catalog, kernel):
    name = ask(tmp_path, catalog, "import time\ntime.sleep(600)", kernel=kernel)
    with worker(tmp_path) as process:
        wait_for(lambda: catalog.runs.get(name).cells_done >= 4, "the last cell", 60)
        assert end(process) == []
    run = catalog.runs.get(name)
    assert (run.status, run.attempts, run.worker) == (RunStatus.QUEUED, 0, "")


def test_a_run_that_ends_within_the_grace_is_done(tmp_path, catalog):
    go = tmp_path / "go"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.1)\n1 / 0"
    name = ask(tmp_path, catalog, wait)
    with worker(tmp_path, grace="30") as process:
        wait_for(lambda: catalog.runs.get(name).cells_done >= 4, "the last cell", 60)
        process.send_signal(signal.SIGTERM)
        go.touch()
        assert process.wait(30) == 0
    run = catalog.runs.get(name)
    assert run.status is RunStatus.FAILED
    assert "division by zero" in run.error
