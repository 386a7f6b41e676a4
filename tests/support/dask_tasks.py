"""A dask cluster of processes on this machine, and tasks for its workers."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def cluster(folder: Path, n_workers: int = 2, **settings):
    """Address of a scheduler, and the processes of its workers, which nobody starts again when they die."""
    note, log = folder / "scheduler.json", (folder / "dask.log").open("ab")
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    common = {"cwd": folder, "env": environment, "stdout": log, "stderr": log}
    dask = [sys.executable, "-m", "dask"]
    with log, ExitStack() as stack:

        def start(*command):
            process = stack.enter_context(subprocess.Popen([*dask, *command], **common))
            stack.callback(process.kill)
            return process

        start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", note.name
        )
        until = time.monotonic() + 60
        while not note.exists() or not note.read_text():
            assert time.monotonic() < until, (folder / "dask.log").read_text()
            time.sleep(0.1)
        address = json.loads(note.read_text())["address"]
        options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
        workers = [start("worker", address, *options) for _ in range(n_workers)]
        yield address, workers


def square(n: int) -> tuple[int, int]:
    """With the process that worked it out."""
    time.sleep(0.05)
    return n * n, os.getpid()


def dies_once(task: tuple[str, int]) -> int:
    """Ends its process at the third task, the first time."""
    folder, n = task
    flag = Path(folder, "died")
    if n == 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def dies(_task: int) -> None:
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)


def fails(n: int) -> int:
    """Cannot be done for 3."""
    if n == 3:
        raise ZeroDivisionError("three")
    return n
