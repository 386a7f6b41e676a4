"""How the pipelines fare: what runs, waits and failed, and how old each product type is and why.

Nothing here names a parameter, a log or a machine: all of it may be shown to everyone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.model import Product, Run, RunStatus
from stixlab.pipeline.declaration import FLARE_LIST, MANUAL
from stixlab.pipeline.ranges import span_of
from stixlab.pipeline.spec import PipelineSpec
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, PRODUCT_TYPES

__all__ = [
    "GOOD",
    "RECENT",
    "REMOVED",
    "WRONG",
    "Newest",
    "Overview",
    "PipelineState",
    "ProductAge",
    "look_over",
    "newest_data",
]

RECENT = timedelta(days=7)
"""What has ended is counted so far back."""
GOOD, WRONG, REMOVED = "good", "wrong", "removed"
_FRESH = timedelta(hours=1)
"""A product that ends this little before what it is made from is as new as that."""
_RESULT_TITLES: Mapping[str, str] = {FLARE_LIST: "Flare list"}
_LOOKED_AT = 200
"""Runs of a pipeline, the newest, by which it is told how far a result reaches."""


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
    """Whether the newest run that ended failed; of a pipeline that is gone nothing fails any more."""
    seconds: tuple[float, ...]
    """Durations of the runs that ended within `RECENT`, ascending, s."""
    state: str = GOOD
    """`GOOD`; `WRONG`: there is such a file, declared wrongly, and it does not run; `REMOVED`: there is none any more."""


@dataclass(frozen=True)
class ProductAge:
    """How new a product type or result is, of one origin."""

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
    catalog: Any,
    pipelines: Mapping[str, PipelineSpec],
    *,
    wrong: Collection[str] = (),
    now: datetime | None = None,
) -> Overview:
    """The state of things, by a bounded number of questions to the database.

    Parameters
    ----------
    catalog
        Stores of records; reading is enough.
    pipelines
        Declarations by name.
    wrong
        Names of those that are declared wrongly.
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
    names = sorted({*pipelines, *wrong, *(r.pipeline for r in (*waiting, *running, *ended))})
    states = tuple(
        _state(
            catalog,
            name,
            pipelines.get(name, WRONG if name in wrong else REMOVED),
            [r for r in (*waiting, *running, *ended) if r.pipeline == name],
        )
        for name in names
    )
    oldest = min((r.created for r in waiting), default=moment)
    held = {r.worker for r in running if r.worker and r.lease_until is not None and r.lease_until > moment}
    newest = newest_data(catalog, pipelines, ended=ended)
    by_name = {s.name: s for s in states}
    return Overview(
        made=moment,
        pipelines=states,
        products=tuple(
            _age(n, pipelines, by_name, {(n.type, n.origin): n for n in newest}, moment) for n in newest
        ),
        oldest_waiting_s=max(0.0, (moment - oldest).total_seconds()),
        workers=len(held),
    )


def _state(catalog: Any, name: str, spec: PipelineSpec | str, runs: Sequence[Run]) -> PipelineState:
    """How a pipeline fares, by its declaration or by why there is none."""
    ended = sorted(
        (r for r in runs if r.status.has_ended and r.finished), key=lambda r: r.finished or r.created
    )
    good = [r for r in ended if r.status is RunStatus.SUCCEEDED]
    if not good:
        good = catalog.runs.find(pipeline=name, status=RunStatus.SUCCEEDED, limit=1)
    judged = [r for r in ended if r.status is not RunStatus.CANCELLED]
    return PipelineState(
        name=name,
        title=name if isinstance(spec, str) else spec.title,
        schedule="never" if isinstance(spec, str) else spec.schedule,
        counts=Counter(str(r.status) for r in {r.run_id: r for r in runs}.values()),
        last_success=good[-1].finished if good else None,
        failing=spec != REMOVED and bool(judged) and judged[-1].status is RunStatus.FAILED,
        seconds=tuple(
            sorted((r.finished - r.started).total_seconds() for r in ended if r.finished and r.started)
        ),
        state=spec if isinstance(spec, str) else GOOD,
    )


@dataclass(frozen=True)
class Newest:
    """The newest data of a type and origin."""

    type: str
    title: str
    origin: str
    start: datetime
    """UTC, start of the newest product, or of the newest range of a result."""
    latest: datetime
    """UTC, end of the data."""
    created: datetime | None = None
    """When the product was made."""
    version: int | None = None
    """Of the product; none for a result."""
    content_sha256: str = ""


