"""Which runs should exist, given the products there are; what is missing is queued.

Nothing is remembered about what was triggered: the identity of a run follows from notebook, software,
parameters and inputs, so what should have run can be worked out again at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stixlab.ingest.assemble import product_id
from stixlab.ingest.receive import DayKey
from stixlab.model import Run, RunStatus
from stixlab.pipeline.declaration import PipelineSpec
from stixlab.pipeline.dependencies import (
    Unit,
    dependants_of,
    key_of,
    plan_units,
    runs_waiting_for,
    units_near,
)
from stixlab.pipeline.discovery import find_pipelines

__all__ = ["queue_runs", "runs_for_days", "withdraw_older"]

_TRIGGER = "product"


def runs_for_days(catalog: Any, folder: Path, days: Iterable[DayKey]) -> list[Run]:
    """The runs that should exist for days of products, and those that follow them.

    Parameters
    ----------
    catalog
        Stores of records.
    folder
        Of the pipelines.
    days
        Product type, origin, UTC day; neighbouring days that read the margin are added.

    Returns
    -------
    list of Run
        In order. Those with the status ``succeeded`` are done; those with `Run.after` wait for others.
    """
    specs = list(find_pipelines(folder).good.values())
    wanted = sorted(set(days))
    units = {
        u for day in wanted for spec in dependants_of(specs, [day[0]]) for u in _with_neighbours(spec, day)
    }
    there = catalog.products.get_many({name for _, names in units for name in names}) if units else {}
    chosen = {unit for unit, names in units if not names or any(name in there for name in names)}
    return plan_units(catalog, specs, chosen)


def queue_runs(catalog: Any, runs: Iterable[Run]) -> list[str]:
    """Queue the runs that have not succeeded; older ones that nobody has begun give way to them.

    Returns
    -------
    list of str
        Ids of the runs that can be done now, by whoever; those that wait for others are queued, too.
    """
    wanted = [run for run in runs if run.status is not RunStatus.SUCCEEDED]
    added = [run for run in wanted if catalog.runs.enqueue(run)]
    if added:
        withdraw_older(catalog, wanted)
    return [run.run_id for run in wanted if not run.after]


def withdraw_older(catalog: Any, wanted: Iterable[Run]) -> None:
    """Take out of the queue what would read products that have been replaced since.

    These are runs of the same pipeline and parameters as one of the wanted, which products asked for and
    nobody else, with those that wait for them. Where one of these has no newer one all of them stay.
    """
    newer = {key_of(run): run for run in wanted}
    names = {run.run_id for run in newer.values()}
    for old in catalog.runs.find(status=RunStatus.QUEUED, trigger=_TRIGGER):
        if old.run_id in names or not _gives_way(old, newer):
            continue
        followers = runs_waiting_for(catalog, old.run_id)
        if all(f.run_id not in names and _gives_way(f, newer) for f in followers):
            for each in (*reversed(followers), old):
                catalog.runs.withdraw(each.run_id)


def _gives_way(old: Run, newer: Mapping[tuple[str, str], Run]) -> bool:
    run = newer.get(key_of(old))
    return run is not None and (old.trigger, old.priority) == (_TRIGGER, run.priority)


def _with_neighbours(spec: PipelineSpec, key: DayKey) -> list[tuple[Unit, tuple[str, ...]]]:
    """Runs that read a day of products; for those of days beside it the products of which one must be there."""
    product_type, origin, day = key
    return [
        (unit, () if unit.day == day else (product_id("L1", product_type, unit.day, origin),))
        for unit in units_near(spec, origin, day)
    ]
