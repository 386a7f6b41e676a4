"""Runs by the clock: when they are due, over which range, once for each slot."""

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.errors import PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline.schedule import due_runs, slots_around, window_of
from stixlab.pipeline.spec import read_spec
from tests.support.catalogs import product, succeed
from tests.support.pipelines import FIND, FRONT, SAVE, refused, write_notebook

NOW = datetime(2022, 3, 2, 7, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def catalog():
    made = MemoryCatalog()
    made.products.save(product("2022-03-01"))
    return made


def make(tmp_path, schedule="daily", extra="", needs="[ql-lightcurve]"):
    front = FRONT.replace("[ql-lightcurve]", needs)
    return read_spec(write_notebook(tmp_path, front=f"{front}schedule: {schedule}\n{extra}"))


def time(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "last", "following"),
    [
        ("hourly", "2022-03-02T07:00", "2022-03-02T08:00"),
        ("daily", "2022-03-02", "2022-03-03"),
        ("weekly", "2022-02-28", "2022-03-07"),
        ("30 7 * * *", "2022-03-02T07:30", "2022-03-03T07:30"),
        ("31 7 * * *", "2022-03-01T07:31", "2022-03-02T07:31"),
        ("0 0 29 2 *", "2020-02-29", "2024-02-29"),
    ],
)
def test_a_slot_begins_at_its_time(schedule, last, following):
    assert slots_around(schedule, NOW) == (time(last), time(following))
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    assert slots_around(schedule, elsewhere) == (time(last), time(following))


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("yesterday", "2022-03-01", "2022-03-02"),
        ("last day", "2022-03-01", "2022-03-02"),
        ("last 3 days", "2022-02-27", "2022-03-02"),
        ("last hour", "2022-03-02T06:00", "2022-03-02T07:00"),
        ("last 12 hours", "2022-03-01T19:00", "2022-03-02T07:00"),
    ],
)
def test_a_window_is_of_whole_days_or_hours_that_have_passed(window, start, end):
    assert window_of(window, NOW) == (time(start), time(end))


@pytest.mark.parametrize(
    ("schedule", "window"), [("hourly", "last hour"), ("daily", "yesterday"), ("weekly", "last 7 days")]
)
def test_a_word_has_a_window_of_its_own(tmp_path, schedule, window):
    assert make(tmp_path, schedule).window == window
    assert make(tmp_path, schedule, "window: last 2 days\n").window == "last 2 days"


