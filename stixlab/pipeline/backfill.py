"""A pipeline over a long range of time, one run for each step, behind everything else in the queue.

The same back-fill asked for again goes on where it was: what has succeeded on the same inputs is not run
again, what failed is.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.errors import ParameterError, PipelineError
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.declaration import PipelineSpec
from stixlab.pipeline.inputs import find_inputs_of_many, have_data
from stixlab.pipeline.parameters import check_parameters

__all__ = ["BackFill", "Progress", "plan_backfill", "progress_of", "queue_backfill", "read_step"]

_STEP = re.compile(r"(?P<n>\d+(?:\.\d+)?)\s*(?P<unit>min|h|d)")
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LEAST = timedelta(minutes=1)
_LONGEST = timedelta(days=366)
_MOST_RUNS = 10_000
_LAUNCH = datetime(2020, 2, 10, tzinfo=UTC)


@dataclass(frozen=True)
class BackFill:
    """What a back-fill has to do."""

    batch: str
    """Its name; the same for the same pipeline, range, step and parameters."""
    runs: tuple[Run, ...]
    """To be queued, earliest first."""
    done: tuple[Run, ...]
    """That succeeded before, on the same inputs."""
    empty: tuple[str, ...]
    """Starts of steps of which the archive has no data; no run is made of them."""

    @property
    def steps(self) -> int:
        """How many steps the range has."""
        return len(self.runs) + len(self.done) + len(self.empty)


@dataclass(frozen=True)
class Progress:
    """How far a back-fill is."""

    total: int
    """Runs to be done."""
    waiting: int
    running: int
    failed: tuple[Run, ...]
    """Failed or cancelled ones."""

    @property
    def ended(self) -> int:
        """Runs of which nothing more becomes."""
        return self.total - self.waiting - self.running


def read_step(text: str) -> timedelta:
    """Length of a step as written: ``1d``, ``6 h``, ``30 min``.

    Raises
    ------
    ParameterError
        If it is written otherwise, shorter than a minute or longer than a year.
    """
    match = _STEP.fullmatch(text.strip())
    n = 0.0 if match is None else float(match["n"])
    step = n * _UNITS[match["unit"]] if match is not None and n < 1e6 else timedelta()
    if not _LEAST <= step <= _LONGEST:
        raise ParameterError(
            f"step: expected a time such as 1d, 6h or 30min, from a minute to a year; found {text!r}"
        )
    return step


def plan_backfill(
    catalog: Any,
    spec: PipelineSpec,
    start: datetime,
    end: datetime,
    *,
    step: timedelta = timedelta(days=1),
    given: Mapping[str, Any] | None = None,
    asked_by: str = "",
    now: datetime | None = None,
) -> BackFill:
    """The runs of a pipeline over a range of time; nothing is queued yet.

    Parameters
    ----------
    catalog
        Stores of records.
    spec
        The pipeline; it has parameters ``start`` and ``end``.
    start, end
        UTC with a zone; the last step ends at the end, be it shorter.
    step
        Length of each run.
    given
        Its other parameters.
    asked_by
        Account that asks.
    now
        UTC; none: the clock's.

    Raises
    ------
    PipelineError
        If the pipeline's runs are of no range of time.
    ParameterError
        If the range is empty, before the launch, in the future or too long for its step, or a parameter is wrong.
    CatalogError
        If the database does not answer.
    """
    when = now or datetime.now(UTC)
    others = dict(given or {})
    _check(spec, (start, end), step, others, when)
    count = math.ceil((end - start) / step)
    starts = [start + n * step for n in range(count)]
    asked = [check_parameters(spec, others | {"start": low, "end": min(low + step, end)}) for low in starts]
    inputs = find_inputs_of_many(catalog, spec, asked)
    filled = have_data(catalog, spec, asked)
    batch = _batch(spec, asked[0], asked[-1], step)
    runs = [
        plan_run(catalog, spec, parameters, inputs=reads, trigger="back-fill", now=when, occasion=batch, asked_by=asked_by, batch=batch)
        for parameters, reads, has_data in zip(asked, inputs, filled, strict=True)
        if has_data
    ]  # fmt: skip
    return BackFill(
        batch=batch,
        runs=tuple(r for r in runs if r.status is not RunStatus.SUCCEEDED),
        done=tuple(r for r in runs if r.status is RunStatus.SUCCEEDED),
        empty=tuple(p["start"] for p, has_data in zip(asked, filled, strict=True) if not has_data),
    )


def _check(
    spec: PipelineSpec,
    span: tuple[datetime, datetime],
    step: timedelta,
    others: Mapping[str, Any],
    now: datetime,
) -> None:
    start, end = span
    name = f"back-fill of {spec.name}"
    if not spec.has_range:
        raise PipelineError(f"{name}: its runs are of no range of time; it has no parameters start and end")
    if given := sorted({"start", "end"} & set(others)):
        raise ParameterError(f"{name}: {' and '.join(given)} follow from the range; give --start and --end")
    if end <= start:
        raise ParameterError(
            f"{name}: expected an end after the start {start:%Y-%m-%dT%H:%M}; found {end:%Y-%m-%dT%H:%M}"
        )
    if start < _LAUNCH:
        raise ParameterError(
            f"{name}: expected a start after the launch, {_LAUNCH:%Y-%m-%d}; found {start:%Y-%m-%d}"
        )
    if end > now + timedelta(days=1):
        raise ParameterError(f"{name}: expected an end that is not in the future; found {end:%Y-%m-%dT%H:%M}")
    if step < _LEAST:
        raise ParameterError(f"{name}: expected a step of at least a minute; found {step}")
    if (end - start) / step > _MOST_RUNS:
        raise ParameterError(
            f"{name}: expected at most {_MOST_RUNS} runs; found {(end - start) / step:.0f}; take a longer step or a shorter range"
        )


def _batch(spec: PipelineSpec, first: Mapping[str, Any], last: Mapping[str, Any], step: timedelta) -> str:
    others = {k: v for k, v in first.items() if k not in ("start", "end")}
    text = json.dumps([first["start"], last["end"], step.total_seconds(), others], sort_keys=True)
    day = str(first["start"])[:10].replace("-", "")
    return f"{spec.name}-{day}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def queue_backfill(catalog: Any, plan: BackFill) -> None:
    """Put the runs of a back-fill into the queue; those that are there already, for whatever reason, stay.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    catalog.runs.enqueue_many(plan.runs)


def progress_of(catalog: Any, plan: BackFill) -> Progress:
    """How far a back-fill is that was put into the queue.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    ids = {r.run_id for r in plan.runs}
    found = {r.run_id: r for r in catalog.runs.find(batch=plan.batch) if r.run_id in ids}
    for name in ids - set(found):
        run = catalog.runs.get(name)
        if run is not None:
            found[name] = run
    count = [r.status for r in found.values()].count
    return Progress(
        total=len(ids),
        waiting=count(RunStatus.QUEUED),
        running=count(RunStatus.RUNNING),
        failed=tuple(
            found[r.run_id]
            for r in plan.runs
            if r.run_id in found and found[r.run_id].status in (RunStatus.FAILED, RunStatus.CANCELLED)
        ),
    )
