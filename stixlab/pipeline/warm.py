"""Kernels that are ready before they are asked for, for pipelines that are trusted.

One process does the imports and runs nothing (`stixlab.pipeline.zygote`); each run gets a copy of it, made by
`fork` ahead of time, and the copy ends with the run. So nothing of a run can reach the next one, and a copy
shares the memory of the imports. Where nothing runs for some minutes there are neither copies nor that process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import psutil

from stixlab.pipeline.forked import MOST_STARTS, WarmKernel, ZygoteProcess

__all__ = ["IMPORTS", "KernelPool"]

log = logging.getLogger(__name__)

IMPORTS = (
    "numpy",
    "xarray",
    "dask.array",
    "stixlab.factory",
    "stixlab.pipeline.session",
    "stixlab.analysis.flares",
    "stixlab.plots.still",
)
"""What pipelines usually import."""
_WAIT_S = 15.0
"""So long a run waits for a kernel that is being made."""
_LOOK_S = 0.1


class KernelPool:
    """Warm kernels of one environment; started ahead, each used for one run.

    Parameters
    ----------
    environment
        That of the kernels, from `kernel_environment`; runs with another one get none of them.
    imports
        Modules to be imported ahead.
    spare
        Kernels that wait.
    recycle_after
        Runs after which the process that makes them is replaced.
    recycle_bytes
        Memory to which that process may grow before it is replaced.
    idle_s
        So long after the last run nothing is kept (`rest`); the next run starts it again, and waits for the imports.
        None: kernels are made from the beginning, and kept to the end.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        imports: Sequence[str] = IMPORTS,
        spare: int = 1,
        recycle_after: int = 200,
        recycle_bytes: int = 2 * 1024**3,
        idle_s: float | None = None,
    ) -> None:
        self._environment = dict(environment)
        self._imports = tuple(imports)
        self._spare = spare
        self._recycle_after = recycle_after
        self._recycle_bytes = recycle_bytes
        self._idle_s = idle_s
        self._used = time.monotonic()
        self._changed = threading.Condition()
        self._zygote: ZygoteProcess | None = None
        self._failed = 0
        self._closed = False

    def __enter__(self) -> Self:
        if self._idle_s is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin the imports, in a process of their own; returns at once."""
        with self._changed:
            if self._zygote is None and not self._closed and self._failed < MOST_STARTS:
                try:
                    self._zygote = ZygoteProcess(self._environment, self._imports, self._spare, self._told)
                except OSError as error:
                    self._failed += 1
                    log.warning("warm kernels cannot be started", extra={"reason": str(error)})

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until a kernel is ready.

        Parameters
        ----------
        timeout_s
            Longest time.

        Returns
        -------
        bool
            False if none was ready in time.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._zygote is not None and bool(self._zygote.spares), timeout_s
            )

    def take(
        self, environment: Mapping[str, str], give_up: Callable[[], bool] = lambda: False
    ) -> WarmKernel | None:
        """A kernel for one run; None if none fits, or none can be made in some seconds: a fresh one serves then.

        One that is being made is waited for: a fresh kernel would do the same imports at the same time.

        Parameters
        ----------
        environment
            Of the run.
        give_up
            Asked while waiting.
        """
        if dict(environment) != self._environment:
            return None
        with self._changed:
            self._used = time.monotonic()
            zygote = self._zygote
            if zygote is not None and zygote.spares and (reason := self._worn_out(zygote)):
                log.info("warm kernels replaced", extra={"reason": reason})
                self._zygote = None
                zygote.retire()
            self.start()
            zygote, until = self._zygote, self._used + _WAIT_S
            while zygote is not None and self._zygote is zygote and not give_up():
                if zygote.spares:
                    return zygote.take()
                if time.monotonic() > until:
                    break
                self._changed.wait(_LOOK_S)
        return None

    def rest(self) -> None:
        """Let everything go if nothing ran for `idle_s`; to be called now and then."""
        with self._changed:
            zygote = self._zygote
            if zygote is None or self._idle_s is None or zygote.n_running:
                return
            if time.monotonic() - self._used < self._idle_s:
                return
            self._zygote = None
            zygote.retire()
        log.info("warm kernels let go", extra={"idle_s": self._idle_s})

    def close(self) -> None:
        """End the process and all kernels it made."""
        with self._changed:
            self._closed = True
            zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.stop()

    def _worn_out(self, zygote: ZygoteProcess) -> str:
        if zygote.forks >= self._recycle_after:
            return f"{zygote.forks} runs"
        if zygote.is_stale():
            return "code has changed"
        try:
            taken = psutil.Process(zygote.process.pid).memory_info().rss
        except psutil.Error:
            return "it has ended"
        return f"{taken} bytes" if taken > self._recycle_bytes else ""

    def _told(self, zygote: ZygoteProcess) -> None:
        """Something has changed in a zygote."""
        with self._changed:
            self._used = time.monotonic()
            if zygote.spares:
                self._failed = 0
            if zygote.process.poll() is not None and zygote is self._zygote:
                self._zygote = None
                self._failed += 1
                log.warning(
                    "warm kernels ended", extra={"code": zygote.process.poll(), "said": zygote.said()}
                )
            self._changed.notify_all()
