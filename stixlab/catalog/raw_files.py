"""Files as received, by the hash of their content."""

from __future__ import annotations

from datetime import datetime

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.model import RawFile

__all__ = ["RawFiles"]


class RawFiles:
    """Store of `RawFile` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, sha256: str) -> RawFile | None:
        """File of that content, None if it never arrived."""
        found = self._collection.get(sha256)
        return None if found is None else from_document(found, RawFile)

    def find(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kind: str | None = None,
        origin: str | None = None,
        processed: bool | None = None,
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

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query: Document = {}
        if end is not None:
            query["start"] = {"$lt": truncate(end)}
        if start is not None:
            query["end"] = {"$gte": truncate(start)}
        for name, value in (("kind", kind), ("origin", origin), ("processed", processed)):
            if value is not None:
                query[name] = value
        found = [from_document(d, RawFile) for d in self._collection.find(query)]
        return sorted(found, key=lambda f: (f.start or f.received, f.sha256))

    def save(self, raw_file: RawFile) -> None:
        """Put a record in the place of the one with its hash, if any."""
        self._collection.replace(to_document(raw_file, raw_file.sha256))

    def delete(self, sha256: str) -> bool:
        """Whether there was such a record."""
        return self._collection.delete({"_id": sha256}) > 0
