"""The cell tagged ``parameters``: typed assignments with their help, and the limits of the front matter."""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Mapping, Sequence
from typing import Any

from stixlab.errors import TimeError
from stixlab.pipeline.cells import Cell, Place, did_you_mean
from stixlab.pipeline.declaration import Parameter
from stixlab.timing.intervals import read_time

__all__ = ["TYPES", "read_parameters"]

TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
"""Types a parameter may have, as they are written."""


def read_parameters(
    cells: Sequence[Cell], place: Place, limits: Mapping[str, dict[str, Any]]
) -> tuple[Parameter, ...]:
    """Assignments of the cell tagged ``parameters``.

    Parameters
    ----------
    cells
        All of the notebook.
    place
        Says where something is wrong.
    limits
        By parameter, from the front matter.

    Raises
    ------
    PipelineError
        If the cell is missing, a line is no assignment of that form, or a limit is wrong.
    """
    tagged = [n for n, cell in enumerate(cells) if "parameters" in cell.tags]
    place.cell = 0
    if len(tagged) != 1:
        raise place.error("cell", f"expected one code cell with the tag 'parameters'; found {len(tagged)}")
    place.cell = tagged[0] + 1
    cell = cells[tagged[0]]
    if cell.kind != "code":
        raise place.error("cell", f"expected parameters in a code cell; found a {cell.kind} cell")
    try:
        tree = ast.parse(cell.source)
        comments = _comments(cell.source)
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        raise place.error("Python", f"cannot be read: {error}") from error
    found = [_parameter(node, comments, limits, place) for node in tree.body]
    names = [p.name for p in found]
    for name in names:
        if names.count(name) > 1:
            raise place.error(name, "assigned twice")
    place.cell = 1
    for name in limits:
        if name not in names:
            raise place.error(
                f"parameters.{name}",
                f"no such parameter{did_you_mean(name, names) or ';'} the cell has {', '.join(names) or 'none'}",
            )
    for parameter in found:
        _check_limits(parameter, {p.name: p for p in found}, place)
    for parameter in found:
        _check_default(parameter, {p.name: p for p in found}, place, tagged[0] + 1)
    return tuple(found)


def _comments(source: str) -> dict[int, str]:
    """Comment of each line, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(
    node: ast.stmt, comments: dict[int, str], limits: Mapping[str, dict[str, Any]], place: Place
) -> Parameter:
    line = ast.unparse(node).splitlines()[0]
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        raise place.error("line", f"expected 'name: type = default  # help'; found {line!r}")
    name, annotation = node.target.id, ast.unparse(node.annotation)
    if annotation not in TYPES:
        raise place.error(name, f"expected one of the types {', '.join(TYPES)}; found {annotation}")
    if node.value is None:
        raise place.error(
            name, "expected a default, with which the notebook can be opened by hand; found none"
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError:
        raise place.error(name, f"expected a plain value; found {ast.unparse(node.value)}") from None
    if annotation == "float" and type(default) is int:
        default = float(default)
    if type(default) is not TYPES[annotation]:
        raise place.error(name, f"expected a default of type {annotation}; found {default!r}")
    text = comments.get(node.end_lineno or node.lineno, "")
    if not text:
        raise place.error(
            name, "expected a comment on its line that says what it is, with the unit; found none"
        )
    own = limits.get(name, {})
    rest = {k: v for k, v in own.items() if k != "required"}
    return Parameter(name, annotation, default, text, own.get("required", False), rest)


def _check_limits(p: Parameter, known: Mapping[str, Parameter], place: Place) -> None:
    """Refuse limits that say nothing about a value of that type."""
    where = f"parameters.{p.name}"
    if type(p.required) is not bool:
        raise place.error(f"{where}.required", f"expected true or false; found {p.required!r}")
    if "format" in p.limits and (p.limits["format"] != "time" or p.type != "str"):
        raise place.error(
            f"{where}.format", f"expected time, of a str; found {p.limits['format']!r} of type {p.type}"
        )
    if "after" in p.limits:
        before = known.get(str(p.limits["after"]))
        if before is None:
            near = did_you_mean(str(p.limits["after"]), known)
            raise place.error(f"{where}.after", f"no parameter {p.limits['after']!r}{near}")
        if before is p or not all(each.limits.get("format") == "time" for each in (p, before)):
            raise place.error(f"{where}.after", "expected another parameter, both with format: time")
    _check_bounds(p, place)


def _check_bounds(p: Parameter, place: Place) -> None:
    where = f"parameters.{p.name}"
    for name in ("minimum", "maximum"):
        bound = p.limits.get(name, 0)
        if (name in p.limits and p.type not in ("int", "float")) or not _is_number(bound):
            raise place.error(f"{where}.{name}", f"expected a number, of an int or float; found {bound!r}")
    if p.limits.get("minimum", -math.inf) > p.limits.get("maximum", math.inf):
        raise place.error(f"{where}.minimum", f"{p.limits['minimum']} is more than the maximum")
    if "enum" in p.limits:
        choices = p.limits["enum"]
        if not isinstance(choices, list) or not choices or not all(_is_of(p.type, c) for c in choices):
            raise place.error(
                f"{where}.enum", f"expected a list of values of type {p.type}; found {choices!r}"
            )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_of(kind: str, value: Any) -> bool:
    return _is_number(value) if kind == "float" else type(value) is TYPES[kind]


def _check_default(p: Parameter, known: Mapping[str, Parameter], place: Place, cell: int) -> None:
    """Refuse a default that a run would be refused for."""
    place.cell = cell
    value, limits = p.default, p.limits
    if p.type == "float" and not math.isfinite(value):
        raise place.error(p.name, f"expected a finite default; found {value}")
    low, high = limits.get("minimum", -math.inf), limits.get("maximum", math.inf)
    if p.type in ("int", "float") and not low <= value <= high:
        raise place.error(p.name, f"expected a default from {low} to {high}; found {value}")
    if "enum" in limits and value not in limits["enum"]:
        raise place.error(p.name, f"expected a default among {limits['enum']}; found {value!r}")
    if limits.get("format") != "time" or (not value and not p.required):
        return
    try:
        time = read_time(value)
        before = known[limits["after"]].default if "after" in limits else ""
        if before and time <= read_time(before):
            raise place.error(p.name, f"expected a default after {limits['after']} ({before}); found {value}")
    except TimeError as error:
        raise place.error(p.name, f"default: {error.message.removeprefix('time: ')}") from None
