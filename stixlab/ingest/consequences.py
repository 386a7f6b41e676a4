"""What is to be done again when a product is hidden, deleted or shown again by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from stixlab.ingest.triggers import queue_runs, runs_for_days, withdraw_older
from stixlab.model import Product, Run, RunStatus
from stixlab.pipeline.dependencies import followers_of
from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.inputs import days_of, have_data

__all__ = ["Consequences", "queue_dependants"]


class Consequences(NamedTuple):
    """What became of the dependants of a product."""

    queued: tuple[Run, ...]
    """To be done now or after another one of these."""
    without_data: tuple[Run, ...]
    """That have nothing left to read: they are not queued, and what they delivered before stays."""


def queue_dependants(catalog: Any, folder: Path, product: Product) -> Consequences:
    """Queue the runs that read a product, or would, now that it is there no more or again; safe to repeat.

    Parameters
    ----------
    catalog
        Stores of records, writable, as they are after the change.
    folder
        Of the pipelines.
    product
        That was hidden, deleted, shown again or brought back.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    days = [(product.type, product.origin, day) for day in days_of(product.start, product.end)]
    runs = runs_for_days(catalog, folder, days)
    specs = find_pipelines(folder).good
    wanted = [r for r in runs if r.status is not RunStatus.SUCCEEDED]
    bare = {
        r.run_id
        for r in wanted
        if not r.after and not have_data(catalog, specs[r.pipeline], [r.parameters])[0]
    }
    dropped = followers_of(wanted, bare)
    queue_runs(catalog, [r for r in wanted if r.run_id not in dropped])
    # Also what waits since the change before this one, where the run that reads what is there now has succeeded.
    withdraw_older(catalog, [r for r in runs if r.run_id not in dropped])
    return Consequences(
        tuple(r for r in wanted if r.run_id not in dropped),
        tuple(r for r in wanted if r.run_id in bare),
    )
