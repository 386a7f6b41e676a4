"""Products: what there is, of which time, and the newest of each type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.errors import SchemaError
from stixlab.model import Product

__all__ = ["LONGEST", "Content", "Products", "mark_long"]

LONGEST = timedelta(days=31)
"""No product spans more; it bounds every search in time."""
_USUAL = timedelta(hours=26)
"""Products of a longer span are marked and searched apart, so that the others are found by where they start."""


class Content(NamedTuple):
    """What is in a product, and of which time, in few words."""

    product_id: str
    type: str
    level: str
    start: datetime
    end: datetime
    content_sha256: str


class Products:
    """Store of `Product` records.

    Beside the products it keeps one small document for each (level, type, origin): a time that the
    newest of them does not start before. It only narrows the search for the newest, so that one which is
    late (a process was killed between the two writes) costs time and never the right answer.
    """

    def __init__(self, collection: Collection, newest: Collection) -> None:
        self._collection = collection
        self._newest = newest
        self._noted: dict[str, datetime] = {}

    def get(self, product_id: str) -> Product | None:
        """Product of that id, None if there is none."""
        found = self._collection.get(product_id)
        return None if found is None else from_document(found, Product)

    def get_many(self, product_ids: Iterable[str]) -> dict[str, Product]:
        """Those of the ids that there are."""
        found = self._collection.find({"_id": {"$in": list(product_ids)}})
        return {d["_id"]: from_document(d, Product) for d in found}

    def find(
        self,
        *,
        type: str | None = None,
        level: str | None = None,
        origin: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        hidden: bool | None = False,
        request: str | None = None,
        request_id: int | None = None,
    ) -> list[Product]:
        """Products that touch ``[start, end)``, earliest first.

        Parameters
        ----------
        type, level, origin
            Only products of this type, level, origin.
        start, end
            UTC with a zone. Open where None.
        hidden
            Whether to give those that are shown (by default), those that are hidden, or (None) all.
        request, request_id
            Only products of the data request of this id, of this number.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        begin: Document = {}
        numbers = (("request", request), ("request_id", request_id))
        query: Document = {name: value for name, value in numbers if value is not None}
        if start is not None:
            begin["$gte"] = truncate(start) - LONGEST
        if end is not None:
            begin["$lt"] = truncate(end)
        if begin:
            query["start"] = begin
        if start is not None:
            query["end"] = {"$gt": truncate(start)}
        if hidden:
            query = {"hidden": {"$gt": ""}} | query
        query |= _selection(type, level, origin)
        found = [from_document(d, Product) for d in self._collection.find(query)]
        chosen = [p for p in found if hidden is None or bool(p.hidden) == hidden]
        return sorted(chosen, key=lambda p: (p.start, p.product_id))

    def contents(
        self, types: Sequence[str], *, start: datetime, end: datetime, origin: str | None = None
    ) -> list[Content]:
        """Content of the shown products of some types that touch ``[start, end)``, earliest first.

        Two questions for all types, and little is read of each: whether a run must be done again is asked often.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        low, high = truncate(start), truncate(end)
        usual = {"start": {"$gte": low - _USUAL, "$lt": high}, "type": {"$in": list(types)}}
        # There are few: with more conditions the embedded database looks for those instead, or takes longer.
        longer = {"long": True}
        fields = ("type", "level", "start", "end", "content_sha256", "hidden", "origin")
        found = {
            d["_id"]: Content(d["_id"], *(d[name] for name in fields[:-2]))
            for each in (usual, longer)
            for d in self._shown(each, fields)
            if d["start"] < high and d["end"] > low and d["type"] in types and origin in (None, d["origin"])
        }
        return sorted(found.values(), key=lambda c: (c.start, c.product_id))

    def latest(
        self,
        *,
        type: str | None = None,
        level: str | None = None,
        origin: str | None = None,
    ) -> Product | None:
        """The product that starts last, None if there is none; cheap however many there are."""
        best: Product | None = None
        for key in self._newest.find(_selection(type, level, origin)):
            selection = {name: key[name] for name in ("type", "level", "origin")}
            recent = {"start": {"$gte": key["since"]}}
            for document in self._shown(recent | selection) or self._shown(selection):
                product = from_document(document, Product)
                if best is None or _later(product) > _later(best):
                    best = product
        return best

    def nearest(
        self,
        *,
        time: datetime,
        type: str | None = None,
        level: str | None = None,
        origin: str | None = None,
    ) -> Product | None:
        """The product with the least distance from a time, the earlier of two; None if there is none."""
        moment = truncate(time)
        found = self._shown(_selection(type, level, origin), ("start", "end", "hidden"))

        def distance(document: Document) -> tuple[timedelta, datetime, str]:
            away = max(document["start"] - moment, moment - document["end"], timedelta())
            return away, document["start"], document["_id"]

        return self.get(min(found, key=distance)["_id"]) if found else None

    def _shown(self, query: Document, fields: Sequence[str] = ()) -> list[Document]:
        return [d for d in self._collection.find(query, fields) if not d.get("hidden")]

    def save(self, product: Product) -> None:
        """Put a record in the place of the one with its id, if any.

        Raises
        ------
        SchemaError
            If it ends before it starts or spans more than `LONGEST`.
        """
        if not timedelta() <= product.end - product.start <= LONGEST:
            raise SchemaError(
                f"product {product.product_id}: expected a span of 0 to {LONGEST.days} days; "
                f"found {product.start} to {product.end}; check the clock of its packets"
            )
        key = f"{product.level}/{product.type}/{product.origin}"
        start = truncate(product.start)
        if key not in self._noted:
            names = {"level": product.level, "type": product.type, "origin": product.origin}
            note = self._newest.update({"_id": key}, {"$setOnInsert": names | {"since": start}}, upsert=True)
            self._noted[key] = note["since"] if note else start
        document = to_document(product, product.product_id)
        if product.end - product.start > _USUAL:
            document["long"] = True
        self._collection.replace(document)
        if start > self._noted[key]:
            note = self._newest.update({"_id": key}, {"$max": {"since": start}})
            self._noted[key] = note["since"] if note else start

    def delete(self, product_id: str) -> bool:
        """Whether there was such a product."""
        return self._collection.delete({"_id": product_id}) > 0


def mark_long(collection: Collection) -> None:
    """Mark the products of a long span that an older version has stored.

    Parameters
    ----------
    collection
        Of the products.
    """
    for document in collection.find({}, ("start", "end")):
        if document["end"] - document["start"] > _USUAL:
            collection.change({"_id": document["_id"]}, {"$set": {"long": True}})


def _later(product: Product) -> tuple[datetime, datetime, str]:
    return product.start, product.end, product.product_id


def _selection(type_: str | None, level: str | None, origin: str | None) -> Document:
    named = (("type", type_), ("level", level), ("origin", origin))
    return {name: value for name, value in named if value is not None}
