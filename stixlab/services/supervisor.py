"""Starts the parts of the platform in order, watches them, starts them again when they die, ends them all.

Each part runs under a guardian (`stixlab.services.guardian`) in a session of its own: a Ctrl-C reaches the
supervisor alone, which ends the parts in reverse order, and nothing outlives it however it ends.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from stixlab.catalog.workers import process_is, process_start
from stixlab.errors import ConflictError, ServiceError
from stixlab.services.locks import FileLock
from stixlab.services.logs import open_log
from stixlab.services.parts import Part
from stixlab.services.state import (
    UpState,
    end_leftovers,
    lock_path,
    read_last_state,
    read_state,
    write_state,
)
from stixlab.services.watched import Watched

__all__ = ["Event", "Supervisor", "stop"]

log = logging.getLogger(__name__)

_POLL_S = 0.1
_KILLED_S = 10.0
_STEADY_S = 60.0
"""A part that was ready for so long starts again at once when it dies."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a part."""

    time: str
    """UTC, ISO 8601."""
    part: str
    """Name of the part, empty for all."""
    what: str
    """``starting``, ``ready``, ``died``, ``not ready``, ``stopping``, ``stopped``, ``leftovers``."""
    detail: str = ""

    def __str__(self) -> str:
        text = f"{self.part} {self.what}".strip()
        return f"{text}: {self.detail}" if self.detail else text


