"""Warm kernels: ready at once, as good as fresh ones, and nothing of a run is left for the next."""

import json
import os
import tempfile
import threading
import time

import pytest

from stixlab.model import RunStatus
from stixlab.pipeline import forked, warm
from stixlab.pipeline.limits import socket_folder
from stixlab.pipeline.runner import kernel_environment
from stixlab.pipeline.warm import KernelPool
from tests.pipeline.test_faults_cells import is_alive
from tests.support.faults import STAGE, assert_red, run_once, write_trial

pytestmark = pytest.mark.slow

WARM = "kernel: warm\n"
IMPORTS = ("numpy", "matplotlib")


@pytest.fixture
def pool(center):
    with KernelPool(center.environment, imports=IMPORTS) as pool:
        assert pool.wait_ready(60)
        yield pool


def go(center, pool, *cells, front=WARM):
    """One run; its number makes it another one than those before."""
    number = len(center.catalog.runs.find())
    write_trial(center.pipelines, f"number = {number}", *cells, STAGE, front=front)
    assert pool.wait_ready(60)
    run = run_once(center, pool=pool)
    return run, center.archive.path(f"runs/{run.run_id}/log.txt").read_text()


def said(text):
    """What the last `print` of a run said, from its log."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_a_warm_kernel_has_its_imports_done_and_its_run_set(center, pool):
    run, text = go(
        center, pool, 'print("numpy" in sys.modules, os.environ["STIXLAB_RUN_FOLDER"] == os.getcwd())'
    )
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert "kernel: warm" in text
    assert "True True" in said(text)


def test_a_pipeline_that_is_not_trusted_gets_a_fresh_kernel(center, pool):
    run, text = go(center, pool, 'print("numpy" in sys.modules)', front="kernel: fresh\n")
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert "kernel: fresh" in text
    assert "False" in said(text)


def test_nothing_of_a_run_reaches_the_next(center, pool):
    spoil = """\
import builtins, warnings, threading
import numpy as np
left = builtins.left = np.left = 1
np.sum = None
os.environ["LEFT"] = "1"
os.chdir("/")
sys.path.insert(0, "/nowhere")
sys.modules["left"] = sys
warnings.simplefilter("error")
threading.Thread(target=time.sleep, args=(60,)).start()
np.random.seed(1)"""
    look = """\
import builtins, warnings, threading
import numpy as np
print([hasattr(builtins, "left"), hasattr(np, "left"), np.sum is None, "LEFT" in os.environ, "left" in globals(),
       "/nowhere" in sys.path, "left" in sys.modules, os.getcwd() == "/"])
