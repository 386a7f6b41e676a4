"""The desk that admits viewers of the public apps: a cap, and pages that are kept for a minute."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stixlab.errors import ConflictError, NotInCatalogError, ServiceError
from stixlab.hub.kernels import Kernels, Seat
from stixlab.hub.public_apps import is_public, public_notebooks

__all__ = ["Page", "Viewers"]

log = logging.getLogger(__name__)

_STATUS = re.compile(r'<div class="app" data-status="(\d{3})">')


@dataclass(frozen=True)
class Page:
    """A page as it is sent."""

    html: str
    status: int
    made: float = field(default_factory=time.monotonic)


class Viewers:
    """Makes pages, the same link once a minute.

    Parameters
    ----------
    manager
        Voila's kernel manager.
    folder
        Where the notebooks are.
    """

    most_at_once = 3
    """Pages that are made at the same time, each by one kernel."""
    most_waiting = 20
    """Visitors that wait for their turn; the next is asked to come back."""
    longest_s = 90.0
    """Longest time that a page may take."""
    kept_s = 60.0
    """How long a page is shown again to others."""
    most_kept = 64

    def __init__(self, manager: Any, folder: Path) -> None:
        self._manager = manager
        self._folder = folder
        self._kernels: dict[str, Kernels] = {}
        self._turn = asyncio.Semaphore(self.most_at_once)
        self._making: dict[tuple[str, str], asyncio.Task[Page]] = {}
        self._kept: OrderedDict[tuple[str, str], Page] = OrderedDict()
        self._requests: dict[str, asyncio.Future[dict[str, str]]] = {}
        self._made = 0

    async def page(self, name: str, query: str) -> Page:
        """The page of an app for a query string.

        Raises
        ------
        NotInCatalogError
            If there is no such app, or it is for the team only.
        ConflictError
            If too many visitors wait already.
        ServiceError
            If the notebook failed or took too long; the log says why.
        """
        if not is_public(self._folder / f"{name}.ipynb"):
            raise NotInCatalogError(f"there is no app {name!r}")
        key = (name, query)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.made < self.kept_s:
            return kept
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= self.most_at_once + self.most_waiting:
                raise ConflictError("too many visitors at the moment; try again in a few seconds")
            task = asyncio.get_running_loop().create_task(self._make(name, query))
            self._making[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        # A visitor who leaves does not take the page away from others that wait for it.
        return await asyncio.shield(task)

    async def request_of(self, kernel_id: str) -> dict[str, str]:
        """What the visitor asked for whom that kernel waits; waits for the visitor."""
        return await self._request(kernel_id)

    def state(self) -> dict[str, int]:
        """Numbers for the health page."""
        kernels = sum(each.count for each in self._kernels.values())
        return {"kernels": kernels, "making": len(self._making), "kept": len(self._kept), "made": self._made}

    def warm_up(self) -> None:
        """Start a kernel for each app, before the first visitor comes."""
        for notebook in public_notebooks(self._folder):
            self._kernels_of(notebook.stem).warm_up()

    def _finished(self, key: tuple[str, str], task: asyncio.Task[Page]) -> None:
        self._making.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        page = task.result()
        self._made += 1
        if page.status == 200:
            self._kept[key] = page
            self._kept.move_to_end(key)
        while len(self._kept) > self.most_kept:
            self._kept.popitem(last=False)

    async def _make(self, name: str, query: str) -> Page:
        kernels = self._kernels_of(name)
        async with self._turn:
            # A kernel may have failed before its visitor came, for instance while the database was away.
            for _ in range(2):
                async with kernels.seat() as seat:
                    page = await self._by_kernel(name, query, seat)
                if page is not None:
                    return page
        raise ServiceError(f"app {name}: its notebook failed twice before it could take the request")

    async def _by_kernel(self, name: str, query: str, seat: Seat) -> Page | None:
        """The page; none if the kernel had failed before."""
        if seat.rendering.done():
            log.warning("app had failed before its visitor came", extra={"app": name})
            return None
        request = self._request(seat.kernel_id)
        request.set_result({"query": query})
        try:
            rendered, _ = await asyncio.wait_for(seat.rendering, self.longest_s)
        except TimeoutError:
            raise ServiceError(f"app {name}: took longer than {self.longest_s:g} s") from None
        finally:
            self._requests.pop(seat.kernel_id, None)
        html = "".join(rendered)
        said = _STATUS.search(html)
        if said is None or said[1] == "500":
            raise ServiceError(f"app {name}: its notebook failed")
        seat.used += 1
        seat.good = True
        return Page(html, int(said[1]))

    def _kernels_of(self, name: str) -> Kernels:
        if name not in self._kernels:
            self._kernels[name] = Kernels(self._manager, f"{name}.ipynb", most=self.most_at_once)
        return self._kernels[name]

    def _request(self, kernel_id: str) -> asyncio.Future[dict[str, str]]:
        return self._requests.setdefault(kernel_id, asyncio.get_running_loop().create_future())
