"""A catalogue to try changes on: reads another one, keeps what is written to itself, and can tell what that was."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from stixlab.catalog.collections import Collection, Query
from stixlab.catalog.documents import Document
from stixlab.catalog.memory import MemoryCollection
from stixlab.catalog.stores import Catalog

__all__ = ["StagedCatalog", "StagedCollection", "document_digest"]


def document_digest(document: Document | None) -> str:
    """Hash of a document as it is stored; empty if there is none."""
    if document is None:
        return ""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=_as_text)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _as_text(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"expected plain values in a document; found {type(value).__name__}")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


class StagedCollection:
    """`stixlab.catalog.collections.Collection` over another one, which is only read.

    Parameters
    ----------
    base
        What is there.
    """

    def __init__(self, base: Collection) -> None:
        self._base = base
        self._own = MemoryCollection()
        self._gone: set[str] = set()
        self._seen: dict[str, str] = {}

    @property
    def changed(self) -> dict[str, Document]:
        """Documents that were put here, by id."""
        return {d["_id"]: d for d in self._own.each()}

    @property
    def removed(self) -> set[str]:
        """Ids of documents of the base that were deleted here."""
        return set(self._gone)

    def before(self, identity: str) -> str:
        """`document_digest` of what the base held when it was first read here; empty if there was none."""
        return self._seen.get(identity, "")

    def get(self, identity: str) -> Document | None:
        """Document of that id, None if there is none."""
        own = self._own.get(identity)
        if own is not None or identity in self._gone:
            return own
        return self._note(self._base.get(identity))

    def find(self, query: Query, fields: Sequence[str] = ()) -> list[Document]:
        """Documents that match, in no order; only the named fields if any are named."""
        own = self.changed
        found = [d for d in self._base.find(query, fields) if d["_id"] not in own]
        found = [d for d in found if d["_id"] not in self._gone]
        if not fields:
            for document in found:
                self._note(document)
        return found + self._own.find(query, fields)

    def each(self) -> Iterator[Document]:
        """All documents, one after the other."""
        own = self.changed
        yield from (d for d in self._base.each() if d["_id"] not in own and d["_id"] not in self._gone)
        yield from own.values()

    def insert(self, document: Document) -> bool:
        """Whether it was added."""
        if self.get(document["_id"]) is not None:
            return False
        self.replace(document)
        return True

    def replace(self, document: Document) -> None:
        """Put a whole document in place."""
        self._gone.discard(document["_id"])
        self._own.replace(document)

    def replace_range(self, documents: Sequence[Document], stale: Query) -> None:
        """Put all documents in place, then delete what matches `stale`."""
        for document in documents:
            self.replace(document)
        self.delete(stale)

    def swap(self, query: Query, document: Document) -> bool:
        """Put a whole document in the place of one that matches."""
        if not self.find(query):
            return False
        self.replace(document)
        return True

    def update(self, query: Query, change: Query, *, upsert: bool = False) -> Document | None:
        """Change one document that matches."""
        found = next(iter(self.find(query)), None)
        if found is not None:
            self.replace(found)
            return self._own.update({"_id": found["_id"]}, change)
        if not upsert:
            return None
        self._gone.discard(query["_id"])
        return self._own.update(query, change, upsert=True)

    def insert_new(self, documents: Sequence[Document]) -> set[str]:
        """Add all whose id is free; the ids that were added."""
        return {d["_id"] for d in documents if self.insert(d)}

    def change(self, query: Query, change: Query) -> bool:
        """Change one document that matches; whether one did."""
        return self.update(query, change) is not None

    def count_by(self, field: str, query: Query) -> dict[Any, int]:
        """How many documents that match have each value of a field."""
        return dict(Counter(d.get(field) for d in self.find(query)))

    def now(self) -> datetime:
        """What the clock of the server says, UTC."""
        return self._base.now()

    def delete(self, query: Query) -> int:
        """How many documents were deleted."""
        stale = [d["_id"] for d in self.find(query)]
        for identity in stale:
            self._own.delete({"_id": identity})
            if self._base.get(identity) is not None:
                self._gone.add(identity)
        return len(stale)

    def index(self, *fields: str) -> None:
        """Nothing: the base has its own."""

    def _note(self, document: Document | None) -> Document | None:
        if document is not None:
            self._seen.setdefault(document["_id"], document_digest(document))
        return document


class StagedCatalog(Catalog):
    """Stores over a catalogue that is only read; what is saved or deleted is seen here and nowhere else.

    Parameters
    ----------
    base
        What is there.
    """

    def __init__(self, base: Any) -> None:
        self.staged: dict[str, StagedCollection] = {}
        """The collections, by name."""

        def collection(name: str) -> StagedCollection:
            given = base.meta if name == "meta" else base.collections[name]
            return self.staged.setdefault(name, StagedCollection(given))

        super().__init__(collection, writable=True)

    @property
    def changes(self) -> dict[str, tuple[dict[str, Document], set[str]]]:
        """What was saved and what was deleted, by collection; only those in which anything was."""
        found = {n: (c.changed, c.removed) for n, c in self.staged.items()}
        return {n: c for n, c in found.items() if any(c)}