@pytest.mark.parametrize(
    ("schedule", "extra", "field", "words"),
    [
        ("at noon", "", "schedule", "a cron line of 5 fields"),
        ("on", "", "schedule", "found True"),
        ("61 * * * *", "", "schedule", "cannot be used"),
        ("0 0 30 2 *", "", "schedule", "cannot be used"),
        ("0 0 * * * *", "", "schedule", "5 fields"),
        ("30 4 * * *", "", "window", "missing"),
        ("daily", "window: tomorrow\n", "window", "yesterday"),
        ("daily", "window: last 0 days\n", "window", "yesterday"),
        ("daily", "window: last 4000 days\n", "window", "at most 366 days"),
        ("daily", "window: 3\n", "window", "found 3"),
        ("manual", "window: yesterday\n", "window", "by the clock"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(tmp_path, schedule, extra, field, words):
    with refused(words, cell=1, field=field):
        make(tmp_path, schedule, extra)


def test_a_run_is_due_over_its_window(catalog, tmp_path):
    (run,) = due_runs(catalog, [make(tmp_path)], NOW)
    assert (run.trigger, run.created, run.priority) == ("schedule", NOW, 0)
    assert run.parameters == {"start": "2022-03-01", "end": "2022-03-02", "origin": ""}
    assert run.inputs


def test_manual_pipelines_and_those_that_follow_products_are_not_due(catalog, tmp_path):
    specs = [make(tmp_path / s[:2], s) for s in ("manual", "on new product")]
    assert due_runs(catalog, specs, NOW) == []


@pytest.mark.parametrize(
    "status", [RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.SUCCEEDED]
)
def test_a_slot_is_served_once_whatever_became_of_its_run(catalog, tmp_path, status):
    spec = make(tmp_path)
    (run,) = due_runs(catalog, [spec], NOW)
    catalog.runs.save(dataclasses.replace(run, status=status))
    catalog.products.save(product("2022-03-01", "b"))
    for later in (NOW, NOW + timedelta(hours=12), NOW - timedelta(hours=6)):
        assert due_runs(catalog, [spec], later) == []
    catalog.products.save(product("2022-03-02"))
    (following,) = due_runs(catalog, [spec], NOW + DAY)
    assert following.run_id != run.run_id


def test_any_number_of_workers_queue_a_slot_once(catalog, tmp_path):
    spec = make(tmp_path)
    asked = [due_runs(catalog, [spec], NOW + timedelta(seconds=n))[0] for n in range(4)]
    assert [catalog.runs.enqueue(run) for run in asked] == [True, False, False, False]


def test_a_pipeline_without_inputs_runs_once_for_each_slot(catalog, tmp_path):
    spec = make(tmp_path, needs="[]")
    asked = [due_runs(catalog, [spec], NOW + timedelta(minutes=n))[0] for n in range(3)]
    assert len({run.run_id for run in asked}) == 1
    (following,) = due_runs(catalog, [spec], NOW + DAY)
    assert following.run_id != asked[0].run_id
    catalog.runs.enqueue(asked[0])
    succeed(catalog, asked[0].run_id)
    assert due_runs(catalog, [spec], NOW) == []
    assert due_runs(catalog, [spec], NOW + DAY) != [], (
        "though the last one succeeded with the same parameters"
    )


def test_of_missed_slots_the_last_is_caught_up(catalog, tmp_path):
    spec = make(tmp_path)
    catalog.runs.save(due_runs(catalog, [spec], NOW)[0])
    for n in range(2, 7):
        catalog.products.save(product(f"2022-03-0{n}"))
    (run,) = due_runs(catalog, [spec], NOW + 5 * DAY)
    assert run.parameters["start"] == "2022-03-06"


def test_without_data_in_the_window_a_run_waits_for_them(catalog, tmp_path):
    spec = make(tmp_path)
    assert due_runs(catalog, [spec], NOW + 10 * DAY) == []
    catalog.products.save(product("2022-03-11"))
    assert len(due_runs(catalog, [spec], NOW + 10 * DAY + timedelta(hours=3))) == 1


def test_a_run_that_would_be_the_same_is_not_due(catalog, tmp_path):
    """Somebody has asked for yesterday by hand already."""
    spec = make(tmp_path)
    (run,) = due_runs(catalog, [spec], NOW)
    by_hand = dataclasses.replace(run, trigger="manual", created=NOW - timedelta(hours=1))
    catalog.runs.enqueue(by_hand)
    succeed(catalog, run.run_id)
    assert due_runs(catalog, [spec], NOW) == []


def test_a_clock_that_jumps_ahead_and_back_loses_no_slot(catalog, tmp_path):
    spec = make(tmp_path, needs="[]")
    catalog.runs.save(due_runs(catalog, [spec], NOW + 1000 * DAY)[0])
    assert len(due_runs(catalog, [spec], NOW)) == 1


def test_a_scheduled_pipeline_may_require_nothing_but_its_range(tmp_path):
    front = FRONT.replace("origin: {", "origin: {required: true, ") + "schedule: daily\n"
    with pytest.raises(PipelineError, match="is given end and start only") as caught:
        read_spec(write_notebook(tmp_path, FIND, SAVE, front=front))
    assert caught.value.field == "parameters.origin.required"


@pytest.mark.parametrize("overhang_s", [0, 0.477, 20])
def test_data_beside_the_window_do_not_make_a_run_due(tmp_path, overhang_s):
    catalog, spec = MemoryCatalog(), make(tmp_path)
    before = product("2022-02-28")
    before = dataclasses.replace(before, end=before.end + timedelta(seconds=overhang_s))
    catalog.products.save(before)
    assert due_runs(catalog, [spec], NOW) == [], "within the margin, and nothing of the day itself"
    catalog.products.save(product("2022-03-01"))
    assert len(due_runs(catalog, [spec], NOW)) == 1
