"""The first cell of a pipeline: YAML, each field checked and brought to its final form."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import yaml

from stixlab.pipeline.cells import Cell, Place, did_you_mean
from stixlab.pipeline.declaration import (
    DEFAULT_MARGIN_S,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_S,
    KERNELS,
    MANUAL,
    RESULTS,
    known_needs,
    known_results,
)
from stixlab.pipeline.schedule import check_schedule, check_window

__all__ = ["FIELDS", "read_front_matter"]

_NEEDED = ("title", "summary", "needs", "makes")
_LIMITS = {"format", "after", "minimum", "maximum", "enum", "required"}
_DURATION = re.compile(r"(?P<n>\d+(?:\.\d+)?)\s*(?P<unit>s|min|h|d)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_S = 30 * 86_400.0
_MEMORY = re.compile(r"(?P<n>\d+(?:\.\d+)?)\s*(?P<unit>[MGT]i?B)")
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_LEAST_BYTES = 10**8
_MOST_RETRIES = 10
_MOST_PRIORITY = 100
_WARNING = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class _Loader(yaml.SafeLoader):
    """As YAML's own, but a field that is given twice is an error: one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_front_matter(cells: list[Cell], place: Place) -> dict[str, Any]:
    """Fields of the first cell by name, those that are not given with their defaults.

    Raises
    ------
    PipelineError
        If the cell is missing, or a field is missing, unknown or wrong.
    """
    place.cell = 1
    if not cells or cells[0].kind != "raw" or "pipeline" not in cells[0].tags:
        raise place.error(
            "cell", "expected a raw cell with the tag 'pipeline' that holds YAML as the first cell"
        )
    try:
        front = yaml.load(cells[0].source, _Loader)  # noqa: S506 - derived from the safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise place.error("YAML", f"cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(front, dict):
        raise place.error("YAML", f"expected 'field: value' lines; found {type(front).__name__}")
    if unknown := [str(name) for name in front if name not in FIELDS]:
        raise place.error(unknown[0], _unknown(unknown[0], FIELDS, "fields"))
    if missing := [name for name in _NEEDED if name not in front]:
        raise place.error(missing[0], "missing")
    fields = {name: read(front.get(name), name, place) for name, read in FIELDS.items()}
    if not fields["makes"] and not fields["may_make"]:
        raise place.error("makes", "expected at least one result; a notebook that makes none is an app")
    if twice := sorted(set(fields["makes"]) & set(fields["may_make"])):
        raise place.error("may_make", f"{', '.join(twice)} stands under 'makes', too; name it once")
    return fields | {"window": check_window(front.get("window"), str(front.get("schedule", MANUAL)), place)}


def _unknown(name: str, known: Iterable[str], what: str) -> str:
    return f"unknown{did_you_mean(name, known) or ';'} the {what} are {', '.join(sorted(known))}"


