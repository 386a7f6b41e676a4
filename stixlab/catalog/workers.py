"""Names of the processes that hold a run, and whether such a process still lives."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

import psutil

__all__ = ["new_worker_name", "process_is", "process_start", "worker_is_dead", "worker_name"]


def process_start(pid: int) -> str:
    """When a process was started, as its system counts; empty if it does not run.

    On Linux the clock ticks since boot, which no setting of the clock changes; elsewhere UTC seconds.
    A process that ended and was not yet collected by its parent does not run.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self/stat").exists() else _start_elsewhere(pid)
    # proc(5): the name in brackets may hold anything; state is the 1st field behind it, starttime the 20th.
    fields = text[text.rfind(")") + 2 :].split()
    return "" if fields[0] in "ZX" else fields[19]


def _start_elsewhere(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def process_is(pid: int, start: str) -> bool:
    """Whether the process of this number is still the one that was started then."""
    return pid > 0 and bool(start) and process_start(pid) == start


_numbers = itertools.count(1)


def worker_name(pid: int | None = None) -> str:
    """``host:pid:start`` of a process (by default this one): no later process has the same name."""
    number = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}:{number}:{process_start(number)}"


def new_worker_name() -> str:
    """The same with a slash and a number: for each of several workers in this process."""
    return f"{worker_name()}/{next(_numbers)}"


def worker_is_dead(name: str) -> bool:
    """Whether a worker ran on this host and is gone; False for one elsewhere, of which nothing is known."""
    host, pid, start = [*name.rsplit(":", 2), "", ""][:3]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return not process_is(int(pid), start.partition("/")[0])
