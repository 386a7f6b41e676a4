"""Where the answers come from: the lab, and what is worth keeping for a few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Request

if TYPE_CHECKING:
    from stixlab.client.lab import Lab
    from stixlab.settings import Settings

__all__ = ["Source", "TheSource"]

T = TypeVar("T")


class Source:
    """The lab, connected when first needed.

    Parameters
    ----------
    lab
        The lab, or a function that connects to it.
    settings
        Of this installation.
    """

    def __init__(self, lab: Lab | Callable[[], Lab], settings: Settings) -> None:
        self.settings = settings
        self._lab = lab
        self._connecting = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, threading.Lock] = {}

    @property
    def lab(self) -> Lab:
        """The lab.

        Raises
        ------
        StixlabError
            If the database or the archive cannot be reached; the next call tries again.
        """
        with self._connecting:
            if callable(self._lab):
                self._lab = self._lab()
            return self._lab

    def kept(self, name: str, make: Callable[[], T], *, for_s: float) -> T:
        """What `make` gave within the last `for_s` seconds; made once for all who wait for it."""
        lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            made, value = self._kept.get(name, (float("-inf"), None))
            if time.monotonic() - made > for_s:
                value = make()
                self._kept[name] = (time.monotonic(), value)
            return value  # type: ignore[no-any-return]


def _source(request: Request) -> Source:
    source = request.app.state.source
    assert isinstance(source, Source)
    return source


TheSource = Annotated[Source, Depends(_source)]
"""Argument of a route that is the source of the application."""
