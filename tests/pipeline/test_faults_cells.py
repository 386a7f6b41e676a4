"""Faults within the kernel, each beside what plain papermill makes of it."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stixlab.errors import PipelineError
from stixlab.model import RunStatus
from tests.support.faults import STAGE, assert_red, plain_papermill, run_once, stage, write_trial

pytestmark = pytest.mark.slow

FINE = "success"
RAISED = "PapermillExecutionError"
DEAD = "DeadKernelError"
EITHER = f"{FINE} or {DEAD}"
"""A kernel that was asked to end may still answer, or not."""
FLARE = {"flare_id": "x", "peak": "2022-03-01T01:00:00+00:00"}
ENDS = 'get_ipython().kernel.shell_handlers["kernel_info_request"] = lambda *_: os._exit(5)'
GROW = 'held = []\nfor _ in range(12):\n    held.append(b"x" * 40_000_000)\n    time.sleep(0.15)'


@dataclass
class Fault:
    """A notebook that goes wrong, and what is said about it."""

    name: str
    cells: list[str]
    papermill: str
    words: tuple[str, ...]
    again: bool = False
    """Whether it is tried again."""
    front: str = ""
    timeout: str = "60 s"
    tags: dict[int, list[str]] = field(default_factory=dict)


FAULTS = [
    Fault("the kernel ends in the middle", ["os._exit(0)", STAGE], DEAD, ("cell 4", "the kernel died", "exit status 0")),
    Fault("the kernel ends at the end", [STAGE, "os._exit(0)"], DEAD, ("cell 5", "the kernel died")),
    Fault("the kernel ends after the end", [STAGE, ENDS], DEAD, ("the kernel died after its last cell",)),
    Fault("the kernel is killed", ["os.kill(os.getpid(), 9)", STAGE], DEAD, ("cell 4", "it was killed", "tried again"), again=True),
    Fault("compiled code crashes", ["os.kill(os.getpid(), 11)", STAGE], DEAD, ("cell 4", "SIGSEGV")),
    Fault("a cell raises", ['raise ValueError("no \x1b[31mpixel")', STAGE], RAISED, ("cell 4: ValueError: no pixel", "traceback")),
    Fault("a cell raises and may", ["1 / 0", STAGE], RAISED, ("cell 4: ZeroDivisionError",), tags={4: ["raises-exception"]}),
    Fault("a cell makes code that is no Python", ["exec('def f(:')", STAGE], RAISED, ("cell 4: SyntaxError",)),
    Fault("sys.exit(0)", [STAGE, "sys.exit(0)", "1 / 0"], FINE, ("cell 5", "SystemExit")),
    Fault("sys.exit(0) at the end", [STAGE, "sys.exit(0)"], FINE, ("cell 5", "SystemExit: 0", "remove the exit")),
    Fault("exit in the middle", ["exit()", STAGE], EITHER, ("cell 4", "exit()", "remove the exit")),
    Fault("exit at the end", [STAGE, "exit()"], EITHER, ("cell 5", "exit()", "remove the exit")),
    Fault("quit at the end", [STAGE, "quit()"], EITHER, ("cell 5", "quit()", "remove the exit")),
    Fault("exit with the kernel kept", [STAGE, "exit(keep_kernel=True)"], FINE, ("cell 5", "remove the exit")),
    Fault("SystemExit is raised", [STAGE, "raise SystemExit"], FINE, ("cell 5", "SystemExit", "remove the exit")),
    Fault("SystemExit is raised and may", [STAGE, "raise SystemExit"], FINE, ("cell 5", "SystemExit", "remove the exit"),
          tags={5: ["raises-exception"]}),
    Fault("sys.exit(3)", [STAGE, "sys.exit(3)"], RAISED, ("cell 5", "SystemExit: 3", "remove the exit")),
    Fault("a cell is passed over", ["1 / 0", STAGE], FINE, ("cell 4: expected to be completed",), tags={4: ["skip-execution"]}),
    Fault("a cell takes too long", [STAGE, "time.sleep(4)"], FINE, ("not finished after 2 s", "timeout"), timeout="2 s"),
    Fault("a warning is fatal", ['import warnings\nwarnings.warn("poor fit", RuntimeWarning)', STAGE], FINE,
          ("cell 4: RuntimeWarning: poor fit", "declared fatal"), front="fatal_warnings: [RuntimeWarning]\n"),
    Fault("a fatal warning is not known", [STAGE], FINE, ("numpy.exceptions.NoSuchWarning", "is no warning class"),
          front="fatal_warnings: [numpy.exceptions.NoSuchWarning]\n"),
    Fault("too much output", [STAGE, 'print("x" * 40_000_000)'], FINE, ("cell 5", "more than 32 MB of output")),
    Fault("too much memory at once", [STAGE, "held = bytearray(2_000_000_000)"], FINE, ("cell 5: out of memory", "300 MB"), front="memory: 300 MB\n"),
    Fault("too much memory in steps", [STAGE, GROW], FINE, ("cell 5: out of memory: it took", "its limit is 300 MB"), front="memory: 300 MB\n"),
    Fault("too much memory of a child", [STAGE, f"import subprocess\nsubprocess.run([sys.executable, '-c', {'import time; ' + GROW!r}])"], FINE,
          ("cell 5: out of memory: it took",), front="memory: 300 MB\n"),
    Fault("the disk is full for a cell", [STAGE, 'with open("/dev/full", "w") as f:\n    f.write("x" * 10_000)'], RAISED,
          ("cell 5", "No space left", "free some space"), again=True),
    Fault("the disk is full for the notebook", [STAGE, 'os.unlink("executed.ipynb")\nos.symlink("/dev/full", "executed.ipynb")'], "OSError",
          ("executed notebook", "no space left"), again=True),
    Fault("the database is away for a cell", [STAGE, 'class CatalogError(Exception): pass\nraise CatalogError("no answer")'], RAISED,
          ("cell 5: CatalogError: no answer", "tried again"), again=True),
    Fault("no result", ["pass"], FINE, ("flare-list was never saved", "run.save()")),
    Fault("an empty result", [stage("")], FINE, ("flare-list: cannot be read",)),
    Fault("a partial result", [stage(n_records=3)], FINE, ("expected 3 records", "cut short")),
    Fault("a result cut short", [stage('{"name": "flare-list", "ori')], FINE, ("flare-list: cannot be read",)),
    Fault("a result of a wrong schema", [stage(n_records=1, flares=[FLARE])], FINE, ("flare-list: cannot be read",)),
    Fault("a result of a wrong type", [stage("[1, 2]")], FINE, ("flare-list: cannot be read", "TypeError")),
    Fault("a result that cannot be", [stage(origin="moon")], FINE, ("origin 'moon'",)),
    Fault("a result that was not declared", [STAGE, 'pathlib.Path("outputs/more.json").write_text("{}")'], FINE, ("more was saved but is not declared",)),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name.replace(" ", "-"))
def test_a_fault_in_the_kernel_makes_the_run_red(center, fault):
    path = write_trial(
        center.pipelines, *fault.cells, front=fault.front, timeout=fault.timeout, tags=fault.tags
    )
    assert_red(center, run_once(center), *fault.words, again=fault.again)
    assert plain_papermill(path, center.folder / "plain") in fault.papermill.split(" or ")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("def f(:", "cell 4, Python: cannot be read: line 1"),
        ('run.save("flares", [])', "did you mean 'flare-list'"),
    ],
)
def test_what_the_text_shows_is_refused_before_a_kernel_starts(center, cell, words):
    path = write_trial(center.pipelines, cell, STAGE)
    with pytest.raises(PipelineError, match=words):
        center.queue()
    assert center.catalog.runs.find() == []
    assert plain_papermill(path, center.folder / "plain") == RAISED


def test_the_same_without_a_fault_is_green(center):
    write_trial(center.pipelines, STAGE, front="fatal_warnings: [RuntimeWarning]\nmemory: 300 MB\n")
    run = run_once(center)
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, "")
    assert run.outputs["flare-list"]["records"] == 0


def test_a_kernel_that_is_dead_at_its_start_is_tried_again(center, monkeypatch):
    path = write_trial(center.pipelines, STAGE)
    broken = center.folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        'import os, sys\nprint("no library", file=sys.stderr, flush=True)\nos._exit(3)'
    )
    center.environment["PYTHONPATH"] = str(broken)
    assert_red(center, run_once(center), "died at its start (exit status 3)", "no library", again=True)
    monkeypatch.setenv("PYTHONPATH", str(broken))
    assert plain_papermill(path, center.folder / "plain") == "RuntimeError"


def test_output_that_never_arrives_is_no_success(center, monkeypatch):
    monkeypatch.setattr("stixlab.pipeline.engine._OUTPUT_S", 1)
    quiet = "from ipykernel.kernelapp import IPKernelApp\nIPKernelApp.instance().iopub_thread.stop()"
    path = write_trial(center.pipelines, STAGE, quiet)
    assert_red(center, run_once(center), "cell 5", "cut short", again=True)
    assert plain_papermill(path, center.folder / "plain") == "CellTimeoutError"


def test_nothing_that_a_run_started_outlives_it(center):
    """Neither a child in a session of its own, nor the child of a child that is gone."""
    orphan = "import os, subprocess, sys; print(subprocess.Popen(['sleep', '50'], start_new_session=True, stdout=-3, stderr=-3).pid, flush=True)"
    code = f"""\
