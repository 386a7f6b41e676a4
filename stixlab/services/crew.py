"""Several processes of the same command, kept at their number until they are told to end.

Each has a guardian (`stixlab.services.guardian`): nothing of it outlives it, or this process.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from stixlab.services import guardian

__all__ = ["Crew"]

log = logging.getLogger(__name__)

_POLL_S = 0.1
_GUARDIAN_S = 10.0
"""What a guardian may need beyond the grace to end what descends from it."""
_PAUSES_S = (0.5, 30.0)
"""Pause before one that died is started again: the first, doubled each time, and the longest."""
_STEADY_S = 60.0
"""One that ran for so long is started again at once."""


class Crew:
    """Processes of one command.

    Parameters
    ----------
    command
        Of each of them.
    number
        How many.
    env
        Their whole environment.
    grace_s
        What a process gets to end by itself before it is killed.
    until_done
        Whether they end by themselves; one that ends without an error is not started again.
    """

    def __init__(
        self,
        command: Sequence[str],
        number: int,
        *,
        env: Mapping[str, str],
        grace_s: float = 8.0,
        until_done: bool = False,
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._grace_s = grace_s
        self._until_done = until_done
        self._members: list[_Member] = [_Member() for _ in range(number)]

    def run(self, stop: Callable[[], bool]) -> int:
        """Start them, start those again that die, end them all.

        Parameters
        ----------
        stop
            Asked all the time.

        Returns
        -------
        int
            How many had to be killed at the end.
        """
        try:
            while not stop() and not all(m.done for m in self._members):
                for member in self._members:
                    self._tend(member)
                time.sleep(_POLL_S)
        finally:
            killed = self._end()
        return killed

    def _tend(self, member: _Member) -> None:
        now = time.monotonic()
        process = member.process
        if process is None:
            if now >= member.next_start and not member.done:
                member.process = self._start()
                member.started = now
            return
        code = process.poll()
        if code is None:
            return
        member.process = None
        if code == 0 and self._until_done:
            member.done = True
            return
        member.failures = 1 if now - member.started > _STEADY_S else member.failures + 1
        pause = min(_PAUSES_S[0] * 2 ** (member.failures - 1), _PAUSES_S[1])
        member.next_start = now + pause
        log.warning(
            "worker process ended", extra={"worker_pid": process.pid, "code": code, "again_in_s": pause}
        )

    def _start(self) -> subprocess.Popen[bytes]:
        kept = [os.getpid(), int(signal.SIGTERM), self._grace_s]
        keeper = [sys.executable, "-I", "-S", guardian.__file__, *map(str, kept)]
        return subprocess.Popen(
            [*keeper, *self._command], env=self._env, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _end(self) -> int:
        living = [m.process for m in self._members if m.process is not None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self._grace_s + _GUARDIAN_S
        killed = 0
        for process in living:
            try:
                killed += process.wait(max(until - time.monotonic(), 0.0)) == 128 + signal.SIGKILL
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
        return killed


class _Member:
    """One place in the crew."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.started = self.next_start = 0.0
        self.failures = 0
        self.done = False
