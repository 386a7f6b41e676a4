"""The audit trail: what was done by hand. Entries are added and found; there is no way to change or delete one."""

from __future__ import annotations

from datetime import datetime

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.errors import ConflictError
from stixlab.model.audit import Action, AuditEntry

__all__ = ["AuditTrail"]


class AuditTrail:
    """Store of `AuditEntry` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def add(self, entry: AuditEntry) -> None:
        """Add an entry.

        Raises
        ------
        ConflictError
            If one of that id is there already.
        CatalogError
            If the database does not answer.
        """
        if not self._collection.insert(to_document(entry, entry.entry_id)):
            raise ConflictError(
                f"audit trail: expected a new id; {entry.entry_id} is there already; give the command again"
            )

    def get(self, entry_id: str) -> AuditEntry | None:
        """Entry of that id, None if there is none."""
        found = self._collection.get(entry_id)
        return None if found is None else from_document(found, AuditEntry)

    def find(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        action: Action | None = None,
        subject: str | None = None,
    ) -> list[AuditEntry]:
        """Entries made within ``[start, end)``, newest first.

        Parameters
        ----------
        start, end
            UTC with a zone. Open where None.
        action, subject
            Only entries of this action, about this.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        query: Document = {}
        bounds = {} if start is None else {"$gte": truncate(start)}
        bounds |= {} if end is None else {"$lt": truncate(end)}
        if bounds:
            query["time"] = bounds
        if subject is not None:
            query["subject"] = subject
        if action is not None:
            query["action"] = action.value
        found = [from_document(d, AuditEntry) for d in self._collection.find(query)]
        return sorted(found, key=lambda e: e.entry_id, reverse=True)