print("drawn", np.random.random(), os.getpid())"""
    spoilt, _ = go(center, pool, spoil + "\nos.chdir(os.environ['STIXLAB_RUN_FOLDER'])")
    assert spoilt.status is RunStatus.SUCCEEDED, spoilt.error
    seen = [said(go(center, pool, look)[1]) for _ in range(2)]
    assert all(str([False] * 8) in lines for lines in seen)
    drawn = [line for lines in seen for line in lines if line.startswith("drawn")]
    assert len({line.split()[1] for line in drawn}) == 2, "random numbers differ from copy to copy"
    assert len({line.split()[2] for line in drawn}) == 2


def test_limits_hold_in_a_warm_kernel_and_fatal_warnings_in_a_fresh_one(center, pool):
    run, _ = go(center, pool, "held = bytearray(3_000_000_000)", front=WARM + "memory: 300 MB\n")
    assert_red(center, run, "cell 5: out of memory")
    run, text = go(
        center,
        pool,
        "import warnings\nwarnings.warn('poor', UserWarning)",
        front=WARM + "fatal_warnings: [UserWarning]\n",
    )
    assert_red(center, run, "cell 5: UserWarning: poor")
    assert "kernel: fresh" in text
    run, _ = go(center, pool, "import warnings\nwarnings.warn('poor', UserWarning)")
    assert run.status is RunStatus.SUCCEEDED, "the next run has its own"


def test_a_figure_is_shown_as_in_a_fresh_kernel(center, pool):
    code = "import matplotlib.pyplot as plt\nfigure = plt.figure()\nplt.plot([1, 2]);"
    for front in (WARM, "kernel: fresh\n"):
        run, _ = go(center, pool, code, front=front)
        cells = json.loads(center.archive.path(run.notebook).read_text())["cells"]
        assert "image/png" in [k for c in cells for o in c.get("outputs", ()) for k in o.get("data", ())]


def test_a_warm_kernel_that_dies_takes_nothing_with_it(center, pool):
    run, _ = go(center, pool, "os._exit(7)")
    assert_red(center, run, "the kernel died", "exit status 7")
    run, text = go(center, pool)
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert "kernel: warm" in text


def test_a_pool_whose_process_was_killed_starts_another(center, pool):
    os.kill(pool._zygote.process.pid, 9)
    until = time.monotonic() + 20
    while pool._zygote is not None and time.monotonic() < until:
        time.sleep(0.02)
    write_trial(center.pipelines, STAGE, front=WARM)
    run = run_once(center, pool=pool)
    assert run.status is RunStatus.SUCCEEDED, "a fresh kernel serves meanwhile"
    assert "kernel: warm" in go(center, pool)[1]


def test_kernels_are_replaced_after_some_runs_and_when_code_has_changed(center):
    module = center.folder / "stand-in" / "own_code.py"
    module.write_text("value = 1")
    with KernelPool(center.environment, imports=["own_code"], recycle_after=2) as pool:
        look = "import own_code\nprint('value', own_code.value)"
        makers = []
        for _ in range(4):
            _, text = go(center, pool, look)
            makers.append(pool._zygote)
            assert "value 1" in text
        assert len({id(m) for m in makers}) == 2
        module.write_text("value = 22")
        os.utime(module, ns=(1, 1))
        assert "value 22" in go(center, pool, look)[1], "the old code is not used"
        assert "kernel: warm" in go(center, pool, look)[1]


def test_imports_that_cannot_be_done_leave_fresh_kernels(center, caplog):
    with KernelPool(center.environment, imports=["no_such_module"]) as pool:
        until = time.monotonic() + 60
        while len(caplog.records) < 3 and time.monotonic() < until:
            assert not pool.wait_ready(0.1)
            pool.start()
        pool.start()
        assert not pool.wait_ready(0.5)
        assert pool.take(center.environment) is None
        assert [r.getMessage() for r in caplog.records] == ["warm kernels ended"] * 3, "not for ever"
    assert "no_such_module" in caplog.records[0].said


def test_a_machine_without_room_for_a_process_leaves_fresh_kernels(center, caplog, monkeypatch):
    def refuse(*_args, **_how):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(forked.subprocess, "Popen", refuse)
    pool = KernelPool(center.environment, imports=IMPORTS)
    starting = threading.Thread(target=pool.start, daemon=True)
    starting.start()
    starting.join(30)
    assert not starting.is_alive(), "it waits for a process that never began"
    assert pool.take(center.environment) is None
    assert "temporarily unavailable" in caplog.records[0].reason
    pool.close()


def test_a_run_of_another_environment_gets_none(center, pool):
    assert pool.take(center.environment | {"STIXLAB_HOME": "/elsewhere"}) is None
    assert pool.take(dict(center.environment)) is not None


def test_a_warm_kernel_sees_no_secrets_of_the_worker(center, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hush-hush")
    with KernelPool(kernel_environment(os.environ), imports=()) as pool:
        center.environment = kernel_environment(os.environ)
        _, text = go(center, pool, 'print("seen", "JUPYTERHUB_API_TOKEN" in os.environ)')
    assert "seen False" in text
    assert "kernel: warm" in text


def test_a_pool_that_may_rest_begins_with_the_first_run(center):
    with KernelPool(center.environment, imports=IMPORTS, idle_s=3600) as pool:
        assert pool._zygote is None, "memory is taken before anything ran"
        write_trial(center.pipelines, STAGE, front=WARM)
        run = run_once(center, pool=pool)
        assert run.status is RunStatus.SUCCEEDED, run.error
        assert "kernel: warm" in go(center, pool)[1]
        zygote = pool._zygote
        pool.rest()
        assert pool._zygote is zygote, "it has just been used"


def test_a_pool_at_rest_holds_no_process_and_begins_again(center):
    with KernelPool(center.environment, imports=(), idle_s=0) as pool:
        pool.take(center.environment, lambda: True)
        assert pool.wait_ready(60)
        zygote, taken = pool._zygote, pool.take(center.environment)
        assert pool.wait_ready(60)
        pids = [zygote.process.pid, taken.pid, *(k.pid for k in zygote.spares)]
        pool.rest()
        assert pool._zygote is zygote
        assert all(map(is_alive, pids)), "a run is in hand"
        taken.kill()
        taken.wait(60)
        pool.rest()
        assert pool._zygote is None
        zygote.process.wait(60)
        assert not any(map(is_alive, pids))
        assert pool.take(center.environment, lambda: True) is None, "who gives up gets none"
        assert "kernel: warm" in go(center, pool)[1]


def test_a_run_waits_for_the_kernel_that_is_being_made(center, monkeypatch):
    monkeypatch.setattr(warm, "_WAIT_S", 600.0)
    with KernelPool(center.environment, imports=(), idle_s=3600) as pool:
        write_trial(center.pipelines, STAGE, front=WARM)
        run = run_once(center, pool=pool)
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert "kernel: warm" in center.archive.path(f"runs/{run.run_id}/log.txt").read_text()


def test_a_run_does_not_wait_for_a_kernel_that_cannot_be_made(center, monkeypatch):
    monkeypatch.setattr(warm, "_WAIT_S", float("inf"))
    with KernelPool(center.environment, imports=["no_such_module"], idle_s=3600) as pool:
        assert pool.take(center.environment) is None


def test_a_pool_that_rests_while_it_does_its_imports_leaves_nothing(center):
    with KernelPool(center.environment, imports=IMPORTS, idle_s=0) as pool:
        pool.take(center.environment, lambda: True)
        zygote = pool._zygote
        pool.rest()
        zygote.process.wait(60)
        assert pool._zygote is None
        assert zygote.said() == "", "it ended as it should"


def test_closing_a_pool_ends_all_it_made(center):
    with KernelPool(center.environment, imports=(), spare=2) as pool:
        assert pool.wait_ready(60)
        zygote = pool._zygote
        taken = pool.take(center.environment)
        assert pool.wait_ready(60)
        pids = [zygote.process.pid, taken.pid, *(k.pid for k in zygote.spares)]
        assert all(map(is_alive, pids))
    until = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(is_alive, pids))
    assert not zygote.folder.exists()


def test_folders_of_processes_that_are_gone_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone, mine = tmp_path / "stixlab-kernel-4194999-x", socket_folder()
    gone.mkdir()
    another = socket_folder()
    assert sorted(tmp_path.iterdir()) == sorted([mine, another])
    assert another.stat().st_mode & 0o77 == 0
