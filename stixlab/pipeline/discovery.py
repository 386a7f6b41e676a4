"""The pipelines of a folder."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from stixlab.errors import PipelineError
from stixlab.pipeline.dependencies import cycle_message, cycle_of
from stixlab.pipeline.spec import PipelineSpec, read_spec

__all__ = ["Pipelines", "find_pipelines", "get_pipeline"]


@dataclass(frozen=True)
class Pipelines:
    """What a folder holds: good declarations, and what is wrong with the others."""

    good: dict[str, PipelineSpec]
    wrong: dict[str, PipelineError]


def find_pipelines(folder: Path) -> Pipelines:
    """All pipelines of a folder, by name; one that is declared wrongly does not hide the others.

    Pipelines that would follow each other in a circle are wrong, all of them.

    Raises
    ------
    PipelineError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise PipelineError(f"pipelines: expected a folder at {folder}; found none", path=folder)
    pipelines = Pipelines({}, {})
    for path in sorted(folder.glob("*.ipynb")):
        try:
            pipelines.good[path.stem] = read_spec(path)
        except PipelineError as error:
            pipelines.wrong[path.stem] = error
    while cycle := cycle_of(pipelines.good.values()):
        for name in set(cycle):
            del pipelines.good[name]
            pipelines.wrong[name] = PipelineError(
                cycle_message(cycle), path=folder / f"{name}.ipynb", cycle=cycle
            )
    return pipelines


def get_pipeline(folder: Path, name: str) -> PipelineSpec:
    """The pipeline of that name.

    Raises
    ------
    PipelineError
        If there is none, the message names those there are; or if it is declared wrongly.
    """
    pipelines = find_pipelines(folder)
    if name in pipelines.wrong:
        raise pipelines.wrong[name]
    if name not in pipelines.good:
        names = sorted(pipelines.good)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
        raise PipelineError(f"pipeline {name!r}: unknown; {hint}", pipeline=name)
    return pipelines.good[name]
