"""What a pipeline notebook declares about itself, read without running it.

The first cell, raw and tagged ``pipeline``, holds YAML; a code cell tagged ``parameters`` holds
``name: type = default  # help`` lines. Both are read as text; a wrong declaration is refused with
file, cell and field.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from pathlib import Path

from stixlab.pipeline.cells import Cell, Place, read_cells
from stixlab.pipeline.declaration import MANUAL, ON_NEW_PRODUCT, RESULTS, Parameter, PipelineSpec
from stixlab.pipeline.front_matter import read_front_matter
from stixlab.pipeline.parameters_cell import read_parameters
from stixlab.pipeline.schedule import default_window, is_timed
from stixlab.pipeline.schema import json_schema

__all__ = ["RESULTS", "Parameter", "PipelineSpec", "json_schema", "read_spec"]

"""When a pipeline may run, beside cron lines."""
_RANGE = {"start", "end"}


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
    place = Place(path)
    content, cells = read_cells(place)
    front = read_front_matter(cells, place)
    parameters = read_parameters(cells, place, front["parameters"])
    if not front["window"] and {p.name for p in parameters} >= _RANGE:
        front["window"] = default_window(front["schedule"])
    spec = PipelineSpec(
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
        memory_bytes=front["memory"],
        retries=front["retries"],
        fatal_warnings=front["fatal_warnings"],
        kernel=front["kernel"],
        window=front["window"],
        margin_s=front["margin"],
        priority=front["priority"],
        may_make=front["may_make"],
    )
    place.cell = 1
    _check_together(spec, place)
    _check_start(cells, place, path.stem)
    return spec


def _check_together(spec: PipelineSpec, place: Place) -> None:
    """Refuse a declaration of which each field is right and the whole cannot run."""
    if spec.schedule == MANUAL:
        return
    given = _RANGE | ({"origin"} if spec.schedule == ON_NEW_PRODUCT else set())
    for p in spec.parameters:
        if p.required and p.name not in given:
            raise place.error(
                f"parameters.{p.name}.required",
                f"a run with the schedule {spec.schedule!r} is given {' and '.join(sorted(given))} only; "
                "leave 'required' away, so that the default is taken",
            )
    if spec.schedule == ON_NEW_PRODUCT and not spec.needs:
        raise place.error("needs", "expected a product that a run 'on new product' follows; found none")
    if spec.schedule == ON_NEW_PRODUCT and not spec.has_range:
        raise place.error("schedule", "a run 'on new product' is of a day: expected parameters start and end")
    if is_timed(spec.schedule) and spec.has_range and not spec.window:
        raise place.error(
            "window",
            f"missing; with the schedule {spec.schedule!r} it says which range a run covers: "
            "yesterday, last 3 days, last 6 hours",
        )
    if spec.window and not spec.has_range:
        raise place.error("window", "expected parameters start and end, which it fills in; found none")


def _check_start(cells: Sequence[Cell], place: Place, name: str) -> None:
    """The notebook must begin its run under its own name, or its results go nowhere."""
    for number, cell in enumerate(cells, start=1):
        if cell.kind != "code" or "start_run" not in cell.source:
            continue
        place.cell = number
        try:
            calls = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)]
        except (SyntaxError, ValueError) as error:
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
