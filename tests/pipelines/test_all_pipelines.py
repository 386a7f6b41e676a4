"""Every notebook of `pipelines/` is declared rightly, thin, without outputs, and runs."""

import ast
import json
import os
from pathlib import Path

import pytest

from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.queue import run_now
from stixlab.pipeline.runner import kernel_environment
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import stand_in

FOLDER = Path(__file__).parents[2] / "pipelines"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
GIVEN = {"start": "2022-03-01", "end": "2022-03-01T06:00:00", "origin": "simulated"}


def test_all_declarations_are_good():
    found = find_pipelines(FOLDER)
    assert found.wrong == {}
    assert sorted(found.good) == [p.stem for p in NOTEBOOKS]
    assert "flare_list" in found.good


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_pipeline_is_named_in_the_readme(path):
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_pipeline_is_thin(path):
    """House style 7: what needs a test belongs into the package; no outputs are committed."""
    code = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert len(code) <= 12
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        tree = ast.parse("".join(cell["source"]))
        bad = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.With, ast.Try)
        assert not [n for n in ast.walk(tree) if isinstance(n, bad)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_pipeline_runs(path, tmp_path):
    """By papermill, in a kernel of its own, on a simulated light curve with flares at 01:30 and 03:00."""
    spec = read_spec(path)
    names = {p.name for p in spec.parameters}
    catalog, archive = MemoryCatalog(), Archive(tmp_path / "archive", writable=True)
    run = run_now(
        catalog,
        spec,
        {k: v for k, v in GIVEN.items() if k in names},
        pipelines=FOLDER,
        archive=archive,
        environment=kernel_environment(os.environ, **stand_in(tmp_path / "stand-in")),
    )
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert sorted(run.outputs) == sorted(spec.makes)
    executed = json.loads(archive.path(run.notebook).read_text())
    kinds = {k for c in executed["cells"] for o in c.get("outputs", ()) for k in o.get("data", {})}
    assert "image/png" in kinds, "a figure for whoever looks at the executed notebook"
    if "flare-list" in spec.makes:
        assert [f.flare_id for f in catalog.flares.find()] == ["2203010130", "2203010300"]
