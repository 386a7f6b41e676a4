"""The same stores without a server: for tests and for what need not last."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.catalog.collections import Query
from stixlab.catalog.documents import Document
from stixlab.catalog.stores import Catalog
from stixlab.errors import AccessError

__all__ = ["MemoryCatalog", "MemoryCollection"]

_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$gte": lambda value, bound: value is not None and value >= bound,
    "$gt": lambda value, bound: value is not None and value > bound,
    "$lte": lambda value, bound: value is not None and value <= bound,
    "$lt": lambda value, bound: value is not None and value < bound,
    "$in": lambda value, choice: value in choice,
}


class MemoryCollection:
    """`stixlab.catalog.collections.Collection` as a dictionary under a lock."""

    def __init__(self, *, writable: bool = True) -> None:
        self._documents: dict[str, Document] = {}
        self._lock = threading.RLock()
        self._writable = writable
        self._began = datetime.now(UTC), time.monotonic()

    def get(self, identity: str) -> Document | None:
        """Document of that id, None if there is none."""
        with self._lock:
            return copy.deepcopy(self._documents.get(identity))

    def find(self, query: Query, fields: Sequence[str] = ()) -> list[Document]:
        """Documents that match, in no order."""
        with self._lock:
            found = [copy.deepcopy(d) for d in self._documents.values() if _matches(d, query)]
        if not fields:
            return found
        return [{k: v for k, v in d.items() if k == "_id" or k in fields} for d in found]

    def each(self) -> Iterator[Document]:
        """All documents, one after the other."""
        yield from self.find({})

    def insert(self, document: Document) -> bool:
        """Whether it was added."""
        with self._writing():
            if document["_id"] in self._documents:
                return False
            self._documents[document["_id"]] = copy.deepcopy(document)
            return True

    def replace(self, document: Document) -> None:
        """Put a whole document in place."""
        with self._writing():
            self._documents[document["_id"]] = copy.deepcopy(document)

    def replace_range(self, documents: Sequence[Document], stale: Query) -> None:
        """Put all documents in place, then delete what matches `stale`."""
        with self._writing():
            for document in documents:
                self.replace(document)
            self.delete(stale)

    def swap(self, query: Query, document: Document) -> bool:
        """Put a whole document in the place of one that matches."""
        with self._writing():
            if not any(_matches(d, query) for d in self._documents.values()):
                return False
            self.replace(document)
            return True

    def update(self, query: Query, change: Query, *, upsert: bool = False) -> Document | None:
        """Change one document that matches."""
        with self._writing():
            found = next((d for d in self._documents.values() if _matches(d, query)), None)
            new = found is None
            if found is None:
                if not upsert:
                    return None
                found = self._documents.setdefault(query["_id"], {"_id": query["_id"]})
            _apply(found, change, new=new)
            return copy.deepcopy(found)

    def insert_new(self, documents: Sequence[Document]) -> set[str]:
        """Add all whose id is free."""
        with self._writing():
            return {d["_id"] for d in documents if self.insert(d)}

    def change(self, query: Query, change: Query) -> bool:
        """Change one document that matches; whether one did."""
        return self.update(query, change) is not None

    def count_by(self, field: str, query: Query) -> dict[Any, int]:
        """How many documents that match have each value of a field."""
        return dict(Counter(d.get(field) for d in self.find(query)))

    def now(self) -> datetime:
        """The time since this was made, added to that of the clock then: as steady as a server's."""
        began, at = self._began
        return began + timedelta(seconds=time.monotonic() - at)

    def delete(self, query: Query) -> int:
        """How many documents were deleted."""
        with self._writing():
            stale = [i for i, d in self._documents.items() if _matches(d, query)]
            for identity in stale:
                del self._documents[identity]
            return len(stale)

    def index(self, *fields: str) -> None:
        """Nothing: all is in memory."""

    def _writing(self) -> threading.RLock:
        if not self._writable:
            raise AccessError("catalogue: this process may only read; an operator's process may write")
        return self._lock


def _matches(document: Document, query: Query) -> bool:
    for name, wanted in query.items():
        value = document.get(name)
        each = value if isinstance(value, list) else [value]
        if isinstance(wanted, Mapping):
            if not all(any(_TESTS[test](v, bound) for v in each) for test, bound in wanted.items()):
                return False
        elif value != wanted and wanted not in each:
            return False
    return True


def _apply(document: Document, change: Query, *, new: bool) -> None:
    for name, value in change.get("$setOnInsert", {}).items() if new else ():
        document[name] = copy.deepcopy(value)
    for name, value in change.get("$set", {}).items():
        document[name] = copy.deepcopy(value)
    for name, value in change.get("$inc", {}).items():
        document[name] = document.get(name, 0) + value
    for name, value in change.get("$max", {}).items():
        document[name] = max(document.get(name, value), value)


class MemoryCatalog(Catalog):
    """Stores that end with the process."""

    def __init__(self, *, writable: bool = True) -> None:
        super().__init__(lambda _: MemoryCollection(writable=writable), writable=writable)
