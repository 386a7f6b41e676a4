"""Which runs should exist, given the products there are; what is missing is queued.

Nothing is remembered about what was triggered: the identity of a run follows from notebook, software,
parameters and inputs, so what should have run can be worked out again at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stixlab.ingest.assemble import product_id
from stixlab.ingest.receive import DayKey
from stixlab.model import Run, RunStatus
from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.identity import make_run
from stixlab.pipeline.inputs import find_inputs

__all__ = ["queue_runs", "runs_for_days"]

_ON_PRODUCT = "on new product"


def runs_for_days(catalog: Any, folder: Path, days: Iterable[DayKey]) -> list[Run]:
    """The runs that should exist for days of products.

    Parameters
    ----------
    catalog
        Stores of records.
    folder
        Of the pipelines.
    days
        Product type, origin, UTC day; neighbouring days that read the margin are added.
    """
    specs = [s for s in find_pipelines(folder).good.values() if s.schedule == _ON_PRODUCT]
    runs = []
    for product_type, origin, day in sorted(_with_neighbours(catalog, days)):
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        end = start + timedelta(days=1)
        for spec in specs:
            if product_type in spec.needs:
                given = {
                    "start": f"{start:%Y-%m-%dT%H:%M:%S}",
                    "end": f"{end:%Y-%m-%dT%H:%M:%S}",
                    "origin": origin,
                }
                inputs = find_inputs(catalog, spec, given)
                runs.append(make_run(spec, given, inputs=inputs, trigger="product"))
    return runs


def queue_runs(catalog: Any, runs: Iterable[Run]) -> list[str]:
    """Queue the runs that have not succeeded.

    Returns
    -------
    list of str
        Ids of the runs that are to be done, by whoever.
    """
    waiting = []
    for run in runs:
        known = catalog.runs.get(run.run_id)
        if known is None or known.status is not RunStatus.SUCCEEDED:
            catalog.runs.enqueue(run)
            waiting.append(run.run_id)
    return waiting


def _with_neighbours(catalog: Any, days: Iterable[DayKey]) -> set[DayKey]:
    """The days, and those beside them that have data: pipelines of a day read a margin of its neighbours."""
    wanted = set(days)
    beside = {
        product_id("L1", product_type, other, origin): (product_type, origin, other)
        for product_type, origin, day in wanted
        for other in (f"{datetime.fromisoformat(day) + timedelta(days=step):%Y-%m-%d}" for step in (-1, 1))
    }
    return wanted | {beside[name] for name in catalog.products.get_many(beside)}
