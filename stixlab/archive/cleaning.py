"""Carries out the rules of retention, by hand or once a day by whoever works on the queue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.archive.retention import Removal, Rules, carry_out, plan
from stixlab.archive.trash import make_entry
from stixlab.errors import ArchiveError
from stixlab.model import Action

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["clean", "clean_daily"]

_DAY_S = 86_400.0
_NAMED = 1000
"""So many keys an entry of the audit trail names."""


def clean(
    catalog: Any, archive: Archive, rules: Rules | None = None, *, who: str, dry_run: bool = False
) -> Sequence[Removal]:
    """Remove for good what nothing needs and is older than the rules say; the audit trail tells of it.

    Parameters
    ----------
    catalog
    archive
        Opened for writing.
    rules
        None: those of `Rules`.
    who
        Asks for it.
    dry_run
        Only tell what would go.

    Returns
    -------
    list of Removal
        What has gone, or would go.

    Raises
    ------
    ArchiveError
        If a table of contents is damaged, or the disk does not allow it.
    CatalogError
        If the database does not answer.
    """
    chosen = rules or Rules()
    with archive.writing():
        named = [p.zarr for p in catalog.products.find(hidden=None)]
        found = plan(archive, chosen, named=named, runs=catalog.runs.find())
        if found and not dry_run:
            counts = dict(Counter(r.why for r in found))
            entry = make_entry(
                Action.CLEAN,
                "archive",
                who=who,
                reason=", ".join(f"{n} {why}" for why, n in sorted(counts.items())),
                details={
                    "rules": asdict(chosen),
                    "keys": [r.key for r in found[:_NAMED]],
                    "n": len(found),
                },
            )
            catalog.audit.add(entry)
            carry_out(archive, found)
    return found


def clean_daily(catalog: Any, archive: Archive, mark: Path) -> Sequence[Removal]:
    """`clean` by the rules as they are, unless it was done within the last day.

    Parameters
    ----------
    catalog, archive
        As for `clean`.
    mark
        File whose age tells when it was done; it is renewed first, so that of several workers one does it, and that
        a day lies between two tries where it cannot be done.

    Raises
    ------
    ArchiveError, CatalogError
        As `clean`.
    """
    try:
        if 0 <= time.time() - mark.stat().st_mtime < _DAY_S:
            return []
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ArchiveError(f"{mark}: cannot be looked at: {error.strerror}", path=mark) from error
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise ArchiveError(
            f"{mark}: cannot be written: {error.strerror}; nothing is cleaned", path=mark
        ) from error
    return clean(catalog, archive, who="stixlab worker")
