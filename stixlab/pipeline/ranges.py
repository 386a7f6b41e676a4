"""The range of time of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stixlab.errors import PipelineError
from stixlab.timing.intervals import read_time

__all__ = ["range_of", "span_of"]


def range_of(parameters: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Start and end of a run's parameters, UTC.

    Raises
    ------
    PipelineError
        If the pipeline has none.
    TimeError
        If one cannot be read.
    """
    try:
        first, last = (_utc(parameters[name], name) for name in ("start", "end"))
    except KeyError as error:
        raise PipelineError(
            f"run: expected a parameter {error.args[0]}; found {', '.join(parameters)}"
        ) from None
    return first, last


def span_of(parameters: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Start and end of a run's parameters, UTC; None where one is empty or there is none.

    Raises
    ------
    TimeError
        If one cannot be read.
    """
    first, last = (parameters.get(name) or None for name in ("start", "end"))
    return (
        None if first is None else _utc(first, "start"),
        None if last is None else _utc(last, "end"),
    )


def _utc(value: Any, name: str) -> datetime:
    time = read_time(value, name=name)
    return datetime.fromisoformat(str(time.astype("datetime64[us]"))).replace(tzinfo=UTC)
