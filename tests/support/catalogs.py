"""Records for tests of the pipelines: products of a day, flares, runs that have ended."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.model import Flare, Product, RunStatus
from stixlab.pipeline.inputs import flares_content

DAY = timedelta(days=1)


def product(day: str, content: str = "a", kind: str = "ql-lightcurve", origin: str = "flight") -> Product:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return Product(
        product_id=f"L1_{kind}_{start:%Y%m%d}_{origin}",
        type=kind,
        level="L1",
        origin=origin,
        start=start,
        end=start + DAY,
        version=1,
        content_sha256=content * 64,
        n_times=1,
    )


def flare(peak: str, origin: str = "flight", **more: Any) -> Flare:
    time = datetime.fromisoformat(peak).replace(tzinfo=UTC)
    minute = timedelta(minutes=1)
    values = {
        "flare_id": f"{time:%y%m%d%H%M}", "origin": origin, "start": time - minute, "peak": time, "end": time + minute,
        "duration": 120.0, "peak_counts": 9.0, "background_counts": 1.0, "significance": 5.0, "total_counts": 90.0,
        "signal_counts": 80.0, "peak_counts_by_band": (9.0, 1.0, 1.0, 1.0, 1.0), "upper_band": 0, "attenuator": False,
    }  # fmt: skip
    return Flare(**(values | more))


def succeed(catalog: Any, run_id: str, flares: tuple[Flare, ...] = (), origin: str = "flight") -> Any:
    """Make a queued run one that has succeeded and delivered these flares; the record as it is then."""
    from stixlab.pipeline.outputs import range_of

    run = catalog.runs.get(run_id)
    start, end = range_of(run.parameters)
    catalog.flares.replace(start, end, origin, flares)
    told = {
        "kind": "flares",
        "origin": origin,
        "records": len(flares),
        "content_sha256": flares_content(flares),
    }
    done = dataclasses.replace(
        run,
        status=RunStatus.SUCCEEDED,
        started=run.created,
        finished=run.created,
        outputs={"flare-list": told},
    )
    catalog.runs.save(done)
    return done
