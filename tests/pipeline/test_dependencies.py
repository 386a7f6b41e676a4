"""Pipelines that follow products and each other: order, stand-ins, exchange, circles."""

import dataclasses
from datetime import timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.errors import CatalogError, PipelineError
from stixlab.ingest.triggers import queue_runs, runs_for_days
from stixlab.model import RunStatus
from stixlab.pipeline import worker
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.dependencies import cycle_of, follow_ups, in_order
from stixlab.pipeline.discovery import find_pipelines, get_pipeline
from stixlab.pipeline.outputs import Output, range_of
from stixlab.pipeline.runner import Execution
from tests.support.catalogs import flare, product, succeed
from tests.support.pipelines import FIND, FRONT, SAVE, write_notebook
from tests.support.runs import make_run

DAY = ("ql-lightcurve", "flight", "2022-03-01")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pipelines"


@pytest.fixture
def catalog():
    made = MemoryCatalog()
    made.products.save(product("2022-03-01"))
    return made


def write(folder, name, needs, makes, schedule="on new product", *, more="margin: 0 s\n"):
    front = FRONT.replace("[flare-list]", f"[{makes}]").replace("[ql-lightcurve]", f"[{needs}]")
    write_notebook(folder, name=name, front=f"{front}schedule: {schedule}\n{more}")


def chain(folder):
    """flares -> counts -> report, by the products they need and make."""
    write(folder, "flares", "ql-lightcurve", "flare-list")
    write(folder, "counts", "flare-list", "hk-mini")
    write(folder, "report", "hk-mini", "hk-maxi")


def names(runs):
    return [r.pipeline for r in runs]


def queued(catalog):
    return {r.run_id: r for r in catalog.runs.find(status="queued")}


def test_pipelines_stand_behind_those_they_follow(folder):
    chain(folder)
    write(folder, "apart", "hk-mini", "hk-maxi", "manual")
    order = names_of(in_order(find_pipelines(folder).good.values()))
    assert order.index("flares") < order.index("counts") < order.index("report")
    assert "apart" in order


def names_of(specs):
    return [s.name for s in specs]


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ((("one", "flare-list", "flare-list"),), "one -> one"),
        (
            (("one", "hk-mini", "flare-list"), ("two", "flare-list", "hk-mini")),
            "one -> two -> one",
        ),
        (
            (("a", "hk-mini", "flare-list"), ("b", "flare-list", "hk-maxi"), ("c", "hk-maxi", "hk-mini")),
            "a -> b -> c -> a",
        ),
    ],
)
def test_pipelines_that_follow_each_other_in_a_circle_are_refused_by_name(folder, edges, words):
    for edge in edges:
        write(folder, *edge)
    write(folder, "good", "ql-spectra", "ql-variance")
    found = find_pipelines(folder)
    assert list(found.good) == ["good"], "the others go on"
    assert sorted(found.wrong) == sorted(name for name, _, _ in edges)
    with pytest.raises(PipelineError, match=words):
        get_pipeline(folder, edges[0][0])


def test_a_circle_that_somebody_has_to_start_each_time_is_none(folder):
    write(folder, "one", "flare-list", "flare-list", "manual")
    write(folder, "two", "flare-list", "flare-list", "daily", more="window: yesterday\n")
    specs = find_pipelines(folder).good
    assert len(specs) == 2
    assert cycle_of(specs.values()) == ()


def test_what_follows_waits_in_the_queue_for_what_it_follows(catalog, folder):
    chain(folder)
    runs = runs_for_days(catalog, folder, [DAY])
    assert names(runs) == ["flares", "counts", "report"]
    assert [len(r.after) for r in runs] == [0, 1, 1]
    assert runs[1].after == (runs[0].run_id,)
    assert runs[2].after == (runs[1].run_id,)
    assert queue_runs(catalog, runs) == [runs[0].run_id], "only what can be done now"
    assert set(queued(catalog)) == {r.run_id for r in runs}
    assert [r.run_id for r in runs_for_days(catalog, folder, [DAY])] == [r.run_id for r in runs]


