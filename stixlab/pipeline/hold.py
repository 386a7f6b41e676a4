"""A run in the hands of a worker: heartbeats, progress, and everything that may end it from outside."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

from stixlab.errors import CatalogError, ConflictError, PipelineError
from stixlab.model.run import Run, RunStatus

__all__ = ["CANCELLED", "LOST", "STOPPED", "Hold"]

log = logging.getLogger(__name__)

LOST, CANCELLED, STOPPED = "lost", "cancelled", "stopped"
_TICK_S = 0.5
"""Progress is written this often at most."""
_LOOK_S = 1.0
"""A wish to cancel is seen this soon."""


class Hold:
    """Keeps the lease of a claimed run in a thread of its own, and says when the run must end.

    All its own times are those of the steady clock.

    Parameters
    ----------
    runs
        Store of the runs.
    run
        As it was claimed.
    lease_s
        Length of a lease, extended three times within it.
    stop
        Whether the worker was asked to end.
    grace_s
        So long the run may go on then.
    progress
        Told of the cells, too.
    """

    def __init__(
        self,
        runs: Any,
        run: Run,
        lease_s: float,
        *,
        stop: Callable[[], bool] = lambda: False,
        grace_s: float = 0.0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.run = run
        self.end = threading.Event()
        """Set when the run must end; the kernel is killed then."""
        self.reason = ""
        """Why: `LOST`, `CANCELLED` or `STOPPED`."""
        self.by = ""
        """Who cancelled it."""
        self._runs = runs
        self._lease_s = lease_s
        self._stop = stop
        self._grace_s = grace_s
        self._tell = progress
        self._done = threading.Event()
        self.cells = self._written = (0, 0)
        """Cells done, cells there are."""
        self._began = self._beaten = self._looked = time.monotonic()
        self._asked_at: float | None = None
        self._thread = threading.Thread(target=self._watch, name=f"heartbeat-{run.run_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def elapsed(self) -> timedelta:
        """Time since the run was claimed, by the steady clock."""
        return timedelta(seconds=time.monotonic() - self._began)

    def progress(self, done: int, total: int) -> None:
        """Note how far the run is; it is written with the next heartbeat."""
        self.cells = done, total
        if self._tell is not None:
            self._tell(self.run.pipeline, done, total)

    def check(self) -> None:
        """Make sure that the run is still ours, now.

        Raises
        ------
        ConflictError
            If it is not.
        CatalogError
            If the database does not answer.
        """
        while True:
            asked, (done, cells) = time.monotonic(), self.cells
            if self.reason != LOST and self._runs.heartbeat(
                self.run, self._lease_s, cells_done=done, cells=cells
            ):
                self._look()
            else:
                self._end(LOST)
            if self.reason == LOST:
                raise ConflictError(
                    f"run {self.run.run_id}: its lease ran out during the execution", run_id=self.run.run_id
                )
            if time.monotonic() - asked < self._lease_s:
                return
            # This process stood still since it asked, for longer than the lease that it was given.

    def check_wanted(self) -> None:
        """Make sure that nobody wants the run to end.

        Raises
        ------
        PipelineError
            If somebody does.
        """
        if self.reason:
            raise PipelineError(f"run {self.run.run_id}: {self.reason}", run_id=self.run.run_id)

    def _watch(self) -> None:
        away = False
        while not self._done.wait(min(_TICK_S, self._lease_s / 3)):
            self._heed_stop()
            try:
                self._beat()
                away = False
            except CatalogError as error:
                if not away:
                    log.warning("heartbeat failed", extra={"run_id": self.run.run_id, "reason": str(error)})
                away = True
            if self.reason == LOST:
                return

    def _heed_stop(self) -> None:
        if not self._stop():
            return
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        if now - self._asked_at >= self._grace_s:
            self._end(STOPPED)

    def _beat(self) -> None:
        now, cells = time.monotonic(), self.cells
        if cells != self._written or now - self._beaten >= self._lease_s / 3:
            if not self._runs.heartbeat(self.run, self._lease_s, cells_done=cells[0], cells=cells[1]):
                self._end(LOST)
                return
            self._beaten, self._written = now, cells
        if now - self._looked >= _LOOK_S:
            self._look()
            self._looked = now

    def _look(self) -> None:
        found = self._runs.get(self.run.run_id)
        ours = found is not None and (found.status, found.worker, found.attempts) == (
            RunStatus.RUNNING,
            self.run.worker,
            self.run.attempts,
        )
        if not ours:
            self._end(LOST)
        elif found.cancel_asked:
            self.by = found.cancel_asked
            self._end(CANCELLED)

    def _end(self, reason: str) -> None:
        if not self._done.is_set() and self.reason != LOST:
            self.reason = reason
            self.end.set()
