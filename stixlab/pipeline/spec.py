"""What a pipeline notebook declares about itself, read without running it.

The first cell, raw and tagged ``pipeline``, holds YAML; a code cell tagged ``parameters`` holds
``name: type = default  # help`` lines. Both are read as text; a wrong declaration is refused with
file, cell and field.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stixlab.errors import PipelineError
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = [
    "MADE_FROM_NOTHING",
    "OTHER_NEEDS",
    "RESULTS",
    "TRIGGERS",
    "Parameter",
    "PipelineSpec",
    "json_schema",
    "read_spec",
]

TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
"""Types a parameter may have, as they are written."""
TRIGGERS = ("manual", "on new product")
"""When a pipeline may run."""
RESULTS = ("flare-list",)
"""Results a pipeline may deliver, beside product types."""
OTHER_NEEDS = ("packets", "kernels")
"""What a pipeline may read beside product types: stored packets, sources of orbit, attitude and clock."""
MADE_FROM_NOTHING = ("asp-ephemeris",)
"""Product types that no packets are needed for."""
_KEYS = {"title", "summary", "authors", "needs", "makes", "may_make", "schedule", "timeout", "parameters"}
_NEEDED = ("title", "summary", "needs", "makes")
_LIMITS = {"format", "after", "minimum", "maximum", "enum", "required"}
_TIMEOUT = re.compile(r"(?P<n>\d+(?:\.\d+)?)\s*(?P<unit>s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_DEFAULT_TIMEOUT_S = 1200.0


@dataclass(frozen=True)
class Parameter:
    """One parameter of a pipeline."""

    name: str
    type: str
    """``str``, ``int``, ``float`` or ``bool``."""
    default: Any
    """What the notebook uses when opened by hand; also the default of a run unless `required`."""
    help: str
    required: bool = False
    """Whether a run must be given it."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """``format: time``, ``after: <parameter>``, ``minimum``, ``maximum``, ``enum``."""


@dataclass(frozen=True)
class PipelineSpec:
    """What a pipeline is, needs and makes."""

    name: str
    """Name of its file, without the ending."""
    path: Path
    title: str
    summary: str
    authors: tuple[str, ...]
    needs: tuple[str, ...]
    """Product types it reads."""
    makes: tuple[str, ...]
    """Results it must deliver, each once."""
    schedule: str
    """One of `TRIGGERS`."""
    timeout_s: float
    """Longest time a run may take, seconds."""
    parameters: tuple[Parameter, ...]
    notebook_sha256: str
    """Hash of the file."""
    may_make: tuple[str, ...] = ()
    """Product types that it delivers where there are data of them; at most once each."""


class _Place:
    """Where in a notebook something is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cell = 0

    def error(self, name: str, message: str) -> PipelineError:
        where = f"{self.path.name}, cell {self.cell}" if self.cell else self.path.name
        return PipelineError(f"{where}, {name}: {message}", path=self.path, cell=self.cell, field=name)


def read_spec(path: Path) -> PipelineSpec:
    """Declaration of a pipeline notebook.

    Parameters
    ----------
    path
        The ``.ipynb`` file; it is not executed.

    Raises
    ------
    PipelineError
        If the file is no notebook or its declaration is wrong; the message names file, cell and field,
        the attributes `path`, `cell` (from 1) and `field` say it for programs.
    """
    place = _Place(path)
    content, cells = _read_cells(path, place)
    front = _front_matter(cells, place)
    parameters = _parameters(cells, place, front)
    _check_start(cells, place, path.stem)
    return PipelineSpec(
        name=path.stem,
        path=path,
        title=front["title"],
        summary=front["summary"],
        authors=front["authors"],
        needs=front["needs"],
        makes=front["makes"],
        schedule=front["schedule"],
        timeout_s=front["timeout"],
        parameters=parameters,
        notebook_sha256=hashlib.sha256(content).hexdigest(),
        may_make=front["may_make"],
    )


def _read_cells(path: Path, place: _Place) -> tuple[bytes, list[tuple[str, str, tuple[str, ...]]]]:
    """Content of the file, and of each cell its kind, source and tags."""
    try:
        content = path.read_bytes()
        document = json.loads(content)
        cells = [
            (
                str(cell["cell_type"]),
                cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]),
                tuple(cell.get("metadata", {}).get("tags", ())),
            )
            for cell in document["cells"]
        ]
    except OSError as error:
        raise place.error("file", f"cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise place.error(
            "file", f"expected a Jupyter notebook, format 4; {type(error).__name__}: {error}"
        ) from error
    return content, cells


