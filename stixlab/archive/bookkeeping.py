"""Keeps tables of contents and reduced levels in step with the products of the catalogue."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stixlab.archive import layout
from stixlab.archive.contents import Contents, make_row, put_rows, read_contents, write_contents
from stixlab.archive.levels import update_levels
from stixlab.errors import ArchiveError

if TYPE_CHECKING:
    from stixlab.archive.store import Archive
    from stixlab.model import Product

log = logging.getLogger(__name__)

__all__ = ["rebuild_contents", "update_contents"]


def update_contents(
    archive: Archive,
    products: Iterable[Product],
    *,
    level: str,
    product_type: str,
    origin: str,
    days: Iterable[str],
) -> bool:
    """Bring the table of contents and the reduced levels up to date with the products of some days.

    The last step of a change: until it is done readers see what was there before. The same call again changes
    nothing, so a process that was killed is made good by whoever makes the days again.

    Parameters
    ----------
    archive
        Opened for writing; to be called while `Archive.writing` is held.
    products
        All products of these days that the catalogue shows, of this level, type and origin; those that are hidden
        are left out.
    level, product_type, origin
    days
        UTC days that may have changed, as ``2021-06-06``. Give many at once: a level of a month is then
        written once.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    ArchiveError
        If a dataset is missing or damaged, or something cannot be written; the table stays as it was.
    """
    touched = set(days)
    old = read_contents(archive, level, product_type, origin)
    wanted = {p.zarr: p for p in products if p.zarr and layout.day_of(p.zarr) in touched}
    known = {r.key: r for r in old.rows}
    before = {(r.day, r.key, r.product_id) for r in old.rows if r.day in touched}
    after = {(layout.day_of(key), key, p.product_id) for key, p in wanted.items()}
    changed = {day for day, *_ in before ^ after}
    if not changed:
        return False
    made = [
        (known[key], old.forms[known[key].form], old.attrs[known[key].attrs])
        if key in known and known[key].product_id == product.product_id
        else make_row(archive, product)
        for key, product in wanted.items()
    ]
    contents = put_rows(old, touched, made)
    levels, replaced = update_levels(archive, contents, changed)
    write_contents(archive, dataclasses.replace(contents, levels=levels))
    archive.mark_replaced(replaced)
    archive.mark_named({v.key for v in levels} - {v.key for v in old.levels})
    return True


def rebuild_contents(
    archive: Archive, products: Iterable[Product], *, level: str, product_type: str, origin: str
) -> bool:
    """Make table of contents and reduced levels anew, whatever is there; datasets that are damaged are left out.

    Parameters
    ----------
    archive
        Opened for writing; to be called while `Archive.writing` is held.
    products
        All that the catalogue shows, of this level, type and origin.

    Returns
    -------
    bool
        Whether anything is different now.

    Raises
    ------
    ArchiveError
        If something cannot be written; the table that was there stays.
    """
    try:
        old = read_contents(archive, level, product_type, origin)
    except ArchiveError:
        old = None
    contents = Contents(level, product_type, origin)
    made = []
    for product in (p for p in products if p.zarr):
        try:
            made.append(make_row(archive, product))
        except ArchiveError as error:
            log.warning("a damaged dataset is left out", extra={"key": product.zarr, "error": error.message})
    contents = put_rows(contents, (), made)
    years: dict[str, set[str]] = {}
    for row in contents.rows:
        years.setdefault(row.day[:4], set()).add(row.day)
    for year in sorted(years):  # a year at a time: that much is in memory
        levels, _ = update_levels(archive, contents, years[year], again=True)
        contents = dataclasses.replace(contents, levels=levels)
    if old is not None and old.as_document() == contents.as_document():
        return False
    write_contents(archive, contents)
    named = {v.key for v in contents.levels}
    archive.mark_named(named)
    archive.mark_replaced({v.key for v in old.levels} - named if old is not None else ())
    return True
