"""Notebooks are executed for real; nothing that went wrong passes for a success."""

import asyncio
import json
import threading
import time

import pytest

from stixlab.errors import ArchiveError, ParameterError, PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.engine import StixlabEngine
from stixlab.pipeline.runner import execute, kernel_environment
from tests.support.pipelines import FIND, FRONT, SAVE, START

pytestmark = pytest.mark.slow

LAST = f"import stixlab\n{START}\nif False:\n    {SAVE}"


def test_a_run_takes_its_flares_into_the_catalogue(center):
    center.write(FIND, SAVE)
    run = center.run()
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, "")
    said = run.outputs["flare-list"]
    assert (said["kind"], said["origin"], said["records"]) == ("flares", "simulated", 2)
    assert run.inputs == {"L1_ql-lightcurve_20220301_simulated": "ab" * 32}
    flares = center.catalog.flares.find()
    assert [f.flare_id for f in flares] == ["2203010130", "2203010300"]
    assert {f.run_id for f in flares} == {run.run_id}
    assert flares[0].products == ("L1_ql-lightcurve_20220301_simulated",)
    kept = [f"runs/{run.run_id}/log.txt", f"runs/{run.run_id}/trial.ipynb"]
    assert center.files(run) == kept, "no work file is left"


def test_the_executed_notebook_says_where_it_comes_from(center):
    center.write(FIND, SAVE)
    run = center.run()
    document = json.loads(center.archive.path(run.notebook).read_text())
    said = document["metadata"]["stixlab"]
    assert said["run_id"] == run.run_id
    assert said["parameters"] == run.parameters
    assert said["inputs"] == run.inputs
    assert said["notebook_sha256"] == run.notebook_sha256
    assert said["versions"]["stixlab"] == run.versions["stixlab"]
    assert said["started"] < said["finished"]
    outputs = [o for c in document["cells"] if c["cell_type"] == "code" for o in c["outputs"]]
    assert any("2203010300" in "".join(o["data"].get("text/plain", "")) for o in outputs if "data" in o)
    assert str(center.folder) not in json.dumps(document["metadata"]), "no path of this machine"


def test_the_same_run_is_not_executed_twice(center):
    center.write(FIND, SAVE)
    first = center.run()
    assert center.run() == center.catalog.runs.get(first.run_id)
    assert center.catalog.runs.get(first.run_id).attempts == 1
    assert len(center.catalog.runs.find()) == 1


@pytest.mark.parametrize(
    ("code", "cell", "words"),
    [
        (['raise ValueError("no such \\x1b[31mpixel")', LAST], 3, "ValueError: no such pixel"),
        (["import os", "os._exit(0)", LAST], 4, "the kernel died"),
        ([LAST, "import os\nos._exit(0)"], 4, "the kernel died"),
        (["raise SystemExit(0)", LAST], 3, "SystemExit"),
        (["raise SystemExit(3)", LAST], 3, "SystemExit"),
        (["exit()", LAST], None, "trial.ipynb"),
        ([LAST, "import time\ntime.sleep(60)"], 4, "not finished after 20 s"),
        (["exec('def f(:')", LAST], 3, "SyntaxError"),
    ],
    ids=["raises", "dies", "dies-last", "leaves", "leaves-3", "exits", "hangs", "syntax"],
)
def test_a_cell_that_fails_fails_the_run(center, code, cell, words):
    limit = "20 s" if "not finished" in words else "60 s"
    center.write(*code, start=None, front=FRONT.replace("60 s", limit))
    run = center.run()
    assert run.status is RunStatus.FAILED
    assert words in run.error
    if cell is not None:
        assert f"cell {cell}:" in run.error
    assert center.catalog.flares.find() == []
    assert run.outputs == {}
    kept = [f"runs/{run.run_id}/{name}" for name in ("failed.ipynb", "log.txt")]
    assert center.files(run) == kept, "what there is of the execution is kept, nothing else"


def test_a_failed_run_keeps_its_notebook_with_the_reason(center):
    center.write('raise ValueError("no such pixel")', LAST, start=None)
    run = center.run()
    document = json.loads(center.archive.path(run.notebook).read_text())
    assert document["metadata"]["stixlab"]["error"] == run.error
    assert "no such pixel" in json.dumps(document["cells"])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ([FIND, f"if len(flares) > 99:\n    {SAVE}"], "flare-list was never saved"),
        ([FIND, SAVE, SAVE], "saved twice"),
        (
            [
                FIND,
                SAVE,
                (
                    'import json, pathlib\np = pathlib.Path("outputs/flare-list.json")\nd = json.loads(p.read_text())\n'
                    'd["flares"].pop()\np.write_text(json.dumps(d))'
                ),
            ],
            "cut short",
        ),
    ],
    ids=["never", "twice", "partial"],
)
def test_a_result_that_is_missing_or_wrong_fails_the_run(center, code, words):
    center.write(*code)
    run = center.run()
    assert run.status is RunStatus.FAILED
    assert words in run.error
    assert center.catalog.flares.find() == []


