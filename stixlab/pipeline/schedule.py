"""When a pipeline runs by the clock, and which range of time such a run covers; all UTC.

Nothing is remembered about what was queued: whether a slot was served is seen from the runs there are, so
any number of workers may ask, at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stixlab.pipeline.cells import Place
from stixlab.pipeline.declaration import MANUAL, ON_NEW_PRODUCT, PipelineSpec

if TYPE_CHECKING:
    from stixlab.model.run import Run

__all__ = [
    "check_schedule",
    "check_window",
    "default_window",
    "due_runs",
    "is_timed",
    "slots_around",
    "window_of",
]

_LINES: Mapping[str, str] = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1"}
_WINDOWS: Mapping[str, str] = {"hourly": "last hour", "daily": "yesterday", "weekly": "last 7 days"}
_WINDOW = re.compile(r"last (?:(?P<n>[1-9]\d{0,3}) )?(?P<unit>hour|day)s?")
_LONGEST = timedelta(days=366)
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def is_timed(schedule: str) -> bool:
    """Whether a pipeline of this schedule runs by the clock."""
    return schedule not in (MANUAL, ON_NEW_PRODUCT)


def check_schedule(value: Any, name: str, place: Place) -> str:
    """The schedule of a front matter.

    Raises
    ------
    PipelineError
        If it is none of the words and no cron line, or a cron line of a day that never comes.
    """
    if value in (MANUAL, ON_NEW_PRODUCT, *_LINES):
        return str(value)
    from croniter import CroniterError

    line = " ".join(value.split()) if isinstance(value, str) else ""
    if len(line.split()) == 5:
        try:
            slots_around(line, datetime.now(UTC))
        except (CroniterError, ValueError) as error:
            raise place.error(name, f"the cron line {line!r} cannot be used: {error}") from error
        return line
    words = ", ".join((MANUAL, ON_NEW_PRODUCT, *_LINES))
    raise place.error(
        name, f"expected one of {words}, or a cron line of 5 fields such as 30 4 * * 1; found {value!r}"
    )


def check_window(value: Any, schedule: str, place: Place) -> str:
    """The window of a front matter; empty where none is given.

    Raises
    ------
    PipelineError
        If it cannot be read, or the schedule is not by the clock.
    """
    if value is None:
        return ""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    match = _WINDOW.fullmatch(text)
    if text != "yesterday" and match is None:
        raise place.error("window", f"expected yesterday, last 3 days or last 6 hours; found {value!r}")
    if match is not None and _length(match) > _LONGEST:
        raise place.error("window", f"expected at most {_LONGEST.days} days; found {value!r}")
    if not is_timed(schedule):
        raise place.error("window", f"is for runs by the clock; the schedule is {schedule!r}")
    return text


def default_window(schedule: str) -> str:
    """The window of a schedule that has a word for itself; empty for others."""
    return _WINDOWS.get(schedule, "")


def _length(match: re.Match[str]) -> timedelta:
    n = int(match["n"] or 1)
    return timedelta(days=n) if match["unit"] == "day" else timedelta(hours=n)


def slots_around(schedule: str, now: datetime) -> tuple[datetime, datetime]:
    """The last time, not after now, at which a run is due, and the next one.

    Parameters
    ----------
    schedule
        ``hourly``, ``daily``, ``weekly`` or a cron line.
    now
        With a zone.

    Raises
    ------
    croniter.CroniterError
        If there is no such time.
    """
    from croniter import croniter

    second = now.astimezone(UTC).replace(microsecond=0)
    line = _LINES.get(schedule, schedule)
    last = croniter(line, second + timedelta(seconds=1), ret_type=datetime).get_prev()
    following = croniter(line, second, ret_type=datetime).get_next()
    return last, following


def window_of(window: str, slot: datetime) -> tuple[datetime, datetime]:
    """Range of time of the run of a slot: whole days or hours that have passed, UTC.

    ``yesterday`` and ``last N days`` end at the midnight before the slot (or at it), ``last N hours`` at
    the full hour.
    """
    match = _WINDOW.fullmatch("last day" if window == "yesterday" else window)
    assert match is not None
    end = slot.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if match["unit"] == "day":
        end = end.replace(hour=0)
    return end - _length(match), end


def due_runs(catalog: Any, specs: Iterable[PipelineSpec], now: datetime) -> list[Run]:
    """The runs that the clock asks for and nobody has queued yet.

    Of slots that were missed, the last one is caught up. A pipeline of which the window holds no data is
    due when data have come, until its next slot; one whose run would be the same as one that succeeded is
    not due.

    Parameters
    ----------
    catalog
        Stores of records.
    specs
        All pipelines; those not scheduled by the clock are passed over.
    now
        With a zone.

    Returns
    -------
    list of Run
        To be put into the queue. The identity of a run follows from its inputs, or from its slot where it
        declares no inputs: queued by several workers at once, it is there once.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    from stixlab.model.run import RunStatus
    from stixlab.pipeline.cache import plan_run
    from stixlab.pipeline.inputs import have_data

    due = []
    for spec in specs:
        if not is_timed(spec.schedule):
            continue
        slot, following = slots_around(spec.schedule, now)
        if catalog.runs.find(pipeline=spec.name, trigger="schedule", start=slot, end=following):
            continue
        given = {}
        if spec.window:
            start, end = window_of(spec.window, slot)
            if start < _FIRST:
                continue
            given = {"start": f"{start:%Y-%m-%dT%H:%M:%S}", "end": f"{end:%Y-%m-%dT%H:%M:%S}"}
        run = plan_run(catalog, spec, given, trigger="schedule", now=now, occasion=slot.isoformat())
        if run.status is not RunStatus.QUEUED:
            continue
        if not spec.is_cached or have_data(catalog, spec, [run.parameters])[0]:
            due.append(run)
    return due
