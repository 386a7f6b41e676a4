"""Which pipelines follow which: one that needs what another makes runs after it.

Only pipelines with the schedule ``on new product`` follow by themselves; their runs are of one UTC day and
one origin. The identity of a run follows from the content of its inputs, which is known when the upstream
run has delivered. Until then a stand-in waits in the queue, so that everybody sees what will come; it is
exchanged for the run itself when the upstream run commits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from stixlab.errors import ParameterError, PipelineError
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.declaration import FLARE_LIST, ON_NEW_PRODUCT, PipelineSpec
from stixlab.pipeline.identity import make_run
from stixlab.pipeline.inputs import days_of, have_data

__all__ = [
    "Unit",
    "cycle_message",
    "cycle_of",
    "dependants_of",
    "follow_ups",
    "followers_of",
    "in_order",
    "key_of",
    "overlaps_of",
    "plan_units",
    "runs_waiting_for",
    "units_near",
]

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_WRITTEN = "%Y-%m-%dT%H:%M:%S"


class Unit(NamedTuple):
    """What one run of a pipeline that follows products is about."""

    pipeline: str
    origin: str
    day: str
    """UTC, ``YYYY-MM-DD``."""


def dependants_of(specs: Iterable[PipelineSpec], makes: Iterable[str]) -> list[PipelineSpec]:
    """Pipelines that run by themselves when one of these products or results is new."""
    made = set(makes)
    return [s for s in specs if s.schedule == ON_NEW_PRODUCT and made & set(s.needs)]


def _edges(specs: Iterable[PipelineSpec]) -> dict[str, list[str]]:
    """For each pipeline those it follows."""
    known = list(specs)
    return {
        s.name: [u.name for u in known if s.schedule == ON_NEW_PRODUCT and set(u.delivers) & set(s.needs)]
        for s in known
    }


def cycle_of(specs: Iterable[PipelineSpec]) -> tuple[str, ...]:
    """Names of pipelines that would follow each other for ever, the first one twice; empty if there are none."""
    try:
        TopologicalSorter(_edges(specs)).prepare()
    except CycleError as error:
        names = list(error.args[1])
        first = names.index(min(names))
        return (*names[first:-1], *names[:first], names[first])
    return ()


def in_order(specs: Iterable[PipelineSpec]) -> list[PipelineSpec]:
    """The pipelines, each behind those it follows.

    Raises
    ------
    PipelineError
        If some follow each other in a circle; the message names them.
    """
    known = {s.name: s for s in specs}
    if cycle := cycle_of(known.values()):
        raise PipelineError(cycle_message(cycle), cycle=cycle)
    edges = {name: sorted(before) for name, before in sorted(_edges(known.values()).items())}
    return [known[name] for name in TopologicalSorter(edges).static_order()]


def cycle_message(cycle: tuple[str, ...]) -> str:
    """What is wrong with pipelines that follow each other, and what to do."""
    return (
        f"pipelines {' -> '.join(cycle)}: each runs on what the one before it makes, so that they would run for ever; "
        "give one of them another schedule, or take away what it needs"
    )


def overlaps_of(specs: Iterable[PipelineSpec]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What two pipelines may both deliver, by their names: over the same range each replaces what the other made."""
    known = sorted(specs, key=lambda s: s.name)
    pairs = {(a.name, b.name): sorted(set(a.delivers) & set(b.delivers)) for a, b in combinations(known, 2)}
    return {names: tuple(same) for names, same in pairs.items() if same}


def steps_of(spec: PipelineSpec) -> int:
    """How many days to either side of a run are in reach of its margin."""
    return math.ceil(spec.margin_s / _DAY.total_seconds())


def units_near(spec: PipelineSpec, origin: str, day: str) -> list[Unit]:
    """The runs of a pipeline that read something of a day, that of the day itself first."""
    moment = datetime.fromisoformat(day)
    steps = sorted(range(-steps_of(spec), steps_of(spec) + 1), key=abs)
    return [Unit(spec.name, origin, f"{moment + n * _DAY:%Y-%m-%d}") for n in steps]


def parameters_of(spec: PipelineSpec, unit: Unit) -> dict[str, str]:
    """Parameters of a run of a day; the origin if the pipeline asks for it."""
    start = datetime.fromisoformat(unit.day).replace(tzinfo=UTC)
    given = {"start": f"{start:{_WRITTEN}}", "end": f"{start + _DAY:{_WRITTEN}}"}
    names = {p.name for p in spec.parameters}
    return given | ({"origin": unit.origin} if "origin" in names else {})


def plan_units(
    catalog: Any, specs: Iterable[PipelineSpec], units: Iterable[Unit], *, now: datetime | None = None
) -> list[Run]:
    """The runs of some units and of all that follows them, in order.

    Parameters
    ----------
    catalog
        Stores of records.
    specs
        All pipelines.
    units
        What is asked for.
    now
        UTC; none: the clock's.

    Returns
    -------
    list of Run
        Those that succeeded before (nothing is to be done), those to be queued, and with `Run.after` the
        stand-ins of those that wait for others of the list.

    Raises
    ------
    PipelineError
        If pipelines follow each other in a circle.
    CatalogError
        If the database does not answer.
    """
    order = in_order(specs)
    wanted = set(units)
    runs: dict[Unit, Run] = {}
    for spec in order:
        upstream = [s.name for s in order if set(s.delivers) & set(spec.needs)]
        for unit in sorted(u for u in wanted if u.pipeline == spec.name):
            near = (
                u._replace(pipeline=name)
                for u in units_near(spec, unit.origin, unit.day)
                for name in upstream
            )
            before = {runs[u].run_id for u in near if u in runs and _is_to_be_done(runs[u])}
            run = _plan(catalog, spec, unit, tuple(sorted(before)), now)
            if run is None:
                continue
            runs[unit] = run
            if _is_to_be_done(run):
                wanted |= {Unit(s.name, unit.origin, unit.day) for s in dependants_of(order, spec.delivers)}
    return list(runs.values())


