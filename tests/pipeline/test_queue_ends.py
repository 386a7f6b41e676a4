"""What may happen to a run in the hands of a worker: cancelled, stopped, tried again, without a database."""

import dataclasses
import threading
import time
from datetime import timedelta

import pytest

from stixlab.errors import ArchiveError, CatalogError, PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline import hold, queue, worker
from stixlab.pipeline.outputs import Output, range_of
from stixlab.pipeline.retries import PAUSES, ask_patiently, is_recoverable, pause_before_next
from stixlab.pipeline.runner import Execution
from tests.support.pipelines import FIND, GIVEN, SAVE
from tests.support.processes import wait_for

OUTPUT = Output("flare-list", "simulated", *range_of(GIVEN), {}, ())


@pytest.fixture
def quick(center, monkeypatch):
    """Executions that take no kernel; `quick.during` is called within each, with what `execute` was given."""
    center.write(FIND, SAVE)
    center.during = lambda run, **given: None

    def pretend(run, spec, *, folder, **given):
        center.during(run, **given)
        notebook = folder / f"{spec.name}.ipynb"
        notebook.write_text("{}")
        return Execution(notebook, {"flare-list": OUTPUT}, run.started, run.started)

    for module in (worker, queue):
        monkeypatch.setattr(module, "POLL_S", 0.02)
    monkeypatch.setattr(worker, "execute", pretend)
    monkeypatch.setattr(hold, "_TICK_S", 0.02)
    monkeypatch.setattr(hold, "_LOOK_S", 0.02)
    return center


def until_ended(_run, *, cancel, **_given):
    """As a kernel that computes until it is killed."""
    assert cancel.wait(10), "the run was never ended"
    raise PipelineError("trial.ipynb, cell 3: stopped", recoverable=False)


def get(center, run):
    return center.catalog.runs.get(run.run_id)


def flares_saved(center):
    saved = []
    replace = center.catalog.flares.replace
    center.catalog.flares.replace = lambda *given: saved.append(given) or replace(*given)
    return saved


class Away:
    """A database that is away for the next `times` calls of a method."""

    def __init__(self, store, name, times, *, heard=False):
        self.left = times
        method = getattr(store, name)

        def asked(*given, **named):
            if self.left > 0:
                self.left -= 1
                if heard:  # it was done, only the answer was lost
                    method(*given, **named)
                raise CatalogError("the database does not answer")
            return method(*given, **named)

        setattr(store, name, asked)


class TestCancel:
    def test_a_run_that_is_cancelled_ends_soon_and_delivers_nothing(self, quick):
        run, saved = quick.queue(), flares_saved(quick)

        def asked(held, **given):
            quick.catalog.runs.cancel(held.run_id, "eve")
            until_ended(held, **given)

        quick.during = asked
        done = quick.worker().do_next()
        assert (done.status, done.error) == (RunStatus.CANCELLED, "cancelled by eve")
        assert get(quick, run) == dataclasses.replace(done, finished=get(quick, run).finished)
        assert saved == []

    def test_cancelled_at_its_very_end_it_delivers_nothing_either(self, quick):
        quick.queue()
        saved = flares_saved(quick)
        quick.during = lambda held, **_: quick.catalog.runs.cancel(held.run_id, "eve")
        assert quick.worker().do_next().status is RunStatus.CANCELLED
        assert saved == []

    def test_what_waits_for_a_cancelled_run_is_not_begun(self, quick):
        first = quick.queue()
        second = dataclasses.replace(first, run_id="second", after=(first.run_id,))
        quick.catalog.runs.enqueue(second)
        quick.catalog.runs.cancel(first.run_id)
        assert queue.drain(quick.catalog, **quick.parts) == []
        assert "cancelled" in get(quick, second).error


class TestStop:
    def test_a_worker_that_is_to_end_gives_a_long_run_back(self, quick):
        run, saved = quick.queue(), flares_saved(quick)
        quick.during = until_ended
        asked = threading.Event()
        quick.during = lambda held, **given: (asked.set(), until_ended(held, **given))
        done = quick.worker(stop=asked.is_set, grace_s=0.1).do_next()
        assert (done.status, done.attempts, done.worker) == (RunStatus.QUEUED, 0, "")
        assert get(quick, run).status is RunStatus.QUEUED
        assert saved == []

    def test_and_ends_a_short_one(self, quick):
        quick.queue()
        asked = threading.Event()
        quick.during = lambda _held, **_: (asked.set(), time.sleep(0.2))
        assert quick.worker(stop=asked.is_set, grace_s=5).do_next().status is RunStatus.SUCCEEDED

    def test_and_begins_no_other(self, quick):
        runs = [quick.queue(inputs={"p": str(n)}) for n in range(3)]
        asked = threading.Event()
        quick.during = lambda _held, **_: asked.set()
        queue.work(quick.catalog, **quick.parts, stop=asked.is_set)
        assert [get(quick, r).status for r in runs].count(RunStatus.QUEUED) == 2