def newest_data(
    catalog: Any, pipelines: Mapping[str, PipelineSpec], *, ended: Sequence[Run] = ()
) -> list[Newest]:
    """The newest data of each product type and result, of each origin apart: newer simulated data hide no measured ones.

    Parameters
    ----------
    catalog
        Stores of records; reading is enough.
    pipelines
        Declarations by name; they say which runs deliver results that are no products.
    ended
        Runs that are known already.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    found = []
    for kind in (*PRODUCT_TYPES.values(), *CONTEXT_TYPES.values()):
        for origin in ORIGINS:
            p: Product | None = catalog.products.latest(type=kind.name, origin=origin)
            if p is not None:
                found.append(
                    Newest(
                        kind.name, kind.title, origin, p.start, p.end, p.created, p.version, p.content_sha256
                    )
                )
    products = {(n.type, n.origin): n for n in found}
    for name, title in _RESULT_TITLES.items():
        makers = [s for s in pipelines.values() if name in s.delivers]
        runs = {r.run_id: r for r in ended}
        for spec in makers:
            known = catalog.runs.find(pipeline=spec.name, status=RunStatus.SUCCEEDED, limit=_LOOKED_AT)
            runs |= {r.run_id: r for r in known}
        found += _newest_result(name, title, makers, list(runs.values()), products)
    return found


def _newest_result(
    name: str,
    title: str,
    makers: Sequence[PipelineSpec],
    runs: Sequence[Run],
    products: Mapping[tuple[str, str], Newest],
) -> list[Newest]:
    """How far a result that is no product reaches: as far as the data that runs have looked through."""
    needs = {spec.name: spec.needs for spec in makers}
    best: dict[str, Newest] = {}
    for run in runs:
        told = run.outputs.get(name)
        if run.status is not RunStatus.SUCCEEDED or not told or run.pipeline not in needs:
            continue
        start, end = span_of(run.parameters)
        origin = str(told.get("origin", ""))
        if start is None or end is None or origin not in ORIGINS:
            continue
        contents = set(run.inputs.values())
        for each in (products[need, origin] for need in needs[run.pipeline] if (need, origin) in products):
            # Of a product that has been made anew since, the run has not seen what is new.
            end = min(end, each.latest if each.content_sha256 in contents else max(each.start, start))
        if origin not in best or end > best[origin].latest:
            best[origin] = Newest(name, title, origin, start, end, run.finished)
    return [best[origin] for origin in ORIGINS if origin in best]


def _age(
    each: Newest,
    pipelines: Mapping[str, PipelineSpec],
    states: Mapping[str, PipelineState],
    newest: Mapping[tuple[str, str], Newest],
    now: datetime,
) -> ProductAge:
    able = [s for s in pipelines.values() if each.type in s.delivers]
    makers = [
        s for s in able if s.schedule != MANUAL
    ] or able  # who only makes things anew brings nothing newer
    same = {kind: found for (kind, origin), found in newest.items() if origin == each.origin}
    return ProductAge(
        type=each.type,
        title=each.title,
        origin=each.origin,
        latest=each.latest,
        age_s=max(0.0, (now - each.latest).total_seconds()),
        why=_why(each, makers, states, same),
    )


def _why(
    product: Newest,
    makers: Sequence[PipelineSpec],
    states: Mapping[str, PipelineState],
    newest: Mapping[str, Newest],
) -> str:
    """The first reason that holds, the one that somebody can do something about first."""
    if busy := _busy(makers, states):
        return busy
    sources = {need: spec for spec in reversed(makers) for need in spec.needs if need in newest}
    if newer := sorted(n for n in sources if newest[n].latest > product.latest + _FRESH):
        maker = sources[newer[0]]
        return f"There is newer {newer[0]}; {maker.name} runs {_when(maker.schedule)}."
    if sources:
        return f"As new as {', '.join(sorted(sources))}, of which it is made."
    if makers and all(set(spec.needs) <= {"kernels"} for spec in makers):
        return f"{makers[0].name} runs {_when(makers[0].schedule)}."
    received = f"; taken in {product.created:%Y-%m-%d %H:%M} UTC" if product.created else ""
    return f"No newer telemetry has arrived{received}."


def _busy(makers: Sequence[PipelineSpec], states: Mapping[str, PipelineState]) -> str:
    """What keeps the first pipeline that does not rest; empty if all do."""
    for spec in makers:
        state = states[spec.name]
        if state.failing:
            return f"The last run of {spec.name} failed."
        if state.counts.get(RunStatus.RUNNING, 0):
            return f"{spec.name} is running."
        if waiting := state.counts.get(RunStatus.QUEUED, 0):
            return f"{waiting} {'run' if waiting == 1 else 'runs'} of {spec.name} {'waits' if waiting == 1 else 'wait'}."
    return ""


def _when(schedule: str) -> str:
    return {"manual": "only when asked", "on new product": "on a new product"}.get(
        schedule, f"on schedule ({schedule})"
    )