def test_a_notebook_that_hides_a_parameter_from_its_run_fails(center):
    center.write(FIND, SAVE, start='run = stixlab.start_run("trial", **{"start": "2022-03-01", "end": end})')
    assert "pass every parameter to start_run" in center.run().error


def test_a_failed_run_may_be_asked_for_again(center):
    path = center.write("import pathlib\nassert pathlib.Path('../../../../ready').exists()", FIND, SAVE)
    assert center.run().status is RunStatus.FAILED
    (center.folder / "ready").touch()
    again = center.run()
    assert again.status is RunStatus.SUCCEEDED, again.error
    assert path.exists()
    assert "failed.ipynb" not in str(center.files(again))


def test_a_notebook_edited_since_the_run_was_asked_for_is_refused(center):
    center.write(FIND, SAVE)
    run = center.queue()
    center.write(FIND, "# another", SAVE)
    done = center.worker().do_next()
    assert done.run_id == run.run_id
    assert "edited since" in done.error


def test_a_wrong_parameter_is_refused_before_anything_is_queued(center):
    center.write(FIND, SAVE)
    with pytest.raises(ParameterError, match="after start"):
        center.run(end="2021-01-01")
    assert center.catalog.runs.find() == []


def test_kernels_see_no_secrets():
    seen = kernel_environment(
        {"PATH": "/bin", "JUPYTERHUB_API_TOKEN": "x", "JPY_API_TOKEN": "x", "AWS_SECRET": "x", "STIXLAB_HOME": "/a", "LC_ALL": "C"},
        STIXLAB_ACCESS="team",
    )  # fmt: skip
    assert seen == {"PATH": "/bin", "STIXLAB_HOME": "/a", "LC_ALL": "C", "STIXLAB_ACCESS": "team"}


def test_a_kernel_talks_over_sockets_of_its_owner_and_sees_only_what_it_is_given(center, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    check = """\
import os
from ipykernel.kernelapp import IPKernelApp
assert "JUPYTERHUB_API_TOKEN" not in os.environ
assert IPKernelApp.instance().transport == "ipc"
assert os.stat(os.path.dirname(IPKernelApp.instance().ip)).st_mode & 0o77 == 0"""
    center.write(check, FIND, SAVE)
    run = center.run()
    assert run.status is RunStatus.SUCCEEDED, run.error


def test_an_execution_that_papermill_cut_short_is_no_success(center, monkeypatch):
    """Papermill says nothing of cells that it did not reach; here its engine forgets the last."""
    center.write(FIND, SAVE, "1 / 0")

    def forget(nb_man, *args, _real=StixlabEngine.execute_managed_notebook, **kwargs):
        last = nb_man.nb.cells.pop()
        _real(nb_man, *args, **kwargs)
        nb_man.nb.cells.append(last)

    monkeypatch.setattr(StixlabEngine, "execute_managed_notebook", staticmethod(forget))
    run = center.run()
    assert run.status is RunStatus.FAILED
    assert "cell 6" in run.error


def test_a_folder_that_cannot_be_written_fails_the_run_clearly(center):
    center.write(FIND, SAVE)
    run = center.queue()
    spec = get_pipeline(center.pipelines, "trial")
    blocked = center.folder / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(ArchiveError, match="blocked"):
        execute(run, spec, folder=blocked, environment=center.environment)


def test_progress_counts_the_cells(center):
    center.write(FIND, SAVE)
    told = []
    spec = get_pipeline(center.pipelines, "trial")
    run = center.queue()
    execute(
        run,
        spec,
        folder=center.folder / "out",
        environment=center.environment,
        progress=lambda *a: told.append(a),
    )
    assert told[0] == (0, 6), "five cells and the injected parameters"
    assert told[-1] == (6, 6)
    assert [d for d, _ in told] == sorted(d for d, _ in told)


def test_two_runs_in_two_threads_do_not_disturb_each_other(center):
    center.write(FIND, SAVE)
    spec = get_pipeline(center.pipelines, "trial")
    runs = [center.queue(), center.queue(end="2022-03-01T02:00:00")]
    counts = {}

    def one(run):
        done = execute(run, spec, folder=center.folder / run.run_id, environment=center.environment)
        counts[run.run_id] = len(done.outputs["flare-list"].flares)

    threads = [threading.Thread(target=one, args=(r,)) for r in runs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [counts[r.run_id] for r in runs] == [2, 1]


def test_a_run_that_is_cancelled_ends_at_once(center):
    center.write("import time\ntime.sleep(60)", LAST, start=None)
    run, cancel = center.queue(), threading.Event()
    timer = threading.Timer(3, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(PipelineError, match="cell 3: stopped"):
        execute(
            run,
            get_pipeline(center.pipelines, "trial"),
            folder=center.folder / "out",
            environment=center.environment,
            cancel=cancel,
        )
    assert time.monotonic() - began < 15
    timer.join()


def test_a_pipeline_can_be_run_within_an_event_loop(center):
    """As from a cell of a notebook, where a loop always runs."""
    center.write(FIND, SAVE)

    async def cell():
        return center.run()

    assert asyncio.run(cell()).status is RunStatus.SUCCEEDED
