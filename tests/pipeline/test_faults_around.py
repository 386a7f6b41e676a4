"""Faults around the kernel: files, parameters, the catalogue, the lease, the clock; beside plain papermill where it can have them."""

import dataclasses
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from stixlab.errors import ArchiveError, CatalogError, ConflictError, ParameterError, PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline import hold, runner, worker
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.executed import check_cells, read_cells
from stixlab.pipeline.outputs import commit_outputs, read_outputs
from stixlab.pipeline.queue import run_now
from stixlab.pipeline.runner import execute
from tests.support.faults import STAGE, assert_red, plain_papermill, run_once, stage, why, write_trial
from tests.support.formal import daily
from tests.support.pipelines import GIVEN
from tests.support.runs import make_run

pytestmark = pytest.mark.slow


def do(center, folder="out", **parts):
    """The runner alone."""
    spec = get_pipeline(center.pipelines, "trial")
    return execute(
        center.queue(), spec, folder=center.folder / folder, environment=center.environment, **parts
    )


def test_a_notebook_edited_while_it_runs_makes_the_run_red(center):
    path = center.pipelines / "trial.ipynb"
    edit = f"p = pathlib.Path({str(path)!r})\np.write_text(p.read_text().replace('a thought', 'another'))"
    write_trial(center.pipelines, "# a thought", edit, STAGE)
    assert_red(center, run_once(center), "edited while it ran", "ask for the run again")
    write_trial(center.pipelines, "# a thought", edit, STAGE)
    assert plain_papermill(path, center.folder / "plain") == "success"


def test_a_notebook_edited_before_its_run_is_not_executed(center):
    write_trial(center.pipelines, STAGE)
    center.queue()
    write_trial(center.pipelines, "# edited", STAGE)
    done = center.worker().do_next()
    assert_red(center, done, "edited since the run was asked for")


def test_a_notebook_that_rewrites_its_own_copy_deceives_nobody(center):
    """The work folder is where the notebook runs; what was executed is held against what was read before."""
    write_trial(center.pipelines, "pathlib.Path('trial.ipynb').write_text('{}')", STAGE)
    assert run_once(center).status is RunStatus.SUCCEEDED
    path = write_trial(center.pipelines, "1 / 0", STAGE)
    asked = read_cells(path)
    document = json.loads(path.read_text())
    document["cells"][3]["source"] = "1 / 1"
    forged = center.folder / "forged.ipynb"
    forged.write_text(json.dumps(document))
    with pytest.raises(PipelineError, match="cell 4: another code was executed"):
        check_cells("trial.ipynb", asked, forged)


@pytest.mark.parametrize("cut", [0, 40, 400])
def test_an_executed_notebook_cut_short_is_no_success(center, monkeypatch, cut):
    """As when the machine goes down between papermill's last write and the disk."""
    write_trial(center.pipelines, STAGE)

    def cut_short(name, asked, executed):
        executed.write_bytes(executed.read_bytes()[:cut])
        check_cells(name, asked, executed)

    monkeypatch.setattr(runner, "check_cells", cut_short)
    assert_red(center, run_once(center), "cannot be read", "cut short", again=True)


def test_what_stands_in_for_a_result_but_is_no_file_is_not_read(center):
    """A device would be read for ever."""
    endless = 'pathlib.Path("outputs").mkdir()\nos.symlink("/dev/zero", "outputs/flare-list.json")'
    write_trial(center.pipelines, endless)
    assert_red(center, run_once(center), "no regular file")


@pytest.mark.parametrize(("given", "words"), [({"begin": "2022"}, "begin"), ({"origin": "moon"}, "moon")])
def test_a_wrong_parameter_is_refused_before_anything_starts(center, given, words):
    path = write_trial(center.pipelines, STAGE)
    with pytest.raises(ParameterError, match=words):
        run_now(center.catalog, get_pipeline(center.pipelines, "trial"), GIVEN | given, **center.parts)
    assert center.catalog.runs.find() == []
    assert not list(center.archive.root.rglob("*.ipynb"))
    from papermill import execute_notebook

    folder = center.folder / "plain"
    folder.mkdir()
    execute_notebook(
        str(path),
        str(folder / "o.ipynb"),
        GIVEN | given,
        kernel_name="python3",
        progress_bar=False,
        cwd=str(folder),
    )
    assert (folder / "outputs" / "flare-list.json").exists(), "papermill runs it all the same"


