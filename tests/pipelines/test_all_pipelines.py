"""Every notebook of `pipelines/` is declared rightly, thin, without outputs, and runs."""

import ast
import json
import os
from pathlib import Path

import pytest

from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.errors import ParameterError
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.queue import run_now
from stixlab.pipeline.runner import kernel_environment
from stixlab.pipeline.spec import read_spec
from stixlab.simulation import simulate
from stixlab.simulation.planning import REQUEST_KINDS
from stixlab.vocabulary import PRODUCT_TYPES
from tests.support.chain import new_chain
from tests.support.formal import Formal
from tests.support.pipelines import stand_in

FOLDER = Path(__file__).parents[2] / "pipelines"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FORMAL = ("l1_daily", "l1_science", "ephemeris", "reprocess")
"""Those that make products of packets; they have tests of their own below."""
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


def check_figure(archive, run):
    executed = json.loads(archive.path(run.notebook).read_text())
    kinds = {k for c in executed["cells"] for o in c.get("outputs", ()) for k in o.get("data", {})}
    assert "image/png" in kinds, "a figure for whoever looks at the executed notebook"


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem not in FORMAL], ids=lambda p: p.stem)
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
    check_figure(archive, run)
    if "flare-list" in spec.makes:
        assert [f.flare_id for f in catalog.flares.find()] == ["2203010130", "2203010300"]


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """Every family of some hours, with the data of a flare."""
    folder = tmp_path_factory.mktemp("received")
    simulate(
        "2026-02-03T08:00",
        "2026-02-03T09:00",
        out=folder / "raw",
        kinds=("bin",),
        what=("quicklook", "housekeeping", "calibration", "science"),
        flares=[("2026-02-03T08:30", 9000.0)],
        requests=tuple(REQUEST_KINDS),
    )
    chain = new_chain(folder / "home")
    assert not chain.ingest(folder / "raw").failed
    formal = Formal(chain, folder)
    formal.ingested = formal.state()
    return formal


@pytest.fixture
def formal(received, tmp_path):
    return received.copy(tmp_path)


DAY = {"start": "2026-02-03", "end": "2026-02-04"}
LONG_AGO = {"start": "2021-06-06", "end": "2021-06-07"}


@pytest.mark.slow
def test_days_and_requests_are_made_as_the_ingest_makes_them(formal):
    """From nothing but packets, every product type; what a second run finds is up to date."""
    formal.forget()
    for name, science in (("l1_daily", False), ("l1_science", True)):
        run = formal.run(name, **DAY)
        assert run.status is RunStatus.SUCCEEDED, run.error
        wanted = {t for t, p in PRODUCT_TYPES.items() if (p.group == "SCI") == science}
        assert set(run.outputs) == wanted
        check_figure(formal.chain.archive, run)
    assert formal.state() == formal.ingested
    files = formal.chain.files()
    assert not [f for f in files if ".tmp-" in f], "the stage is gone"
    run = formal.run("l1_daily", **DAY, type="ql-lightcurve")
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert run.outputs["ql-lightcurve"]["records"] == 0
    assert {f for f in formal.chain.files() ^ files if not f.startswith("runs/")} == set()
    assert formal.state() == formal.ingested


@pytest.mark.slow
def test_everything_is_reprocessed_bit_by_bit(formal):
    lost = formal.chain.archive.path(formal.ingested["L1_ql-spectra_20260203_simulated"][3])
    lost.unlink()
    run = formal.run("reprocess", **DAY, again=True)
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert set(run.outputs) == set(PRODUCT_TYPES)
    made = {i for output in run.outputs.values() for i in output["products"]}
    assert made >= {i for i in formal.ingested if "_sci-" in i} | {"L1_ql-spectra_20260203_simulated"}
    assert lost.exists()
    check_figure(formal.chain.archive, run)
    assert formal.state() == formal.ingested
    same = formal.run("reprocess", **DAY, again=True)
    assert (same.run_id, same.attempts) == (run.run_id, run.attempts), "not done again"
    assert formal.run("reprocess", **DAY, again=True, note="a disk was exchanged").finished > run.finished


@pytest.mark.slow
def test_the_ephemeris_is_made(formal):
    run = formal.run("ephemeris", **DAY)
    assert run.status is RunStatus.SUCCEEDED, run.error
    assert run.outputs["asp-ephemeris"]["products"].keys() == {"ANC_asp-ephemeris_20260203_flight-made"}
    check_figure(formal.chain.archive, run)
    assert formal.chain.lab.open("asp-ephemeris", "2026-02-03", "2026-02-04").sizes["time"] == 1350


@pytest.mark.slow
@pytest.mark.parametrize("name", ["l1_daily", "l1_science", "reprocess"])
def test_a_range_without_data_gives_an_empty_table(formal, name):
    run = formal.run(name, **LONG_AGO)
    assert (run.status, run.outputs) == (RunStatus.SUCCEEDED, {}), run.error
    check_figure(formal.chain.archive, run)
    assert formal.state() == formal.ingested


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("l1_science", {"request": "77"}, "there is none of it"),
        ("l1_science", {}, "expected start and end, or a request; found neither"),
        ("ephemeris", {"start": "2090-01-01", "end": "2090-01-02"}, "none of which is covered"),
    ],
)
def test_what_cannot_be_made_is_told(formal, name, given, words):
    run = formal.run(name, **given)
    assert run.status is RunStatus.FAILED
    assert words in run.error
    assert formal.state() == formal.ingested


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("l1_daily", DAY | {"type": "sci-xray-spec"}, "type: expected one of"),
        ("l1_daily", {"start": "2026-02-03"}, "end: missing"),
        ("reprocess", DAY | {"again": "yes"}, "again: expected bool"),
        ("ephemeris", {"start": "2026-02-03", "end": "2026-02-03"}, "expected a time after start"),
        ("l1_science", DAY | {"origin": "moon"}, "origin: expected one of"),
    ],
)
def test_parameters_are_refused_before_anything_starts(tmp_path, name, given, words):
    formal = Formal(new_chain(tmp_path / "home"), tmp_path)
    with pytest.raises(ParameterError, match=words):
        formal.run(name, **given)
