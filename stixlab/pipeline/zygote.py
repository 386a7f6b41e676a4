"""A process that has done the imports and runs nothing; it forks kernels that run one pipeline each.

It reads a JSON line per order and writes a JSON line per event. What a run does to its kernel dies with it:
nothing flows back into this process. It ends with the process that started it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import selectors
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from stixlab.pipeline.kernel import KernelSetup, adopt_orphans, apply_setup, die_with_parent, make_app

__all__ = ["main"]

_KERNEL_PARTS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
)
"""What each kernel needs of its own kind."""


class _Zygote:
    """Orders come in by one pipe, events go out by another."""

    def __init__(self, orders: int, events: int) -> None:
        self.orders = orders
        self.events = events
        self.woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self.starters: dict[int, int] = {}
        """Process id of each kernel -> pipe by which it is told to start."""
        self.kernels: set[int] = set()

    def serve(self) -> None:
        """Follow orders until their pipe is closed."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        waiting = selectors.DefaultSelector()
        waiting.register(self.orders, selectors.EVENT_READ)
        waiting.register(self.woken, selectors.EVENT_READ)
        rest = b""
        while True:
            ready = {key.fd for key, _ in waiting.select()}
            if self.woken in ready:
                os.read(self.woken, 4096)
                self.reap()
            if self.orders in ready:
                if not (read := os.read(self.orders, 65536)):
                    return
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    self.follow(json.loads(line))

    def follow(self, order: dict[str, Any]) -> None:
        if "fork" in order:
            self.fork(order["fork"])
        elif (starter := self.starters.pop(order["start"], None)) is not None:
            try:
                os.write(starter, order["setup"].encode())
            except BrokenPipeError:
                pass  # it has died meanwhile, which is told by `reap`
            finally:
                os.close(starter)

    def fork(self, folder: str) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(writer)
                self._forget()
                _be_kernel(folder, reader, self.events)
            except BaseException:  # noqa: BLE001  (whatever it is: this copy must not go on as a zygote)
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        os.close(reader)
        self.starters[pid] = writer
        self.kernels.add(pid)

    def _forget(self) -> None:
        """Close in the copy what belongs to the original."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in (self.orders, self.woken, self._wake, *self.starters.values()):
            os.close(fd)

    def reap(self) -> None:
        """Tell of kernels that have ended, and end what they left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            if pid in self.kernels:
                self.kernels.discard(pid)
                if (starter := self.starters.pop(pid, None)) is not None:
                    os.close(starter)
                _tell(self.events, ended=pid, code=os.waitstatus_to_exitcode(status))
        for pid in _children() - self.kernels:
            os.kill(pid, signal.SIGKILL)


def _children() -> set[int]:
    """Own children, those inherited from kernels that ended among them."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(pid) for pid in path.read_text(encoding="ascii").split()} if path.exists() else set()


def _tell(events: int, **event: Any) -> None:
    os.write(events, (json.dumps(event) + "\n").encode())


def _be_kernel(folder: str, reader: int, events: int) -> None:
    """In the copy: open the sockets, wait for the word, run; never return to the zygote's loop."""
    os.setsid()
    die_with_parent()
    adopt_orphans()
    output = os.open(Path(folder, "output"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd in (1, 2):
        os.dup2(output, fd)
    os.close(output)
    _reseed()
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib_inline"]:
        del sys.modules[name]  # its import ties figures to the shell, which is only made here
    app = make_app(str(Path(folder, "kernel.json")), str(Path(folder, "ipython")))
    _tell(events, waiting=os.getpid(), folder=folder)
    os.close(events)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        line = pipe.readline()
    if not line:
        os._exit(0)
    setup = KernelSetup.from_line(line)
    os.environ.update(setup.environment)
    os.chdir(setup.folder)
    apply_setup(setup)
    app.start()
    os._exit(0)


def _reseed() -> None:
    """Random numbers that differ from those of all other copies."""
    random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


def _is_own(module: Any) -> bool:
    """Whether a module may be edited while this process lives: not of Python nor of an installed library."""
    file = str(getattr(module, "__file__", None) or "")
    installed = file.startswith(sys.base_prefix) or "site-packages" in file
    return bool(file) and (not installed or module.__name__.partition(".")[0] == "stixlab")


def main(folder: str, imports: list[str]) -> None:
    """Import, then serve.

    Parameters
    ----------
    folder
        The connection files are written below it.
    imports
        Modules.
    """
    die_with_parent()
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders, events = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 0)
    os.dup2(2, 1)
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in (*_KERNEL_PARTS, *imports):
        importlib.import_module(name)
    if threading.active_count() > 1:
        names = ", ".join(t.name for t in threading.enumerate())
        raise RuntimeError(
            f"warm kernels: imports in {folder} started threads ({names}); a copy would lack them"
        )
    files = [str(m.__file__) for m in list(sys.modules.values()) if _is_own(m)]
    gc.collect()
    gc.freeze()
    zygote = _Zygote(orders, events)
    _tell(events, ready=files)
    zygote.serve()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