def test_an_archive_that_cannot_be_written_says_so(center):
    write_trial(center.pipelines, STAGE)
    (center.folder / "blocked").write_text("a file where a folder should be")
    with pytest.raises(ArchiveError, match="blocked") as caught:
        do(center, "blocked/run")
    assert not caught.value.recoverable


def test_a_disk_that_is_full_when_the_notebook_is_kept_leaves_nothing(center, monkeypatch):
    def full(*_args, **_kwargs):
        raise runner.write_failed(center.folder / "trial.ipynb", OSError(28, "No space left on device"))

    write_trial(center.pipelines, STAGE)
    monkeypatch.setattr(runner, "keep_notebook", full)
    with pytest.raises(ArchiveError, match="no space left") as caught:
        do(center)
    assert caught.value.recoverable
    assert [p.name for p in (center.folder / "out").iterdir()] == ["log.txt"]


def test_a_clock_that_jumps_changes_neither_limit_nor_order(center, monkeypatch):
    """Set back by a day in the middle of a run."""
    real, jumped = datetime, threading.Event()

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return real.now(tz) - timedelta(days=jumped.is_set())

    monkeypatch.setattr(runner, "datetime", Clock)
    write_trial(center.pipelines, STAGE)
    done = do(center, progress=lambda _done, _total: jumped.set())
    assert jumped.is_set()
    assert timedelta() < done.finished - done.started < timedelta(minutes=5)


def test_a_result_saved_twice_changes_nothing_the_second_time(center):
    write_trial(center.pipelines, STAGE)
    run = run_once(center)
    assert run.status is RunStatus.SUCCEEDED
    outputs = read_outputs(staged(center), ["flare-list"])
    before = center.catalog.flares.find()
    assert commit_outputs(center.catalog, run, outputs) == run.outputs
    assert center.catalog.flares.find() == before


def staged(center):
    folder = center.folder / "staged"
    (folder / "outputs").mkdir(parents=True)
    space: dict = {}
    code = (
        stage()
        .replace('"outputs', f'"{folder}/outputs')
        .replace(".mkdir(exist_ok=True)", ".mkdir(exist_ok=True, parents=True)")
    )
    exec(f"import pathlib\n{code}", space)
    return folder


def test_a_run_taken_over_by_another_worker_delivers_once(center):
    """The first comes back with its result after its lease was lost."""
    write_trial(center.pipelines, "time.sleep(1)", STAGE)
    run = center.queue()
    stolen = threading.Event()

    def steal():
        until = time.monotonic() + 30
        while (
            center.catalog.runs.get(run.run_id).status is not RunStatus.RUNNING and time.monotonic() < until
        ):
            time.sleep(0.01)
        held = center.catalog.runs.get(run.run_id)
        center.catalog.runs.save(
            dataclasses.replace(held, worker="elsewhere:1:1", attempts=held.attempts + 1)
        )
        stolen.set()

    saved = []
    keep = center.catalog.flares.replace
    center.catalog.flares.replace = lambda *args: (saved.append(args), keep(*args))
    thief = threading.Thread(target=steal)
    thief.start()
    assert center.worker().do_next() is None
    thief.join()
    assert stolen.is_set()
    assert saved == [], "the first delivers nothing"
    found = center.catalog.runs.get(run.run_id)
    assert (found.status, found.worker) == (RunStatus.RUNNING, "elsewhere:1:1")


def test_a_worker_that_stood_still_after_its_checks_commits_nothing(center, monkeypatch):
    """Another one has taken the run over and done it; what came after that must not be overwritten."""
    write_trial(center.pipelines, STAGE)
    run = center.queue()
    commit, others, saved = worker.commit_outputs, [], []

    def stand_still(*given, **named):
        if not others:
            others.append(center.worker())
            held = center.catalog.runs.get(run.run_id)
            center.catalog.runs.save(dataclasses.replace(held, lease_until=held.created))
            others[0].do_next(run.run_id)
            others.append(center.catalog.runs.get(run.run_id))
            saved.clear()
        return commit(*given, **named)

    keep = center.catalog.flares.replace
    center.catalog.flares.replace = lambda *args: (saved.append(args), keep(*args))
    monkeypatch.setattr(worker, "commit_outputs", stand_still)
    assert center.worker().do_next(run.run_id) is None
    assert saved == []
    found = center.catalog.runs.get(run.run_id)
    assert found == others[1]
    assert (found.status, found.attempts, found.worker) == (RunStatus.SUCCEEDED, 2, others[0].name)


