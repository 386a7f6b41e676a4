"""What makes a run the same as one before, and what makes it another one."""

import dataclasses

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.errors import ParameterError
from stixlab.model import RunStatus
from stixlab.pipeline import identity
from stixlab.pipeline.cache import cached_run, plan_run
from stixlab.pipeline.inputs import find_inputs, find_inputs_of_many
from stixlab.pipeline.spec import read_spec
from tests.support.catalogs import flare, product, succeed
from tests.support.pipelines import FIND, FRONT, GIVEN, SAVE, write_notebook


@pytest.fixture
def catalog():
    made = MemoryCatalog()
    made.products.save(product("2022-03-01"))
    return made


@pytest.fixture
def spec(tmp_path):
    return read_spec(write_notebook(tmp_path, FIND, SAVE))


def done(catalog, spec, given=GIVEN, flares=()):
    run = plan_run(catalog, spec, given)
    assert run.status is RunStatus.QUEUED
    assert catalog.runs.enqueue(run)
    return succeed(catalog, run.run_id, tuple(flares))


def test_a_run_that_succeeded_on_the_same_inputs_is_found(catalog, spec):
    assert cached_run(catalog, spec, GIVEN) is None
    run = done(catalog, spec, flares=[flare("2022-03-01T01:30")])
    assert cached_run(catalog, spec, GIVEN) == run
    assert run.inputs == {"L1_ql-lightcurve_20220301_flight": "a" * 64}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.products.save(product("2022-03-01", "b")),
        lambda c: c.products.save(product("2022-03-01", origin="simulated")),
        lambda c: c.products.save(dataclasses.replace(product("2022-03-01"), hidden="damaged")),
        lambda c: c.products.delete("L1_ql-lightcurve_20220301_flight"),
        lambda c: c.products.save(product("2022-02-28")),
    ],
    ids=["other content", "one more", "hidden", "gone", "one more within the margin"],
)
def test_other_inputs_make_another_run(catalog, spec, change):
    done(catalog, spec)
    change(catalog)
    assert cached_run(catalog, spec, GIVEN) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.products.save(product("2022-03-05", "b")),
        lambda c: c.products.save(product("2022-03-01", "b", "hk-maxi")),
        lambda c: c.products.save(dataclasses.replace(product("2022-03-01"), version=7, fits="moved.fits")),
    ],
    ids=["of another day", "of a type that is not needed", "same content"],
)
def test_what_a_run_does_not_read_does_not_matter(catalog, spec, change):
    run = done(catalog, spec)
    change(catalog)
    assert cached_run(catalog, spec, GIVEN).run_id == run.run_id


def test_an_edited_notebook_and_other_parameters_make_another_run(catalog, spec, tmp_path):
    done(catalog, spec)
    edited = read_spec(write_notebook(tmp_path, FIND, "# more\n" + SAVE))
    assert cached_run(catalog, edited, GIVEN) is None
    assert cached_run(catalog, spec, GIVEN | {"origin": "flight"}) is None
    assert cached_run(catalog, spec, GIVEN | {"start": "2022-03-01T00:00"}) is not None, (
        "the same, written otherwise"
    )


def test_another_environment_makes_another_run(catalog, spec, monkeypatch):
    run = done(catalog, spec)
    assert run.environment_sha256 == identity.environment_sha256(run.versions)
    versions = identity.software_versions()
    assert {"stixlab", "stixlab code", "numpy", "python"} <= set(versions)
    monkeypatch.setattr(identity, "_versions", lambda: versions | {"numpy": "0"})
    assert cached_run(catalog, spec, GIVEN) is None


def test_an_edit_of_the_package_shows_without_a_new_version(tmp_path, monkeypatch):
    """Of what decides about results; the command line and the dashboards do not."""
    package = tmp_path / "stixlab"
    for name in ("pipeline/identity.py", "analysis/flares.py", "cli/main.py"):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(identity, "__file__", str(package / "pipeline" / "identity.py"))
    first = identity.code_sha256.__wrapped__()
    (package / "cli" / "main.py").write_text("x = 2\n")
    assert identity.code_sha256.__wrapped__() == first
    (package / "analysis" / "flares.py").write_text("x = 2\n")
    assert identity.code_sha256.__wrapped__() != first


def test_parameters_are_checked_before_the_catalogue_is_asked(spec):
    with pytest.raises(ParameterError, match="colour: unknown"):
        cached_run(None, spec, GIVEN | {"colour": "red"})


def test_a_failed_run_is_no_answer(catalog, spec):
    run = done(catalog, spec)
    catalog.runs.save(dataclasses.replace(run, status=RunStatus.FAILED))
    assert cached_run(catalog, spec, GIVEN) is None


def test_a_run_whose_result_was_replaced_is_done_again(catalog, spec):
    """Content a, then b, then a again: the catalogue holds what was made of b, though the first run succeeded."""
    first = done(catalog, spec, flares=[flare("2022-03-01T01:30")])
    catalog.products.save(product("2022-03-01", "b"))
    second = done(catalog, spec, flares=[flare("2022-03-01T04:00")])
    catalog.products.save(product("2022-03-01", "a"))
    assert cached_run(catalog, spec, GIVEN) is None
    third = done(catalog, spec, flares=[flare("2022-03-01T01:30")])
    assert len({first.run_id, second.run_id, third.run_id}) == 3
    assert cached_run(catalog, spec, GIVEN).run_id == first.run_id, "what it made is there again"


def test_the_same_result_of_another_run_is_as_good(catalog, spec):
    run = done(catalog, spec, flares=[flare("2022-03-01T01:30")])
    catalog.flares.save(flare("2022-03-01T01:30", run_id="other", products=("p",)))
    assert cached_run(catalog, spec, GIVEN).run_id == run.run_id


def test_a_pipeline_that_declares_no_inputs_is_run_each_time(catalog, tmp_path):
    spec = read_spec(write_notebook(tmp_path, SAVE, front=FRONT.replace("[ql-lightcurve]", "[]")))
    first = done(catalog, spec)
    again = plan_run(catalog, spec, GIVEN)
    assert again.status is RunStatus.QUEUED
    assert again.run_id != first.run_id


def test_inputs_of_many_runs_are_those_of_each(catalog, spec):
    for n in range(1, 9):
        catalog.products.save(product(f"2022-03-{n:02}", str(n)))
    asked = [{"start": f"2022-03-{n:02}", "end": f"2022-03-{n + 1:02}", "origin": ""} for n in range(1, 7)]
    assert find_inputs_of_many(catalog, spec, asked) == [find_inputs(catalog, spec, one) for one in asked]
    assert sorted(find_inputs(catalog, spec, asked[2])) == [
        f"L1_ql-lightcurve_2022030{n}_flight" for n in (2, 3, 4)
    ], "the day, and those that the margin touches"


def test_a_needed_flare_list_is_known_by_what_it_says(catalog, tmp_path):
    spec = read_spec(
        write_notebook(tmp_path, SAVE, front=FRONT.replace("[ql-lightcurve]", "[flare-list]\nmargin: 0 s"))
    )
    empty = find_inputs(catalog, spec, GIVEN)
    assert list(empty) == ["flare-list_20220301T000000_20220301T060000_any"]
    catalog.flares.save(flare("2022-03-01T01:30", run_id="x"))
    one = find_inputs(catalog, spec, GIVEN)
    catalog.flares.save(flare("2022-03-01T01:30", run_id="y"))
    assert find_inputs(catalog, spec, GIVEN) == one != empty
    catalog.flares.save(flare("2022-03-01T01:30", peak_counts=10.0))
    assert find_inputs(catalog, spec, GIVEN) != one
