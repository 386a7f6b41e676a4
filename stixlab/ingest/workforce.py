"""The two things an ingest does over and over, in this process or in several."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

from stixlab.archive import Archive
from stixlab.errors import ArchiveError, FormatError, SchemaError
from stixlab.idb import Versions
from stixlab.ingest.assemble import DayMade, DayTask, make_day
from stixlab.ingest.receive import Received, receive_fits, receive_telemetry
from stixlab.timing import ClockTable

__all__ = ["Tools", "Workforce"]

_IN_MEMORY = 1 << 26
"""Bytes of a file beyond which it is read piece by piece."""
_WORTH_BYTES = 24 << 20
"""Bytes to be read altogether above which starting further processes pays."""

_LOADED = "stixlab.ingest.loaded"
_OVERLAPPING = 2
"""Days of one process that are made at a time: about half of the time of a day is waiting for the disk."""

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FileTask:
    """A new file to be taken in."""

    path: Path
    sha256: str
    size_bytes: int
    product: bool
    """A FITS product of others, not telemetry."""


@dataclass(frozen=True)
class Tools:
    """What the work needs; the same in every process."""

    archive: Archive
    versions: Versions
    clock: ClockTable

    def take(self, task: FileTask) -> Received | str:
        """Store a file; the reason if it cannot be used.

        Raises
        ------
        ArchiveError
            If the archive cannot be written.
        """
        try:
            if task.product or task.size_bytes <= _IN_MEMORY:
                content = task.path.read_bytes()
                if hashlib.sha256(content).hexdigest() != task.sha256:
                    return f"{task.path}: changed while it was being read; give the same command again"
                if task.product:
                    return receive_fits(content, task.path, archive=self.archive, clock=self.clock)
                return self._receive(content, task)
            with self.archive.raw_copy(task.path, task.sha256) as copy:
                return self._receive(copy, task)
        except ArchiveError:
            raise
        except (FormatError, SchemaError) as error:
            return str(error)
        except OSError as error:
            return f"{task.path}: cannot be read: {error.strerror or error}"

    def _receive(self, source: bytes | Path, task: FileTask) -> Received:
        return receive_telemetry(
            source,
            task.path.name,
            task.sha256,
            archive=self.archive,
            versions=self.versions,
            clock=self.clock,
        )

    def make(self, task: DayTask) -> DayMade:
        """Make the products of a day."""
        return make_day(task, self.archive, self.versions, self.clock)


_tools: list[Tools] = []
"""Of a process that works for another."""


def _begin(packed: bytes) -> None:
    _tools.append(pickle.loads(packed))  # noqa: S301  (from the process that this one works for)


def _take(task: FileTask) -> Received | str:
    received = _tools[0].take(task)
    if isinstance(received, Received):
        # datasets are cheaper to make again from what is stored than to send
        received.days = {key: [] for key in received.days}
    return received


def _make(task: DayTask) -> DayMade:
    return _tools[0].make(task)


class Workforce:
    """Does tasks in order of need: here one by one, or side by side on all cores if there is enough to do."""

    def __init__(
        self, tools: Tools, pool: Executor | None, size: int, started: Future[int] | None = None
    ) -> None:
        self._tools = tools
        self._pool = pool
        self._size = size
        self._started = started

    @classmethod
    @contextmanager
    def assemble(cls, tools: Tools, tasks: Sequence[FileTask], processes: int | None) -> Iterator[Workforce]:
        """As many processes as there are cores, if there is more than one file and enough in them.

        Parameters
        ----------
        tools, tasks
        processes
            None: to be worked out.
        """
        if processes is None:
            worth = sum(t.size_bytes for t in tasks) >= _WORTH_BYTES
            processes = min(len(os.sched_getaffinity(0)), len(tasks)) if worth else 1
        if processes < 2:
            yield cls(tools, None, 1)
            return
        # Packed before any work begins: the first days are made here while the processes start, which changes the tools.
        packed = pickle.dumps(tools)
        with (
            ProcessPoolExecutor(processes, _prepared(), initializer=_begin, initargs=(packed,)) as pool,
            ThreadPoolExecutor(1) as starter,
        ):
            try:
                yield cls(tools, pool, processes, _start(pool, starter))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def take(self, tasks: Sequence[FileTask]) -> Iterator[Received | str]:
        """Results of `Tools.take`, in the order of the tasks."""
        return self._do(tasks, self._tools.take, _take)

    def make(self, tasks: Iterator[DayTask]) -> Iterator[DayMade]:
        """Results of `Tools.make`, in the order of the tasks; the first are made here while the processes start.

        Raises
        ------
        BrokenProcessPool
            If they cannot be started, or one has ended.
        """
        if self._started is not None:
            while not self._started.done():
                task = next(tasks, None)
                if task is None:
                    return
                yield self._tools.make(task)
            self._started.result()
        yield from self._do(tasks, self._tools.make, _make)

    def make_overlapping(self, tasks: Iterator[DayTask]) -> Iterator[DayMade]:
        """As `make`; in a process alone, one is made while another waits for the disk."""
        if self._pool is not None:
            yield from self.make(tasks)
            return
        with ThreadPoolExecutor(_OVERLAPPING) as threads:
            try:
                yield from _ahead(threads, tasks, self._tools.make, _OVERLAPPING)
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise

    def _do(
        self,
        tasks: Sequence[Task] | Iterator[Task],
        here: Callable[[Task], Result],
        there: Callable[[Task], Result],
    ) -> Iterator[Result]:
        if self._pool is None:
            yield from map(here, tasks)
            return
        yield from _ahead(self._pool, tasks, there, 2 * self._size)


def _start(pool: Executor, starter: Executor) -> Future[int]:
    """Start processes beside this one: done when the first of them works, seconds later."""
    return starter.submit(lambda: pool.submit(os.getpid).result())


def _prepared() -> BaseContext:
    """Processes are copies of one that has done the imports, which cost as much CPU as some days of data."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([_LOADED])
    return context


def _ahead(
    pool: Executor, tasks: Iterable[Task], work: Callable[[Task], Result], most: int
) -> Iterator[Result]:
    """Results in the order of the tasks, some of which are begun ahead."""
    ahead: list[Future[Result]] = []
    for task in tasks:
        ahead.append(pool.submit(work, task))
        if len(ahead) > most:
            yield ahead.pop(0).result()
    for future in ahead:
        yield future.result()