class TestSecondAttempts:
    def test_what_passes_is_tried_again_after_a_pause_and_the_reasons_are_kept(self, quick):
        run, tries = quick.queue(), []

        def full(_held, **_given):
            tries.append(1)
            raise ArchiveError("the disk is full; free some", recoverable=True)

        quick.during = full
        for attempt in (1, 2):
            done = quick.worker().do_next()
            assert (done.status, done.attempts) == (RunStatus.QUEUED, attempt)
            assert done.not_before is not None
            assert quick.worker().do_next() is None, "not before the pause has passed"
            quick.catalog.runs.retry(run.run_id)
        done = quick.worker().do_next()
        assert (done.status, len(tries)) == (RunStatus.FAILED, 3)
        assert "disk is full" in done.error
        assert [f[:10] for f in get(quick, run).failures] == ["attempt 1:", "attempt 2:"]

    def test_the_one_that_succeeds_then_is_green_and_still_tells(self, quick):
        run = quick.queue()

        def once(held, **_given):
            if held.attempts == 1:
                raise PipelineError("the kernel did not start", recoverable=True)

        quick.during = once
        quick.worker().do_next()
        quick.catalog.runs.retry(run.run_id)
        done = quick.worker().do_next()
        assert (done.status, done.error) == (RunStatus.SUCCEEDED, "")
        assert "did not start" in get(quick, run).failures[0]

    @pytest.mark.parametrize(
        "error",
        [
            PipelineError("cell 3: ValueError", recoverable=False),
            PipelineError("no attribute"),
            ArchiveError("the folder is not writable", recoverable=False),
            ZeroDivisionError("by zero"),
        ],
    )
    def test_what_comes_again_is_not_tried_again(self, quick, error):
        run = quick.queue()

        def fail(_held, **_given):
            raise error

        quick.during = fail
        assert quick.worker().do_next().status is RunStatus.FAILED
        assert get(quick, run).failures == ()

    def test_a_pipeline_says_how_often(self, quick):
        run = quick.queue()
        spec = worker.get_pipeline(quick.pipelines, "trial")
        pauses = [
            pause_before_next(dataclasses.replace(run, attempts=n), dataclasses.replace(spec, retries=6))
            for n in range(1, 9)
        ]
        assert pauses[:3] == [timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5)]
        assert pauses[3:6] == [PAUSES[-1]] * 3
        assert pauses[6:] == [None, None]
        assert (
            pause_before_next(dataclasses.replace(run, attempts=1), dataclasses.replace(spec, retries=0))
            is None
        )
        assert is_recoverable(CatalogError("away"))

    def test_draining_waits_for_second_attempts(self, quick, monkeypatch):
        run = quick.queue()
        monkeypatch.setattr("stixlab.pipeline.retries.PAUSES", (timedelta(seconds=0.2),))

        def once(held, **_given):
            if held.attempts == 1:
                raise PipelineError("the kernel did not start", recoverable=True)

        quick.during = once
        (done,) = queue.drain(quick.catalog, **quick.parts)
        assert (done.run_id, done.status, done.attempts) == (run.run_id, RunStatus.SUCCEEDED, 2)


class TestAway:
    @pytest.mark.parametrize("heard", [False, True])
    @pytest.mark.parametrize("name", ["claim", "finish"])
    def test_a_database_away_for_a_while_is_waited_for(self, quick, name, heard):
        run, executed = quick.queue(), []
        quick.during = lambda held, **_: executed.append(held.attempts)
        away = Away(quick.catalog.runs, name, 1 if heard else 3, heard=heard)
        done = quick.worker().do_next()
        assert (away.left, done.status) == (0, RunStatus.SUCCEEDED)
        assert executed == [1], "done once, and no attempt is lost"
        assert get(quick, run).status is RunStatus.SUCCEEDED

    def test_a_drain_does_not_leave_a_run_that_it_holds_without_knowing(self, quick):
        run = quick.queue()
        assert quick.catalog.runs.claim("the worker that drains", 60.0) is not None
        (done,) = queue.drain(quick.catalog, name="the worker that drains", **quick.parts)
        assert (done.run_id, done.status) == (run.run_id, RunStatus.SUCCEEDED)

    def test_away_at_the_heartbeats_the_run_goes_on(self, quick):
        quick.queue()
        quick.during = lambda _held, **_: time.sleep(0.4)
        away = Away(quick.catalog.runs, "heartbeat", 3)
        assert quick.worker(lease_s=0.3).do_next().status is RunStatus.SUCCEEDED
        assert away.left == 0

    def test_away_at_the_commit_the_result_is_kept_until_it_is_back(self, quick):
        quick.queue()
        executed = []
        quick.during = lambda held, **_: executed.append(held)
        away = Away(quick.catalog.flares, "replace", 3)
        assert quick.worker().do_next().status is RunStatus.SUCCEEDED
        assert (away.left, len(executed)) == (0, 1)

    def test_away_for_too_long_the_run_is_done_again_later(self, quick):
        run = quick.queue()
        Away(quick.catalog.runs, "finish", 10**6)
        with pytest.raises(CatalogError):
            quick.worker(away_s=0.2).do_next()
        assert get(quick, run).status is RunStatus.RUNNING

    def test_a_worker_goes_on_when_the_database_was_away_for_long(self, quick, caplog):
        run = quick.queue()
        Away(quick.catalog.runs, "claim", 3)
        stop = threading.Event()
        how = quick.parts | {"stop": stop.is_set, "poll_s": 0.02, "away_s": 0.0}
        thread = threading.Thread(target=queue.work, args=(quick.catalog,), kwargs=how)
        thread.start()
        wait_for(lambda: get(quick, run).status is RunStatus.SUCCEEDED, "the run")
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
        assert "catalogue away" in caplog.text

    def test_who_waits_for_the_database_can_be_told_to_end(self):
        def away():
            raise CatalogError("the database does not answer")

        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        with pytest.raises(CatalogError):
            ask_patiently(away, stop=stop.is_set, limit_s=60)
        assert time.monotonic() - began < 10


