"""Files as received, by the hash of their content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.model import RawFile

__all__ = ["RawFiles"]

_BRIEF = tuple(f.name for f in fields(RawFile) if f.name not in {"report", "days"})
_LONGEST = timedelta(days=14)
"""Files of a longer span are marked and searched apart, so that the others are found by where they start."""


class RawFiles:
    """Store of `RawFile` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, sha256: str) -> RawFile | None:
        """File of that content, None if it never arrived."""
        found = self._collection.get(sha256)
        return None if found is None else from_document(found, RawFile)

    def get_many(self, hashes: Iterable[str]) -> dict[str, RawFile]:
        """Those of the files that there are, by hash; reports and days left out."""
        found = self._collection.find({"_id": {"$in": sorted(set(hashes))}}, _BRIEF)
        return {d["_id"]: from_document(d, RawFile) for d in found}

    def find(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kind: str | None = None,
        origin: str | None = None,
        processed: bool | None = None,
        brief: bool = False,
    ) -> list[RawFile]:
        """Files with packets within ``[start, end)``, earliest first; without a range also those that hold none.

        Parameters
        ----------
        start, end
            UTC with a zone. Open where None.
        kind, origin
            Only files of this kind, of this origin.
        processed
            Only files whose products have (or have not) all been made.
        brief
            Leave out decode report and days: they are most of a record, and whoever looks through many has no use for
            them.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        named = (("kind", kind), ("origin", origin), ("processed", processed))
        fixed = {name: value for name, value in named if value is not None}
        wanted = _BRIEF if brief else ()
        documents = {
            d["_id"]: d
            for query in _in_range(start, end)
            for d in self._collection.find(query | fixed, wanted)
        }
        found = [from_document(d, RawFile) for d in documents.values()]
        return sorted(found, key=lambda f: (f.start or f.received, f.sha256))

    def with_requests(self, keys: Iterable[str]) -> list[RawFile]:
        """Files that have packets of one of these data requests (`RawFile.requests`), reports left out; by hash."""
        found = self._collection.find({"requests": {"$in": sorted(keys)}}, _BRIEF)
        return sorted((from_document(d, RawFile) for d in found), key=lambda f: f.sha256)

    def save(self, raw_file: RawFile) -> None:
        """Put a record in the place of the one with its hash, if any."""
        document = to_document(raw_file, raw_file.sha256)
        if raw_file.start is not None and raw_file.end is not None:
            document["long"] = raw_file.end - raw_file.start > _LONGEST
        self._collection.replace(document)

    def delete(self, sha256: str) -> bool:
        """Whether there was such a record."""
        return self._collection.delete({"_id": sha256}) > 0


def _in_range(start: datetime | None, end: datetime | None) -> list[Document]:
    """Queries that together give the files with packets within ``[start, end)``."""
    before = {} if end is None else {"$lt": truncate(end)}
    if start is None:
        return [{"start": before} if before else {}]
    touches = {"end": {"$gte": truncate(start)}}
    recent = {"start": {"$gte": truncate(start) - _LONGEST} | before} | touches
    return [recent, {"long": True} | touches | ({"start": before} if before else {})]
