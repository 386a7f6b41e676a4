"""How soon it is known that a run need not be done, with the real database and a year of products in it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.bench.measurement import Measurement
from stixlab.catalog.documents import to_document
from stixlab.model import Product, RunStatus

__all__ = ["measure"]

GOAL_MS = 5.0
_NAME = "pipelines"
_PIPELINE = "flare_list"
_TYPES = (
    *("hk-mini", "hk-maxi", "ql-lightcurve", "ql-background", "ql-spectra", "ql-variance", "ql-flareflag"),
    *("cal-spectra", "ql-tmstatusflarelist"),
)
_DAYS = 365
_ASKED = 200
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def measure(catalog: Any) -> Iterator[Measurement]:
    """Milliseconds of `cached_run` for a day of flares.

    Parameters
    ----------
    catalog
        Writable; left as it was.
    """
    from stixlab.pipeline.cache import cached_run, plan_run
    from stixlab.pipeline.discovery import get_pipeline
    from stixlab.settings import project_folder

    spec = get_pipeline(project_folder("pipelines"), _PIPELINE)
    products = catalog.collections["products"]
    products.insert_new([_product(day, kind) for day in range(_DAYS) for kind in _TYPES])
    day = _FIRST + timedelta(days=_DAYS // 2)
    given = {
        "start": f"{day:%Y-%m-%d}",
        "end": f"{day + timedelta(days=1):%Y-%m-%d}",
        "origin": "simulated",
    }
    outputs = {"flare-list": {"origin": "simulated", "records": 0, "content_sha256": "0"}}
    run = dataclasses.replace(plan_run(catalog, spec, given), status=RunStatus.SUCCEEDED, outputs=outputs)
    catalog.runs.save(run)
    taken = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        found = cached_run(catalog, spec, given)
        taken.append(1e3 * (time.perf_counter() - began))
        if found is None:
            raise RuntimeError(f"bench pipelines: run {run.run_id} is done and was not found")
    catalog.runs.delete(run.run_id)
    products.delete({"origin": "simulated", "sources": "bench"})
    taken.sort()
    what = f"check of the cache, {len(_TYPES) * _DAYS} products in the catalogue"
    yield Measurement(_NAME, f"{what}, best", taken[0], "ms", GOAL_MS, smaller_is_better=True)
    yield Measurement(_NAME, f"{what}, median", taken[_ASKED // 2], "ms")


def _product(day: int, kind: str) -> dict[str, Any]:
    start = _FIRST + timedelta(days=day)
    name = f"L1_{kind}_{start:%Y%m%d}_simulated"
    product = Product(
        name, kind, "L1", "simulated", start, start + timedelta(days=1), version=1, content_sha256=name,
        n_times=21_600, sources=("bench",),
    )  # fmt: skip
    return to_document(product, name)
