"""How the pipelines fare: what runs, waits and failed, and how old each product type is and why.

Nothing here names a parameter, a log or a machine: all of it may be shown to everyone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.model import Product, Run, RunStatus
from stixlab.pipeline.spec import PipelineSpec
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["RECENT", "Overview", "PipelineState", "ProductAge", "look_over"]

RECENT = timedelta(days=7)
"""What has ended is counted so far back."""
_FRESH = timedelta(hours=1)
"""A product that ends this little before what it is made from is as new as that."""


@dataclass(frozen=True)
class PipelineState:
    """How one pipeline fares."""

    name: str
    title: str
    schedule: str
    counts: Mapping[str, int]
    """Runs by status: queued and running ones that there are, others that ended within `RECENT`."""
    last_success: datetime | None
    """End of the newest run that succeeded; none if there was none."""
    failing: bool
    """Whether the newest run that ended failed."""
    seconds: tuple[float, ...]
    """Durations of the runs that ended within `RECENT`, ascending, s."""


@dataclass(frozen=True)
class ProductAge:
    """How new a product type is."""

    type: str
    title: str
    origin: str
    latest: datetime
    """UTC, end of the newest data."""
    age_s: float
    why: str
    """Why it is no newer, in one sentence."""


@dataclass(frozen=True)
class Overview:
    """How all pipelines fare."""

    made: datetime
    pipelines: tuple[PipelineState, ...]
    products: tuple[ProductAge, ...]
    oldest_waiting_s: float
    """Age of the run that has waited longest; 0 if none waits."""
    workers: int
    """Workers that hold a run now."""

    def count(self, status: RunStatus) -> int:
        """Runs of all pipelines with that status."""
        return sum(each.counts.get(status, 0) for each in self.pipelines)


def look_over(
    catalog: Any, pipelines: Mapping[str, PipelineSpec], *, now: datetime | None = None
) -> Overview:
    """The state of things, by a bounded number of questions to the database.

    Parameters
    ----------
    catalog
        Stores of records; reading is enough.
    pipelines
        Declarations by name.
    now
        UTC; none: the clock's.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    moment = now or datetime.now(UTC)
    waiting = catalog.runs.find(status=RunStatus.QUEUED)
    running = catalog.runs.find(status=RunStatus.RUNNING)
    ended = [r for r in catalog.runs.find(start=moment - RECENT) if r.finished is not None]
    names = sorted({*pipelines, *(r.pipeline for r in (*waiting, *running, *ended))})
    states = tuple(
        _state(
            catalog,
            name,
            pipelines.get(name),
            [r for r in (*waiting, *running, *ended) if r.pipeline == name],
        )
        for name in names
    )
    oldest = min((r.created for r in waiting), default=moment)
    held = {r.worker for r in running if r.worker and r.lease_until is not None and r.lease_until > moment}
    return Overview(
        made=moment,
        pipelines=states,
        products=tuple(_ages(catalog, pipelines, {s.name: s for s in states}, moment)),
        oldest_waiting_s=max(0.0, (moment - oldest).total_seconds()),
        workers=len(held),
    )


def _state(catalog: Any, name: str, spec: PipelineSpec | None, runs: Sequence[Run]) -> PipelineState:
    ended = sorted(
        (r for r in runs if r.status.has_ended and r.finished), key=lambda r: r.finished or r.created
    )
    good = [r for r in ended if r.status is RunStatus.SUCCEEDED]
    if not good:
        good = catalog.runs.find(pipeline=name, status=RunStatus.SUCCEEDED, limit=1)
    judged = [r for r in ended if r.status is not RunStatus.CANCELLED]
    return PipelineState(
        name=name,
        title=spec.title if spec else name,
        schedule=spec.schedule if spec else "manual",
        counts=Counter(str(r.status) for r in {r.run_id: r for r in runs}.values()),
        last_success=good[-1].finished if good else None,
        failing=bool(judged) and judged[-1].status is RunStatus.FAILED,
        seconds=tuple(
            sorted((r.finished - r.started).total_seconds() for r in ended if r.finished and r.started)
        ),
    )


def _ages(
    catalog: Any, pipelines: Mapping[str, PipelineSpec], states: Mapping[str, PipelineState], now: datetime
) -> list[ProductAge]:
    newest: dict[str, Product] = {}
    for name in PRODUCT_TYPES:
        latest: Product | None = catalog.products.latest(type=name)
        if latest is not None:
            newest[name] = latest
    return [
        ProductAge(
            type=name,
            title=PRODUCT_TYPES[name].title,
            origin=product.origin,
            latest=product.end,
            age_s=max(0.0, (now - product.end).total_seconds()),
            why=_why(product, [s for s in pipelines.values() if name in s.makes], states, newest),
        )
        for name, product in newest.items()
    ]


def _why(
    product: Product,
    makers: Sequence[PipelineSpec],
    states: Mapping[str, PipelineState],
    newest: Mapping[str, Product],
) -> str:
    """The first reason that holds, the one that somebody can do something about first."""
    for spec in makers:
        state = states[spec.name]
        if state.failing:
            return f"The last run of {spec.name} failed."
        if state.counts.get(RunStatus.RUNNING, 0):
            return f"{spec.name} is running."
        if waiting := state.counts.get(RunStatus.QUEUED, 0):
            return f"{waiting} {'run' if waiting == 1 else 'runs'} of {spec.name} {'waits' if waiting == 1 else 'wait'}."
    sources = {need for spec in makers for need in spec.needs if need in newest}
    if newer := sorted(n for n in sources if newest[n].end > product.end + _FRESH):
        return f"There is newer {newer[0]}; {makers[0].name} runs {_when(makers[0].schedule)}."
    if sources:
        return f"As new as {', '.join(sorted(sources))}, of which it is made."
    received = f"; taken in {product.created:%Y-%m-%d %H:%M} UTC" if product.created else ""
    return f"No newer telemetry has arrived{received}."


def _when(schedule: str) -> str:
    return {"manual": "only when asked", "on new product": "on a new product"}.get(
        schedule, f"on schedule ({schedule})"
    )
