"""Parameters of a run, checked before anything starts."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from stixlab.errors import ParameterError, TimeError
from stixlab.pipeline.spec import Parameter, PipelineSpec
from stixlab.timing.intervals import as_text, read_time

__all__ = ["check_parameters", "parameters_from_text"]

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def check_parameters(spec: PipelineSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a run, with defaults filled in and times written in one way.

    Parameters
    ----------
    spec
        The pipeline.
    given
        By name. Times may be text, `datetime` or numpy.

    Returns
    -------
    dict
        In the order of the notebook; plain types only.

    Raises
    ------
    ParameterError
        If any is unknown, missing, mistyped or out of range; one message names all that is wrong, the
        attribute `problems` has them one by one.
    """
    problems = []
    known = {p.name: p for p in spec.parameters}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known) or 'none'}"
            problems.append(f"{name}: unknown{hint}")
    values: dict[str, Any] = {}
    for name, p in known.items():
        if name not in given and p.required:
            problems.append(f"{name}: missing ({p.help})")
            continue
        try:
            values[name] = _checked(p, given.get(name, p.default))
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: {error}")
    problems += _order_problems(spec, values)
    if problems:
        raise ParameterError(
            f"pipeline {spec.name}: " + "; ".join(problems), pipeline=spec.name, problems=tuple(problems)
        )
    return values


def parameters_from_text(spec: PipelineSpec, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as typed on a command line, brought to their types.

    Raises
    ------
    ParameterError
        As `check_parameters`, which is done, too.
    """
    types = {p.name: p.type for p in spec.parameters}
    return check_parameters(
        spec, {name: _from_text(text, types.get(name, "str")) for name, text in texts.items()}
    )


def _from_text(text: str, kind: str) -> Any:
    """The value of a text, or the text itself where it is none of that type; the check refuses it then."""
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        return text
    if kind == "bool" and text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    return text


def _checked(p: Parameter, value: Any) -> Any:
    if p.limits.get("format") == "time":
        return _time(p, value)
    if p.type == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != p.type:
        raise TypeError(f"expected {p.type}; found {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number; found {value}")
    low, high, choices = p.limits.get("minimum"), p.limits.get("maximum"), p.limits.get("enum")
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"expected {_range(low, high)}; found {value}")
    if choices is not None and value not in choices:
        raise ValueError(f"expected one of {_listed(choices)}; found {value!r}")
    return value


def _time(p: Parameter, value: Any) -> str:
    if isinstance(value, np.datetime64 | datetime):
        return as_text(value)
    if not isinstance(value, str):
        raise TypeError(f"expected a UTC time as text; found {value!r}")
    if not value and not p.required and not p.default:
        return value
    try:
        return as_text(read_time(value))
    except TimeError as error:
        raise ValueError(str(error).removeprefix("time: ")) from None


def _range(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _listed(choices: Iterable[Any]) -> str:
    return ", ".join(repr(c) for c in choices)


def _order_problems(spec: PipelineSpec, values: Mapping[str, Any]) -> list[str]:
    problems = []
    for p in spec.parameters:
        before = p.limits.get("after")
        if before is None or not values.get(p.name) or not values.get(before):
            continue
        if read_time(values[p.name]) <= read_time(values[before]):
            problems.append(
                f"{p.name}: expected a time after {before} ({values[before]}); found {values[p.name]}"
            )
    return problems
