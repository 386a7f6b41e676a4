"""How the pipelines fare, and why a product is no newer."""

from datetime import timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.client.overview import RECENT, look_over
from stixlab.model import RunStatus
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FIND, FRONT, SAVE, write_notebook
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
    assert (states["trial"].state, states["old"].state) == ("good", "removed")


def test_a_pipeline_that_is_gone_does_not_fail_and_one_declared_wrongly_is_not_gone(catalog, specs):
    for name in ("old", "odd", "trial"):
        catalog.runs.save(make_run(1, RunStatus.FAILED, run_id=f"{name}-1", pipeline=name))
    states = {s.name: s for s in look_over(catalog, specs, wrong=["odd", "new"], now=NOW).pipelines}
    assert {n: (s.state, s.failing) for n, s in states.items()} == {
        "old": ("removed", False), "odd": ("wrong", True), "new": ("wrong", False), "trial": ("good", True),
    }  # fmt: skip
    assert states["old"].schedule == "never", "it says nothing about when"


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


def test_newer_simulated_data_do_not_hide_how_old_the_measured_are(catalog, specs):
    catalog.products.save(make_product(hours=5))
    catalog.products.save(make_product(hours=90, origin="flight", product_id="flight"))
    found = look_over(catalog, specs, now=NOW).products
    assert [(p.origin, p.age_s) for p in found] == [("flight", 90 * 3600), ("simulated", 5 * 3600)]


def test_why_looks_at_data_of_the_same_origin(catalog, specs):
    catalog.products.save(make_product(hours=5))
    for kind in ("ql-lightcurve", "ql-spectra"):
        catalog.products.save(make_product(kind, hours=90, origin="flight", product_id=f"{kind}-flight"))
    assert why(catalog, specs) == "As new as ql-lightcurve, of which it is made."


def test_products_that_a_pipeline_may_make_have_it_as_their_maker(catalog, tmp_path):
    front = FRONT.replace("makes: [flare-list]", "makes: []\nmay_make: [hk-mini]")
    specs = {"trial": read_spec(write_notebook(tmp_path, front=front))}
    catalog.products.save(make_product("hk-mini"))
    catalog.runs.save(make_run(1, RunStatus.FAILED))
    assert why(catalog, specs, "hk-mini") == "The last run of trial failed."


def test_a_pipeline_that_runs_by_itself_says_why_before_one_that_makes_things_anew(catalog, tmp_path):
    front = FRONT.replace("makes: [flare-list]", "makes: []\nmay_make: [hk-mini]")
    write_notebook(tmp_path, name="again", front=front)
    write_notebook(tmp_path, front=front + "schedule: daily\n")
    specs = {name: read_spec(tmp_path / f"{name}.ipynb") for name in ("again", "trial")}
    catalog.products.save(make_product("hk-mini"))
    catalog.runs.save(make_run(1, RunStatus.FAILED, pipeline="again"))
    assert why(catalog, specs, "hk-mini").startswith("No newer telemetry")


def test_products_that_no_packets_are_needed_for_have_an_age(catalog, tmp_path):
    front = FRONT.replace("[flare-list]", "[asp-ephemeris]").replace("[ql-lightcurve]", "[kernels]")
    specs = {"trial": read_spec(write_notebook(tmp_path, front=front + "schedule: daily\n"))}
    catalog.products.save(make_product("asp-ephemeris", hours=30, origin="flight", level="ANC"))
    (found,) = look_over(catalog, specs, now=NOW).products
    assert (found.type, found.age_s, found.why) == (
        "asp-ephemeris",
        30 * 3600,
        "trial runs on schedule (daily).",
    )


def flares_of(number, start, end, *contents, **facts):
    """A run that has looked for flares in a range, in data of these contents."""
    return make_run(
        number,
        parameters={"start": start, "end": end, "origin": "simulated"},
        inputs={f"input-{n}": content for n, content in enumerate(contents)},
        outputs={"flare-list": {"kind": "flares", "origin": "simulated", "records": 0}},
        **facts,
    )


@pytest.fixture
def finder(tmp_path):
    return {"trial": read_spec(write_notebook(tmp_path, FIND, SAVE))}


def test_the_flare_list_is_as_new_as_the_data_that_were_looked_through(catalog, finder):
    """NOW is 12:00 of 4 March; that no flare was found since is no reason for it to be old."""
    catalog.runs.save(flares_of(1, "2026-03-04", "2026-03-05", "ab" * 32))
    catalog.runs.save(flares_of(2, "2026-03-03", "2026-03-04", "old"))
    catalog.products.save(make_product(hours=5))
    found = {p.type: p for p in look_over(catalog, finder, now=NOW).products}
    assert found["flare-list"].age_s == found["ql-lightcurve"].age_s == 5 * 3600
    assert (found["flare-list"].title, found["flare-list"].origin) == ("Flare list", "simulated")
    assert found["flare-list"].why == "As new as ql-lightcurve, of which it is made."


def test_the_flare_list_is_older_than_data_that_nobody_looked_through(catalog, finder):
    catalog.runs.save(flares_of(1, "2026-03-04", "2026-03-05", "what was there before"))
    catalog.products.save(make_product(hours=5))
    found = {p.type: p for p in look_over(catalog, finder, now=NOW).products}
    assert found["flare-list"].age_s == 9 * 3600, "up to where the day's product starts"
    assert found["flare-list"].why == "There is newer ql-lightcurve; trial runs only when asked."


def test_the_flare_list_of_long_ago_has_its_age(catalog, finder):
    catalog.runs.save(flares_of(24 * 30, "2026-01-03", "2026-01-04"))
    (found,) = look_over(catalog, finder, now=NOW).products
    assert found.latest.isoformat() == "2026-01-04T00:00:00+00:00"
