"""What `stixlab up` writes down about itself, for `stixlab status` and `stixlab down`."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from stixlab.catalog.workers import process_is
from stixlab.services.credentials import write_private
from stixlab.services.parts import MARK

__all__ = [
    "PartState",
    "UpState",
    "end_leftovers",
    "end_marked",
    "lock_path",
    "read_last_state",
    "read_state",
    "write_state",
]

_POLITE_S = 5.0
_KILL_S = 5.0


@dataclass(frozen=True)
class PartState:
    """One part, as its supervisor sees it."""

    name: str
    pid: int
    """Root of its process tree, 0 while it does not run."""
    start: str
    """Tells the process from a later one of the same number."""
    state: str
    """``waiting``, ``starting``, ``ready`` or ``stopped``."""
    since: str
    """UTC of the last change of state, ISO 8601."""
    restarts: int
    last_exit: str
    """How it ended the last time; empty if it has not."""


@dataclass(frozen=True)
class UpState:
    """A running `stixlab up`."""

    pid: int
    start: str
    mark: str
    started: str
    """UTC, ISO 8601."""
    url: str
    parts: tuple[PartState, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)


def lock_path(home: Path) -> Path:
    """Held by the one supervisor of a home."""
    return home / "run" / "up.lock"


def _path(home: Path) -> Path:
    return home / "run" / "up.json"


def write_state(home: Path, state: UpState) -> None:
    """Put the state in the place of the former, whole.

    Raises
    ------
    ServiceError
        If it cannot be written.
    """
    write_private(_path(home), json.dumps(state.as_document(), indent=1))


def read_last_state(home: Path) -> UpState | None:
    """The state written last, also of a supervisor that is gone; None if there is no legible one."""
    try:
        document = json.loads(_path(home).read_text())
        parts = tuple(PartState(**part) for part in document.pop("parts"))
        return UpState(**document, parts=parts)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_state(home: Path) -> UpState | None:
    """State of the `stixlab up` that runs on a home, None if none does."""
    state = read_last_state(home)
    return state if state is not None and process_is(state.pid, state.start) else None


def end_leftovers(home: Path) -> int:
    """End what a supervisor that was killed left running; return how many processes that were.

    Its guardians end their parts when they see it die, so that this finds something only if they were
    killed, too.
    """
    state = read_last_state(home)
    if state is None or process_is(state.pid, state.start):
        return 0
    return end_marked(state.mark)


def end_marked(mark: str) -> int:
    """End all processes whose mark begins so, first asked, then killed; return how many there were."""
    left = found = _marked(mark)
    for end, time_s in ((psutil.Process.terminate, _POLITE_S), (psutil.Process.kill, _KILL_S)):
        deadline = time.monotonic() + time_s
        for process in left:
            with suppress(psutil.Error):
                end(process)
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = _marked(mark)
    return len(found)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.pid != os.getpid()
                and process.environ().get(MARK, "").startswith(mark)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
    return found