class Supervisor:
    """All parts of a home.

    Parameters
    ----------
    parts
        In the order of their start; each is ready before the next is started.
    home
        Folder of the installation.
    on_event
        Told what happens, in the thread that runs the supervisor.
    url
        Public address, for the state file and for who asks.
    backoff_s
        Pause before a part that died is started again: the first, doubled each time, and the longest.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        home: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        *,
        url: str = "",
        backoff_s: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        self.home = home
        self.url = url
        self._on_event = on_event
        self._backoff_s = backoff_s
        self._watched = [Watched(p, home / "log" / f"{p.name}.log") for p in parts]
        self._mark = secrets.token_hex(8)
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._stop = threading.Event()
        self._asked = 0

    def run(self, when_ready: Callable[[], None] = lambda: None) -> None:
        """Start all parts, watch them until asked to stop, stop them.

        Parameters
        ----------
        when_ready
            Called once, when all parts are ready for the first time.

        Raises
        ------
        ConflictError
            If another supervisor runs on this home; the message has its process and address.
        ServiceError
            If a part does not become ready; those started are stopped again.
        """
        with self._alone(), self._signals():
            try:
                if self._start_all():
                    when_ready()
                    while not self._stop.wait(_POLL_S):
                        self._look()
            finally:
                self._stop_all()

    def request_stop(self) -> None:
        """Ask `run` to stop all and return; a second time, to kill all."""
        self._asked += 1
        self._stop.set()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(lock_path(self.home))
        try:
            if not lock.acquire():
                raise _taken(self.home)
            n_left = end_leftovers(self.home)
            if n_left:
                self._tell("", "leftovers", f"{n_left} processes of an earlier run were ended")
            self._note(strict=True)
            yield
        finally:
            lock.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on the usual signals; only where this is the main thread, others are asked by `request_stop`."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        former = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _start_all(self) -> bool:
        """Whether all are ready; False if asked to stop meanwhile."""
        for each in self._watched:
            self._start(each)
            while not self._stop.is_set():
                if not each.runs():
                    self._died(each, again=False)
                    raise ServiceError(
                        f"{each.part.name}: {each.last_exit} before it was ready; its log {each.log_path} ends:\n{each.tail()}"
                    )
                if self._became_ready(each):
                    break
                if time.monotonic() - each.changed > each.part.ready_timeout_s:
                    raise ServiceError(
                        f"{each.part.name}: not ready after {each.part.ready_timeout_s:.0f} s ({each.expected()}); "
                        f"its log {each.log_path} ends:\n{each.tail()}"
                    )
                self._stop.wait(_POLL_S)
        return not self._stop.is_set()

    def _look(self) -> None:
        """See to each part once."""
        for each in self._watched:
            if each.state == "waiting":
                if time.monotonic() >= each.next_start:
                    each.restarts += 1
                    with suppress(ServiceError):  # a full disk passes; it is tried again
                        self._start(each)
                    if each.state == "waiting":
                        self._wait_longer(each)
            elif not each.runs():
                self._died(each)
            elif each.state == "starting" and not self._became_ready(each):
                if time.monotonic() - each.changed > each.part.ready_timeout_s:
                    self._tell(
                        each.part.name, "not ready", f"after {each.part.ready_timeout_s:.0f} s; it is ended"
                    )
                    each.end(self._mark, lambda: self._asked > 1)
                    self._died(each)
            elif each.state == "ready" and each.failures and time.monotonic() - each.changed > _STEADY_S:
                each.failures = 0

    def _start(self, each: Watched) -> None:
        each.launch(self._mark)
        self._tell(each.part.name, "starting", f"process {each.pid}")

    def _became_ready(self, each: Watched) -> bool:
        if not each.is_ready():
            return False
        each.turn("ready")
        self._tell(each.part.name, "ready")
        return True

    def _died(self, each: Watched, *, again: bool = True) -> None:
        each.bury(self._mark)
        then = f"; started again in {self._wait_longer(each):.1f} s" if again else ""
        last = each.tail().splitlines()[-1]
        self._tell(each.part.name, "died", f"{each.last_exit}{then}; it said last: {last}")

    def _wait_longer(self, each: Watched) -> float:
        first, longest = self._backoff_s
        pause: float = min(first * 2.0**each.failures, longest)
        each.failures += 1
        each.next_start = time.monotonic() + pause
        each.turn("waiting")
        return pause

    def _stop_all(self) -> None:
        for each in reversed(self._watched):
            if each.runs():
                self._tell(each.part.name, "stopping")
                each.end(self._mark, lambda: self._asked > 1)
                each.turn("stopped")
                self._tell(each.part.name, "stopped")
            each.turn("stopped")
        self._note()

    def _tell(self, part: str, what: str, detail: str = "") -> None:
        event = Event(datetime.now(UTC).isoformat(timespec="milliseconds"), part, what, detail)
        try:
            handle = open_log(self.home / "log" / "events.jsonl")
            with os.fdopen(handle, "w") as stream:
                stream.write(json.dumps(asdict(event)) + "\n")
        except (OSError, ServiceError) as error:
            log.warning("event not written", extra={"error": str(error)})
        self._note()
        self._on_event(event)

    def _note(self, *, strict: bool = False) -> None:
        parts = tuple(each.as_state() for each in self._watched)
        pid = os.getpid()
        state = UpState(pid, process_start(pid), self._mark, self._started, self.url, parts)
        try:
            write_state(self.home, state)
        except ServiceError as error:
            if strict:
                raise
            log.warning("state not written", extra={"error": str(error)})


def stop(home: Path, timeout_s: float = 60.0) -> bool:
    """Stop the supervisor of a home and wait until all of it is gone.

    Returns
    -------
    bool
        Whether anything ran.

    Raises
    ------
    ServiceError
        If it belongs to somebody else.
    """
    state = read_state(home)
    if state is None:
        return end_leftovers(home) > 0
    try:
        os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while process_is(state.pid, state.start) and time.monotonic() < deadline:
            time.sleep(_POLL_S / 2)
        if process_is(state.pid, state.start):
            os.kill(state.pid, signal.SIGKILL)
            while process_is(state.pid, state.start) and time.monotonic() < deadline + _KILLED_S:
                time.sleep(_POLL_S / 2)
    except ProcessLookupError:
        log.info("it ended by itself", extra={"pid": state.pid})
    except PermissionError:
        raise ServiceError(
            f"stixlab up, process {state.pid}: belongs to somebody else; ask its owner"
        ) from None
    end_leftovers(home)
    return True


def _taken(home: Path) -> ConflictError:
    state = read_state(home) or read_last_state(home)
    who = (
        f"process {state.pid} at {state.url or 'no address'}" if state else "a process that has just started"
    )
    pid: Any = state.pid if state else 0
    return ConflictError(
        f"stixlab up: expected nobody else on {home}; found {who}; `stixlab down` stops it", pid=pid
    )
