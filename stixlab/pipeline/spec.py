"""What a pipeline notebook declares about itself, read without running it.

The first cell, raw and tagged ``pipeline``, holds YAML; a code cell tagged ``parameters`` holds
``name: type = default  # help`` lines. Both are read as text, and so is the
rest of the code; a wrong declaration, or code that does not do what it says, is refused with file, cell and field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from stixlab.errors import PipelineError
from stixlab.pipeline.cells import Place, faults_error, read_cells
from stixlab.pipeline.code_checks import Declared, check_code
from stixlab.pipeline.declaration import MANUAL, ON_NEW_PRODUCT, RESULTS, Parameter, PipelineSpec
from stixlab.pipeline.front_matter import read_front_matter
from stixlab.pipeline.parameters_cell import read_parameters
from stixlab.pipeline.schedule import default_window, is_timed
from stixlab.pipeline.schema import json_schema

__all__ = ["RESULTS", "Parameter", "PipelineSpec", "json_schema", "read_spec"]

"""When a pipeline may run, beside cron lines."""
_RANGE = {"start", "end"}
Found = TypeVar("Found")


def read_spec(path: Path) -> PipelineSpec:
    """Declaration of a pipeline notebook.

    Parameters
    ----------
    path
        The ``.ipynb`` file; it is not executed.

    Raises
    ------
    PipelineError
        If the file is no notebook, its declaration is wrong, or its code departs from it; the message names
        file, cell and field of all that is wrong, the attributes `path`, `cell` (from 1) and `field` say it of the
        first for programs, `faults` has the errors one by one.
    """
    place = Place(path)
    content, cells = read_cells(place)
    wrong: list[PipelineError] = []
    front = _tried(lambda: read_front_matter(cells, place), wrong)
    limits = front["parameters"] if front else {}
    parameters = _tried(lambda: read_parameters(cells, place, limits), wrong)
    spec = None
    if front is not None and parameters is not None:
        spec = _make_spec(path, content, front, parameters)
        _tried(lambda: _check_together(spec, place), wrong)
    if cells:
        wrong += check_code(cells, place, _declared(path.stem, front, parameters))
    if spec is None or wrong:
        raise faults_error(sorted(wrong, key=lambda e: int(str(e.details["cell"])) or len(cells) + 1))
    return spec


def _tried(read: Callable[[], Found], wrong: list[PipelineError]) -> Found | None:
    """What a part of the declaration says; None if it is wrong, which is noted."""
    try:
        return read()
    except PipelineError as error:
        wrong.append(error)
        return None


def _declared(name: str, front: dict[str, Any] | None, parameters: tuple[Parameter, ...] | None) -> Declared:
    return Declared(
        name,
        parameters=None if parameters is None else tuple(p.name for p in parameters),
        needs=None if front is None else front["needs"],
        makes=None if front is None else front["makes"],
        delivers=None if front is None else (*front["makes"], *front["may_make"]),
    )


def _make_spec(
    path: Path, content: bytes, front: dict[str, Any], parameters: tuple[Parameter, ...]
) -> PipelineSpec:
    window = front["window"]
    if not window and {p.name for p in parameters} >= _RANGE:
        window = default_window(front["schedule"])
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
        memory_bytes=front["memory"],
        retries=front["retries"],
        fatal_warnings=front["fatal_warnings"],
        kernel=front["kernel"],
        window=window,
        margin_s=front["margin"],
        priority=front["priority"],
        may_make=front["may_make"],
    )


def _check_together(spec: PipelineSpec, place: Place) -> None:
    """Refuse a declaration of which each field is right and the whole cannot run."""
    place.cell = 1
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
