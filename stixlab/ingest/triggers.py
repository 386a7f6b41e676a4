"""Which runs should exist, given the products there are; what is missing is queued.

Nothing is remembered about what was triggered: the identity of a run follows from notebook, software,
parameters and inputs, so what should have run can be worked out again at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stixlab.ingest.assemble import product_id
from stixlab.ingest.receive import DayKey
from stixlab.model import Run, RunStatus
from stixlab.pipeline.declaration import PipelineSpec
from stixlab.pipeline.dependencies import Unit, dependants_of, plan_units, units_near
from stixlab.pipeline.discovery import find_pipelines

__all__ = ["queue_runs", "runs_for_days"]


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
    """Queue the runs that have not succeeded.

    Returns
    -------
    list of str
        Ids of the runs that can be done now, by whoever; those that wait for others are queued, too.
    """
    ready = []
    for run in runs:
        if run.status is RunStatus.SUCCEEDED:
            continue
        catalog.runs.enqueue(run)
        if not run.after:
            ready.append(run.run_id)
    return ready


def _with_neighbours(spec: PipelineSpec, key: DayKey) -> list[tuple[Unit, tuple[str, ...]]]:
    """Runs that read a day of products; for those of days beside it the products of which one must be there."""
    product_type, origin, day = key
    return [
        (unit, () if unit.day == day else (product_id("L1", product_type, unit.day, origin),))
        for unit in units_near(spec, origin, day)
    ]