def test_a_stand_in_is_exchanged_when_what_it_waits_for_delivers(catalog, folder):
    chain(folder)
    runs = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, runs)
    done = succeed(catalog, runs[0].run_id, (flare("2022-03-01T01:30"),))
    (ready,) = follow_ups(catalog, folder, done)
    assert (ready.pipeline, ready.after) == ("counts", ())
    assert list(ready.inputs) == ["flare-list_20220301T000000_20220302T000000_flight"]
    waiting = queued(catalog)
    assert sorted(names(waiting.values())) == ["counts", "report"]
    assert next(r for r in waiting.values() if r.pipeline == "report").after == (ready.run_id,)
    assert [r.run_id for r in follow_ups(catalog, folder, done)] == [ready.run_id], "safe to repeat"
    assert queued(catalog) == waiting


def test_an_unchanged_result_moves_nothing(catalog, folder):
    """The light curve changed, the flares did not: what needs the flares is not run again."""
    chain(folder)
    runs = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, runs)
    first = succeed(catalog, runs[0].run_id, (flare("2022-03-01T01:30"),))
    (counts,) = follow_ups(catalog, folder, first)
    catalog.runs.save(dataclasses.replace(counts, status=RunStatus.SUCCEEDED))
    catalog.products.save(product("2022-03-01", "b"))
    again = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, again)
    second = succeed(catalog, again[0].run_id, (flare("2022-03-01T01:30"),))
    assert follow_ups(catalog, folder, second) == []
    assert all(r.pipeline == "report" for r in queued(catalog).values())
    third = succeed(catalog, again[0].run_id, (flare("2022-03-01T02:30"),))
    assert names(follow_ups(catalog, folder, third)) == ["counts"]


def test_a_run_of_several_days_is_followed_by_each(catalog, folder):
    chain(folder)
    spec = get_pipeline(folder, "flares")
    run = plan_run(catalog, spec, {"start": "2022-02-28T18:00", "end": "2022-03-02", "origin": "flight"})
    catalog.runs.enqueue(run)
    done = succeed(catalog, run.run_id, (flare("2022-03-01T01:30"),))
    found = follow_ups(catalog, folder, done)
    assert [r.parameters["start"] for r in found] == ["2022-02-28", "2022-03-01"]


def test_a_run_that_needs_two_waits_for_both(catalog, folder):
    write(folder, "flares", "ql-lightcurve", "flare-list")
    write(folder, "other", "ql-lightcurve", "hk-mini")
    write(folder, "both", "flare-list, hk-mini", "hk-maxi")
    runs = {r.pipeline: r for r in runs_for_days(catalog, folder, [DAY])}
    assert set(runs["both"].after) == {runs["flares"].run_id, runs["other"].run_id}
    queue_runs(catalog, runs.values())
    done = succeed(catalog, runs["flares"].run_id, (flare("2022-03-01T01:30"),))
    assert follow_ups(catalog, folder, done) == []
    assert runs["both"].run_id in queued(catalog), "it stays, and is exchanged when the other has delivered"
    hidden = dataclasses.replace(
        catalog.runs.get(runs["other"].run_id),
        status=RunStatus.SUCCEEDED,
        outputs={"hk-mini": {"kind": "product", "origin": "flight"}},
    )
    catalog.runs.save(hidden)
    (ready,) = follow_ups(catalog, folder, hidden)
    assert (ready.pipeline, ready.after) == ("both", ())
    assert runs["both"].run_id not in queued(catalog)


def test_days_beside_it_are_run_again_where_there_are_data_and_a_margin(catalog, folder):
    write(folder, "near", "ql-lightcurve", "flare-list", more="margin: 2 h\n")
    write(folder, "far", "ql-lightcurve", "hk-mini", more="margin: 2 d\n")
    write(folder, "none", "ql-lightcurve", "hk-maxi", more="margin: 0 s\n")
    for day in ("2022-02-27", "2022-03-02"):
        catalog.products.save(product(day))
    starts = {}
    for run in runs_for_days(catalog, folder, [DAY]):
        starts.setdefault(run.pipeline, []).append(run.parameters["start"])
    assert starts == {
        "near": ["2022-03-01", "2022-03-02"],
        "far": ["2022-02-27", "2022-03-01", "2022-03-02"],
        "none": ["2022-03-01"],
    }


