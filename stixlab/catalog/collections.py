"""What the stores ask of a collection of documents, and a collection on a MongoDB server.

The stores are written once, over `Collection`; `stixlab.catalog.memory` offers the same without a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from pymongo import ReturnDocument
from pymongo.collection import Collection as PymongoCollection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.operations import DeleteMany, ReplaceOne

from stixlab.catalog.connect import catalog_error
from stixlab.catalog.documents import Document
from stixlab.errors import AccessError

__all__ = ["Collection", "MongoCollection"]

Query = Mapping[str, Any]
Answer = TypeVar("Answer")
_TAKEN = 11000
"""Code of the server for an id that is taken."""


class Collection(Protocol):
    """Documents by ``_id``. Queries know equality and ``$gte $gt $lte $lt $in``; updates ``$set $inc $max $setOnInsert``.

    A list matches what one of its elements matches.
    """

    def get(self, identity: str) -> Document | None:
        """Document of that id, None if there is none."""

    def find(self, query: Query, fields: Sequence[str] = ()) -> list[Document]:
        """Documents that match, in no order; only the named fields if any are named."""

    def each(self) -> Iterator[Document]:
        """All documents, one after the other, in no order; not all of them in memory."""

    def insert(self, document: Document) -> bool:
        """Whether it was added; False if the id is taken."""

    def replace(self, document: Document) -> None:
        """Put a whole document in the place of the one with its id, if any."""

    def replace_range(self, documents: Sequence[Document], stale: Query) -> None:
        """Put all documents in place, then delete what matches `stale`: in this order."""

    def swap(self, query: Query, document: Document) -> bool:
        """Put a whole document in the place of one that matches; False if none does. Atomic."""

    def update(self, query: Query, change: Query, *, upsert: bool = False) -> Document | None:
        """Change one document that matches and return it as it is now. Atomic."""

    def insert_new(self, documents: Sequence[Document]) -> set[str]:
        """Add all whose id is free, in one go; the ids that were added."""

    def change(self, query: Query, change: Query) -> bool:
        """Change one document that matches; whether one did. Atomic, and much quicker than `update`."""

    def count_by(self, field: str, query: Query) -> dict[Any, int]:
        """How many documents that match have each value of a field."""

    def now(self) -> datetime:
        """What the clock of the server says, UTC."""

    def delete(self, query: Query) -> int:
        """How many documents were deleted."""

    def index(self, *fields: str) -> None:
        """Keep an ascending index on these fields."""


class MongoCollection:
    """A collection on a MongoDB server, its errors told in our terms.

    What is safe to repeat is repeated once when the connection was lost under it (a server that was
    restarted); the rest is not, since it may have been done.
    """

    def __init__(self, collection: PymongoCollection[Document], *, writable: bool) -> None:
        self._collection = collection
        self._writable = writable

    def get(self, identity: str) -> Document | None:
        """Document of that id, None if there is none."""
        return self._ask("get", lambda: self._collection.find_one({"_id": identity}))

    def find(self, query: Query, fields: Sequence[str] = ()) -> list[Document]:
        """Documents that match, in no order."""
        wanted = dict.fromkeys(fields, 1) if fields else None
        return self._ask("find", lambda: list(self._collection.find(query, wanted)))

    def each(self) -> Iterator[Document]:
        """All documents, one after the other."""
        cursor = self._ask("find", lambda: self._collection.find({}))
        while True:
            document = self._ask("find", lambda: next(cursor, None), repeat=False)
            if document is None:
                return
            yield document

    def insert(self, document: Document) -> bool:
        """Whether it was added."""
        self._check_writable("insert")
        try:
            self._ask("insert", lambda: self._collection.insert_one(document), repeat=False)
        except _TakenError:
            return False
        return True

    def replace(self, document: Document) -> None:
        """Put a whole document in place."""
        self._check_writable("replace")
        query = {"_id": document["_id"]}
        self._ask("replace", lambda: self._collection.replace_one(query, document, upsert=True))

    def replace_range(self, documents: Sequence[Document], stale: Query) -> None:
        """Put all documents in place, then delete what matches `stale`."""
        self._check_writable("replace")
        steps: list[ReplaceOne[Document] | DeleteMany] = [
            ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents
        ]
        steps.append(DeleteMany(stale))
        self._ask("replace", lambda: self._collection.bulk_write(steps, ordered=True))

    def swap(self, query: Query, document: Document) -> bool:
        """Put a whole document in the place of one that matches."""
        self._check_writable("swap")
        done = self._ask("swap", lambda: self._collection.replace_one(query, document), repeat=False)
        return done.matched_count > 0

    def update(self, query: Query, change: Query, *, upsert: bool = False) -> Document | None:
        """Change one document that matches."""
        self._check_writable("update")
        return self._ask(
            "update",
            lambda: self._collection.find_one_and_update(
                query, change, upsert=upsert, return_document=ReturnDocument.AFTER
            ),
            repeat=False,
        )

    def insert_new(self, documents: Sequence[Document]) -> set[str]:
        """Add all whose id is free, in one go."""
        self._check_writable("insert")
        added = {d["_id"] for d in documents}
        if not added:
            return added

        def insert() -> set[int]:
            try:
                self._collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                failures = (error.details or {}).get("writeErrors", [])
                if not failures or any(f["code"] != _TAKEN for f in failures):
                    raise
                return {f["index"] for f in failures}
            return set()

        return added - {documents[i]["_id"] for i in self._ask("insert", insert, repeat=False)}

    def change(self, query: Query, change: Query) -> bool:
        """Change one document that matches; whether one did."""
        self._check_writable("change")
        done = self._ask("change", lambda: self._collection.update_one(query, change), repeat=False)
        return done.matched_count > 0

    def count_by(self, field: str, query: Query) -> dict[Any, int]:
        """How many documents that match have each value of a field."""
        steps: list[Document] = [
            {"$match": dict(query)},
            {"$group": {"_id": f"${field}", "count": {"$sum": 1}}},
        ]
        groups = self._ask("count", lambda: list(self._collection.aggregate(steps)))
        return {g["_id"]: g["count"] for g in groups}

    def now(self) -> datetime:
        """What the clock of the server says, UTC."""
        told: datetime = self._ask("hello", lambda: self._collection.database.command("hello"))["localTime"]
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)

    def delete(self, query: Query) -> int:
        """How many documents were deleted."""
        self._check_writable("delete")
        return self._ask("delete", lambda: self._collection.delete_many(query)).deleted_count

    def index(self, *fields: str) -> None:
        """Keep an ascending index on these fields."""
        self._check_writable("index")
        self._ask("index", lambda: self._collection.create_index([(f, 1) for f in fields]))

    def _check_writable(self, verb: str) -> None:
        if not self._writable:
            raise AccessError(
                f"catalogue, {verb} in {self._collection.name}: this process may only read; "
                "an operator's process (STIXLAB_ACCESS=operator) may write"
            )

    def _ask(self, verb: str, question: Callable[[], Answer], *, repeat: bool = True) -> Answer:
        what = f"{verb} in {self._collection.name}"
        try:
            try:
                return question()
            except AutoReconnect as error:
                if not repeat or isinstance(error, ServerSelectionTimeoutError):
                    raise
                return question()
        except DuplicateKeyError:
            raise _TakenError from None
        except PyMongoError as error:
            raise catalog_error(error, self._collection.database.client, what) from error


class _TakenError(Exception):
    """The id of a document to be added is taken."""
