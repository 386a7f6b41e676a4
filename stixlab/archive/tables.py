"""Tables of contents and reduced levels after a change of products: the last step, for all days at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stixlab.archive import layout
from stixlab.archive.bookkeeping import rebuild_contents, update_contents
from stixlab.archive.contents import read_contents
from stixlab.errors import ArchiveError

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["update_tables"]

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)


def update_tables(
    catalog: Any, archive: Archive, days: Iterable[tuple[str, str, str]], *, level: str = "L1"
) -> None:
    """Bring tables of contents and reduced levels up to date with the catalogue.

    Parameters
    ----------
    catalog
    archive
        Opened for writing, while `Archive.writing` is held.
    days
        Product type, origin and day of all products that may have changed.
    level

    Raises
    ------
    ArchiveError
        If a dataset is missing or damaged, or something cannot be written.
    CatalogError
        If the database does not answer.
    """
    touched: dict[tuple[str, str], set[str]] = defaultdict(set)
    for product_type, origin, day in days:
        touched[product_type, origin].add(day)
    for (product_type, origin), found in sorted(touched.items()):
        which = {"type": product_type, "level": level, "origin": origin}
        table = {"level": level, "product_type": product_type, "origin": origin}
        if _is_good(archive, table):
            first, last = (datetime.fromisoformat(d).replace(tzinfo=UTC) for d in (min(found), max(found)))
            products = catalog.products.find(**which, start=first - _DAY, end=last + 2 * _DAY)
            update_contents(archive, products, **table, days=found)
        else:
            rebuild_contents(archive, catalog.products.find(**which), **table)


def _is_good(archive: Archive, table: dict[str, str]) -> bool:
    """Whether there is a table that only needs to be brought up to date."""
    if not archive.path(layout.contents_key(**table)).exists():
        return False
    try:
        read_contents(archive, **table)
    except ArchiveError as error:
        log.warning("a damaged table of contents is made again", extra={"error": error.message})
        return False
    return True
