"""What a run may take, watched from outside of its kernel; and the end of everything that a kernel started."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Limits", "Watch", "end_processes", "oom_kills", "readable_bytes", "socket_folder"]

_MB = 1_000_000
_SOCKETS = "stixlab-kernel-"


@dataclass(frozen=True)
class Limits:
    """Limits of one run."""

    time_s: float
    """From its start to its end, the start of the kernel included."""
    memory_bytes: int | None = None
    """Of the kernel and all processes it starts; None: no limit."""
    output_bytes: int = 32 * _MB
    """Of what one cell writes and shows."""


class Watch:
    """Compares what a run takes with what it may take; asked by two threads, the first reason found stands.

    Parameters
    ----------
    limits
        Of the run.
    cancel
        Set by whoever wants the run to stop.
    """

    def __init__(self, limits: Limits, cancel: threading.Event | None = None) -> None:
        self.limits = limits
        self.verdict = ""
        """Why the kernel must end; empty: it may go on."""
        self.peak_bytes = 0
        """Most memory seen."""
        self.output_bytes = 0
        """What the cell in hand has written so far."""
        self._cancel = cancel
        self._began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, whatever the clock of the machine does."""
        return time.monotonic() - self._began

    def look(self, kernel: int | None) -> str:
        """The verdict now.

        Parameters
        ----------
        kernel
            Its process id; None if it is not there yet.
        """
        return self.verdict or self._decide(self._time() or (self._memory(kernel) if kernel else ""))

    def _decide(self, reason: str) -> str:
        """The verdict, given what one thread found: another one may have found a reason meanwhile, which stands."""
        with self._lock:
            self.verdict = self.verdict or reason
            return self.verdict

    def count_output(self, number: int) -> bool:
        """Add to what the cell in hand has written.

        Parameters
        ----------
        number
            Bytes.

        Returns
        -------
        bool
            Whether it is still within the limit.
        """
        self.output_bytes += number
        if self.output_bytes <= self.limits.output_bytes:
            return True
        self._decide(
            f"it wrote more than {readable_bytes(self.limits.output_bytes)} of output, the limit for one cell; "
            "print less, or save it as a result"
        )
        return False

    def _time(self) -> str:
        if self._cancel is not None and self._cancel.is_set():
            return "stopped: it was cancelled, or its lease was lost; ask for the run again if it is wanted"
        if self.elapsed_s <= self.limits.time_s:
            return ""
        return (
            f"not finished after {self.limits.time_s:g} s, the time limit of the pipeline; "
            "shorten the range, or raise 'timeout' in the first cell"
        )

    def _memory(self, kernel: int) -> str:
        taken = _memory_of(kernel, exact=False)
        limit = self.limits.memory_bytes
        if limit is not None and taken > limit:  # pages shared by several processes were counted for each
            taken = _memory_of(kernel, exact=True)
        self.peak_bytes = max(self.peak_bytes, taken)
        if limit is None or taken <= limit:
            return ""
        return (
            f"out of memory: it took {readable_bytes(taken)}, its limit is {readable_bytes(limit)}; "
            "take less data at once (dask, a shorter range), or raise 'memory' in the first cell"
        )


def readable_bytes(number: float) -> str:
    """A number of bytes for people."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / _MB:.0f} MB"


def _memory_of(kernel: int, *, exact: bool) -> int:
    """Memory of a process and all it has started."""
    total = 0
    for process in _tree(kernel):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss if exact else process.memory_info().rss
    return total


def _tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants that live."""
    found = []
    for each in (pid, *_descendants(pid)):
        with suppress(psutil.Error):
            found.append(psutil.Process(each))
    return found


def _descendants(pid: int) -> list[int]:
    """Read from where Linux keeps them, since psutil would look at every process of the machine."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():
        with suppress(psutil.Error):
            return [p.pid for p in psutil.Process(pid).children(recursive=True)]
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                found += [int(child), *_descendants(int(child))]
    return found


def end_processes(kernel: int | None, folder: Path | None = None) -> int:
    """Kill a kernel and whatever it started, wherever that hides: children, session, or by the run's folder.

    Parameters
    ----------
    kernel
        Process id, also that of its session; None: it never began.
    folder
        Work folder of the run: a process with it in its environment belongs to the run.

    Returns
    -------
    int
        Number of processes that were alive.
    """
    found = set() if kernel is None else {p.pid for p in _tree(kernel)}
    found |= set(_strays(kernel, folder))
    found.discard(os.getpid())
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def _strays(session: int | None, folder: Path | None) -> Iterator[int]:
    """Processes of a session, or with the folder in the environment they were started with."""
    mark = b"" if folder is None else f"STIXLAB_RUN_FOLDER={folder}\0".encode()
    own = os.getuid()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry.stat().st_uid != own:
                continue
            pid = int(entry.name)
            of_session = session is not None and os.getsid(pid) == session
            if of_session or (mark and mark in (entry / "environ").read_bytes()):
                yield pid


def socket_folder() -> Path:
    """A new folder for the sockets of kernels, seen by its owner only; those of processes that are gone are removed."""
    root = Path(tempfile.gettempdir())
    for old in root.glob(f"{_SOCKETS}*"):
        pid = old.name.removeprefix(_SOCKETS).partition("-")[0]
        with suppress(OSError):
            if pid.isdigit() and not psutil.pid_exists(int(pid)) and old.stat().st_uid == os.getuid():
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_SOCKETS}{os.getpid()}-"))


def oom_kills() -> int:
    """How often this machine has killed a process because its memory was full, since it was started."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return 0
