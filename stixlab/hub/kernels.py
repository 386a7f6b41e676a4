"""Kernels that wait for visitors: started and run up to the visit by Voila, used again after it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stixlab.errors import ServiceError

__all__ = ["Kernels", "Seat"]

log = logging.getLogger(__name__)


@dataclass
class Seat:
    """A kernel with the notebook run up to where it waits for its visitor."""

    kernel_id: str
    rendering: asyncio.Task[Any]
    """Voila's: gives the pieces of the page."""
    used: int = 0
    """Pages it has made."""
    good: bool = True
    """Whether it may be used again."""


class Kernels:
    """Kernels of one notebook.

    A page runs the whole notebook. Since a visitor cannot run anything in a kernel, the next page
    may run in the same one: it then takes tenths of a second and not the seconds of a start.

    Parameters
    ----------
    manager
        Voila's kernel manager.
    notebook
        Its path below the folder of notebooks.
    most
        Kernels at the same time.
    spare
        Kernels that stay when nobody visits.
    """

    most_pages = 200
    """Pages after which a kernel is ended, so that nothing can pile up in it."""
    longest_start_s = 90.0

    def __init__(self, manager: Any, notebook: str, *, most: int, spare: int = 1) -> None:
        self._manager = manager
        self._notebook = notebook
        self._most, self._spare = most, spare
        self._free: asyncio.Queue[Seat | None] = asyncio.Queue()
        self._count = self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """Kernels that live or start."""
        return self._count

    def warm_up(self) -> None:
        """Start the kernels that are there when nobody visits."""
        while self._count < self._spare:
            self._start()

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[Seat]:
        """A kernel that waits for a visitor; given back, or ended where it is no longer good.

        Raises
        ------
        ServiceError
            If no kernel could be started.
        """
        self._waiting += 1
        try:
            if self._count == 0 or (self._free.empty() and self._waiting > 2 * self._count < 2 * self._most):
                self._start()
            taken = await self._free.get()
        finally:
            self._waiting -= 1
        if taken is None:
            raise ServiceError(f"app {self._notebook}: its kernel did not start")
        taken.good = False
        try:
            yield taken
        finally:
            self._keep(self._give_back(taken))

    def _start(self) -> None:
        self._count += 1
        self._keep(self._run(None))

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_back(self, seat: Seat) -> None:
        needed = self._waiting > 0 or self._count <= self._spare
        if seat.good and needed and seat.used < self.most_pages:
            await self._run(seat)
            return
        await self._end(seat.kernel_id)
        self._count -= 1
        if self._count < self._spare or self._waiting > self._free.qsize() + self._count:
            self._start()

    async def _run(self, last: Seat | None) -> None:
        """Run the notebook up to where it waits for a visitor, in a new kernel or in that of a seat."""
        again = {} if last is None else {"kernel_id": last.kernel_id}
        try:
            made = await asyncio.wait_for(
                self._manager._initialize(self._notebook, path="", env=self._environment(), **again),  # noqa: SLF001
                self.longest_start_s,
            )
        except Exception:
            log.exception("kernel of an app did not start", extra={"notebook": self._notebook})
            self._count -= 1
            if last is not None:
                await self._end(last.kernel_id)
            self._free.put_nowait(None)
            return
        used = 0 if last is None else last.used
        self._free.put_nowait(Seat(made["kernel_id"], made["task"], used))

    async def _end(self, kernel_id: str) -> None:
        self._manager.notebook_data.get(self._notebook, {}).get("kernel_ids", set()).discard(kernel_id)
        with contextlib.suppress(KeyError):
            await self._manager.shutdown_kernel(kernel_id, now=True)

    @staticmethod
    def _environment() -> dict[str, str]:
        return dict(os.environ)
