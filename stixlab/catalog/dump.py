"""All records as lines of text, and back: for backups. MongoDB's extended JSON, one document a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from bson import json_util
from bson.json_util import CANONICAL_JSON_OPTIONS

from stixlab.catalog.documents import Document
from stixlab.catalog.stores import Catalog
from stixlab.errors import ConflictError, FormatError

__all__ = ["begin_restore", "dump_collection", "end_restore", "load_collection"]

_OPTIONS = CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)
_AT_ONCE = 500
_NOTE = "restore"


def dump_collection(catalog: Catalog, name: str) -> Iterator[bytes]:
    """Lines of a collection, each with its end.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    for document in catalog.collections[name].each():
        yield json_util.dumps(document, json_options=_OPTIONS).encode() + b"\n"


def load_collection(catalog: Catalog, name: str, lines: Iterable[bytes]) -> int:
    """Put the documents of lines in place; the same lines again change nothing.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    FormatError
        If the collection is none of the catalogue's, or a line cannot be read.
    CatalogError, AccessError
        If the database does not answer, or does not allow it.
    """
    if name not in catalog.collections:
        there = ", ".join(catalog.collections)
        raise FormatError(
            f"backup: expected collections {there}; found {name!r}; was it made by a newer version?"
        )
    collection, documents, total = catalog.collections[name], _documents(name, lines), 0
    while some := list(islice(documents, _AT_ONCE)):
        collection.replace_range(some, {"_id": {"$in": []}})
        total += len(some)
    return total


def _documents(name: str, lines: Iterable[bytes]) -> Iterator[Document]:
    for number, line in enumerate(lines, start=1):
        try:
            yield dict(json_util.loads(line, json_options=_OPTIONS))
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(f"backup: {name}, line {number}: expected a document; {error}") from None


def begin_restore(catalog: Catalog, token: str) -> None:
    """Note that the catalogue is being made from a backup.

    Parameters
    ----------
    catalog
    token
        Tells this backup from others.

    Raises
    ------
    ConflictError
        If there is something in the catalogue, unless the same restore was begun and did not end.
    """
    note = catalog.meta.get(_NOTE)
    if note is not None and note["token"] == token:
        return
    for name, collection in catalog.collections.items():
        if next(collection.each(), None) is not None:
            raise ConflictError(
                f"restore: expected an empty catalogue; found records in {name}; restore into a new STIXLAB_HOME"
            )
    catalog.meta.replace({"_id": _NOTE, "token": token})


def end_restore(catalog: Catalog, version: int) -> None:
    """Note that all of a backup is there.

    Parameters
    ----------
    catalog
    version
        Form of its records.
    """
    catalog.set_schema_version(version)
    catalog.meta.delete({"_id": _NOTE})
