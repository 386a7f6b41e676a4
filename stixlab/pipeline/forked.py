"""Kernels that a zygote has forked, and the zygote itself, as seen by the process that started it."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stixlab.pipeline.kernel import KernelSetup
from stixlab.pipeline.limits import socket_folder

__all__ = ["MOST_STARTS", "WarmKernel", "ZygoteProcess"]

log = logging.getLogger(__name__)

MOST_STARTS = 3
"""A process that cannot do its imports is not started more often than this in a row; nor is a kernel that ends at once."""
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class WarmKernel:
    """A kernel that a zygote has made; has those methods of `subprocess.Popen` that a kernel manager calls."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, folder: Path, start: Callable[[str], None]) -> None:
        self.pid = pid
        self.folder = folder
        self.returncode: int | None = None
        self.ended = threading.Event()
        self._start = start

    @property
    def connection_file(self) -> Path:
        """Says how to talk to it."""
        return self.folder / "kernel.json"

    @property
    def output_file(self) -> Path:
        """What it wrote past its own capture of output: the last words of a crash."""
        return self.folder / "output"

    def start(self, setup: KernelSetup) -> None:
        """Give it its run."""
        self._start(setup.as_line())

    def poll(self) -> int | None:
        """Its exit status as `subprocess` has it; None while it lives."""
        return self.returncode if self.ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status, waited for."""
        self.ended.wait(timeout)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def end(self, code: int) -> None:
        """Note that it has ended."""
        self.returncode = code
        self.ended.set()

    def discard(self) -> None:
        """End it and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class ZygoteProcess:
    """The process that makes kernels, from without.

    Parameters
    ----------
    environment
        Of the process and its kernels.
    imports
        Modules.
    spare
        Kernels that wait.
    told
        Called with this object, in a thread of its own, when a kernel is ready or has ended, or the process has.

    Raises
    ------
    OSError
        If there is no room for a process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        imports: Sequence[str],
        spare: int,
        told: Callable[[ZygoteProcess], None],
    ) -> None:
        self.folder = socket_folder()
        self.forks = 0
        self.spares: list[WarmKernel] = []
        self._kernels: dict[int, WarmKernel] = {}
        self._files: dict[str, int] = {}
        self._spare = spare
        self._lost = 0
        self._retired = False
        self._lock = threading.Lock()
        self._books = threading.RLock()
        """Held while kernels are added or taken away, so that none is forgotten."""
        self.process: subprocess.Popen[bytes]
        command = [sys.executable, "-P", "-m", "stixlab.pipeline.zygote", str(self.folder), *imports]
        began = threading.Event()
        refused: list[OSError] = []

        def listen() -> None:
            try:
                with (self.folder / "output").open("wb") as output:
                    self.process = subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=output,
                        env=dict(environment),
                        cwd=self.folder,
                        start_new_session=True,
                    )
            except OSError as error:
                refused.append(error)
                return
            finally:
                began.set()
            self._listen(told)

        # The kernel of Linux takes the thread that starts a process for its parent: this one lives as long.
        self._reader = threading.Thread(target=listen, name="warm-kernels", daemon=True)
        self._reader.start()
        began.wait()
        if refused:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise refused[0]

    def said(self) -> str:
        """The end of what the process wrote."""
        try:
            return (self.folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError:
            return ""

    @property
    def n_running(self) -> int:
        """Kernels that were taken and have not ended."""
        with self._books:
            return len(self._kernels) - len(self.spares)

    def take(self) -> WarmKernel:
        """A spare kernel; another one is made in its place."""
        with self._books:
            self.forks += 1
            kernel = self.spares.pop(0)
        self._order_fork()
        return kernel

    def is_stale(self) -> bool:
        """Whether a file has changed that the process has imported."""
        return any(_changed_ns(file) != at for file, at in self._files.items())

    def retire(self) -> None:
        """Make no more kernels; end with the last that runs."""
        with self._books:
            self._retired = True
            for kernel in self.spares:
                kernel.discard()
            self.spares.clear()
            if not self._kernels:
                self._order_end()

    def stop(self) -> None:
        """End now, kernels included."""
        self._retired = True
        for kernel in [*self._kernels.values(), *self.spares]:
            kernel.kill()
        # Not asked to: it may be busy with its imports, and has nothing to put in order.
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def _order(self, **order: Any) -> None:
        with self._lock, suppress(BrokenPipeError, ValueError):  # it has ended, which `_listen` tells
            assert self.process.stdin is not None
            self.process.stdin.write((json.dumps(order) + "\n").encode())
            self.process.stdin.flush()

    def _order_end(self) -> None:
        with self._lock, suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()

    def _order_fork(self) -> None:
        from jupyter_client.connect import write_connection_file

        folder = Path(tempfile.mkdtemp(prefix="k", dir=self.folder))
        write_connection_file(
            str(folder / "kernel.json"),
            transport="ipc",
            ip=str(folder / "k"),
            key=secrets.token_hex(32).encode(),
            **{f"{channel}_port": n for n, channel in enumerate(_CHANNELS, start=1)},
        )
        self._order(fork=str(folder))

    def _listen(self, told: Callable[[ZygoteProcess], None]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if "ready" in event:
                self._files = {file: _changed_ns(file) for file in event["ready"]}
                for _ in range(self._spare):
                    self._order_fork()
            elif "waiting" in event:
                self._add(event["waiting"], Path(event["folder"]))
            else:
                self._remove(event["ended"], event["code"])
            told(self)
        self.process.wait()
        self._order_end()
        for pid in list(self._kernels):
            self._remove(pid, -signal.SIGKILL)
        told(self)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _add(self, pid: int, folder: Path) -> None:
        kernel = WarmKernel(pid, folder, lambda setup: self._order(start=pid, setup=setup))
        with self._books:
            self._kernels[pid] = kernel
            self._lost = 0
            if self._retired:
                kernel.discard()
            else:
                self.spares.append(kernel)

    def _remove(self, pid: int, code: int) -> None:
        with self._books:
            kernel = self._kernels.pop(pid, None)
            if kernel is not None:
                kernel.end(code)
            if kernel is None or kernel in self.spares:
                self.spares[:] = [k for k in self.spares if k is not kernel]
                if not self._retired:
                    log.warning("a spare kernel ended", extra={"code": code, "said": self.said()})
                    self._lost += 1
                    if self._lost < MOST_STARTS:
                        self._order_fork()
            if self._retired and not self._kernels:
                self._order_end()


def _changed_ns(file: str) -> int:
    """When a file was changed last; 0 if it is gone."""
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0
