"""Which queued runs may begin, and in what order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, truncate
from stixlab.model.run import RunStatus

__all__ = ["Waiting"]

_FIELDS = ("created", "priority", "not_before", "after", "pipeline")
_KNOWN_S = 2.0
"""How long the order of the queue is remembered while there is something in it."""
_LONGEST_S = 15.0
_SHARE = 10
"""At most one part in so many of a worker's time is spent on searching a long queue."""
_AT_ONCE = 500
_GIVEN_UP = {RunStatus.FAILED.value, RunStatus.CANCELLED.value}
_MISSING = timedelta(minutes=1)
"""A run that waits for one that does not exist fails when it is so old; the other may be on its way."""


class Waiting:
    """The queue as this process last saw it. One search hands out many ids.

    Parameters
    ----------
    collection
        Of the runs.
    fail
        Called with a document and a reason when what a run waits for will not come.
    """

    def __init__(self, collection: Collection, fail: Callable[[Document, str], None]) -> None:
        self._collection = collection
        self._fail = fail
        self._ids: deque[str] = deque()
        self._awaited: set[str] = set()
        self._pipelines: tuple[str, ...] = ()
        self._looked = self._cost = -1e9
        self._lock = threading.Lock()

    def forget(self) -> None:
        """The queue was changed here: look again when next asked."""
        with self._lock:
            self._looked = self._cost = -1e9

    def ended(self, run_id: str) -> None:
        """A run has ended: look again when next asked, if another one waits for it."""
        if run_id in self._awaited:
            self.forget()

    def ids(self, now: datetime, pipelines: tuple[str, ...] = ()) -> Iterator[str]:
        """Ids of runs that may begin, first those of higher priority, then the longest waiting.

        Each is handed out once until the queue is searched anew.
        """
        searched = False
        while True:
            with self._lock:
                if pipelines != self._pipelines or self._is_due(few=not self._ids):
                    if not searched:
                        self._search(now, pipelines)
                    searched = True
                if not self._ids:
                    return
                found = self._ids.popleft()
            yield found

    def _is_due(self, *, few: bool) -> bool:
        pause = max(0.0 if few else _KNOWN_S, min(_SHARE * self._cost, _LONGEST_S))
        return time.monotonic() - self._looked >= pause

    def _search(self, now: datetime, pipelines: tuple[str, ...]) -> None:
        began = time.monotonic()
        query: Document = {"status": RunStatus.QUEUED.value}
        query |= {"pipeline": {"$in": list(pipelines)}} if pipelines else {}
        found = self._collection.find(query, _FIELDS)
        self._ids = deque(d["_id"] for d in self.ready(found, now))
        self._awaited = {name for d in found for name in d.get("after", ())}
        self._pipelines = pipelines
        self._looked = time.monotonic()
        self._cost = self._looked - began

    def ready(self, documents: Iterable[Document], now: datetime) -> list[Document]:
        """Those that may begin, in order; one that waits for what failed is failed itself.

        Parameters
        ----------
        documents
            Of queued runs.
        now
            By the clock of the server.
        """
        ordered = sorted(documents, key=lambda d: (-d.get("priority", 0), d["created"], d["_id"]))
        before = self._states({name for d in ordered for name in d.get("after", ())})
        found = []
        for document in ordered:
            wait = document.get("not_before")
            reason = self._hopeless(document, before, now)
            if reason:
                self._fail(document, reason)
                before[document["_id"]] = {"status": RunStatus.FAILED.value, "error": reason}
            elif (wait is None or wait <= now) and all(
                before[name]["status"] == RunStatus.SUCCEEDED.value for name in document.get("after", ())
            ):
                found.append(document)
        return found

    def _states(self, names: set[str]) -> dict[str, Document]:
        ids = sorted(names)
        states: dict[str, Document] = {name: {"status": ""} for name in ids}
        for first in range(0, len(ids), _AT_ONCE):
            query = {"_id": {"$in": ids[first : first + _AT_ONCE]}}
            states |= {d["_id"]: d for d in self._collection.find(query, ("status", "error"))}
        return states

    def _hopeless(self, document: Document, before: dict[str, Document], now: datetime) -> str:
        """Why what a run waits for will not come; empty while it may."""
        for name in document.get("after", ()):
            status = before[name]["status"]
            if status in _GIVEN_UP:
                why = before[name].get("error") or "no reason was kept"
                return f"not begun: run {name}, which has to succeed before, is {status}: {why}"
            if not status and truncate(now) - document["created"] > _MISSING:
                return f"not begun: run {name}, which has to succeed before, is not in the catalogue; ask for both again"
        return ""
