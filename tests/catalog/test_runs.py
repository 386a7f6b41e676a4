"""The queue: order, dependencies, second attempts, cancelling, clocks. On memory and on a real server alike."""

import dataclasses
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.catalog import MemoryCatalog, MongoCatalog, connect_database, worker_name
from stixlab.catalog import runs as runs_module
from stixlab.catalog.clock import ServerClock
from stixlab.catalog.runs import Runs
from stixlab.catalog.waiting import Waiting
from stixlab.catalog.workers import new_worker_name, worker_is_dead
from stixlab.errors import ConflictError, NotInCatalogError
from stixlab.model import RunStatus
from tests.support.examples import examples
from tests.support.records import run

ME, OTHER = worker_name(), "elsewhere:1:2"
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "mongo"])
def runs(request) -> Runs:
    catalog = MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")
    return catalog.runs


def end(runs, claimed, status=RunStatus.SUCCEEDED, **fields):
    runs.finish(dataclasses.replace(claimed, status=status, **fields))


def claimed_ids(runs, **how):
    found = []
    while (each := runs.claim(ME, 60, **how)) is not None:
        found.append(each.run_id)
    return found


class TestOrder:
    def test_the_more_urgent_come_first_then_those_that_wait_longest(self, runs):
        for name, minute, priority in (("a", 1, 0), ("b", 9, 10), ("c", 0, -10), ("d", 0, 0), ("e", 2, 10)):
            runs.enqueue(run(name, minute, priority=priority))
        assert claimed_ids(runs) == ["e", "b", "d", "a", "c"]

    def test_one_asked_for_again_more_urgently_moves_up_and_never_down(self, runs):
        runs.enqueue(run("first", 0))
        runs.enqueue(run("later", 5))
        assert not runs.enqueue(run("later", 9, priority=10))
        assert not runs.enqueue(run("later", 9, priority=-10))
        assert runs.get("later").priority == 10
        assert claimed_ids(runs) == ["later", "first"]

    def test_a_worker_takes_only_runs_of_the_pipelines_it_is_for(self, runs):
        for number, pipeline in enumerate(("flares", "days", "flares", "orbit")):
            runs.enqueue(run(f"r{number}", number, pipeline=pipeline))
        assert claimed_ids(runs, pipelines=("days", "orbit")) == ["r1", "r3"]
        assert runs.has_queued()
        assert not runs.has_queued(("days",))
        assert claimed_ids(runs) == ["r0", "r2"]

    def test_a_run_of_another_pipeline_is_not_taken_over_either(self, runs):
        runs.enqueue(run("r1", pipeline="flares"))
        runs.claim(OTHER, -1)
        assert runs.claim(ME, 60, pipelines=("days",)) is None
        assert runs.claim(ME, 60, pipelines=("flares",)).attempts == 2

    def test_many_are_asked_for_at_once(self, runs):
        runs.enqueue(run("there", status=RunStatus.QUEUED))
        failed = run("failed", status=RunStatus.FAILED, error="disk full")
        runs.save(failed)
        runs.save(run("done", status=RunStatus.SUCCEEDED))
        wanted = [run(name, n) for n, name in enumerate(("there", "failed", "done", "new1", "new2"))]
        assert runs.enqueue_many(wanted) == ["failed", "new1", "new2"]
        assert runs.get("failed").failures == ("disk full",)
        assert runs.get("done").status is RunStatus.SUCCEEDED
        assert runs.enqueue_many([]) == []

    def test_a_long_queue_is_not_searched_for_each_claim(self):
        catalog = MemoryCatalog()
        catalog.runs.enqueue_many([run(f"r{n:03}", n) for n in range(200)])
        collection = catalog.collections["runs"]
        searches = []
        find = collection.find
        collection.find = lambda query, fields=(): searches.append(query) or find(query, fields)
        for _ in range(200):
            end(catalog.runs, catalog.runs.claim(ME, 60))
        assert catalog.runs.claim(ME, 60) is None
        queued = [q for q in searches if q.get("status") == "queued"]
        assert len(queued) <= 5

    def test_what_another_process_asks_for_is_found_soon(self, runs):
        assert runs.claim(ME, 60) is None
        Runs(runs._collection).enqueue(run("new"))
        until = datetime.now(UTC) + timedelta(seconds=5)
        while (found := runs.claim(ME, 60)) is None:
            assert datetime.now(UTC) < until
        assert found.run_id == "new"


