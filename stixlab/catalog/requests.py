"""Requests of science data."""

from __future__ import annotations

from datetime import datetime, timedelta

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.model import ScienceRequest

__all__ = ["Requests"]

_LONGEST = timedelta(days=31)
"""No request asks for a longer time; it bounds searches."""


class Requests:
    """Store of `ScienceRequest` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, request_id: str) -> ScienceRequest | None:
        """Request of that id (the text), None if there is none."""
        found = self._collection.get(request_id)
        return None if found is None else from_document(found, ScienceRequest)

    def find(
        self,
        *,
        type: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        origin: str | None = None,
        complete: bool | None = None,
        request_id: int | None = None,
        key: str | None = None,
    ) -> list[ScienceRequest]:
        """Requests whose data touch ``[start, end)``, earliest first; without a range also those of unknown time.

        Parameters
        ----------
        type, origin
            Only requests of this product type, of this origin.
        start, end
            UTC with a zone. Open where None.
        complete
            Only those of which nothing (or something) is missing.
        request_id
            Only those with this number.
        key
            Only those that have this key, as in `RawFile.requests`.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query: Document = {}
        named = (("request_id", request_id), ("keys", key), ("complete", complete))
        query |= {name: value for name, value in named if value is not None}
        begin: Document = {}
        if start is not None:
            begin["$gte"] = truncate(start) - _LONGEST
            query["end"] = {"$gt": truncate(start)}
        if end is not None:
            begin["$lt"] = truncate(end)
        if begin:
            query = {"start": begin} | query
        query |= {name: value for name, value in (("type", type), ("origin", origin)) if value is not None}
        return _in_order([from_document(d, ScienceRequest) for d in self._collection.find(query)])

    def find_incomplete(self, *, sent_from: datetime, sent_until: datetime) -> list[ScienceRequest]:
        """Requests with something missing, some of whose packets were made between two times, both included."""
        query = {
            "complete": False,
            "sent_start": {"$lte": truncate(sent_until)},
            "sent_end": {"$gte": truncate(sent_from)},
        }
        return _in_order([from_document(d, ScienceRequest) for d in self._collection.find(query)])

    def save(self, request: ScienceRequest) -> None:
        """Put a record in the place of the one with its id, if any."""
        self._collection.replace(to_document(request, request.id))

    def delete(self, request_id: str) -> bool:
        """Whether there was such a record."""
        return self._collection.delete({"_id": request_id}) > 0


def _in_order(found: list[ScienceRequest]) -> list[ScienceRequest]:
    """By start of the data, those without one last."""
    return sorted(found, key=lambda r: (r.start is None, r.start or 0, r.id))
