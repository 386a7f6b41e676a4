"""The time by which leases run: that of the database server, so that the clocks of the workers do not matter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

__all__ = ["ServerClock"]

_JUMP_S = 5.0
"""A server's clock that departs from the steady one by more between two questions has been set."""


class ServerClock:
    """Clock of the server, watched for jumps against the steady clock of this process.

    Parameters
    ----------
    ask
        Asks the server, UTC.
    steady
        Seconds that nobody sets.
    """

    def __init__(self, ask: Callable[[], datetime], steady: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._steady = steady
        self._last: tuple[datetime, float] | None = None
        self._jumped_at: float | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """What the server's clock says, UTC.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        began = self._steady()
        told = self._ask()
        with self._lock:
            if self._last is not None:
                before, at = self._last
                waited = self._steady() - began
                apart = (told - before).total_seconds() - (began - at)
                if not -_JUMP_S - waited < apart < _JUMP_S + waited:
                    self._jumped_at = began
            self._last = told, began
        return told

    def was_steady(self, seconds: float) -> bool:
        """Whether no jump was seen for so long; of what was before the first question nothing is known."""
        with self._lock:
            return self._jumped_at is None or self._steady() - self._jumped_at >= seconds
