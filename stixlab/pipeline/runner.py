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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import PipelineError, StixlabError
from stixlab.files import TEMPORARY, remove_temporaries, sha256_of, write_failed
from stixlab.model.run import Run
from stixlab.pipeline.executed import cell_lines, cell_number, check_cells, keep_notebook, read_cells
from stixlab.pipeline.kernel import KernelSetup
from stixlab.pipeline.limits import Limits, Watch, oom_kills, readable_bytes
from stixlab.pipeline.outputs import Output, read_outputs
from stixlab.pipeline.products import check_saved
from stixlab.pipeline.quick_imports import load_jsonschema
from stixlab.pipeline.redaction import Redaction
from stixlab.pipeline.run_folder import REQUEST_NAME, RUN_FOLDER_VARIABLE
from stixlab.pipeline.spec import PipelineSpec

if TYPE_CHECKING:
    from stixlab.pipeline.engine import KernelSeat
    from stixlab.pipeline.warm import KernelPool

__all__ = [
    "FAILED_NAME",
    "LOG_NAME",
    "Execution",
    "execute",
    "kernel_environment",
    "prepare",
    "stage_folder",
]

log = logging.getLogger(__name__)

FAILED_NAME = "failed.ipynb"
"""What there is of the last execution that failed, in the folder of its run."""
LOG_NAME = "log.txt"
"""Log of the last execution, in the folder of its run."""
WARM = "warm"
"""Value of `PipelineSpec.kernel` for a kernel that is ready."""
_ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|PYTHON(PATH|HASHSEED)|VIRTUAL_ENV|CONDA_PREFIX|SSL_CERT_(FILE|DIR)"
    r"|(OMP|OPENBLAS|MKL|NUMBA)_NUM_THREADS|NUMBA_CACHE_DIR|MPLCONFIGDIR|XDG_(CACHE|CONFIG|DATA)_HOME|DASK_\w+|STIXLAB_\w+"
)
"""Names of environment variables that a kernel may see; tokens of the hub and of the shell are not among them."""


@dataclass(frozen=True)
class Execution:
    """A notebook that was executed to its end, and what it delivered."""

    notebook: Path
    """Executed notebook, with provenance in its metadata."""
    outputs: dict[str, Output]
    started: datetime
    finished: datetime
    log: Path | None = None
    """What was written and how long each cell took."""
    peak_bytes: int = 0
    """Most memory seen of the kernel and what it started."""


def prepare() -> None:
    """Import what executions need, so that the first one does not wait for it; takes seconds."""
    load_jsonschema()
    import stixlab.pipeline.engine  # noqa: F401


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
    return folder / f"{TEMPORARY}{os.getpid()}-{threading.get_native_id()}-products"


