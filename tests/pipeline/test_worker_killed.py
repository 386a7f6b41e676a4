"""Killed with -9 at any stage, the next worker ends with the same catalogue and archive as if nothing had happened."""

import dataclasses
import multiprocessing
import os
import signal
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from stixlab.catalog import MongoCatalog, connect_database
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.identity import make_run
from tests.ingest.test_killed import database_server
from tests.support.killed_worker import END, FLARES, FROZEN, STAGES, START, run_worker
from tests.support.pipelines import FIND, GIVEN, SAVE, write_notebook
from tests.support.processes import wait_for

pytestmark = [pytest.mark.alone, pytest.mark.slow]


@pytest.fixture(scope="module")
def forks():
    """Workers come from one process that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.killed_worker", "papermill"])
    return context


@contextmanager
def worker(forks, *given, **named):
    """A worker in a process of its own; waited for at the end."""
    process = forks.Process(target=run_worker, args=given, kwargs=named)
    process.start()
    yield process
    process.join(60)
    assert process.exitcode is not None


def ended(forks, *given, **named):
    with worker(forks, *given, **named) as process:
        pass
    return process.exitcode


def asked(folder, catalog):
    write_notebook(folder / "pipelines", FIND, SAVE)
    run = make_run(get_pipeline(folder / "pipelines", "trial"), GIVEN, inputs={})
    assert catalog.runs.enqueue(run)
    return run


def content(catalog):
    return sorted((f.flare_id, f.origin, f.run_id, f.peak_counts) for f in catalog.flares.find())


def left_over(folder):
    return sorted(str(p.relative_to(folder)) for p in (folder / "archive").rglob("*") if "work" in p.name)


def kernels(folder):
    """Processes that work in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ() if process.pid != os.getpid() else {}
            if str(folder) in environment.get("PYTHONPATH", ""):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage(tmp_path, embedded_database, mongo_catalog, forks, stage):
    uri, kernel = embedded_database.uri("operator"), stage == "executing"
    run = asked(tmp_path, mongo_catalog)
    assert ended(forks, tmp_path, uri, stage, kernel=kernel) == -signal.SIGKILL
    before = mongo_catalog.runs.get(run.run_id)
    assert before.status is (RunStatus.SUCCEEDED if stage == "finished" else RunStatus.RUNNING)
    wait_for(lambda: not kernels(tmp_path), "the kernel to end with its worker")
    assert ended(forks, tmp_path, uri, kernel=kernel) == 0
    after = mongo_catalog.runs.get(run.run_id)
    assert after.status is RunStatus.SUCCEEDED, after.error
    assert after.attempts == (1 if stage == "finished" else 2)
    assert len(mongo_catalog.runs.find()) == 1
    flares = mongo_catalog.flares.find()
    assert len({f.flare_id for f in flares}) == len(flares) == 2
    assert {f.run_id for f in flares} == {run.run_id}
    assert left_over(tmp_path) == []
    assert (tmp_path / "archive" / after.notebook).is_file()


def test_one_that_stood_still_before_its_commit_overwrites_nothing(
    tmp_path, embedded_database, mongo_catalog, forks
):
    """Its run was taken over and done meanwhile, and a later run has delivered better results for the same time."""
    uri = embedded_database.uri("operator")
    run = asked(tmp_path, mongo_catalog)
    with worker(forks, tmp_path, uri, FROZEN) as process:
        wait_for(
            lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "it to stand still", 60
        )
        held = mongo_catalog.runs.get(run.run_id)
        assert held.status is RunStatus.RUNNING
        mongo_catalog.runs.save(dataclasses.replace(held, lease_until=held.created))
        assert ended(forks, tmp_path, uri) == 0
        done = mongo_catalog.runs.get(run.run_id)
        assert (done.status, done.attempts) == (RunStatus.SUCCEEDED, 2)
        better = [dataclasses.replace(FLARES[0], run_id="later", peak_counts=77)]
        mongo_catalog.flares.replace(START, END, "simulated", better)
        later = content(mongo_catalog)
        os.kill(process.pid, signal.SIGCONT)
    assert process.exitcode == 0
    assert content(mongo_catalog) == later
    assert mongo_catalog.runs.get(run.run_id) == done


def test_many_runs_with_workers_that_are_killed(tmp_path, embedded_database, mongo_catalog, forks):
    """Workers at work at the same time, each killed at its own stage; one ends the work. Nothing is lost or there twice."""
    uri = embedded_database.uri("operator")
    write_notebook(tmp_path / "pipelines", FIND, SAVE)
    spec = get_pipeline(tmp_path / "pipelines", "trial")
    runs = [make_run(spec, GIVEN, inputs={"p": str(n)}) for n in range(12)]
    assert len(mongo_catalog.runs.enqueue_many(runs)) == len(runs)
    with ExitStack() as stack:
        stages = ("staged", "committing", "finished", "")  # a run that takes three down in turn would be red
        crew = [stack.enter_context(worker(forks, tmp_path, uri, stage)) for stage in stages]
    assert [w.exitcode for w in crew if w.exitcode != 0]
    assert ended(forks, tmp_path, uri) == 0
    found = mongo_catalog.runs.find()
    assert sorted(r.run_id for r in found) == sorted(r.run_id for r in runs)
    assert {r.status for r in found} == {RunStatus.SUCCEEDED}
    flares = mongo_catalog.flares.find()
    assert len({f.flare_id for f in flares}) == len(flares) == 2


def test_the_database_is_killed_under_workers(tmp_path, forks):
    """They wait for the server that is started again; all runs are done, each attempt is accounted for."""
    write_notebook(tmp_path / "pipelines", FIND, SAVE)
    spec = get_pipeline(tmp_path / "pipelines", "trial")
    runs = [make_run(spec, GIVEN, inputs={"p": str(n)}) for n in range(60)]
    with ExitStack() as stack:
        with database_server(tmp_path) as (process, port):
            uri = f"mongodb://127.0.0.1:{port}/trial"
            with MongoCatalog(connect_database(uri), writable=True) as catalog:
                catalog.runs.enqueue_many(runs)
                crew = [stack.enter_context(worker(forks, tmp_path, uri)) for _ in range(2)]
                wait_for(lambda: catalog.runs.count_by_status()["succeeded"] >= 3, "some runs", 30)
                process.kill()
                process.wait(10)
        server = stack.enter_context(database_server(tmp_path, port))
        assert server
        for each in crew:
            each.join(60)
        assert [w.exitcode for w in crew] == [0, 0]
        with MongoCatalog(connect_database(uri), writable=True) as catalog:
            found = catalog.runs.find()
            assert len(found) == len(runs)
            assert {r.status for r in found} == {RunStatus.SUCCEEDED}
            assert len(catalog.flares.find()) == 2