class TestNotBefore:
    def test_a_run_is_not_claimed_before_its_time(self, runs):
        now = runs._collection.now()
        runs.enqueue(run("later", not_before=now + MINUTE))
        runs.enqueue(run("past", 5, not_before=now - MINUTE))
        assert claimed_ids(runs) == ["past"]
        assert runs.claim(ME, 60, run_id="later") is None

    def test_a_postponed_run_waits_and_keeps_the_reason(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        assert runs.postpone(held, MINUTE, "the disk was full")
        found = runs.get("r1")
        assert (found.status, found.attempts, found.worker) == (RunStatus.QUEUED, 1, "")
        assert found.failures == ("attempt 1: the disk was full",)
        assert timedelta(seconds=55) < found.not_before - runs._collection.now() <= MINUTE
        assert claimed_ids(runs) == []
        assert not runs.postpone(held, MINUTE, "again")
        assert runs.retry("r1").not_before is None
        again = runs.claim(ME, 60)
        assert (again.attempts, again.error) == (2, "")


class TestAfter:
    def test_a_run_begins_when_all_that_it_waits_for_have_succeeded(self, runs):
        runs.enqueue_many([run("last", 0, after=("one", "two")), run("one", 1), run("two", 2)])
        one, two = runs.claim(ME, 60), runs.claim(ME, 60)
        assert (one.run_id, two.run_id) == ("one", "two")
        assert runs.claim(ME, 60) is None
        end(runs, one)
        assert runs.claim(ME, 60, run_id="last") is None
        assert runs.claim(ME, 60) is None
        end(runs, two)
        assert runs.claim(ME, 60).run_id == "last"

    @pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
    def test_what_waits_for_a_run_that_failed_fails_with_its_reason_down_the_chain(self, runs, status):
        runs.enqueue_many([run("a", 0), run("b", 1, after=("a",)), run("c", 2, after=("b",)), run("d", 3)])
        end(runs, runs.claim(ME, 60), status, error="cell 3: too hot")
        assert claimed_ids(runs) == ["d"]
        for name, because in (("b", "a"), ("c", "b")):
            found = runs.get(name)
            assert (found.status, found.attempts) == (RunStatus.FAILED, 0)
            assert because in found.error
            assert "too hot" in found.error

    def test_a_retry_asks_again_for_what_was_not_begun_because_of_it(self, runs):
        runs.enqueue_many([run("a", 0), run("b", 1, after=("a",)), run("c", 2, after=("b",))])
        end(runs, runs.claim(ME, 60), RunStatus.FAILED, error="cell 3: too hot")
        assert claimed_ids(runs) == []
        assert runs.retry("a").failures == ("cell 3: too hot",)
        for name in "abc":
            again = runs.claim(ME, 60)
            assert again.run_id == name
            end(runs, again)

    def test_what_waits_for_a_run_that_is_not_there_fails_in_the_end(self, runs):
        now = runs._collection.now()
        runs.enqueue(run("old", created=now - 5 * MINUTE, after=("nothing",)))
        runs.enqueue(run("new", created=now, after=("nothing",)))
        assert claimed_ids(runs) == []
        assert "nothing" in runs.get("old").error
        assert runs.get("new").status is RunStatus.QUEUED, "the other may be on its way"


class TestCancel:
    def test_a_waiting_run_is_cancelled_at_once(self, runs):
        runs.enqueue(run("r1"))
        assert runs.cancel("r1", "eve").status is RunStatus.CANCELLED
        assert runs.claim(ME, 60) is None
        assert "eve" in runs.get("r1").error

    def test_a_running_one_is_asked_and_ends_as_cancelled(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        asked = runs.cancel("r1", "eve")
        assert (asked.status, asked.cancel_asked) == (RunStatus.RUNNING, "eve")
        assert runs.heartbeat(held, 60)
        end(runs, held, RunStatus.CANCELLED)
        assert runs.get("r1").status is RunStatus.CANCELLED

    def test_a_run_nobody_holds_any_more_is_cancelled_at_once(self, runs):
        runs.enqueue(run("r1"))
        runs.claim(OTHER, -1)
        assert runs.cancel("r1").status is RunStatus.CANCELLED

    def test_a_run_whose_worker_died_after_it_was_asked_is_not_begun_again(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(OTHER, 60)
        runs.cancel("r1", "eve")
        runs.heartbeat(held, -1)
        assert runs.claim(ME, 60) is None
        assert runs.get("r1").status is RunStatus.CANCELLED

    def test_what_is_done_stays_done(self, runs):
        runs.enqueue(run("r1"))
        end(runs, runs.claim(ME, 60))
        assert runs.cancel("r1").status is RunStatus.SUCCEEDED
        with pytest.raises(NotInCatalogError, match="none"):
            runs.cancel("none")

    def test_a_trigger_does_not_start_what_a_person_stopped_but_a_person_may(self, runs):
        runs.enqueue(run("r1", trigger="product"))
        runs.cancel("r1")
        for trigger in ("product", "schedule"):
            assert not runs.enqueue(run("r1", trigger=trigger))
        assert runs.enqueue(run("r1", trigger="manual"))
        assert runs.get("r1").status is RunStatus.QUEUED


class TestRetry:
    def test_a_failed_run_is_asked_again_with_all_its_attempts(self, runs):
        runs.enqueue(run("r1"))
        end(runs, runs.claim(ME, 60), RunStatus.FAILED, error="why", notebook="runs/r1/failed.ipynb")
        again = runs.retry("r1")
        assert (again.status, again.attempts, again.error) == (RunStatus.QUEUED, 0, "")
        assert (again.failures, again.notebook) == (("why",), "")
        assert runs.claim(ME, 60).attempts == 1

    def test_one_that_runs_or_succeeded_is_refused(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        with pytest.raises(ConflictError, match="cancel it first"):
            runs.retry("r1")
        end(runs, held)
        with pytest.raises(ConflictError, match="succeeded"):
            runs.retry("r1")
        with pytest.raises(NotInCatalogError):
            runs.retry("none")


class TestFigures:
    def test_runs_are_counted_by_status(self, runs):
        for number, (status, batch) in enumerate(
            (("queued", "b1"), ("queued", ""), ("failed", "b1"), ("succeeded", "b1"))
        ):
            runs.save(run(f"r{number}", number, status=RunStatus(status), batch=batch))
        assert runs.count_by_status() == {
            "queued": 2, "running": 0, "failed": 1, "succeeded": 1, "cancelled": 0,
        }  # fmt: skip
        assert runs.count_by_status(batch="b1")["queued"] == 1
        assert [r.run_id for r in runs.find(batch="b1", limit=2)] == ["r3", "r2"]
        assert [r.run_id for r in runs.find(batch="b1", status="failed")] == ["r2"]

    def test_a_heartbeat_tells_how_far_a_run_is(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        assert runs.heartbeat(held, 60, cells_done=3, cells=7)
        assert runs.heartbeat(held, 60)
        found = runs.get("r1")
        assert (found.cells_done, found.cells) == (3, 7)

    def test_a_claim_whose_answer_was_lost_is_found(self, runs):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        assert runs.held_by(ME) == [held]
        assert runs.held_by(OTHER) == []


class Jumping(datetime):
    """The clock of a worker that has been set."""

    by = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.by


class TestClocks:
    @pytest.mark.parametrize("by", [timedelta(days=-400), timedelta(days=400)])
    def test_the_clock_of_a_worker_does_not_matter(self, runs, monkeypatch, by):
        runs.enqueue(run("r1"))
        held = runs.claim(ME, 60)
        monkeypatch.setattr(runs_module, "datetime", Jumping)
        monkeypatch.setattr(Jumping, "by", by)
        assert runs.claim(OTHER, 60) is None, "a lease that holds is not taken over"
        assert runs.heartbeat(held, 60)
        assert abs(runs.get("r1").lease_until - runs._collection.now() - MINUTE) < timedelta(seconds=5)
        monkeypatch.setattr(Jumping, "by", timedelta())
        assert runs.claim(OTHER, 60) is None
        end(runs, held)

    @pytest.mark.parametrize("hours", [-5, 5])
    def test_when_the_clock_of_the_server_is_set_the_holders_have_time_to_tell(self, hours, monkeypatch):
        now, steady = datetime(2026, 1, 1, tzinfo=UTC), [0.0]
        collection = MemoryCatalog().collections["runs"]
        told = [now]
        monkeypatch.setattr(collection, "now", lambda: told[0])
        runs = Runs(collection)
        runs._clock = ServerClock(collection.now, lambda: steady[0])

        def pass_by(seconds):
            steady[0] += seconds
            told[0] += timedelta(seconds=seconds)

        runs.enqueue(run("r1"))
        held = runs.claim(OTHER, 60)
        pass_by(10)
        assert runs.claim(ME, 60) is None
        told[0] += timedelta(hours=hours)
        pass_by(10)
        assert runs.claim(ME, 60) is None
        assert runs.heartbeat(held, 60)
        pass_by(55)
        assert runs.claim(ME, 60) is None, "the holder has told that it lives"
        pass_by(10)
        assert runs.claim(ME, 60).attempts == 2, "and then it fell silent"

    def test_a_clock_that_was_set_back_does_not_make_a_lease_last_for_days(self, runs, monkeypatch):
        runs.enqueue(run("r1"))
        real = runs._collection.now
        monkeypatch.setattr(runs._collection, "now", lambda: real() + timedelta(days=9))
        Runs(runs._collection).claim(OTHER, 60)
        monkeypatch.setattr(runs._collection, "now", real)
        assert Runs(runs._collection).claim(ME, 60).attempts == 2

    def test_a_slow_answer_is_no_jump(self):
        steady, told = [0.0], [datetime(2026, 1, 1, tzinfo=UTC)]

        def ask():
            steady[0] += 30
            told[0] += timedelta(seconds=30)
            return told[0]

        clock = ServerClock(ask, lambda: steady[0])
        for _ in range(3):
            clock.now()
        assert clock.was_steady(60)


class TestNames:
    def test_two_workers_of_a_process_have_names_of_their_own_and_live_as_it_does(self):
        one, two = new_worker_name(), new_worker_name()
        assert one != two
        assert not worker_is_dead(one)
        assert worker_is_dead(one.replace("/", "1/"))


def _drain(uri: str) -> list[str]:
    with MongoCatalog(connect_database(uri), writable=True) as catalog:
        return claimed_ids(catalog.runs)


@pytest.mark.slow
def test_no_run_is_claimed_twice_by_processes_that_ask_at_once(embedded_database, mongo_catalog):
    asked = [f"r{n:03}" for n in range(60)]
    mongo_catalog.runs.enqueue_many([run(name, n) for n, name in enumerate(asked)])
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        got = list(pool.map(_drain, [embedded_database.uri("operator")] * 3))
    assert sorted(name for names in got for name in names) == asked


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-10, 10), st.integers(0, 5), st.sets(st.integers(0, 5), max_size=3)), max_size=6
    )
)
def test_runs_that_wait_for_others_all_come_to_an_end(plan):
    """Any set of runs, of which each waits only for those before it, drains in an order that respects them."""
    runs = MemoryCatalog().runs
    before = {f"r{n}": tuple(f"r{k}" for k in after if k < n) for n, (_, _, after) in enumerate(plan)}
    runs.enqueue_many(
        [run(name, plan[n][1], priority=plan[n][0], after=before[name]) for n, name in enumerate(before)]
    )
    done = []
    while (held := runs.claim(ME, 60)) is not None:
        assert set(before[held.run_id]) <= set(done)
        done.append(held.run_id)
        end(runs, held)
    assert sorted(done) == sorted(before)


def test_an_old_record_without_the_new_fields_can_be_claimed():
    catalog = MemoryCatalog()
    catalog.runs.enqueue(run("r1"))
    document = catalog.collections["runs"].get("r1")
    for name in ("priority", "not_before", "after", "batch", "cancel_asked", "failures"):
        del document[name]
    catalog.collections["runs"].replace(document)
    assert catalog.runs.claim(ME, 60).run_id == "r1"


def test_the_reason_that_the_queue_gives_is_stored_only_while_the_run_waits():
    """Between the search and the verdict somebody may have asked otherwise."""
    catalog = MemoryCatalog()
    told = []
    waiting = Waiting(catalog.collections["runs"], lambda document, why: told.append((document["_id"], why)))
    catalog.runs.save(run("a", status=RunStatus.FAILED, error="why"))
    documents = [{"_id": "b", "created": run().created, "after": ["a"]}]
    assert waiting.ready(documents, datetime.now(UTC)) == []
    assert told[0][0] == "b"
    catalog.runs.save(run("b", status=RunStatus.SUCCEEDED))
    catalog.runs._fail_waiting({"_id": "b"}, "too late")
    assert catalog.runs.get("b").status is RunStatus.SUCCEEDED
