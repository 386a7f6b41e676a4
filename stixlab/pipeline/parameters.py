"""Parameters of a run, checked before anything starts: against the JSON Schema of the pipeline, in our words."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.errors import ParameterError, TimeError
from stixlab.pipeline.declaration import Parameter, PipelineSpec
from stixlab.pipeline.quick_imports import load_jsonschema
from stixlab.pipeline.schema import json_schema
from stixlab.timing.intervals import as_text, read_time

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["check_parameters", "parameters_from_text", "values_from_text"]

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_INT64 = 2**63


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
    known = {p.name: p for p in spec.parameters}
    values = {str(k): _written(v) for k, v in given.items()}
    problems = [f"{name}: unknown{_hint(name, known)}" for name in values if name not in known]
    values = {k: v for k, v in values.items() if k in known and not _is_left_open(known[k], v)}
    found: dict[str, str] = {}
    for error in _validator()(json_schema(spec)).iter_errors(values):
        name, message = _told(error, known)
        found.setdefault(name, message)
    problems += [f"{name}: {found[name]}" for name in known if name in found]
    if problems:
        raise ParameterError(
            f"pipeline {spec.name}: " + "; ".join(problems), pipeline=spec.name, problems=tuple(problems)
        )
    return {name: _final(p, values.get(name, p.default)) for name, p in known.items()}


def _written(value: Any) -> Any:
    """A time as text; one that nanoseconds cannot hold is written, too, to be refused as what it is."""
    if not isinstance(value, np.datetime64 | datetime):
        return value
    year = (
        value.year if isinstance(value, datetime) else int(value.astype("datetime64[Y]").astype(int)) + 1970
    )
    return as_text(value) if 1700 < year < 2200 else str(value)


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known) or 'none'}"


def _is_left_open(p: Parameter, value: Any) -> bool:
    """Whether an empty text stands for no time."""
    return p.limits.get("format") == "time" and not p.required and p.default == "" == value


def _final(p: Parameter, value: Any) -> Any:
    """A value that was checked, in the one way in which it is written."""
    if p.limits.get("format") == "time":
        return as_text(read_time(value)) if value else value
    return float(value) if p.type == "float" else value


@cache
def _validator() -> Any:
    """Draft 2020-12 with our notion of types and times, and the word ``after``."""
    load_jsonschema()
    from jsonschema import Draft202012Validator, FormatChecker, validators

    checker = FormatChecker(formats=())
    checker.checks("date-time")(lambda value: not isinstance(value, str) or not _time_problem(value))
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int and -_INT64 <= value < _INT64,
            "number": lambda _, value: type(value) in (int, float) and _is_finite(value),
            "string": lambda _, value: isinstance(value, str) and _is_text(value),
        }
    )
    extended = validators.extend(Draft202012Validator, {"after": _check_after}, type_checker=types)
    return lambda schema: extended(schema, format_checker=checker)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value: str) -> bool:
    """Whether a text can be stored; halves of characters cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_after(
    _validator: Any, after: Mapping[str, str], values: Any, schema: Mapping[str, Any]
) -> Iterable[ValidationError]:
    """The word ``after`` of our schemas; times that cannot be read are told elsewhere."""
    from jsonschema.exceptions import ValidationError

    for name, before in after.items():
        later, earlier = (
            values.get(each, schema["properties"][each].get("default", "")) for each in (name, before)
        )
        texts = isinstance(later, str) and isinstance(earlier, str)
        if not texts or not later or not earlier or _time_problem(later) or _time_problem(earlier):
            continue
        if read_time(later) <= read_time(earlier):
            yield ValidationError(f"{name}: expected a time after {before} ({earlier}); found {later}")


@lru_cache(maxsize=256)
def _time_problem(text: str) -> str:
    """Why a text is no time; empty if it is one."""
    try:
        read_time(text)
    except TimeError as error:
        return error.message.removeprefix("time: ")
    return ""


def _told(error: ValidationError, known: Mapping[str, Parameter]) -> tuple[str, str]:
    """Name of a parameter, and what is wrong with it, of an error of the validator."""
    word, value = str(error.validator), error.instance
    if word == "after":
        name, _, message = error.message.partition(": ")
        return name, message
    if word == "required":
        name = next(n for n in error.validator_value if n not in value and f"'{n}'" in error.message)
        return name, f"missing ({known[name].help})"
    name = str(error.path[0])
    return name, _problem(known[name], word, value)


def _problem(p: Parameter, word: str, value: Any) -> str:
    is_time = p.limits.get("format") == "time"
    if word in ("type", "format") and is_time:
        return (
            _time_problem(value)
            if isinstance(value, str)
            else f"expected a UTC time as text; found {value!r}"
        )
    if word == "type" and isinstance(value, float) and p.type == "float":
        return f"expected a finite number; found {value}"
    if word == "type" and type(value) is int and p.type == "int":
        return f"expected a whole number of 64 bits; found {value}"
    if word in ("minimum", "maximum"):
        return f"expected {_range(p.limits.get('minimum'), p.limits.get('maximum'))}; found {value}"
    if word == "enum":
        return f"expected one of {_listed(p.limits['enum'])}; found {value!r}"
    return f"expected {p.type}; found {value!r}"


def parameters_from_text(spec: PipelineSpec, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as typed on a command line, brought to their types.

    Raises
    ------
    ParameterError
        As `check_parameters`, which is done, too.
    """
    return check_parameters(spec, values_from_text(spec, texts))


def values_from_text(spec: PipelineSpec, texts: Mapping[str, str]) -> dict[str, Any]:
    """Some parameters as typed, brought to their types as far as they can be; they are checked later."""
    types = {p.name: p.type for p in spec.parameters}
    return {name: _from_text(text, types.get(name, "str")) for name, text in texts.items()}


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


def _range(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _listed(choices: Iterable[Any]) -> str:
    return ", ".join(repr(c) for c in choices)
