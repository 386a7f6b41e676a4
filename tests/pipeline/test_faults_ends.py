"""How cells end: exits on warm kernels, what is counted as done, what is logged, output that must not be lost."""

import json
import logging
import os

import pytest

from stixlab.model import RunStatus
from stixlab.pipeline.notebook_client import NotebookClient
from stixlab.pipeline.runner import kernel_environment
from stixlab.pipeline.warm import KernelPool
from tests.support.faults import STAGE, assert_red, run_once, write_trial
from tests.support.pipelines import stand_in
from tests.support.processes import wait_for

pytestmark = pytest.mark.slow

WARM = "kernel: warm\n"
FAR = "120 s"
"""A limit of time that is not what the test is about."""
IMPORTED = """\
import os, warnings
from pathlib import Path
if os.environ.get("STIXLAB_RUN_FOLDER"):
    warnings.warn("an old library", UserWarning, stacklevel=1)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Warm kernels, and the environment that they have: a module that warns when it is imported is loaded in them."""
    folder = tmp_path_factory.mktemp("stand-in")
    (folder / "warns_at_import.py").write_text(IMPORTED)
    environment = kernel_environment(os.environ, **stand_in(folder))
    with KernelPool(environment, imports=("warns_at_import",)) as pool:
        yield pool, environment


@pytest.fixture
def warm(made, center):
    """One run on a warm kernel; its log."""
    pool, center.environment = made[0], dict(made[1])

    def go(*cells, front=WARM):
        write_trial(center.pipelines, *cells, front=front, timeout=FAR)
        assert pool.wait_ready(60)
        run = run_once(center, pool=pool)
        return run, center.archive.path(run.log).read_text()

    return go


@pytest.mark.parametrize("place", [4, 5])
@pytest.mark.parametrize(
    "code", ["exit()", "quit()", "sys.exit()", "sys.exit(0)", "raise SystemExit", "os._exit(0)"]
)
def test_a_cell_that_exits_makes_the_run_red_on_a_warm_kernel(center, warm, code, place):
    cells = [STAGE]
    cells.insert(place - 4, code)
    run, log = warm(*cells)
    assert_red(center, run, f"cell {place}", "remove the exit")
    assert "kernel: warm" in log


def test_a_warning_at_import_is_fatal_for_a_pipeline_that_asks_for_warm_kernels_too(center, warm):
    """On a warm kernel the import was done before the run: such a pipeline gets a fresh one."""
    run, log = warm("import warns_at_import", STAGE, front=WARM + "fatal_warnings: [UserWarning]\n")
    assert_red(center, run, "cell 4: UserWarning: an old library", "declared fatal")
    assert "kernel: fresh" in log
    run, log = warm("import warns_at_import", STAGE)
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert "kernel: warm" in log


@pytest.mark.parametrize(
    ("cells", "done"),
    [
        ([STAGE, "1 / 0"], 5),
        ([STAGE, "exit()"], 5),
        ([STAGE, "os._exit(0)"], 5),
        (["1 / 0", STAGE], 4),
        ([STAGE, "pass"], 6),
    ],
)
def test_a_cell_that_failed_does_not_count_as_done(center, cells, done):
    """Of six cells, that with the parameters of the run among them."""
    write_trial(center.pipelines, *cells, timeout=FAR)
    told = []
    run = run_once(center, progress=lambda _pipeline, *cells: told.append(cells))
    assert (run.cells_done, run.cells) == (done, 6)
    assert told == [(n, 6) for n in range(done + 1)]


@pytest.mark.parametrize("last", ["os._exit(0)", "1 / 0", "exit()"])
def test_what_libraries_call_errors_is_logged_as_ours_for_those_who_look_for_it(center, caplog, last):
    caplog.set_level(logging.DEBUG)
    write_trial(center.pipelines, STAGE, last, timeout=FAR)
    run = run_once(center)
    assert run.status is RunStatus.FAILED
    loud = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert [r.getMessage() for r in loud if r.name.partition(".")[0] != "stixlab"] == []
    quiet = [r.getMessage() for r in caplog.records if r.name == "stixlab.pipeline.engine"]
    assert "Executing notebook with kernel: python3" in quiet
    assert ("Kernel died while waiting for execute reply." in quiet) == (last == "os._exit(0)")
    assert not any("json, os, pathlib" in r.getMessage() for r in caplog.records), "no content of a cell"


def test_what_a_cell_shows_is_kept_however_much_comes_at_once(center, monkeypatch):
    """More messages than the queues of the channel hold by default, while nobody reads: the rest was dropped unseen."""
    monkeypatch.setattr("stixlab.pipeline.engine._OUTPUT_S", 600)
    shown, take = center.folder / "shown", NotebookClient.process_message

    def late(self, msg, cell, cell_index):
        if msg["msg_type"] == "display_data":
            wait_for(shown.exists, "all to be shown", 100)
        return take(self, msg, cell, cell_index)

    monkeypatch.setattr(NotebookClient, "process_message", late)
    show = f"""\
from IPython.display import display
for n in range(4000):
    display(n)
pathlib.Path({str(shown)!r}).touch()"""
    write_trial(center.pipelines, STAGE, show, timeout="500 s")
    run = run_once(center)
    assert run.status is RunStatus.SUCCEEDED, run.error
    cells = json.loads(center.archive.path(run.notebook).read_text())["cells"]
    assert ["".join(o["data"]["text/plain"]) for o in cells[-1]["outputs"]] == [str(n) for n in range(4000)]
