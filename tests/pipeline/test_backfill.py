"""A pipeline over a long range: steps, what is left out, resuming, ranges that cannot be."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.errors import ParameterError, PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline.backfill import plan_backfill, progress_of, queue_backfill, read_step
from stixlab.pipeline.spec import read_spec
from tests.support.catalogs import product, succeed
from tests.support.pipelines import FIND, FRONT, SAVE, write_notebook

NOW = datetime(2022, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def time(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


START, END = time("2022-03-01"), time("2022-03-06")


@pytest.fixture
def catalog():
    made = MemoryCatalog()
    for n in (1, 2, 4, 5):
        made.products.save(product(f"2022-03-0{n}"))
    return made


@pytest.fixture
def spec(tmp_path):
    return read_spec(write_notebook(tmp_path, FIND, SAVE))


def plan(catalog, spec, start=START, end=END, **more):
    return plan_backfill(catalog, spec, start, end, now=NOW, **more)


def test_each_step_with_data_is_a_run_behind_everything_else(catalog, spec):
    found = plan(catalog, spec)
    assert [r.parameters["start"] for r in found.runs] == [
        "2022-03-01",
        "2022-03-02",
        "2022-03-04",
        "2022-03-05",
    ]
    assert found.empty == ("2022-03-03",)
    assert found.steps == 5
    assert {(r.trigger, r.priority, r.batch) for r in found.runs} == {("back-fill", -10, found.batch)}
    assert catalog.runs.find() == [], "a plan queues nothing"


def test_the_last_step_ends_where_the_range_ends(catalog, spec):
    found = plan(catalog, spec, end=time("2022-03-02T06:00"), step=timedelta(hours=18))
    spans = [(r.parameters["start"], r.parameters["end"]) for r in found.runs]
    assert spans == [("2022-03-01", "2022-03-01T18:00:00"), ("2022-03-01T18:00:00", "2022-03-02T06:00:00")]


def test_asked_again_it_goes_on_where_it_was(catalog, spec):
    first = plan(catalog, spec)
    queue_backfill(catalog, first)
    succeed(catalog, first.runs[0].run_id)
    catalog.runs.save(dataclasses.replace(first.runs[1], status=RunStatus.FAILED, error="no reason"))
    again = plan(catalog, spec)
    assert again.batch == first.batch
    assert [r.run_id for r in again.done] == [first.runs[0].run_id]
    assert [r.run_id for r in again.runs] == [r.run_id for r in first.runs[1:]]
    queue_backfill(catalog, again)
    assert catalog.runs.get(first.runs[1].run_id).status is RunStatus.QUEUED, "what failed is asked for again"
    assert catalog.runs.get(first.runs[0].run_id).status is RunStatus.SUCCEEDED


def test_a_changed_input_is_done_again(catalog, spec):
    first = plan(catalog, spec)
    queue_backfill(catalog, first)
    for run in first.runs:
        succeed(catalog, run.run_id)
    assert plan(catalog, spec).runs == ()
    catalog.products.save(product("2022-03-05", "b"))
    assert [r.parameters["start"] for r in plan(catalog, spec).runs] == ["2022-03-04", "2022-03-05"], (
        "the day, and the one whose margin touches it"
    )


def test_a_run_that_somebody_asked_for_is_not_asked_for_twice(catalog, spec):
    from stixlab.pipeline.cache import plan_run

    found = plan(catalog, spec)
    by_hand = plan_run(catalog, spec, found.runs[0].parameters, asked_by="anna")
    catalog.runs.enqueue(by_hand)
    queue_backfill(catalog, found)
    assert by_hand.run_id == found.runs[0].run_id
    assert catalog.runs.get(by_hand.run_id).asked_by == "anna"
    assert len(catalog.runs.find()) == 4
    assert progress_of(catalog, found).waiting == 4


def test_progress_counts_what_ended_and_names_what_failed(catalog, spec):
    found = plan(catalog, spec)
    queue_backfill(catalog, found)
    succeed(catalog, found.runs[0].run_id)
    failed = dataclasses.replace(found.runs[2], status=RunStatus.FAILED, error="why")
    catalog.runs.save(failed)
    catalog.runs.claim("elsewhere:1:1", 60, run_id=found.runs[1].run_id)
    progress = progress_of(catalog, found)
    assert (progress.total, progress.waiting, progress.running, progress.ended) == (4, 1, 1, 2)
    assert [r.error for r in progress.failed] == ["why"]


def test_a_pipeline_without_inputs_is_resumable_too(catalog, tmp_path):
    spec = read_spec(write_notebook(tmp_path, SAVE, front=FRONT.replace("[ql-lightcurve]", "[]")))
    first = plan(catalog, spec)
    assert (len(first.runs), first.empty) == (5, ())
    queue_backfill(catalog, first)
    succeed(catalog, first.runs[0].run_id)
    again = plan(catalog, spec)
    assert [r.run_id for r in again.runs] == [r.run_id for r in first.runs[1:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"end": START}, "an end after the start"),
        ({"start": END, "end": START}, "an end after the start"),
        ({"start": time("2019-12-01")}, "after the launch"),
        ({"end": time("2022-04-03")}, "in the future"),
        ({"start": time("2020-03-01"), "step": timedelta(minutes=1)}, "at most 10000 runs"),
        ({"step": timedelta()}, "at least a minute"),
        ({"given": {"start": "2022-03-01"}}, "start follow from the range"),
        ({"given": {"colour": "red"}}, "colour: unknown"),
        ({"given": {"origin": "moon"}}, "origin: expected one of"),
    ],
)
def test_a_range_or_parameter_that_cannot_be_is_refused_at_once(catalog, spec, change, words):
    with pytest.raises(ParameterError, match=words):
        plan(catalog, spec, **change)
    assert catalog.runs.find() == []


def test_a_pipeline_without_a_range_cannot_be_back_filled(catalog, tmp_path):
    front = "title: A\nsummary: B.\nneeds: []\nmakes: [flare-list]\n"
    spec = read_spec(write_notebook(tmp_path, SAVE, front=front, parameters="n: int = 1  # how many\n"))
    with pytest.raises(PipelineError, match="no parameters start and end"):
        plan(catalog, spec)


@pytest.mark.parametrize(
    ("text", "step"), [("1d", DAY), ("6 h", DAY / 4), ("30min", timedelta(minutes=30)), ("1.5 d", 1.5 * DAY)]
)
def test_a_step_is_read_as_written(text, step):
    assert read_step(text) == step


@pytest.mark.parametrize(
    "text", ["", "1", "d", "-1d", "0d", "10 s", "1 week", "9999999999999999999d", "400d"]
)
def test_a_step_that_cannot_be_is_refused(text):
    with pytest.raises(ParameterError, match="1d, 6h or 30min"):
        read_step(text)


def past_midnight(day):
    """The product of a day as archives have it: its last sample ends a little after midnight."""
    made = product(day)
    return dataclasses.replace(made, end=made.end + timedelta(seconds=0.477))


def test_a_sample_that_ends_past_midnight_is_no_data_of_the_next_day(spec):
    catalog = MemoryCatalog()
    catalog.products.save(past_midnight("2022-03-04"))
    found = plan(catalog, spec)
    assert [r.parameters["start"] for r in found.runs] == ["2022-03-04"]
    assert found.empty == ("2022-03-01", "2022-03-02", "2022-03-03", "2022-03-05")


def test_a_request_of_some_seconds_is_data(spec):
    catalog = MemoryCatalog()
    short = product("2022-03-02")
    catalog.products.save(dataclasses.replace(short, end=short.start + timedelta(seconds=8)))
    assert [r.parameters["start"] for r in plan(catalog, spec).runs] == ["2022-03-02"]


def test_what_is_needed_beside_products_does_not_make_data(catalog, tmp_path):
    front = FRONT.replace("[ql-lightcurve]", "[ql-lightcurve, kernels]")
    spec = read_spec(write_notebook(tmp_path, FIND, SAVE, front=front))
    assert plan(catalog, spec).empty == ("2022-03-03",)