import subprocess
a = subprocess.Popen(["sleep", "50"], start_new_session=True).pid
b = subprocess.run([sys.executable, "-c", {orphan!r}], capture_output=True, text=True).stdout
pathlib.Path(os.environ.get("PIDS", ".")).joinpath("pids").write_text(json.dumps([a, int(b)]))"""
    center.environment["PIDS"] = str(center.folder)
    for last in (STAGE, "os._exit(0)"):
        path = write_trial(center.pipelines, code, last)
        run_once(center)
        assert not any(map(is_alive, json.loads((center.folder / "pids").read_text())))
    write_trial(center.pipelines, code, STAGE)
    assert plain_papermill(path, center.folder / "plain") == FINE
    left = json.loads((center.folder / "plain" / "pids").read_text())
    assert all(map(is_alive, left)), "papermill leaves them"
    for pid in left:
        os.kill(pid, 9)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_log_of_a_red_run_says_what_was_printed_and_when(center):
    write_trial(
        center.pipelines,
        'print("to out")\nprint("to err", file=sys.stderr)\nos.write(2, b"past the capture")',
        "1 / 0",
    )
    run = run_once(center)
    text = center.archive.path(f"runs/{run.run_id}/log.txt").read_text()
    for words in (
        run.run_id,
        "to out",
        "to err",
        "past the capture",
        "cell 4: completed",
        "cell 5: failed",
        "ZeroDivisionError",
        "most memory",
    ):
        assert words in text


def test_secrets_are_in_nothing_that_is_kept(center):
    secret = "hu'sh\"hush-1234"
    center.environment |= {"STIXLAB_TOKEN": secret, "STIXLAB_MONGO_URI": "mongodb://me:pass-word@host/db"}
    shout = 'for name in ("STIXLAB_TOKEN", "STIXLAB_MONGO_URI"):\n    print(os.environ[name])\nos.environ'
    write_trial(
        center.pipelines, shout, "raise ValueError(os.environ['STIXLAB_TOKEN'], 'http://a:b-secret@host')"
    )
    run = run_once(center)
    kept = [center.archive.path(name).read_text() for name in center.files(run)]
    assert len(kept) == 2
    for text in (*kept, run.error):
        assert "***" in text
        for word in ("hush-1234", "pass-word", "b-secret"):
            assert word not in text
