"""Keeper of one part: starts its command, and sees to it that nothing of it outlives its time.

Run as a script of its own, with the standard library alone, it stands between the supervisor and a part:

- it ends the part when the supervisor asks, or dies in whatever way (Linux tells it; elsewhere it looks);
- it inherits what the part leaves behind (Linux: it is a "subreaper"), so that a killed hub leaves no
  proxy, no service, no server of a user: all of it is ended before the part is started again.

    python -I -S guardian.py PARENT_PID STOP_SIGNAL STOP_TIMEOUT_S COMMAND...
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.5
_POLITE_S = 3.0
_KILL_S = 5.0
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run the command until it ends or is to end; return its exit status, 128 + n for signal n."""
    parent, number, timeout_s = int(arguments[0]), int(arguments[1]), float(arguments[2])
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    awake, wake = os.pipe()
    for handle in (awake, wake):
        os.set_blocking(handle, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    asked: list[int] = []
    for each in _STOPPING:
        signal.signal(each, lambda got, _: asked.append(got))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if os.getppid() != parent:
        return 1
    child = _start(arguments[3:], number)
    status: int | None = None
    deadline = 0.0
    while status is None:
        select.select([awake], [], [], _POLL_S)
        with suppress(BlockingIOError):
            os.read(awake, 4096)
        status = _collect(child)
        if status is not None:
            break
        if not deadline and (asked or os.getppid() != parent):
            deadline = time.monotonic() + timeout_s
            _kill(child, number)
        if deadline and time.monotonic() >= deadline:
            break
    _end_all(child, polite=status is not None)
    if status is None:
        return 128 + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _start(command: list[str], stop_signal: int) -> int:
    guardian = os.getpid()
    # A signal that comes just now must find the child with the usual handlers, or it would be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        return child
    signal.set_wakeup_fd(-1)
    for each in (*_STOPPING, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    os.setpgid(0, 0)
    _prctl(_PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() == guardian:
        try:
            os.execvp(command[0], command)  # noqa: S606  (no shell is wanted)
        except OSError as error:
            sys.stderr.write(f"{command[0]}: cannot be started: {error.strerror}\n")
            sys.stderr.flush()
    os._exit(127)


def _collect(child: int) -> int | None:
    """Collect what has ended; return the status of the child once it is among it."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def _end_all(child: int, *, polite: bool) -> None:
    """End everything that descends from here: first asked, then killed."""
    for number, time_s in ((signal.SIGTERM, _POLITE_S if polite else 0.0), (signal.SIGKILL, _KILL_S)):
        deadline = time.monotonic() + time_s
        told: set[int] = set()
        while time.monotonic() < deadline:
            left = _descendants(child)
            if not left:
                return
            for pid in left - told if number == signal.SIGTERM else left:
                _kill(pid, number)
            told |= left
            time.sleep(0.02)
            _collect(child)


def _descendants(child: int) -> set[int]:
    """Processes that descend from this one; without /proc only the child, if it lives."""
    parents: dict[int, int] = {}
    try:
        folders = [p for p in Path("/proc").iterdir() if p.name.isdigit()]
    except OSError:
        with suppress(OSError):
            os.killpg(child, 0)
            return {child}
        return set()
    for folder in folders:
        with suppress(OSError, ValueError, IndexError):
            text = (folder / "stat").read_bytes()
            parents[int(folder.name)] = int(text[text.rfind(b")") + 2 :].split()[1])
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found - {os.getpid()}
        found |= more


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
