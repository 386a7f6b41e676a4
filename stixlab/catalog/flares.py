"""The flare list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.errors import SchemaError
from stixlab.model import Flare
from stixlab.vocabulary import FLIGHT, ORIGINS

__all__ = ["Flares"]


class Flares:
    """Store of `Flare` records; a flare is known by its id and its origin."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, flare_id: str, origin: str = FLIGHT) -> Flare | None:
        """Flare of that id, None if there is none."""
        found = self._collection.get(_identity(flare_id, origin))
        return None if found is None else from_document(found, Flare)

    def of_all_origins(self, flare_id: str) -> list[Flare]:
        """Flares of that id, at most one of each origin, in the order of `stixlab.vocabulary.ORIGINS`.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        names = [_identity(flare_id, origin) for origin in ORIGINS]
        found = {d["_id"]: from_document(d, Flare) for d in self._collection.find({"_id": {"$in": names}})}
        return [found[name] for name in names if name in found]

    def find(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        min_counts: float = 0.0,
        origin: str | None = None,
    ) -> list[Flare]:
        """Flares whose peak lies in ``[start, end)``, earliest peak first.

        Parameters
        ----------
        start, end
            UTC with a zone. Open where None.
        min_counts
            Least `Flare.peak_counts`, per bin of 4 s.
        origin
            Only flares of this origin.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query = _peak_within(start, end)
        if origin is not None:
            query["origin"] = origin
        if min_counts > 0:
            query["peak_counts"] = {"$gte": float(min_counts)}
        found = [from_document(d, Flare) for d in self._collection.find(query)]
        return sorted(found, key=lambda f: (f.peak, f.flare_id, f.origin))

    def run_ids(self, start: datetime, end: datetime, origin: str) -> list[str]:
        """For each flare of an origin with its peak in ``[start, end)`` the run that found it; little is read.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query = _peak_within(start, end) | {"origin": origin}
        return [d.get("run_id", "") for d in self._collection.find(query, ("run_id",))]

    def save(self, flare: Flare) -> None:
        """Put a record in the place of the one with its id and origin, if any."""
        self._collection.replace(to_document(flare, _identity(flare.flare_id, flare.origin)))

    def replace(self, start: datetime, end: datetime, origin: str, flares: Sequence[Flare]) -> None:
        """Make these the only flares of an origin with their peak in ``[start, end)``.

        New ones are put in before stale ones are deleted, so that a process killed in between leaves
        too many and never too few; the same call again puts it right.

        Raises
        ------
        SchemaError
            If a flare lies outside, is of another origin, or two have the same id; nothing is changed.
        CatalogError
            If the database does not answer.
        """
        low, high = truncate(start), truncate(end)
        for flare in flares:
            if flare.origin != origin or not low <= truncate(flare.peak) < high:
                raise SchemaError(
                    f"flare {flare.flare_id}: expected origin {origin} and a peak from {low} to {high}; "
                    f"found {flare.origin} and {flare.peak}"
                )
        documents = [to_document(f, _identity(f.flare_id, f.origin)) for f in flares]
        twice = [name for name, n in Counter(d["_id"] for d in documents).items() if n > 1]
        if twice:
            raise SchemaError(
                f"flares {low} to {high}: id {twice[0]} is given twice; ids are unique per origin"
            )
        stale = _peak_within(start, end) | {"origin": origin}
        kept = {d["_id"] for d in documents}
        ids = [d["_id"] for d in self._collection.find(stale, ("_id",)) if d["_id"] not in kept]
        self._collection.replace_range(documents, {"_id": {"$in": ids}})

    def delete(self, flare_id: str, origin: str = FLIGHT) -> bool:
        """Whether there was such a flare."""
        return self._collection.delete({"_id": _identity(flare_id, origin)}) > 0


def _identity(flare_id: str, origin: str) -> str:
    return f"{flare_id}_{origin}"


def _peak_within(start: datetime | None, end: datetime | None) -> Document:
    bounds: Document = {}
    if start is not None:
        bounds["$gte"] = truncate(start)
    if end is not None:
        bounds["$lt"] = truncate(end)
    return {"peak": bounds} if bounds else {}