def execute(
    run: Run,
    spec: PipelineSpec,
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout_s: float | None = None,
    cancel: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
    pool: KernelPool | None = None,
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
        is kept, too, as `FAILED_NAME`; the log of either as `LOG_NAME`.
    environment
        From `kernel_environment`.
    timeout_s
        Longest time; none: what the pipeline declares.
    cancel
        When set, the kernel is killed and the run fails.
    progress
        Called with the cells done and the cells there are.
    pool
        Warm kernels, for a pipeline that declares ``kernel: warm``; if none is ready a fresh one is started.

    Raises
    ------
    PipelineError
        If the notebook changed since the run was asked for or while it ran, the kernel died, a cell failed,
        a limit was passed, or a result is missing or wrong. The message names the cell and the reason; its
        attribute `recoverable` says whether another try may help.
    ArchiveError
        If the disk is full (`recoverable`) or the folder is not writable.
    """
    work = folder / f"{TEMPORARY}{os.getpid()}-{threading.get_native_id()}-work"
    try:
        if folder.is_dir():
            remove_temporaries(folder)
        for left in (work, stage_folder(folder)):
            shutil.rmtree(left, ignore_errors=True)
        (folder / FAILED_NAME).unlink(missing_ok=True)
        (folder / LOG_NAME).unlink(missing_ok=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise write_failed(work, error) from error
    limits = Limits(timeout_s or spec.timeout_s, spec.memory_bytes)
    job = _Job(run, spec, folder=folder, work=work, environment=environment, watch=Watch(limits, cancel))
    try:
        return job.do(progress, pool)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Job:
    """One execution in its work folder."""

    def __init__(
        self,
        run: Run,
        spec: PipelineSpec,
        *,
        folder: Path,
        work: Path,
        environment: Mapping[str, str],
        watch: Watch,
    ) -> None:
        self.run = run
        self.spec = spec
        self.folder = folder
        self.source = work / f"{spec.name}.ipynb"
        self.executed = work / "executed.ipynb"
        self.work = work
        self.stage = stage_folder(folder)
        self.environment = environment
        self.watch = watch
        self.redact = Redaction(os.environ, environment)
        self.started = datetime.now(UTC)
        self.words = ""
        """What the kernel's process wrote itself."""
        self.warm = False

    def do(self, progress: Callable[[int, int], None] | None, pool: KernelPool | None) -> Execution:
        """Execute, check, keep."""
        try:
            asked = self._copy()
            self._run_cells(asked, progress, pool)
            check_cells(self.source.name, asked, self.executed)
            outputs = read_outputs(self.work, self.spec.makes, self.spec.may_make)
            check_saved(self.stage, outputs)
            self._check_unchanged(self.spec.path, "while it ran")
            inputs = {k: v for o in outputs.values() for k, v in o.inputs.items()}
            notebook = self.folder / f"{self.spec.name}.ipynb"
            provenance = self._provenance() | {"finished": self._now().isoformat(), "inputs": inputs}
            keep_notebook(self.executed, notebook, provenance, self.redact)
            kept = self._keep_log("succeeded")
        except StixlabError as error:
            self._keep_failed(error)
            shutil.rmtree(self.stage, ignore_errors=True)
            raise
        finished = self._now()
        told = {"run_id": self.run.run_id, "seconds": round(self.watch.elapsed_s, 3), "warm": self.warm}
        log.info("pipeline executed", extra=told | {"peak_bytes": self.watch.peak_bytes})
        return Execution(notebook, outputs, self.started, finished, kept, self.watch.peak_bytes)

    def _now(self) -> datetime:
        """By the steady clock: that of the machine may be set meanwhile."""
        return self.started + timedelta(seconds=self.watch.elapsed_s)

    def _copy(self) -> list[dict[str, Any]]:
        """The cells of the notebook as it was when the run was asked for; it and the request into the folder."""
        try:
            shutil.copyfile(self.spec.path, self.source)
        except OSError as error:
            raise PipelineError(
                f"{self.spec.path.name}: cannot be read: {error.strerror or error}; put it back, ask for the run again",
                run_id=self.run.run_id,
                recoverable=False,
            ) from error
        self._check_unchanged(self.source, "since the run was asked for")
        request = {
            "run_id": self.run.run_id,
            "pipeline": self.run.pipeline,
            "parameters": self.run.parameters,
            "needs": list(self.spec.needs),
            "margin_s": self.spec.margin_s,
            "makes": list(self.spec.makes),
            "may_make": list(self.spec.may_make),
            "stage": str(self.stage),
        }
        self._write(self.work / REQUEST_NAME, json.dumps(request, indent=1))
        return read_cells(self.source)

    def _write(self, path: Path, text: str) -> None:
        """A whole file that need not outlive a loss of power: without the wait for the disk."""
        temporary = self.work / f"{TEMPORARY}{path.name}"
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise write_failed(path, error) from error

    def _check_unchanged(self, path: Path, when: str) -> None:
        expected = self.run.notebook_sha256 or self.spec.notebook_sha256
        found = sha256_of(path) if path.exists() else "no file"
        if found != expected:
            raise PipelineError(
                f"{self.spec.path.name}: expected content {expected[:12]}, for which run {self.run.run_id} was asked; "
                f"found {found[:12]}: it was edited {when}; ask for the run again",
                run_id=self.run.run_id,
                recoverable=False,
            )

    def _run_cells(
        self,
        asked: list[dict[str, Any]],
        progress: Callable[[int, int], None] | None,
        pool: KernelPool | None,
    ) -> None:
        """Have papermill execute the notebook; every way it can fail becomes one error."""
        prepare()
        from stixlab.pipeline.engine import CellClock, run_papermill
        from stixlab.pipeline.reasons import reason_of

        clock, oom_before, seat = CellClock(progress), oom_kills(), self._seat(pool)
        try:
            run_papermill(
                self.source, self.executed, self.run.parameters, seat=seat, watch=self.watch, clock=clock
            )
        except Exception as error:  # noqa: BLE001  (whatever it is, its reason is told)
            raised: Exception | None = error
        else:
            raised = None
        finally:
            self.words = seat.said
        if raised is None and not seat.ended_itself and not self.watch.verdict:
            return
        raised = raised or RuntimeError("its kernel ended before it was told to")
        reason = reason_of(raised, clock=clock, seat=seat, watch=self.watch, oom_before=oom_before)
        number = cell_number(asked, clock.number, getattr(raised, "source", None))
        where = f"{self.source.name}, cell {number}" if number else self.source.name
        raise PipelineError(
            f"{where}: {self.redact(reason.text)}",
            cell=number,
            run_id=self.run.run_id,
            recoverable=reason.recoverable,
        ) from raised

    def _seat(self, pool: KernelPool | None) -> KernelSeat:
        from stixlab.pipeline.engine import KernelSeat

        own = {RUN_FOLDER_VARIABLE: str(self.work)}
        setup = KernelSetup(str(self.work), own, self.spec.memory_bytes, self.spec.fatal_warnings)
        # On a warm kernel the imports are done: what would be fatal while a library is imported was passed over.
        may_be_warm = self.spec.kernel == WARM and not self.spec.fatal_warnings
        warm = None
        if pool is not None and may_be_warm:
            warm = pool.take(self.environment, lambda: bool(self.watch.look(None)))
        self.warm = warm is not None
        return KernelSeat(setup, {**self.environment, **own}, warm)

    def _provenance(self) -> dict[str, Any]:
        return {
            "run_id": self.run.run_id,
            "pipeline": self.run.pipeline,
            "title": self.spec.title,
            "parameters": self.run.parameters,
            "notebook_sha256": self.run.notebook_sha256 or self.spec.notebook_sha256,
            "inputs": self.run.inputs,
            "versions": self.run.versions,
            "machine": platform.node(),
            "trigger": self.run.trigger,
            "started": self.started.isoformat(),
        }

    def _keep_failed(self, error: StixlabError) -> None:
        """Store what there is of a failed execution, for whoever looks for the reason."""
        provenance = self._provenance() | {"finished": self._now().isoformat(), "error": error.message}
        with suppress(ValueError, KeyError, OSError):  # cut short, or no room: the error says it already
            keep_notebook(self.executed, self.folder / FAILED_NAME, provenance, self.redact)
        with suppress(OSError):
            self._keep_log(f"failed: {error.message}")

    def _keep_log(self, end: str) -> Path:
        """Store what was written and how long it took."""
        run = self.run
        lines = [
            f"{self.started.isoformat():32}  run {run.run_id} of {run.pipeline}, attempt {run.attempts}, on {platform.node()}",
            f"    parameters: {json.dumps(run.parameters)}",
            f"    kernel: {'warm' if self.warm else 'fresh'}; limits: {self.watch.limits.time_s:g} s"
            + (f", {readable_bytes(m)}" if (m := self.watch.limits.memory_bytes) else ""),
            *cell_lines(self.executed),
            f"{self._now().isoformat():32}  {end}",
            f"    {self.watch.elapsed_s:.3f} s; most memory {readable_bytes(self.watch.peak_bytes)}",
        ]
        if self.words.strip():
            lines += [
                "    written by the process of the kernel:",
                *(f"    {w}" for w in self.words.splitlines()),
            ]
        path = self.folder / LOG_NAME
        self._write(path, self.redact("\n".join(lines)) + "\n")
        return path
