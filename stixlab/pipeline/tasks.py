"""Many tasks, side by side: on the dask cluster that the settings name, else in threads of this process."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from operator import length_hint
from typing import Any, TypeVar

from stixlab.errors import PipelineError

__all__ = ["ClusterTasks", "Tasks", "open_tasks"]

_MOST_THREADS = 4
_CONNECT_S = 30
_LOOK_S = 5.0
_AHEAD = 2
"""Tasks, on a cluster bunches of them, that are in hand or wait to be collected, for each that can be done at once."""
_BUNCH_S = 1.0
"""Tasks go to a cluster in bunches of about so many seconds: to hand one out costs the scheduler, this process and the
worker some 15 ms together, whatever is in it."""
_MOST_IN_BUNCH = 8
"""What so many tasks give is held in memory at once."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Tasks:
    """Does tasks in threads; never more than a few are in hand, so that what they give need not fit in memory.

    Parameters
    ----------
    size
        How many at once; none: one for each core, four at most.
    """

    address = ""
    """Of the scheduler; empty: this process."""

    def __init__(self, size: int | None = None) -> None:
        self._size = size or min(_MOST_THREADS, len(os.sched_getaffinity(0)))

    @property
    def size(self) -> int:
        """How many tasks can be done at once."""
        return self._size

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """What a function gives for each task, in their order.

        Parameters
        ----------
        function
            On a cluster it must be importable there. A task whose worker dies is done again by another, so what it
            writes should come out the same and be whole or absent.
        tasks
            Asked for as the work goes on.

        Raises
        ------
        PipelineError
            If the cluster goes away, or a task has ended several workers.
        Exception
            Whatever the function raises.
        """
        return list(self.each(function, tasks))

    def each(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The same as `map`, one after the other: results that were used can be let go."""
        with ThreadPoolExecutor(self.size) as pool:
            ahead: deque[Future[Result]] = deque()
            try:
                for task in tasks:
                    ahead.append(pool.submit(function, task))
                    if len(ahead) >= _AHEAD * self.size:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Let go of what was opened."""

    def __repr__(self) -> str:
        return f"{self.size} at once {f'on {self.address}' if self.address else 'in threads of this process'}"


class ClusterTasks(Tasks):
    """Does tasks on a dask cluster; lazy datasets are computed there, too, from when this is made.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://127.0.0.1:8786``. Its workers must see the archive under the same path.
    wait_s
        Seconds to wait for scheduler and first worker.

    Raises
    ------
    PipelineError
        If it does not answer, or has no workers.
    """

    def __init__(self, address: str, *, wait_s: float = _CONNECT_S) -> None:
        import dask
        from distributed import Client

        super().__init__(1)
        self.address = address
        self._wait_s = wait_s
        try:
            self._client: Any = Client(address, timeout=wait_s, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise PipelineError(
                f"dask: expected a scheduler at {address} (STIXLAB_DASK); found none: {error}; start one, or leave the"
                " setting empty to work in this process",
                recoverable=True,
            ) from error
        self._lazy = dask.config.set(scheduler=self._client)
        try:
            self._client.wait_for_workers(1, timeout=wait_s)
        except TimeoutError as error:
            self.close()
            raise PipelineError(
                f"dask: expected workers at {address} (STIXLAB_DASK); found none after {wait_s:g} s; start some with"
                f" `dask worker {address}`",
                recoverable=True,
            ) from error

    @property
    def size(self) -> int:
        """How many tasks can be done at once, as the cluster is now."""
        return max(1, sum(int(n) for n in self._client.nthreads().values()))

    def each(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The same as `map`, one after the other; short tasks are handed out several at a time."""
        from distributed.protocol.pickle import dumps

        ahead: deque[Any] = deque()
        bunches = _Bunches(tasks)
        packed = dumps(function)  # type: ignore[no-untyped-call]
        try:
            size = self.size
            while bunch := bunches.take(size):
                # As bytes, so that the scheduler need not take them apart.
                bytes_ = dumps(bunch)  # type: ignore[no-untyped-call]
                ahead.append(self._client.submit(_call, packed, bytes_, pure=False))
                if len(ahead) >= _AHEAD * size:
                    yield from self._collect(ahead.popleft(), bunches)
                    size = self.size
            while ahead:
                yield from self._collect(ahead.popleft(), bunches)
        finally:
            for future in ahead:
                future.cancel()

    def _collect(self, future: Any, bunches: _Bunches) -> Iterator[Any]:
        """What the tasks of a bunch gave, each let go of when it is used; then what one of them raised."""
        cause = None
        try:
            found, seconds = self._result(future)
            bunches.note(seconds / len(found))
        except _StoppedError as stopped:
            found, cause = stopped.found, stopped.__cause__ or stopped
        del future  # the cluster lets go of it, too
        left = deque(found)
        del found
        while left:
            yield left.popleft()
        if cause is not None:
            raise cause

    def close(self) -> None:
        """Let go of the cluster, which goes on for others; lazy datasets are computed here again."""
        self._lazy.__exit__(None, None, None)
        self._client.close()

    def _result(self, future: Any) -> Any:
        from asyncio import CancelledError as LostError
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=_LOOK_S)
            except TimeoutError:
                if future.status == "error":  # its own
                    raise
                seen = self._look(seen)
            except KilledWorker as error:
                raise PipelineError(
                    f"dask: a task ended several workers of {self.address}, perhaps for want of memory: {error}",
                    recoverable=True,
                ) from error
            except (CancelledError, LostError, CommClosedError) as error:
                raise PipelineError(
                    f"dask: the scheduler at {self.address} went away: {error}", recoverable=True
                ) from error

    def _look(self, seen: float) -> float:
        """When there was a worker last; all of them may have gone."""
        now = time.monotonic()
        if self._client.nthreads():
            return now
        if now - seen > self._wait_s:
            raise PipelineError(
                f"dask: expected workers at {self.address}; there has been none for {now - seen:.0f} s; start some with"
                f" `dask worker {self.address}` and run the pipeline again",
                recoverable=True,
            )
        return seen


@lru_cache(maxsize=4)
def _unpacked(packed: bytes) -> Callable[[Any], Any]:
    """A function that was sent to a worker: once for all its tasks, since it may carry the definitions of all packets."""
    from distributed.protocol.pickle import loads

    function: Callable[[Any], Any] = loads(packed)  # type: ignore[no-untyped-call]
    return function


class _Bunches:
    """Tasks, as many at a time as take about `_BUNCH_S`; fewer towards the end, so that no worker is left alone with many.

    Parameters
    ----------
    tasks
        If they have a length, the end is known.
    """

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._left = length_hint(tasks, -1)
        self._tasks = iter(tasks)
        self._most = 1

    def take(self, size: int) -> list[Any]:
        """The next tasks, for one of so many who work; none when there are no more."""
        most = self._most
        if self._left >= 0:
            most = max(1, min(most, self._left // (_AHEAD * size)))
        bunch = list(islice(self._tasks, most))
        self._left -= len(bunch) if self._left >= 0 else 0
        return bunch

    def note(self, task_s: float) -> None:
        """Note how long a task took, in seconds: the first one of a worker may take long."""
        self._most = max(1, min(_MOST_IN_BUNCH, int(_BUNCH_S / max(task_s, 1e-6))))


class _StoppedError(Exception):
    """A task has raised something, its cause; those of its bunch before it were done."""

    def __init__(self, found: list[Any]) -> None:
        super().__init__(found)
        self.found = found

    def __repr__(self) -> str:
        return f"after {len(self.found)} other tasks: {self.__cause__!r}"

    __str__ = __repr__


def _call(packed: bytes, tasks: bytes) -> tuple[list[Any], float]:
    """What the tasks of a bunch give, and the seconds it took."""
    from distributed.protocol.pickle import loads

    function, began = _unpacked(packed), time.monotonic()
    found: list[Any] = []
    for task in loads(tasks):  # type: ignore[no-untyped-call]
        try:
            found.append(function(task))
        except Exception as error:
            if not found:
                raise
            raise _StoppedError(found) from error
    return found, time.monotonic() - began


def open_tasks(address: str) -> Tasks:
    """Where tasks are to be done.

    Parameters
    ----------
    address
        Of a dask scheduler; empty: this process.

    Raises
    ------
    PipelineError
        If the scheduler does not answer, or has no workers.
    """
    return ClusterTasks(address) if address else Tasks()
