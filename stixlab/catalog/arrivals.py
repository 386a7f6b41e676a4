"""Files that arrived in watched folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.model import Arrival, ArrivalStatus

__all__ = ["Arrivals"]


class Arrivals:
    """Store of `Arrival` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, arrival_id: str) -> Arrival | None:
        """Arrival of that id, None if there is none."""
        found = self._collection.get(arrival_id)
        return None if found is None else from_document(found, Arrival)

    def find(
        self,
        *,
        status: ArrivalStatus | str | Sequence[ArrivalStatus | str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        folder: str | None = None,
        limit: int = 0,
    ) -> list[Arrival]:
        """Arrivals first seen within ``[start, end)``, newest first.

        Parameters
        ----------
        status
            Only arrivals of this status, or of one of these.
        start, end
            UTC with a zone. Open where None.
        folder
            Only what arrived in this folder.
        limit
            At most so many, 0 for all.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query: Document = {}
        if isinstance(status, str):
            query["status"] = str(status)
        elif status is not None:
            query["status"] = {"$in": [str(s) for s in status]}
        bounds: Document = {} if start is None else {"$gte": truncate(start)}
        bounds |= {} if end is None else {"$lt": truncate(end)}
        if bounds:
            query = {"first_seen": bounds} | query
        if folder is not None:
            query["folder"] = folder
        found = [from_document(d, Arrival) for d in self._collection.find(query)]
        found.sort(key=lambda a: (a.first_seen, a.path, a.arrival_id), reverse=True)
        return found[:limit] if limit else found

    def save(self, arrivals: Iterable[Arrival], *, drop: Iterable[str] = ()) -> None:
        """Put records in the places of those with their ids, then delete those of the ids in `drop`.

        Raises
        ------
        CatalogError
            If the database does not answer; the same call again makes it good.
        """
        documents = [to_document(a, a.arrival_id) for a in arrivals]
        self._collection.replace_range(documents, {"_id": {"$in": sorted(drop)}})

    def delete(self, arrival_id: str) -> bool:
        """Whether there was such a record."""
        return self._collection.delete({"_id": arrival_id}) > 0
