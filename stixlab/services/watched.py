"""One part under its guardian: started, asked whether it is ready, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from stixlab.catalog.workers import process_start
from stixlab.errors import ServiceError
from stixlab.services import guardian
from stixlab.services.database_server import accepts
from stixlab.services.logs import last_lines, open_log
from stixlab.services.parts import MARK, Part
from stixlab.services.state import PartState, end_marked

__all__ = ["Watched"]

_GUARDIAN_S = 10.0
"""What a guardian may need beyond the part's own time to end what descends from it."""
_ANSWER_S = 2.0
_POLL_S = 0.05


class Watched:
    """A part and what has become of it."""

    def __init__(self, part: Part, log_path: Path) -> None:
        self.part = part
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        self.state = "waiting"
        self.since = datetime.now(UTC)
        self.changed = time.monotonic()
        self.restarts = 0
        self.failures = 0
        self.next_start = 0.0
        self.last_exit = ""
        self.start = ""
        self.log_offset = 0

    @property
    def pid(self) -> int:
        """Root of the process tree, 0 while it does not run."""
        return self.process.pid if self.process is not None and self.runs() else 0

    def turn(self, state: str) -> None:
        """Note a change of state."""
        self.state, self.since, self.changed = state, datetime.now(UTC), time.monotonic()

    def runs(self) -> bool:
        """Whether its guardian runs."""
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        """What its own check says now."""
        check = self.part.ready
        if check is None:
            return True
        if callable(check):
            return check()
        if isinstance(check, int):
            return accepts(check)
        try:
            with urllib.request.urlopen(check, timeout=_ANSWER_S):  # noqa: S310  (an address of our own)
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code < 500
        except OSError:
            return False

    def tail(self) -> str:
        """End of what it said since its start."""
        return last_lines(self.log_path, offset=self.log_offset) or "(nothing)"

    def as_state(self) -> PartState:
        """As the state file has it."""
        pid = self.pid
        since = self.since.isoformat(timespec="seconds")
        start = self.start if pid else ""
        return PartState(self.part.name, pid, start, self.state, since, self.restarts, self.last_exit)

    def expected(self) -> str:
        """What is missing while it is not ready."""
        if isinstance(self.part.ready, str):
            return f"no answer from {self.part.ready}"
        if isinstance(self.part.ready, int):
            return f"nobody listens on port {self.part.ready}"
        return "its own check says no"

    def launch(self, mark: str) -> None:
        """Start its guardian, which starts it.

        Raises
        ------
        ServiceError
            If that cannot be, or its log cannot be written.
        """
        part = self.part
        handle = open_log(self.log_path)
        try:
            self.log_offset = os.fstat(handle).st_size
            env = dict(part.env() if callable(part.env) else part.env) | {MARK: f"{mark}.{part.name}"}
            command = [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid())]
            command += [str(int(part.stop_signal)), str(part.stop_timeout_s), *part.command]
            self.process = subprocess.Popen(
                command,
                env=env,
                cwd=part.cwd,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceError(f"{part.name}: cannot be started: {error.strerror or error}") from error
        finally:
            os.close(handle)
        self.start = process_start(self.process.pid)
        self.turn("starting")

    def end(self, mark: str, impatient: Callable[[], bool]) -> None:
        """End it with all that descends from it; at once when `impatient` says so."""
        if self.process is None:
            return
        deadline = time.monotonic() + self.part.stop_timeout_s + _GUARDIAN_S
        self.process.terminate()
        while self.process.poll() is None and time.monotonic() < deadline and not impatient():
            time.sleep(_POLL_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_GUARDIAN_S)
        self.bury(mark)

    def bury(self, mark: str) -> None:
        """Note how it ended; if its guardian was killed, end what that could not."""
        code = self.process.returncode if self.process is not None else 0
        self.last_exit = _how(code)
        if code < 0:
            end_marked(f"{mark}.{self.part.name}")


def _how(code: int) -> str:
    """How a process ended, from the exit status of its guardian."""
    number = code - 128 if code > 128 else -code
    if number > 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(number).name}"
    return f"ended with status {code}"
