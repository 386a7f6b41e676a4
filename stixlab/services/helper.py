"""A command of stixlab that runs beside another one, and ends with it."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from pathlib import Path
from typing import Self

from stixlab.errors import ServiceError
from stixlab.services.parts import Part
from stixlab.services.state import read_state
from stixlab.services.watched import Watched

__all__ = ["Helper"]

log = logging.getLogger(__name__)


class Helper:
    """Runs a command of stixlab, unless a `stixlab up` of the same home does.

    Parameters
    ----------
    command
        Such as ``worker``.
    home
        Folder of the installation.
    """

    def __init__(self, command: str, home: Path) -> None:
        self.home = home
        part = Part(command, (sys.executable, "-m", "stixlab.cli", command), env=dict(os.environ))
        self._watched = Watched(part, home / "log" / f"{command}.log")
        self._mark = secrets.token_hex(8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ensure(self) -> None:
        """See to it that it runs; if that cannot be, what it would have done waits for the next that does."""
        if self._watched.runs() or read_state(self.home) is not None:
            return
        try:
            self._watched.launch(self._mark)
        except ServiceError as error:
            log.warning("not started", extra={"command": self._watched.part.name, "error": error.message})

    def end(self) -> None:
        """End it with all that descends from it; also safe twice."""
        if self._watched.runs():
            self._watched.end(self._mark, lambda: False)
