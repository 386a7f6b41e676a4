"""Hide products, delete them, and take both back; each time with a reason, and with an entry in the audit trail.

What is hidden stays as it is and is not shown. What is deleted goes to the trash, where `stixlab.archive.retention` leaves it for
a while. The entry is written first: a process that was killed leaves a trail, and the same command again finishes.
Raw files are never deleted; a product that was deleted is made again when its day is.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stixlab import files
from stixlab.archive import layout
from stixlab.archive.bookkeeping import update_contents
from stixlab.errors import ArchiveError, ConflictError, NotInCatalogError, ParameterError
from stixlab.model import Action, AuditEntry, Product

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["Changed", "bring_back", "delete", "hide", "make_entry", "refresh_day", "show"]

Changed = Callable[[Product], object]
"""Told of a product when it is shown no more or again, so that what was made of it is made anew; safe to repeat."""


def make_entry(
    action: Action, subject: str, *, who: str, reason: str, details: dict[str, Any] | None = None
) -> AuditEntry:
    """An entry for the audit trail, as of now.

    Raises
    ------
    ParameterError
        If nobody is named, or no reason.
    """
    if not reason.strip() or not who.strip():
        raise ParameterError(f"{action} {subject}: expected a name and a reason; found {who!r}, {reason!r}")
    now = datetime.now(UTC)
    digest = hashlib.sha256(f"{now.isoformat()}|{action}|{subject}|{who}".encode()).hexdigest()[:8]
    return AuditEntry(
        f"{now:%Y%m%dT%H%M%S%f}-{digest}", now, who, action, subject, reason.strip(), details or {}
    )


def hide(
    catalog: Any, archive: Archive, product_id: str, *, who: str, reason: str, changed: Changed | None = None
) -> AuditEntry | None:
    """Show a product no more.

    Parameters
    ----------
    catalog, archive
    product_id
    who, reason
        For the audit trail.
    changed
        Told of the product, also if it was hidden already.

    Returns
    -------
    AuditEntry or None
        None if it was hidden already.

    Raises
    ------
    NotInCatalogError
        If there is no such product.
    ParameterError
        If there is no reason.
    """
    entry = make_entry(Action.HIDE, product_id, who=who, reason=reason)
    return _set_hidden(catalog, archive, entry, entry.reason, changed)


def show(
    catalog: Any, archive: Archive, product_id: str, *, who: str, reason: str, changed: Changed | None = None
) -> AuditEntry | None:
    """Show a product again that was hidden; None if it was not.

    Raises
    ------
    NotInCatalogError, ParameterError
        As `hide`.
    """
    entry = make_entry(Action.SHOW, product_id, who=who, reason=reason)
    return _set_hidden(catalog, archive, entry, "", changed)


def _set_hidden(
    catalog: Any, archive: Archive, entry: AuditEntry, hidden: str, changed: Changed | None
) -> AuditEntry | None:
    with archive.writing():
        product = _get(catalog, entry.subject)
        changes = bool(product.hidden) != bool(hidden)
        if changes:
            catalog.audit.add(entry)
            catalog.products.save(dataclasses.replace(product, hidden=hidden))
        refresh_day(catalog, archive, product)
        if changed is not None:
            changed(product)
    return entry if changes else None


def delete(
    catalog: Any, archive: Archive, product_id: str, *, who: str, reason: str, changed: Changed | None = None
) -> AuditEntry:
    """Take a product out of the catalogue and move its files to the trash.

    Parameters
    ----------
    catalog, archive, product_id, who, reason, changed
        As for `hide`.

    Raises
    ------
    NotInCatalogError
        If there is no such product, and no delete of it that was cut short.
    ParameterError
        If there is no reason.
    """
    with archive.writing():
        product = catalog.products.get(product_id)
        if product is None:
            entry = _cut_short(catalog, archive, product_id)
            product = _product_of(entry)
        else:
            details = {"product": dataclasses.asdict(product)}
            entry = make_entry(Action.DELETE, product_id, who=who, reason=reason, details=details)
            catalog.audit.add(entry)
            catalog.products.delete(product_id)
        refresh_day(catalog, archive, product)
        if changed is not None:
            changed(product)
        for key in _keys(product):
            _move(archive, key, layout.trash_key(entry.entry_id, key))
    return entry


def _cut_short(catalog: Any, archive: Archive, product_id: str) -> AuditEntry:
    """The last entry of a delete that left files behind."""
    for entry in catalog.audit.find(subject=product_id, action=Action.DELETE)[:1]:
        if any(archive.path(key).exists() for key in _keys(_product_of(entry))):
            found: AuditEntry = entry
            return found
    raise NotInCatalogError(
        f"product {product_id!r}: not in the catalogue; `stixlab products` lists what is, `stixlab trash list` what was"
    )


def bring_back(
    catalog: Any, archive: Archive, entry_id: str, *, who: str, reason: str, changed: Changed | None = None
) -> Product:
    """Put a deleted product back, files and record.

    Parameters
    ----------
    catalog, archive
    entry_id
        Of the entry that tells of its deletion.
    who, reason, changed
        As for `hide`.

    Raises
    ------
    NotInCatalogError
        If no entry of that id tells of a deletion.
    ConflictError
        If the product has been made again since.
    ArchiveError
        If its files are not in the trash any more.
    """
    with archive.writing():
        entry = catalog.audit.get(entry_id)
        if entry is None or entry.action is not Action.DELETE:
            raise NotInCatalogError(
                f"audit trail: expected the id of a deletion; found {entry_id!r}; `stixlab trash list` shows them"
            )
        product = _product_of(entry)
        if catalog.products.get(product.product_id) is not None:
            raise ConflictError(
                f"{product.product_id}: it was made again since; delete that before this one is brought back"
            )
        for key in _keys(product):
            _move(archive, layout.trash_key(entry_id, key), key)
            if not archive.path(key).exists():
                raise ArchiveError(
                    f"{product.product_id}: {key} is not in the trash any more; make the product again from its raw files"
                )
        catalog.audit.add(
            make_entry(
                Action.BRING_BACK, product.product_id, who=who, reason=reason, details={"entry": entry_id}
            )
        )
        catalog.products.save(product)
        refresh_day(catalog, archive, product)
        if changed is not None:
            changed(product)
        left = archive.path(f"{layout.TRASH}/{entry_id}")
        if left.is_dir() and not any(p.is_file() for p in left.rglob("*")):
            archive.remove(f"{layout.TRASH}/{entry_id}")
    return product


def refresh_day(catalog: Any, archive: Archive, product: Product) -> None:
    """Bring the table of contents up to date for the day of a product, if the table covers it."""
    table = layout.contents_key(product.level, product.type, product.origin)
    if not product.zarr or not archive.path(table).exists():
        return
    day = layout.day_of(product.zarr)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = catalog.products.find(
        type=product.type,
        level=product.level,
        origin=product.origin,
        start=start - timedelta(days=1),
        end=start + timedelta(days=2),
    )
    update_contents(
        archive, found, level=product.level, product_type=product.type, origin=product.origin, days=[day]
    )


def _get(catalog: Any, product_id: str) -> Product:
    product: Product | None = catalog.products.get(product_id)
    if product is None:
        raise NotInCatalogError(
            f"product {product_id!r}: not in the catalogue; `stixlab products` lists them"
        )
    return product


def _product_of(entry: AuditEntry) -> Product:
    document = dict(entry.details["product"])
    return Product(**document | {"sources": tuple(document["sources"])})


def _keys(product: Product) -> list[str]:
    return [key for key in (product.zarr, product.fits) if key]


def _move(archive: Archive, key: str, target: str) -> None:
    """Move something within the archive; nothing if it is not there (it was moved before)."""
    source, place = archive.path(key), archive.path(target)
    try:
        if source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            source.rename(place)
            files.flush_folder(place.parent)
            files.flush_folder(source.parent)
    except OSError as error:
        raise files.write_failed(place, error) from error