def test_products_of_a_run_that_was_taken_over_are_not_taken(formal):
    """Found out when all is checked and the archive, for which one may wait long, is there."""
    run = daily(formal)
    outputs, before = formal.outputs(), (formal.state(), formal.chain.files())

    def fence():
        raise ConflictError("run trial-1: its lease ran out")

    record = SimpleNamespace(run_id="trial-1", pipeline="trial", parameters=run.parameters)
    with pytest.raises(ConflictError, match="lease ran out"):
        commit_outputs(formal.chain.catalog, record, outputs, archive=formal.chain.archive, fence=fence)
    assert (formal.state(), formal.chain.files()) == before
    assert commit_outputs(formal.chain.catalog, record, outputs, archive=formal.chain.archive)


@pytest.mark.parametrize("still_ours", [True, False])
def test_an_answer_about_the_lease_that_is_older_than_the_lease_is_asked_for_again(monkeypatch, still_ours):
    """The process stood still between the answer and its use."""
    run = dataclasses.replace(make_run(status=RunStatus.RUNNING), worker="here:1:1", attempts=1)
    now, asked = [0.0], []

    def heartbeat(*_given, **_named):
        asked.append(now[0])
        now[0] += 100.0 if len(asked) == 1 else 1.0
        return len(asked) == 1 or still_ours

    monkeypatch.setattr(hold, "time", SimpleNamespace(monotonic=lambda: now[0]))
    held = hold.Hold(SimpleNamespace(heartbeat=heartbeat, get=lambda _: run), run, 60.0)
    if still_ours:
        held.check()
    else:
        with pytest.raises(ConflictError, match="its lease ran out"):
            held.check()
    assert asked == [0.0, 100.0]


def test_a_database_that_is_away_at_the_commit_is_waited_for(center):
    write_trial(center.pipelines, STAGE)
    keep, asked = center.catalog.flares.replace, []

    def away_once(*args):
        asked.append(args)
        if len(asked) == 1:
            raise CatalogError("the database does not answer")
        return keep(*args)

    center.catalog.flares.replace = away_once
    run = run_once(center)
    assert (run.status, len(asked)) == (RunStatus.SUCCEEDED, 2)


def test_an_input_that_changes_during_the_run_makes_it_red(center):
    """What was read, as the result says, is no longer what the catalogue has."""
    write_trial(center.pipelines, stage(inputs={"L1_x": "old"}))
    product = type("Product", (), {"content_sha256": "new"})()
    center.catalog.products.get_many = lambda ids: {i: product for i in ids if i == "L1_x"}
    run = run_once(center)
    assert run.status is RunStatus.FAILED
    assert "L1_x changed while it was read" in why(run)
    assert (run.outputs, center.catalog.flares.find()) == ({}, [])


def test_a_cancelled_run_ends_with_its_kernel(center):
    write_trial(
        center.pipelines,
        f"pathlib.Path({str(center.folder / 'pid')!r}).write_text(str(os.getpid()))\ntime.sleep(50)",
        STAGE,
    )
    cancel = threading.Event()

    def when_begun():
        while not (center.folder / "pid").exists() or not (center.folder / "pid").read_text():
            time.sleep(0.02)
        cancel.set()

    threading.Thread(target=when_begun, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(PipelineError, match="cell 4: stopped") as caught:
        do(center, cancel=cancel)
    assert not caught.value.recoverable
    assert time.monotonic() - began < 40
    from tests.pipeline.test_faults_cells import is_alive

    assert not is_alive(int((center.folder / "pid").read_text()))


def test_a_database_that_is_away_at_the_claim_costs_nothing(center):
    write_trial(center.pipelines, STAGE)
    center.queue()
    keep, asked = center.catalog.runs.claim, []

    def away_once(*args, **kwargs):
        asked.append(args)
        if len(asked) == 1:
            raise CatalogError("the database does not answer")
        return keep(*args, **kwargs)

    center.catalog.runs.claim = away_once
    done = center.worker().do_next()
    assert (done.status, done.attempts) == (RunStatus.SUCCEEDED, 1)


def test_a_heartbeat_that_does_not_arrive_does_not_end_the_run(center):
    write_trial(center.pipelines, "time.sleep(1.5)", STAGE)
    keep, asked = center.catalog.runs.heartbeat, []

    def away_once(*args, **kwargs):
        asked.append(args)
        if len(asked) == 1:
            raise CatalogError("the database does not answer")
        return keep(*args, **kwargs)

    center.catalog.runs.heartbeat = away_once
    run = run_once(center, lease_s=30)
    assert run.status is RunStatus.SUCCEEDED, why(run)
    assert run.finished > datetime(2020, 1, 1, tzinfo=UTC)