class TestProgress:
    def test_the_cells_done_are_seen_while_a_run_is_under_way(self, quick):
        run, seen = quick.queue(), []

        def cells(_held, *, progress, **_given):
            for done in (1, 2, 3):
                progress(done, 4)
                wait_for(lambda done=done: get(quick, run).cells_done == done, f"cell {done}")
                seen.append(get(quick, run).cells)
            progress(4, 4)

        quick.during = cells
        told = []
        done = quick.worker(progress=lambda *cells: told.append(cells)).do_next()
        assert (done.cells_done, done.cells, seen) == (4, 4, [4, 4, 4])
        assert told == [("trial", n, 4) for n in (1, 2, 3, 4)]

    def test_progress_that_comes_fast_is_not_written_each_time(self, quick, monkeypatch):
        quick.queue()
        monkeypatch.setattr(hold, "_TICK_S", 0.1)
        beats = []
        heartbeat = quick.catalog.runs.heartbeat
        quick.catalog.runs.heartbeat = lambda *a, **k: beats.append(k) or heartbeat(*a, **k)

        def cells(_held, *, progress, **_given):
            for n in range(200):
                progress(n, 200)
                time.sleep(0.001)

        quick.during = cells
        quick.worker().do_next()
        assert len(beats) < 20


class TestTwoWorkers:
    def test_a_worker_that_was_frozen_past_its_lease_is_refused(self, quick):
        """Both execute; the first comes back when the second has the run: its results are not stored."""
        run, saved = quick.queue(), flares_saved(quick)
        second = []

        def frozen(held, **_given):
            if held.attempts > 1:
                return
            quick.catalog.runs.save(dataclasses.replace(held, lease_until=held.started - timedelta(hours=1)))
            # The heartbeats of the first come too late: the second is quicker.
            second.append(quick.worker(name="elsewhere:1:1").do_next())

        quick.during = frozen
        assert quick.worker(lease_s=600).do_next() is None
        assert second[0].status is RunStatus.SUCCEEDED
        assert (get(quick, run).worker, len(saved)) == ("elsewhere:1:1", 1)
        assert "died or fell silent" in get(quick, run).failures[0]

    def test_an_input_that_changed_while_it_was_read_fails_the_run(self, quick, monkeypatch):
        from tests.support.records import product

        old = product(content_sha256="old")
        quick.catalog.products.save(dataclasses.replace(old, content_sha256="new"))
        monkeypatch.setattr(
            "tests.pipeline.test_queue_ends.OUTPUT",
            dataclasses.replace(OUTPUT, inputs={old.product_id: "old"}),
        )
        run, saved = quick.queue(), flares_saved(quick)
        done = quick.worker().do_next()
        assert done.status is RunStatus.FAILED
        assert old.product_id in done.error
        assert "changed while it was read" in get(quick, run).error
        assert saved == []


def test_runs_in_a_chain_are_all_done_for_who_waits_for_the_last(quick):
    first = quick.queue()
    names = [first.run_id]
    for n in range(3):
        quick.catalog.runs.enqueue(dataclasses.replace(first, run_id=f"next{n}", after=(names[-1],)))
        names.append(f"next{n}")
    (done,) = queue.drain(quick.catalog, [names[-1]], **quick.parts)
    assert (done.run_id, done.status) == ("next2", RunStatus.SUCCEEDED)
    assert {quick.catalog.runs.get(n).status for n in names} == {RunStatus.SUCCEEDED}