def _front_matter(cells: list[tuple[str, str, tuple[str, ...]]], place: _Place) -> dict[str, Any]:
    """The first cell, each field checked and in its final form."""
    place.cell = 1
    if not cells or cells[0][0] != "raw" or "pipeline" not in cells[0][2]:
        raise place.error(
            "cell", "expected a raw cell with the tag 'pipeline' that holds YAML as the first cell"
        )
    try:
        front = yaml.safe_load(cells[0][1])
    except yaml.YAMLError as error:
        raise place.error("YAML", f"cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(front, dict):
        raise place.error("YAML", f"expected 'field: value' lines; found {type(front).__name__}")
    if missing := [name for name in _NEEDED if name not in front]:
        raise place.error(missing[0], "missing")
    if unknown := [str(name) for name in front if name not in _KEYS]:
        raise place.error(unknown[0], f"unknown; the fields are {', '.join(sorted(_KEYS))}")
    _check_texts(front, place)
    front["authors"] = _names(front.get("authors", []), "authors", place)
    front["needs"] = _names(front["needs"], "needs", place, (*PRODUCT_TYPES, *OTHER_NEEDS))
    products = (*PRODUCT_TYPES, *MADE_FROM_NOTHING)
    front["makes"] = _names(front["makes"], "makes", place, (*RESULTS, *products))
    front["may_make"] = _names(front.get("may_make", []), "may_make", place, products)
    if twice := set(front["makes"]) & set(front["may_make"]):
        raise place.error("may_make", f"{', '.join(sorted(twice))} stands under 'makes', too; name it once")
    if not front["makes"] and not front["may_make"]:
        raise place.error("makes", "expected at least one result; a notebook that makes none is an app")
    front["schedule"] = front.get("schedule", TRIGGERS[0])
    if front["schedule"] not in TRIGGERS:
        raise place.error("schedule", f"expected one of {', '.join(TRIGGERS)}; found {front['schedule']!r}")
    front["timeout"] = _timeout(front.get("timeout"), place)
    front["parameters"] = _limits(front.get("parameters") or {}, place)
    return front


def _check_texts(front: dict[str, Any], place: _Place) -> None:
    for name in ("title", "summary"):
        if not isinstance(front[name], str) or not front[name].strip():
            raise place.error(name, f"expected a text; found {front[name]!r}")


def _names(value: Any, name: str, place: _Place, known: tuple[str, ...] = ()) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise place.error(name, f"expected a list of names such as [ql-lightcurve]; found {value!r}")
    for each in value if known else ():
        if each not in known:
            raise place.error(name, f"{each!r} is unknown; the names are {', '.join(known)}")
    if len(set(value)) < len(value):
        raise place.error(name, f"the same name twice in {value!r}")
    return tuple(value)


def _timeout(value: Any, place: _Place) -> float:
    if value is None:
        return _DEFAULT_TIMEOUT_S
    match = _TIMEOUT.fullmatch(str(value).strip())
    if match is None or float(match["n"]) <= 0:
        raise place.error("timeout", f"expected a time such as 90 s, 20 min or 2 h; found {value!r}")
    return float(match["n"]) * _SECONDS[match["unit"]]


def _limits(value: Any, place: _Place) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise place.error("parameters", f"expected 'name: {{format: time}}' lines; found {value!r}")
    for name, limits in value.items():
        unknown = set(limits) - _LIMITS
        if unknown:
            raise place.error(
                f"parameters.{name}",
                f"unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(_LIMITS))}",
            )
    return value


def _parameters(
    cells: list[tuple[str, str, tuple[str, ...]]], place: _Place, front: dict[str, Any]
) -> tuple[Parameter, ...]:
    """Assignments of the cell tagged ``parameters``, with the limits of the front matter."""
    tagged = [n for n, (_, _, tags) in enumerate(cells) if "parameters" in tags]
    place.cell = 0
    if len(tagged) != 1:
        raise place.error("cell", f"expected one code cell with the tag 'parameters'; found {len(tagged)}")
    place.cell = tagged[0] + 1
    kind, source, _ = cells[tagged[0]]
    if kind != "code":
        raise place.error("cell", f"expected parameters in a code cell; found a {kind} cell")
    try:
        tree = ast.parse(source)
        comments = _comments(source)
    except (SyntaxError, tokenize.TokenError) as error:
        raise place.error("Python", f"cannot be read: {error}") from error
    limits = dict(front["parameters"])
    found = [_parameter(node, comments, limits, place) for node in tree.body]
    names = [p.name for p in found]
    for name in names:
        if names.count(name) > 1:
            raise place.error(name, "assigned twice")
    place.cell = 1
    for name in limits:
        raise place.error(
            f"parameters.{name}", f"no such parameter; the cell has {', '.join(names) or 'none'}"
        )
    for p in found:
        if "after" in p.limits and p.limits["after"] not in names:
            raise place.error(f"parameters.{p.name}.after", f"no parameter {p.limits['after']!r}")
    return tuple(found)


def _comments(source: str) -> dict[int, str]:
    """Comment of each line, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(
    node: ast.stmt, comments: dict[int, str], limits: dict[str, dict[str, Any]], place: _Place
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
    own = limits.pop(name, {})
    rest = {k: v for k, v in own.items() if k != "required"}
    return Parameter(name, annotation, default, text, bool(own.get("required", False)), rest)


def _check_start(cells: list[tuple[str, str, tuple[str, ...]]], place: _Place, name: str) -> None:
    """The notebook must start a run under its own name, or its results would go nowhere."""
    for number, (kind, source, _) in enumerate(cells, start=1):
        if kind != "code" or "start_run" not in source:
            continue
        place.cell = number
        try:
            calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
        except SyntaxError as error:
            raise place.error("Python", f"cannot be read: {error}") from error
        for call in calls:
            if ast.unparse(call.func).endswith("start_run"):
                first = call.args[0] if call.args else None
                if isinstance(first, ast.Constant) and first.value == name:
                    return
                raise place.error(
                    "start_run", f"expected the pipeline's name {name!r} first; found {ast.unparse(call)}"
                )
    place.cell = 0
    raise place.error("start_run", f"expected a cell with run = stixlab.start_run({name!r}, ...); found none")


def json_schema(spec: PipelineSpec) -> dict[str, Any]:
    """JSON Schema of the parameters of a run."""
    kinds = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    properties: dict[str, Any] = {}
    for p in spec.parameters:
        entry: dict[str, Any] = {"type": kinds[p.type], "description": p.help}
        if not p.required:
            entry["default"] = p.default
        if p.limits.get("format") == "time":
            entry["format"] = "date-time"
        entry |= {k: v for k, v in p.limits.items() if k in ("minimum", "maximum", "enum")}
        properties[p.name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.title,
        "type": "object",
        "properties": properties,
        "required": [p.name for p in spec.parameters if p.required],
        "additionalProperties": False,
    }
