"""Events of the operating system that tell where to look in a watched folder; without them all goes on, a little later."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Wakeups"]

log = logging.getLogger(__name__)

_RETRY_S = 10.0
_GATHER_MS = 200
_STEP_MS = 50
_TIMEOUT_MS = 1_000
_MAX_HINTS = 1_000
"""With more to look at, a look through the folder is as quick."""


class Wakeups:
    """Collects the paths below a folder where something happened, in a thread of its own.

    Parameters
    ----------
    root
        The folder.
    wake
        Called when there is something to look at.
    """

    def __init__(self, root: Path, wake: Callable[[], None]) -> None:
        self.root = root
        self._wake = wake
        self._lock = threading.Lock()
        self._hints: set[str] = set()
        self._again = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"events {root.name}", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def renew(self) -> None:
        """Listen anew: the folder is not the one it was."""
        self._again.set()

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()
        self._again.set()

    def take(self) -> list[str] | None:
        """Paths to look at since the last call; None if they are too many to tell."""
        with self._lock:
            found, self._hints = self._hints, set()
        return sorted(found) if len(found) < _MAX_HINTS else None

    def _run(self) -> None:
        try:
            import watchfiles
        except ImportError:
            log.info("no events of the file system, looking at intervals")
            return
        while not self._stopped.is_set():
            self._again.clear()
            try:
                # asked here, since what may not be read is passed over below, and what is not there with it
                self.root.stat()
                for changes in watchfiles.watch(
                    self.root,
                    watch_filter=None,
                    debounce=_GATHER_MS,
                    step=_STEP_MS,
                    stop_event=self._again,
                    rust_timeout=_TIMEOUT_MS,
                    raise_interrupt=False,
                    force_polling=False,
                    ignore_permission_denied=True,
                ):
                    with self._lock:
                        if len(self._hints) < _MAX_HINTS:
                            self._hints |= {path for _, path in changes}
                    self._wake()
            except (OSError, RuntimeError) as error:  # no such folder, or no more of what the system has
                log.info("no events of the file system", extra={"folder": self.root, "error": str(error)})
                self._again.wait(_RETRY_S)
