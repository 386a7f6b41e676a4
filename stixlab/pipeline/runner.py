"""One run from request to checked results. Papermill executes; nothing that it says is taken on trust."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stixlab.errors import PipelineError
from stixlab.files import TEMPORARY, new_file, sha256_of, write_bytes, write_failed
from stixlab.model.run import Run
from stixlab.pipeline.outputs import Output, read_outputs
from stixlab.pipeline.products import check_saved
from stixlab.pipeline.session import REQUEST_NAME, RUN_FOLDER_VARIABLE
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["Execution", "execute", "kernel_environment", "stage_folder"]

log = logging.getLogger(__name__)

_ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|PYTHON(PATH|HASHSEED)|VIRTUAL_ENV|CONDA_PREFIX|SSL_CERT_(FILE|DIR)"
    r"|(OMP|OPENBLAS|MKL|NUMBA)_NUM_THREADS|NUMBA_CACHE_DIR|MPLCONFIGDIR|XDG_(CACHE|CONFIG|DATA)_HOME|DASK_\w+|STIXLAB_\w+"
)
"""Names of environment variables that a kernel may see; tokens of the hub and of the shell are not among them."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Execution:
    """A notebook that was executed to its end, and what it delivered."""

    notebook: Path
    """Executed notebook, with provenance in its metadata."""
    outputs: dict[str, Output]
    started: datetime
    finished: datetime


def kernel_environment(environment: Mapping[str, str], **extra: str) -> dict[str, str]:
    """The part of an environment that a pipeline's kernel may see.

    Parameters
    ----------
    environment
        That of the process.
    **extra
        Variables to add or replace.
    """
    return {k: v for k, v in environment.items() if _ALLOWED.fullmatch(k)} | extra


def stage_folder(folder: Path) -> Path:
    """Folder for the files of the products of a run; it stays when the notebook is done, until they are taken over.

    By its name it goes away with the next writer if this process does not live to see that.

    Parameters
    ----------
    folder
        Of the run.
    """
    return folder / f"{TEMPORARY}{os.getpid()}-products"