def test_an_origin_that_a_pipeline_does_not_take_is_passed_over(catalog, folder):
    """Its `enum` has flight and simulated only; products that were encoded anew do not stop an ingest."""
    write(folder, "flares", "ql-lightcurve", "flare-list")
    assert runs_for_days(catalog, folder, [("ql-lightcurve", "reencoded", "2022-03-01")]) == []


def test_a_pipeline_without_an_origin_takes_products_of_any(catalog, folder):
    front = FRONT.replace('  origin: {enum: ["", flight, simulated]}\n', "") + "schedule: on new product\n"
    parameters = 'start: str = "2022-03-01"  # UTC\nend: str = "2022-03-02"  # UTC\n'
    write_notebook(folder, FIND, SAVE, front=front, parameters=parameters)
    (run,) = runs_for_days(catalog, folder, [DAY])
    assert run.parameters == {"start": "2022-03-01", "end": "2022-03-02"}


def test_what_was_done_is_not_queued_again(catalog, folder):
    write(folder, "flares", "ql-lightcurve", "flare-list")
    runs = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, runs)
    succeed(catalog, runs[0].run_id)
    assert queue_runs(catalog, runs_for_days(catalog, folder, [DAY])) == []
    catalog.products.save(product("2022-03-01", "b"))
    assert len(queue_runs(catalog, runs_for_days(catalog, folder, [DAY]))) == 1


def test_an_older_run_of_the_same_day_gives_way(catalog, folder):
    """Two files of a day soon after each other: what waits for the older content is not executed."""
    chain(folder)
    older = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, older)
    catalog.products.save(product("2022-03-01", "b"))
    newer = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, newer)
    assert set(queued(catalog)) == {r.run_id for r in newer}
    assert not {r.run_id for r in older} & {r.run_id for r in newer}


@pytest.mark.parametrize("change", [{"trigger": "manual"}, {"priority": 10}])
def test_an_older_run_that_somebody_asked_for_stays(catalog, folder, change):
    chain(folder)
    older = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, older)
    catalog.runs.save(dataclasses.replace(catalog.runs.get(older[0].run_id), **change))
    catalog.products.save(product("2022-03-01", "b"))
    queue_runs(catalog, runs_for_days(catalog, folder, [DAY]))
    assert older[0].run_id in queued(catalog)


def test_an_older_run_stays_for_one_that_waits_for_it_and_has_no_newer(catalog, folder):
    write(folder, "flares", "ql-lightcurve", "flare-list")
    older = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, older)
    other = dataclasses.replace(older[0], run_id="other", pipeline="other", after=(older[0].run_id,))
    catalog.runs.enqueue(other)
    catalog.products.save(product("2022-03-01", "b"))
    queue_runs(catalog, runs_for_days(catalog, folder, [DAY]))
    assert {older[0].run_id, "other"} < set(queued(catalog))


def test_runs_of_other_days_and_those_under_way_stay(catalog, folder):
    write(folder, "flares", "ql-lightcurve", "flare-list")
    catalog.products.save(product("2022-03-05"))
    days = [DAY, (*DAY[:2], "2022-03-05")]
    older = runs_for_days(catalog, folder, days)
    queue_runs(catalog, older)
    begun = catalog.runs.claim("elsewhere:1:1", 60, run_id=older[0].run_id)
    catalog.products.save(product("2022-03-01", "b"))
    queue_runs(catalog, runs_for_days(catalog, folder, [DAY]))
    assert catalog.runs.get(begun.run_id) == begun
    assert len(queued(catalog)) == 2


def test_days_without_data_that_a_run_looked_at_and_left_as_they_were_are_not_followed(catalog, folder):
    write(folder, "days", "packets", "hk-mini", "manual")
    write(folder, "flares", "hk-mini", "flare-list")
    catalog.products.save(dataclasses.replace(product("2022-03-01"), product_id="hk", type="hk-mini"))
    run = plan_run(catalog, get_pipeline(folder, "days"), {"start": "2022-02-25", "end": "2022-03-02"})
    catalog.runs.enqueue(run)
    told = {"kind": "products", "origin": "flight", "records": 0, "products": {}, "removed": []}
    done = dataclasses.replace(run, status=RunStatus.SUCCEEDED, outputs={"hk-mini": told})
    catalog.runs.save(done)
    found = follow_ups(catalog, folder, done)
    assert [r.parameters["start"] for r in found] == ["2022-03-01"], "the one with data, not done yet"
    gone = dataclasses.replace(done, outputs={"hk-mini": told | {"removed": ["L1_gone"]}})
    assert len(follow_ups(catalog, folder, gone)) == 5


