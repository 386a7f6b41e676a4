"""What happens inside the process of a kernel before the first cell: limits, warnings, then ipykernel.

`python -m stixlab.pipeline.kernel CONNECTION SETUP` is a fresh kernel; `stixlab.pipeline.zygote` forks
warm ones. Nothing here is imported by anything else than these two, but for the names they share.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["KernelSetup", "adopt_orphans", "apply_setup", "die_with_parent", "make_app"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SLACK_BYTES = 256 * 1024**2
"""Address space beyond the limit that is reserved but never touched: stacks, buffers of BLAS."""


@dataclass(frozen=True)
class KernelSetup:
    """What a kernel is told before its first cell."""

    folder: str
    """Work folder of the run: the working directory."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables of this run; the others are those the kernel was started with."""
    memory_bytes: int | None = None
    fatal_warnings: tuple[str, ...] = ()

    def as_line(self) -> str:
        """JSON on one line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> KernelSetup:
        """The inverse of `as_line`."""
        document = json.loads(line)
        return cls(**document | {"fatal_warnings": tuple(document["fatal_warnings"])})


def die_with_parent() -> None:
    """Have this process killed when its parent ends, however that ends (Linux only)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs, so that they can be found (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def make_app(connection_file: str, ipython_folder: str) -> Any:
    """A kernel whose sockets are open and that waits to be started.

    Parameters
    ----------
    connection_file
        Written by the manager (fresh) or to be written here (warm).
    ipython_folder
        Empty: the account's own start-up files and history have no place in a pipeline.
    """
    import zmq
    from ipykernel.kernelapp import IPKernelApp

    class KernelApp(IPKernelApp):
        """Keeps all that is shown until it is read; by default it drops what comes after a thousand messages."""

        def init_iopub(self, context: Any) -> None:
            context.setsockopt(zmq.SNDHWM, 0)  # of sockets made from now on
            super().init_iopub(context)  # type: ignore[no-untyped-call]

    Path(ipython_folder).mkdir(exist_ok=True)
    app = KernelApp.instance()
    app.initialize(
        [
            "-f",
            connection_file,
            f"--ipython-dir={ipython_folder}",
            "--HistoryManager.enabled=False",
            f"--IPKernelApp.parent_handle={os.getppid()}",
        ]
    )
    return app


def apply_setup(setup: KernelSetup) -> None:
    """Set limits and warnings of this process.

    Raises
    ------
    ValueError
        If a warning class is not known.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if setup.memory_bytes is not None:
        fence = _data_bytes() + setup.memory_bytes + _SLACK_BYTES
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        fence = fence if hard == resource.RLIM_INFINITY else min(fence, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (fence, fence))
    for name in setup.fatal_warnings:
        warnings.simplefilter("error", _warning_class(name))


def _data_bytes() -> int:
    """Private writable memory that this process has reserved."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


def _warning_class(name: str) -> type[Warning]:
    """A warning class by its name, with its module unless it is built in."""
    module, _, short = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module) if module else builtins, short)
    except (ImportError, AttributeError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Warning)):
        raise ValueError(  # noqa: TRY004  (the name is wrong, not its type)
            f"fatal_warnings: {name!r} is no warning class; write a built-in name such as RuntimeWarning, "
            "or one with its module such as numpy.exceptions.ComplexWarning"
        )
    return found


def _main(arguments: Sequence[str]) -> None:
    connection_file, setup_file = arguments[:2]
    die_with_parent()
    adopt_orphans()
    app = make_app(connection_file, str(Path(connection_file).with_name("ipython")))
    apply_setup(KernelSetup.from_line(Path(setup_file).read_text(encoding="utf-8")))
    app.start()


if __name__ == "__main__":
    _main(sys.argv[1:])
