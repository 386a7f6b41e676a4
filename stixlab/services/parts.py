"""What `stixlab up` consists of: one record for each process that it watches."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["MARK", "Part"]

MARK = "STIXLAB_UP"
"""Variable that all processes below one `stixlab up` inherit: a random name of that run, a dot, the part."""


@dataclass(frozen=True)
class Part:
    """A process with all that descends from it."""

    name: str
    """Letters, digits, hyphens; its log is ``home/log/NAME.log``."""
    command: tuple[str, ...]
    env: Mapping[str, str] | Callable[[], Mapping[str, str]] = field(repr=False)
    """Its whole environment; a function is asked each time the part is started, after those before it are ready."""
    ready: Callable[[], bool] | str | int | None = None
    """How to see that it is ready: a function, a URL that answers below 500, a port of 127.0.0.1; None: it runs."""
    ready_timeout_s: float = 60.0
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 10.0
    """What has not ended then is killed, with all that descends from it."""
    cwd: str | None = None