def test_a_run_of_a_pipeline_that_nothing_follows_asks_the_queue_nothing(catalog, folder):
    write(folder, "flares", "ql-lightcurve", "flare-list")
    runs = runs_for_days(catalog, folder, [DAY])
    queue_runs(catalog, runs)
    done = succeed(catalog, runs[0].run_id)
    catalog.runs.waiting_for = None
    assert follow_ups(catalog, folder, done) == []


@pytest.fixture
def pretended(center, monkeypatch):
    """A data center with the chain, whose executions take no kernel and deliver one flare."""
    made = (flare("2022-03-01T01:30"),)

    def pretend(run, spec, *, folder, **_others):
        notebook = folder / f"{spec.name}.ipynb"
        notebook.write_text("{}")
        output = Output("flare-list", "flight", *range_of(run.parameters), dict(run.inputs), made)
        return Execution(notebook, {"flare-list": output}, run.started, run.started)

    monkeypatch.setattr(worker, "execute", pretend)
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    chain(center.pipelines)
    center.catalog.products.save(product("2022-03-01"))
    queue_runs(center.catalog, runs_for_days(center.catalog, center.pipelines, [DAY]))
    return center


def test_a_worker_queues_what_follows(pretended):
    done = pretended.worker().do_next()
    assert (done.pipeline, done.status) == ("flares", RunStatus.SUCCEEDED)
    (counts,) = [r for r in queued(pretended.catalog).values() if not r.after]
    assert counts.pipeline == "counts"
    assert pretended.worker().do_next().run_id == counts.run_id


def test_a_worker_that_dies_after_the_commit_loses_nothing_that_follows(pretended):
    runs = pretended.catalog.runs
    finish = runs.finish

    def away(_run):
        raise CatalogError("the database does not answer")

    runs.finish = away
    with pytest.raises(CatalogError):
        pretended.worker(away_s=0).do_next()
    runs.finish = finish
    (held,) = runs.find(status="running")
    assert held.pipeline == "flares"
    assert [r.pipeline for r in queued(pretended.catalog).values() if not r.after] == ["counts"]
    again = dataclasses.replace(held, lease_until=held.created)
    runs.save(again)
    assert pretended.worker(name="elsewhere:1:1").do_next(held.run_id).status is RunStatus.SUCCEEDED
    assert [r.pipeline for r in queued(pretended.catalog).values() if not r.after] == ["counts"], "once"


def test_what_waits_for_a_run_that_failed_fails_with_it_and_comes_back_with_it(pretended, monkeypatch):
    good = worker.execute

    def broken(*_args, **_others):
        raise PipelineError("too hot")

    monkeypatch.setattr(worker, "execute", broken)
    failed = pretended.worker().do_next()
    assert failed.status is RunStatus.FAILED
    assert pretended.worker().do_next() is None
    found = {r.pipeline: r for r in pretended.catalog.runs.find()}
    assert {r.status for r in found.values()} == {RunStatus.FAILED}
    assert "too hot" in found["counts"].error
    monkeypatch.setattr(worker, "execute", good)
    pretended.catalog.runs.retry(failed.run_id)
    assert pretended.worker().do_next().status is RunStatus.SUCCEEDED
    assert "counts" in names(queued(pretended.catalog).values())


def test_a_product_that_ends_past_midnight_is_followed_on_its_own_day_alone(catalog, folder):
    write(folder, "counts", "ql-lightcurve", "hk-mini")
    made = product("2022-03-01", "b")
    made = dataclasses.replace(made, end=made.end + timedelta(seconds=0.477))
    catalog.products.save(made)
    outputs = {"ql-lightcurve": {"kind": "products", "products": {made.product_id: made.content_sha256}}}
    done = make_run(pipeline="maker", outputs=outputs)
    assert [r.parameters["start"] for r in follow_ups(catalog, folder, done)] == ["2022-03-01"]
