"""The catalogue: one store for each kind of record, on a MongoDB server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pymongo.database import Database

from stixlab.catalog.arrivals import Arrivals
from stixlab.catalog.audit import AuditTrail
from stixlab.catalog.collections import Collection, MongoCollection
from stixlab.catalog.documents import Document
from stixlab.catalog.flares import Flares
from stixlab.catalog.products import Products, mark_long
from stixlab.catalog.raw_files import RawFiles
from stixlab.catalog.requests import Requests
from stixlab.catalog.runs import Runs
from stixlab.catalog.telecommands import Telecommands
from stixlab.errors import CatalogError

__all__ = ["COLLECTIONS", "SCHEMA_VERSION", "Catalog", "MongoCatalog"]

# The embedded server takes the index of the first field of a query that has one; so the stores name times
# first, and no index has more than one field.
_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "raw_files": (("start",), ("long",), ("requests",)),
    "products": (("start",), ("type",), ("request",), ("request_id",), ("long",)),
    "flares": (("peak",),),
    "runs": (("status",), ("created",), ("batch",)),
    "requests": (("start",), ("keys",), ("request_id",), ("complete",)),
    "telecommands": (("time",), ("sequence_count",), ("unique_id",)),
    "arrivals": (("status",), ("first_seen",)),
    "audit": (("time",), ("subject",)),
}
COLLECTIONS = (*_INDEXES, "newest")
"""Names of the collections of records."""
SCHEMA_VERSION = 2
"""Form of the records that this version of the package writes: counts up when old ones must be made again."""
_INDEX_VERSION = 6
"""Counts up when `_INDEXES` changes; a catalogue with a lower one gets the new ones."""


class Catalog:
    """Stores of records, over collections of documents.

    Parameters
    ----------
    collection
        Gives the collection of a name.
    writable
        Whether this process may write.
    """

    def __init__(self, collection: Callable[[str], Collection], *, writable: bool) -> None:
        self.writable = writable
        self.meta = collection("meta")
        """What the catalogue tells about itself."""
        self.collections = {name: collection(name) for name in COLLECTIONS}
        """All records, as documents, by the name of their collection."""
        named = self.collections
        self.raw_files = RawFiles(named["raw_files"])
        self.products = Products(named["products"], named["newest"])
        self.flares = Flares(named["flares"])
        self.runs = Runs(named["runs"])
        self.requests = Requests(named["requests"])
        self.telecommands = Telecommands(named["telecommands"])
        self.arrivals = Arrivals(named["arrivals"])
        self.audit = AuditTrail(named["audit"])

    @property
    def schema_version(self) -> int:
        """Form in which the records are; 1 for catalogues that do not tell."""
        note = self.meta.get("schema")
        return (
            SCHEMA_VERSION
            if note is None and self.meta.get("indexes") is None
            else (note or {"version": 1})["version"]
        )

    def set_schema_version(self, version: int) -> None:
        """Note that all records are in this form now."""
        self.meta.replace({"_id": "schema", "version": version})

    @property
    def database(self) -> Any:
        """The pymongo database, None where there is no server."""
        return None

    def close(self) -> None:
        """Let go of the server, if there is one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MongoCatalog(Catalog):
    """Stores on a MongoDB server.

    Parameters
    ----------
    database
        From `stixlab.catalog.connect_database`.
    writable
        Whether to offer writing. That a reader cannot write is the database user's role to see to; this
        only tells it sooner and better. The first writer makes the indexes.

    Raises
    ------
    CatalogError
        If the database does not answer.
    AccessError
        If writing was asked for and the database user may not.
    """

    def __init__(self, database: Database[Document], *, writable: bool) -> None:
        self._database = database

        def collection(name: str) -> MongoCollection:
            return MongoCollection(database[name], writable=writable)

        super().__init__(collection, writable=writable)
        self._check_schema()
        if writable:
            _make_indexes(collection)

    def _check_schema(self) -> None:
        note = self.meta.get("schema")
        if note is not None and note["version"] > SCHEMA_VERSION:
            raise CatalogError(
                f"catalogue: expected records of form {SCHEMA_VERSION} or older; found {note['version']}; it was written by"
                " a newer version of stixlab: install that"
            )

    @property
    def database(self) -> Database[Document]:
        """The pymongo database, with the rights of the user that the URI names."""
        return self._database

    def close(self) -> None:
        """Close the connections."""
        self._database.client.close()


def _make_indexes(collection: Callable[[str], Collection]) -> None:
    note = collection("meta").get("indexes")
    if note is not None and note["version"] >= _INDEX_VERSION:
        return
    for name, indexes in _INDEXES.items():
        for fields in indexes:
            collection(name).index(*fields)
    if note is not None:
        mark_long(collection("products"))
    else:  # a catalogue that is new
        collection("meta").replace({"_id": "schema", "version": SCHEMA_VERSION})
    collection("meta").replace({"_id": "indexes", "version": _INDEX_VERSION})