def _text(value: Any, name: str, place: Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise place.error(name, f"expected a text; found {value!r}")
    return value


def _names(value: Any, name: str, place: Place, example: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
        raise place.error(name, f"expected a list of names such as [{example}]; found {value!r}")
    if len(set(value)) < len(value):
        raise place.error(name, f"the same name twice in {value!r}")
    return tuple(value)


def _authors(value: Any, name: str, place: Place) -> tuple[str, ...]:
    return _names([] if value is None else value, name, place, "A. Nonymous")


def _known(value: Any, name: str, place: Place, known: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(value, name, place, "ql-lightcurve")
    for each in names:
        if each not in known:
            raise place.error(name, f"{each!r} is {_unknown(each, known, 'names')}")
    return names


def _needs(value: Any, name: str, place: Place) -> tuple[str, ...]:
    return _known(value, name, place, known_needs())


def _makes(value: Any, name: str, place: Place) -> tuple[str, ...]:
    return _known(value, name, place, known_results())


def _may_make(value: Any, name: str, place: Place) -> tuple[str, ...]:
    products = tuple(each for each in known_results() if each not in RESULTS)
    return _known([] if value is None else value, name, place, products)


def _schedule(value: Any, name: str, place: Place) -> str:
    return check_schedule(MANUAL if value is None else value, name, place)


def _duration(value: Any, name: str, place: Place) -> float:
    match = _DURATION.fullmatch(str(value).strip())
    seconds = -1.0 if match is None else float(match["n"]) * _SECONDS[match["unit"]]
    if not 0 <= seconds <= _LONGEST_S:
        raise place.error(name, f"expected a time such as 90 s, 20 min or 2 h, at most 30 d; found {value!r}")
    return seconds


def _timeout(value: Any, name: str, place: Place) -> float:
    seconds = DEFAULT_TIMEOUT_S if value is None else _duration(value, name, place)
    if seconds <= 0:
        raise place.error(name, f"expected a time such as 90 s, 20 min or 2 h; found {value!r}")
    return seconds


def _margin(value: Any, name: str, place: Place) -> float:
    return DEFAULT_MARGIN_S if value is None else _duration(value, name, place)


def _memory(value: Any, name: str, place: Place) -> int | None:
    if value is None:
        return None
    match = _MEMORY.fullmatch(str(value).strip())
    n = 0 if match is None else round(float(match["n"]) * _BYTES[match["unit"]])
    if n < _LEAST_BYTES:
        raise place.error(
            name, f"expected a size such as 500 MB or 2 GB, at least 100 MB for a kernel; found {value!r}"
        )
    return n


def _whole(value: Any, name: str, place: Place, bounds: tuple[int, int]) -> int:
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise place.error(name, f"expected a whole number from {bounds[0]} to {bounds[1]}; found {value!r}")
    return value


def _retries(value: Any, name: str, place: Place) -> int:
    return DEFAULT_RETRIES if value is None else _whole(value, name, place, (0, _MOST_RETRIES))


def _priority(value: Any, name: str, place: Place) -> int:
    return 0 if value is None else _whole(value, name, place, (-_MOST_PRIORITY, _MOST_PRIORITY))


def _warnings(value: Any, name: str, place: Place) -> tuple[str, ...]:
    names = _names([] if value is None else value, name, place, "RuntimeWarning")
    for each in names:
        known = getattr(builtins, each, None)
        if "." in each and _WARNING.fullmatch(each):
            continue
        if not (isinstance(known, type) and issubclass(known, Warning)):
            raise place.error(
                name,
                "expected classes of warnings such as RuntimeWarning, those of a package with it, such as"
                f" numpy.exceptions.RankWarning; found {each!r}",
            )
    return names


def _kernel(value: Any, name: str, place: Place) -> str:
    if value is None:
        return KERNELS[0]
    if value not in KERNELS:
        raise place.error(name, f"expected one of {', '.join(KERNELS)}; found {value!r}")
    return str(value)


def _as_is(value: Any, name: str, place: Place) -> Any:  # noqa: ARG001
    """A field that is checked together with another one."""
    return value


def _limits(value: Any, name: str, place: Place) -> dict[str, dict[str, Any]]:
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and isinstance(v, dict) for k, v in value.items()
    ):
        raise place.error(name, f"expected 'name: {{format: time}}' lines; found {value!r}")
    for parameter, limits in value.items():
        if unknown := sorted({str(each) for each in limits} - _LIMITS):
            raise place.error(
                f"{name}.{parameter}", f"{unknown[0]!r} is {_unknown(unknown[0], _LIMITS, 'limits')}"
            )
    return value


FIELDS: Mapping[str, Callable[[Any, str, Place], Any]] = {
    "title": _text,
    "summary": _text,
    "authors": _authors,
    "needs": _needs,
    "makes": _makes,
    "may_make": _may_make,
    "schedule": _schedule,
    "window": _as_is,
    "margin": _margin,
    "timeout": _timeout,
    "memory": _memory,
    "retries": _retries,
    "fatal_warnings": _warnings,
    "kernel": _kernel,
    "priority": _priority,
    "parameters": _limits,
}
"""Fields there are, each with what reads it."""