def execute(
    run: Run,
    spec: PipelineSpec,
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout_s: float | None = None,
    cancel: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Execution:
    """Execute the notebook of a run and check everything it leaves.

    Parameters
    ----------
    run
        Its parameters are checked already.
    spec
        The pipeline, as declared now.
    folder
        Folder of the run; the executed notebook ends up there, whole or not at all. That of a failed run
        is kept, too, as ``failed.ipynb``.
    environment
        From `kernel_environment`.
    timeout_s
        Longest time; none: what the pipeline declares.
    cancel
        When set, the kernel is killed and the run fails.
    progress
        Called with the cells done and the cells there are.

    Raises
    ------
    PipelineError
        If the notebook changed since the run was asked for, the kernel died, a cell failed or did not end,
        or a result is missing or wrong. The message names the cell and the reason.
    ArchiveError
        If the disk is full or the folder is not writable.
    """
    work = folder / f"{TEMPORARY}{os.getpid()}-work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(stage_folder(folder), ignore_errors=True)
    try:
        (folder / "failed.ipynb").unlink(missing_ok=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise write_failed(work, error) from error
    executed = work / "executed.ipynb"
    started = datetime.now(UTC)
    try:
        source = _prepare(run, spec, work)
        try:
            limit_s = timeout_s or spec.timeout_s
            _run_cells(
                run,
                source,
                executed,
                environment=environment,
                limit_s=limit_s,
                cancel=cancel,
                progress=progress,
            )
            _check_cells(source, executed)
            outputs = read_outputs(work, spec.makes, spec.may_make)
            check_saved(stage_folder(folder), outputs)
        except PipelineError as error:
            _keep_failed(executed, folder / "failed.ipynb", _provenance(run, spec, started), error)
            shutil.rmtree(stage_folder(folder), ignore_errors=True)
            raise
        finished = datetime.now(UTC)
        inputs = {k: v for o in outputs.values() for k, v in o.inputs.items()}
        provenance = _provenance(run, spec, started) | {"finished": finished.isoformat(), "inputs": inputs}
        notebook = folder / f"{spec.name}.ipynb"
        _keep(executed, notebook, provenance)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    log.info(
        "pipeline executed", extra={"run_id": run.run_id, "seconds": (finished - started).total_seconds()}
    )
    return Execution(notebook, outputs, started, finished)


def _prepare(run: Run, spec: PipelineSpec, work: Path) -> Path:
    """The notebook as it was when the run was asked for, and the request beside it."""
    source = work / f"{spec.name}.ipynb"
    shutil.copyfile(spec.path, source)
    found = sha256_of(source)
    if run.notebook_sha256 and found != run.notebook_sha256:
        raise PipelineError(
            f"{spec.path.name}: expected content {run.notebook_sha256[:12]}, for which run {run.run_id} was asked; "
            f"found {found[:12]}: it was edited since; ask for the run again",
            run_id=run.run_id,
        )
    request = {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "parameters": run.parameters,
        "needs": list(spec.needs),
        "makes": list(spec.makes),
        "may_make": list(spec.may_make),
        "stage": str(stage_folder(work.parent)),
    }
    write_bytes(work / REQUEST_NAME, json.dumps(request, indent=1).encode())
    return source


def _run_cells(
    run: Run,
    source: Path,
    executed: Path,
    *,
    environment: Mapping[str, str],
    limit_s: float,
    cancel: threading.Event | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Have papermill execute the notebook; every way it can fail becomes one error."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException, PapermillExecutionError

    from stixlab.pipeline.engine import CellClock, run_papermill

    clock = CellClock(progress)
    try:
        run_papermill(
            source,
            executed,
            run.parameters,
            clock=clock,
            cancel=cancel,
            environment={**environment, RUN_FOLDER_VARIABLE: str(source.parent)},
            folder=source.parent,
            limit_s=limit_s,
        )
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {_plain(error.evalue)}"
    except CellTimeoutError:
        reason = f"not finished after {limit_s:g} s, the time limit of the pipeline"
    except DeadKernelError:
        stopped = cancel is not None and cancel.is_set()
        reason = "stopped" if stopped else "the kernel died; out of memory, or the cell ended it"
    except (PapermillException, RuntimeError, TimeoutError) as error:
        reason = f"could not be executed: {type(error).__name__}: {_plain(str(error))}"
    else:
        return
    where = f"{source.name}, cell {clock.number}" if clock.number else source.name
    raise PipelineError(f"{where}: {reason}", cell=clock.number, run_id=run.run_id)


def _plain(text: str) -> str:
    """A message on one line, without colours."""
    return " ".join(_ANSI.sub("", text).split())


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_bytes())["cells"]
    return cells


def _is_injected(cell: dict[str, Any]) -> bool:
    tags = cell["metadata"].get("tags", [])
    return "injected-parameters" in tags or "papermill-error-cell-tag" in tags


def _is_stopped(cell: dict[str, Any]) -> bool:
    """Whether a code cell was begun but has no execution count: the kernel never answered."""
    return bool("".join(cell["source"]).strip()) and cell.get("execution_count") is None


def _check_cells(source: Path, executed: Path) -> None:
    """Refuse an execution that papermill takes for a success but that did not run every cell to its end."""
    try:
        cells = _cells(executed)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(
            f"{source.name}: its executed form cannot be read: {error}; it was cut short"
        ) from error
    own = [c for c in cells if not _is_injected(c)]
    if len(own) != len(_cells(source)):
        raise PipelineError(f"{source.name}: expected {len(_cells(source))} executed cells; found {len(own)}")
    for number, cell in enumerate(own, start=1):
        if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
            continue
        papermill = cell["metadata"].get("papermill", {})
        errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
        if errors:
            raise PipelineError(
                f"{source.name}, cell {number}: {errors[0]['ename']}: {_plain(errors[0]['evalue'])}",
                cell=number,
            )
        if papermill.get("status") != "completed" or papermill.get("exception") or _is_stopped(cell):
            raise PipelineError(
                f"{source.name}, cell {number}: expected to be completed; found {papermill.get('status', 'no status')}",
                cell=number,
            )


def _provenance(run: Run, spec: PipelineSpec, started: datetime) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "title": spec.title,
        "parameters": run.parameters,
        "notebook_sha256": run.notebook_sha256 or spec.notebook_sha256,
        "inputs": run.inputs,
        "versions": run.versions,
        "machine": platform.node(),
        "trigger": run.trigger,
        "started": started.isoformat(),
    }


def _keep(executed: Path, target: Path, provenance: dict[str, Any]) -> None:
    """Store the executed notebook with its provenance; paths of this machine are left out."""
    document = json.loads(executed.read_bytes())
    papermill = document["metadata"].get("papermill", {})
    for name in ("input_path", "output_path", "environment_variables"):
        papermill.pop(name, None)
    document["metadata"]["stixlab"] = provenance
    with new_file(target) as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _keep_failed(executed: Path, target: Path, provenance: dict[str, Any], error: PipelineError) -> None:
    """Store what there is of a failed execution, for whoever looks for the reason."""
    if not executed.exists():
        return
    with suppress(ValueError, KeyError):
        _keep(executed, target, provenance | {"error": error.message})
