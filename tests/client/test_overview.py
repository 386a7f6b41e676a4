"""How the pipelines fare, and why a product is no newer."""

from datetime import timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.client.overview import RECENT, look_over
from stixlab.model import RunStatus
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FRONT, write_notebook
from tests.support.runs import NOW, make_product, make_run

MAKES_SPECTRA = FRONT.replace("makes: [flare-list]", "makes: [ql-spectra]")


@pytest.fixture
def catalog():
    return MemoryCatalog()


@pytest.fixture
def specs(tmp_path):
    return {"trial": read_spec(write_notebook(tmp_path, front=MAKES_SPECTRA))}


def why(catalog, specs, kind="ql-spectra"):
    return next(p.why for p in look_over(catalog, specs, now=NOW).products if p.type == kind)


def test_runs_are_counted_by_pipeline_and_status(catalog, specs):
    for number, status in enumerate(
        ["queued", "queued", "running", "succeeded", "failed", "cancelled"], start=1
    ):
        catalog.runs.save(make_run(number, RunStatus(status)))
    found = look_over(catalog, specs, now=NOW)
    assert {str(s): found.count(s) for s in RunStatus} == {
        "queued": 2, "running": 1, "succeeded": 1, "failed": 1, "cancelled": 1,
    }  # fmt: skip
    assert found.oldest_waiting_s == pytest.approx(7200)
    assert found.pipelines[0].seconds == (30.0, 30.0, 30.0)


def test_a_pipeline_that_never_ran_and_one_that_is_gone_are_both_there(catalog, specs):
    catalog.runs.save(make_run(pipeline="old"))
    states = {s.name: s for s in look_over(catalog, specs, now=NOW).pipelines}
    assert states["trial"].last_success is None
    assert states["old"].last_success is not None


def test_the_last_success_is_found_however_long_ago(catalog, specs):
    catalog.runs.save(make_run(24 * 300))
    (state,) = look_over(catalog, specs, now=NOW).pipelines
    assert state.last_success < NOW - RECENT
    assert state.counts == {}


def test_failing_is_what_the_newest_end_says_and_a_cancelled_run_says_nothing(catalog, specs):
    catalog.runs.save(make_run(3, RunStatus.SUCCEEDED))
    catalog.runs.save(make_run(2, RunStatus.FAILED))
    catalog.runs.save(make_run(1, RunStatus.CANCELLED))
    assert look_over(catalog, specs, now=NOW).pipelines[0].failing
    catalog.runs.save(make_run(4, RunStatus.SUCCEEDED, finished=NOW))
    assert not look_over(catalog, specs, now=NOW).pipelines[0].failing


def test_workers_are_those_whose_lease_holds(catalog, specs):
    lease = {"lease_until": NOW + timedelta(seconds=30)}
    catalog.runs.save(make_run(1, RunStatus.RUNNING, worker="a:1:2", **lease))
    catalog.runs.save(make_run(2, RunStatus.RUNNING, worker="a:1:2", **lease))
    catalog.runs.save(make_run(3, RunStatus.RUNNING, worker="b:1:2", lease_until=NOW - timedelta(seconds=1)))
    assert look_over(catalog, specs, now=NOW).workers == 1


def test_age_is_that_of_the_data(catalog, specs):
    catalog.products.save(make_product(hours=5))
    (product,) = look_over(catalog, specs, now=NOW).products
    assert product.age_s == 5 * 3600


def test_why_names_the_first_thing_somebody_can_do_something_about(catalog, specs):
    catalog.products.save(make_product("ql-spectra", hours=50))
    assert why(catalog, specs).startswith("No newer telemetry"), "nothing that it is made of is there"
    catalog.products.save(make_product(hours=50.5))
    assert why(catalog, specs) == "As new as ql-lightcurve, of which it is made."
    catalog.products.save(make_product(hours=5))
    assert why(catalog, specs) == "There is newer ql-lightcurve; trial runs only when asked."
    catalog.runs.save(make_run(1, RunStatus.QUEUED))
    assert why(catalog, specs) == "1 run of trial waits."
    catalog.runs.save(make_run(2, RunStatus.QUEUED))
    assert why(catalog, specs) == "2 runs of trial wait."
    catalog.runs.save(make_run(3, RunStatus.RUNNING))
    assert why(catalog, specs) == "trial is running."
    catalog.runs.save(make_run(4, RunStatus.FAILED))
    assert why(catalog, specs) == "The last run of trial failed."


def test_what_no_pipeline_makes_waits_for_telemetry(catalog, specs):
    catalog.products.save(make_product("hk-mini"))
    assert why(catalog, specs, "hk-mini") == "No newer telemetry has arrived; taken in 2026-03-04 07:20 UTC."