def _is_to_be_done(run: Run) -> bool:
    return run.status is not RunStatus.SUCCEEDED


def _plan(
    catalog: Any, spec: PipelineSpec, unit: Unit, after: tuple[str, ...], now: datetime | None
) -> Run | None:
    """The run of a unit; None if the pipeline does not take its parameters, such as the origin."""
    given = parameters_of(spec, unit)
    try:
        if after:
            return make_run(
                spec, given, inputs={}, trigger="product", now=now, after=after, occasion=f"after {after}"
            )
        return plan_run(catalog, spec, given, trigger="product", now=now)
    except ParameterError as error:
        log.info("not run on this product", extra={"pipeline": spec.name, "reason": error.message})
        return None


def follow_ups(catalog: Any, folder: Path, run: Run) -> list[Run]:
    """Queue what follows a run that has delivered; to be called after its results are in the catalogue.

    Safe to repeat: called before the run is marked as succeeded, nothing is lost when the process is killed.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    folder
        Of the pipelines.
    run
        With its outputs.

    Returns
    -------
    list of Run
        Those that are to be done now, queued; not those that wait for them.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    from stixlab.pipeline.discovery import find_pipelines

    specs = list(find_pipelines(folder).good.values())
    units = {
        unit
        for name, told in run.outputs.items()
        for spec in dependants_of(specs, [name])
        for origin, day in _days_of(catalog, run, told)
        for n, unit in enumerate(units_near(spec, origin, day))
        if (n == 0 and _has_changed(told)) or _has_data(catalog, spec, unit)
    }
    if not units:
        return []
    planned = [r for r in plan_units(catalog, specs, units) if _is_to_be_done(r)]
    waiting = runs_waiting_for(catalog, run.run_id)
    held = {w.run_id for w in waiting if _waits_for_more(catalog, w, run.run_id)}
    later = {key_of(w) for w in waiting if w.run_id in held}
    dropped = followers_of(planned, {r.run_id for r in planned if not r.after and key_of(r) in later})
    wanted = [r for r in planned if r.run_id not in dropped]
    for each in wanted:
        catalog.runs.enqueue(each)
    for name in followers_of(waiting, {run.run_id}) - followers_of(waiting, held) - {run.run_id}:
        if name not in {r.run_id for r in wanted}:
            catalog.runs.withdraw(name)
    return [r for r in wanted if not r.after]


def runs_waiting_for(catalog: Any, run_id: str) -> list[Run]:
    """Stand-ins that wait for a run, and those that wait for them."""
    found: dict[str, Run] = {}
    last = [run_id]
    while last:
        more = {w.run_id: w for w in catalog.runs.waiting_for(last) if w.run_id not in found}
        found |= more
        last = list(more)
    return list(found.values())


def key_of(run: Run) -> tuple[str, str]:
    """Equal for runs that ask the same of the same pipeline, whatever they read."""
    return run.pipeline, repr(sorted(run.parameters.items()))


def _waits_for_more(catalog: Any, stand_in: Run, done: str) -> bool:
    """Whether a stand-in waits for this run and yet another one: that one's commit will exchange it."""
    if done not in stand_in.after:
        return False
    rest = (catalog.runs.get(name) for name in stand_in.after if name != done)
    return any(r is not None and r.status in (RunStatus.QUEUED, RunStatus.RUNNING) for r in rest)


def followers_of(runs: list[Run], first: set[str]) -> set[str]:
    """Ids of some runs and of those that wait for them, directly or not."""
    found = set(first)
    for _ in runs:
        more = {r.run_id for r in runs if found & set(r.after)} - found
        if not more:
            break
        found |= more
    return found


def _has_changed(told: Mapping[str, Any]) -> bool:
    """Whether something may be otherwise than before: products may have been found as they should be."""
    return told.get("kind") != "products" or bool(told.get("products") or told.get("removed"))


def _days_of(catalog: Any, run: Run, told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Origins and UTC days that a result is about: those of its products, else those of the run's range."""
    from stixlab.pipeline.outputs import range_of

    if products := told.get("products"):
        found = catalog.products.get_many(products).values()
        spans = [(p.origin, p.start, p.end) for p in found]
    elif {"start", "end"} <= set(run.parameters):
        spans = [(told.get("origin", ""), *range_of(run.parameters))]
    else:
        spans = []
    days = set()
    for origin, start, end in spans:
        days |= {(origin, day) for day in days_of(start, end)}
    return sorted(days)


def _has_data(catalog: Any, spec: PipelineSpec, unit: Unit) -> bool:
    """Whether a day, itself, holds something that a pipeline needs."""
    if set(spec.needs) - {FLARE_LIST} and have_data(catalog, spec, [parameters_of(spec, unit)])[0]:
        return True
    start = datetime.fromisoformat(unit.day).replace(tzinfo=UTC)
    origin = unit.origin or None
    return FLARE_LIST in spec.needs and bool(
        catalog.flares.find(start=start, end=start + _DAY, origin=origin)
    )
