"""Runs that go wrong on purpose, on kernels that import next to nothing; and plain papermill on the same notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stixlab.model import Run, RunStatus
from tests.support.pipelines import FRONT, GIVEN, write_notebook

START = """\
if False:
    run = stixlab.start_run("trial", start=start, end=end, origin=origin)
    run.save("flare-list", [])
import json, os, pathlib, sys, time"""
"""Declares the run without the imports of one; results are staged by `STAGE`."""
RESULT = {
    "name": "flare-list", "origin": "simulated", "start": "2022-03-01T00:00:00+00:00",
    "end": "2022-03-01T06:00:00+00:00", "inputs": {}, "n_records": 0, "flares": [],
}  # fmt: skip


def stage(text: str | None = None, **changed: Any) -> str:
    """Code that leaves a result as `run.save` does, or a spoilt one."""
    text = json.dumps(RESULT | changed) if text is None else text
    return f'pathlib.Path("outputs").mkdir(exist_ok=True)\npathlib.Path("outputs/flare-list.json").write_text({text!r})'


STAGE = stage()


def write_trial(
    folder: Path,
    *cells: str,
    front: str = "",
    timeout: str = "60 s",
    tags: dict[int, list[str]] | None = None,
) -> Path:
    """A notebook of those cells; `tags` by the number of the cell, from 1, as messages have it."""
    path = write_notebook(folder, *cells, start=START, front=FRONT.replace("60 s", timeout) + front)
    document = json.loads(path.read_text())
    for number, names in (tags or {}).items():
        document["cells"][number - 1]["metadata"]["tags"] = names
    path.write_text(json.dumps(document))
    return path


def run_once(center: Any, **worker: Any) -> Run:
    """What becomes of the notebook `trial` after one attempt."""
    center.queue()
    done = center.worker(**worker).do_next()
    assert done is not None
    return done


def why(run: Run) -> str:
    """The reason of a red run, be it final or to be tried again."""
    return run.error or (run.failures[-1] if run.failures else "")


def assert_red(center: Any, run: Run, *words: str, again: bool = False) -> None:
    """It did not succeed, says why, and nothing of it is in the catalogue."""
    assert run.status is (RunStatus.QUEUED if again else RunStatus.FAILED), why(run)
    for word in words:
        assert word in why(run)
    assert "\n" not in why(run)
    assert len(why(run)) < 1500, "one paragraph"
    assert center.catalog.flares.find() == []
    assert run.outputs == {}
    kept = {Path(name).name for name in center.files(run)}
    assert kept <= {"failed.ipynb", "log.txt"}, "no work file is left"


def plain_papermill(path: Path, folder: Path) -> str:
    """What papermill itself makes of a notebook: ``success``, or the name of its exception."""
    from papermill import execute_notebook

    folder.mkdir()
    try:
        execute_notebook(
            str(path),
            str(folder / "executed.ipynb"),
            GIVEN,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(folder),
        )
    except Exception as error:
        return type(error).__name__
    return "success"
