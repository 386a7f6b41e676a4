"""The worker: claims, heartbeats, what happens to a run that is taken away."""

import dataclasses
import threading
import time

import pytest

from stixlab.catalog import worker_name
from stixlab.errors import CatalogError, NotInCatalogError
from stixlab.model import RunStatus
from stixlab.pipeline import queue
from stixlab.pipeline.outputs import Output, range_of
from stixlab.pipeline.runner import Execution
from tests.support.pipelines import FIND, GIVEN, SAVE

OUTPUT = Output("flare-list", "simulated", *range_of(GIVEN), {"p": "h"}, ())


@pytest.fixture
def quick(center, monkeypatch):
    """Executions that take no kernel; `quick.during` is called within each."""
    center.write(FIND, SAVE)
    center.during = lambda run: None

    def pretend(run, spec, *, folder, **_others):
        center.during(run)
        notebook = folder / f"{spec.name}.ipynb"
        notebook.write_text("{}")
        return Execution(notebook, {"flare-list": OUTPUT}, run.started, run.started)

    monkeypatch.setattr(queue, "execute", pretend)
    monkeypatch.setattr(queue, "_POLL_S", 0.02)
    return center


def test_everything_queued_is_done_once(quick):
    asked = [quick.queue(inputs={"p": str(n)}) for n in range(5)]
    done = queue.drain(quick.catalog, **quick.parts)
    assert sorted(r.run_id for r in done) == sorted(r.run_id for r in asked)
    assert {r.status for r in done} == {RunStatus.SUCCEEDED}
    assert queue.drain(quick.catalog, **quick.parts) == []


def test_only_the_runs_named_are_done(quick):
    first, second = (quick.queue(inputs={"p": n}) for n in "ab")
    (done,) = queue.drain(quick.catalog, [second.run_id], **quick.parts)
    assert done.run_id == second.run_id
    assert quick.catalog.runs.get(first.run_id).status is RunStatus.QUEUED


def test_a_run_that_is_not_there_is_told(quick):
    with pytest.raises(NotInCatalogError, match="trial-nothing"):
        queue.drain(quick.catalog, ["trial-nothing"], **quick.parts)


def test_a_run_in_the_hands_of_another_worker_is_waited_for(quick):
    run = quick.queue()
    held = quick.catalog.runs.claim("elsewhere:1:1", 60)

    def finish():
        time.sleep(0.1)
        quick.catalog.runs.finish(dataclasses.replace(held, status=RunStatus.SUCCEEDED))

    threading.Thread(target=finish).start()
    (done,) = queue.drain(quick.catalog, [run.run_id], **quick.parts)
    assert done.worker == "elsewhere:1:1"


def test_a_run_of_a_worker_that_is_gone_is_taken_over(quick):
    """As after `kill -9`: same host, process of that number and start is not there."""
    run = quick.queue()
    host = worker_name().rsplit(":", 2)[0]
    quick.catalog.runs.claim(f"{host}:4194999:1", 3600)
    (done,) = queue.drain(quick.catalog, [run.run_id], **quick.parts)
    assert (done.status, done.attempts) == (RunStatus.SUCCEEDED, 2)


def test_a_run_that_was_taken_over_meanwhile_changes_nothing(quick):
    run = quick.queue()
    saved = []
    quick.catalog.flares.replace = lambda *a: saved.append(a)

    def steal(held):
        quick.catalog.runs.save(dataclasses.replace(held, worker="elsewhere:1:1", attempts=held.attempts + 1))

    quick.during = steal
    assert quick.worker().do_next() is None
    assert saved == []
    assert quick.catalog.runs.get(run.run_id).worker == "elsewhere:1:1"


def test_a_long_run_keeps_its_lease(quick):
    run = quick.queue()
    seen = []

    def slow(held):
        time.sleep(0.5)
        seen.append(quick.catalog.runs.claim("elsewhere:1:1", 60, run_id=held.run_id))

    quick.during = slow
    done = quick.worker(lease_s=0.3).do_next()
    assert seen == [None]
    assert (done.run_id, done.status) == (run.run_id, RunStatus.SUCCEEDED)


def test_an_interrupted_worker_gives_its_run_back(quick):
    run = quick.queue()

    def interrupt(_held):
        raise KeyboardInterrupt

    quick.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        quick.worker().do_next()
    found = quick.catalog.runs.get(run.run_id)
    assert (found.status, found.attempts) == (RunStatus.QUEUED, 0)


def test_an_error_nobody_thought_of_fails_the_run(quick, caplog):
    quick.queue()

    def surprise(_held):
        raise ZeroDivisionError("by zero")

    quick.during = surprise
    done = quick.worker().do_next()
    assert (done.status, done.error) == (RunStatus.FAILED, "ZeroDivisionError: by zero")
    assert "run failed" in caplog.text


def test_a_database_away_at_the_commit_leaves_the_run_to_be_done_again(quick):
    run = quick.queue()

    def away(*_args):
        raise CatalogError("the database does not answer")

    keep = quick.catalog.flares.replace
    quick.catalog.flares.replace = away
    with pytest.raises(CatalogError):
        quick.worker().do_next()
    assert quick.catalog.runs.get(run.run_id).status is RunStatus.RUNNING
    quick.catalog.flares.replace = keep
    later = quick.worker(name="elsewhere:1:1")
    quick.catalog.runs.save(dataclasses.replace(quick.catalog.runs.get(run.run_id), lease_until=run.created))
    assert later.do_next().status is RunStatus.SUCCEEDED


def test_a_worker_works_until_it_is_told_to_stop(quick):
    stop = threading.Event()
    thread = threading.Thread(
        target=queue.work, args=(quick.catalog,), kwargs=quick.parts | {"stop": stop.is_set, "poll_s": 0.02}
    )
    thread.start()
    run = quick.queue()
    until = time.monotonic() + 10
    while quick.catalog.runs.get(run.run_id).status is not RunStatus.SUCCEEDED and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert quick.catalog.runs.get(run.run_id).status is RunStatus.SUCCEEDED


def test_a_run_by_hand_knows_its_inputs(quick):
    run = quick.run()
    assert run.inputs == {"p": "h"}, "what it read in truth"
