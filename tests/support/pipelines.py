"""Pipeline notebooks built in code, and a small data center they can run on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stixlab.errors import PipelineError

FRONT = """\
title: A trial
summary: Tries something.
needs: [ql-lightcurve]
makes: [flare-list]
timeout: 60 s
parameters:
  start: {format: time, required: true}
  end: {format: time, required: true, after: start}
  origin: {enum: ["", flight, simulated]}
"""
PARAMETERS = """\
start: str = "2022-03-01"  # UTC, start of the range
end: str = "2022-03-01T06:00:00"  # UTC, end of the range
origin: str = ""  # flight or simulated
"""
START = 'run = stixlab.start_run("trial", start=start, end=end, origin=origin)'
FIND = """\
from stixlab.analysis.flares import identify_flares
flares = identify_flares(run.fetch("ql-lightcurve"), start=start, end=end)"""
SAVE = 'run.save("flare-list", flares)'
GIVEN = {"start": "2022-03-01", "end": "2022-03-01T06:00:00", "origin": ""}

STAND_IN = '''\
"""Gives the kernel of a test its data center: one light curve, no server."""
import os, sys
if "stixlab.pipeline." in " ".join(sys.orig_argv):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "stixlab.factory":
                import importlib.util
                return importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), "stand_in.py"))
    sys.meta_path.insert(0, Finder())
'''
FACTORY = '''\
"""In place of `stixlab.factory`: the same call of the session, with a lab that holds one light curve."""
from types import SimpleNamespace

import numpy as np
import tests.support.flare_curves as made
from stixlab.pipeline.session import start_run as begin


class Lab:
    def open(self, kind, start, end, *, origin=None):
        ds = made.curve([(90, 500), (180, 5000)], origin=origin or "simulated").chunk({"time": 900})
        time = ds["time"].values
        return ds.isel(time=np.flatnonzero((time >= start) & (time < end)))

    def products(self, **asked):
        return [SimpleNamespace(product_id=f"L1_ql-lightcurve_20220301_{asked['origin']}", content_sha256="ab" * 32)]


def start_run(name, /, **parameters):
    return begin(Lab(), name, **parameters)
'''


def start_of(name: str, parameters: str) -> str:
    """The start of a run with every parameter of a parameters cell."""
    given = re.findall(r"^(\w+):", parameters, re.MULTILINE)
    return f"run = stixlab.start_run({', '.join([repr(name), *(f'{n}={n}' for n in given)])})"


def deliver(front: str) -> tuple[str, ...]:
    """Cells that save what a front matter declares, as far as the text shows."""
    makes = re.findall(r"^makes: \[(.*)\]$", front, re.MULTILINE)
    return tuple(f"run.save({n!r}, [])" for n in re.findall(r"[\w-]+", "".join(makes)))


def notebook(
    *code: str, front: str = FRONT, parameters: str = PARAMETERS, start: str | None = "", name: str = "trial"
) -> str:
    """JSON of a pipeline notebook; the code cells stand behind front matter, parameters and start.

    Without code it saves what it declares; with an empty start it starts with every parameter.
    """
    if start == "":
        start = start_of(name, parameters)
    code = code or deliver(front)
    cells = [
        {"cell_type": "raw", "id": "front", "metadata": {"tags": ["pipeline"]}, "source": front},
        _code("parameters", parameters, ["parameters"]),
    ]
    if start is not None:
        cells.append(_code("start", f"import stixlab\n{start}"))
    cells += [_code(f"cell-{n}", source) for n, source in enumerate(code)]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _code(name, source, tags=()):
    return {
        "cell_type": "code", "execution_count": None, "id": name,
        "metadata": {"tags": list(tags)} if tags else {}, "outputs": [], "source": source,
    }  # fmt: skip


def write_notebook(folder: Path, *code: str, name: str = "trial", **parts) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(notebook(*code, name=name, **parts), encoding="utf-8")
    return path


def stand_in(folder: Path, factory: str = FACTORY) -> dict[str, str]:
    """Environment in which kernels find a stand-in of `stixlab.factory`; made in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(STAND_IN)
    (folder / "stand_in.py").write_text(factory)
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": f"{folder}:{root}"}


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def refused(words: str, *, cell: int, field: str) -> Iterator[pytest.ExceptionInfo[PipelineError]]:
    """A declaration is refused with these words (a pattern), naming this cell and this field."""
    with pytest.raises(PipelineError, match=words) as caught:
        yield caught
    assert (caught.value.cell, caught.value.field) == (cell, field)
