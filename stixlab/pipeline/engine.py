"""Papermill in a thread of its own: kernel on unix sockets, its own environment, one time limit, can be stopped.

Importing this module imports papermill, which takes seconds: import it where a notebook is executed.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

__all__ = ["CellClock", "StixlabEngine", "run_papermill"]

_ENGINE = "stixlab"
_START_S = 120
_LEAST_S = 0.05
"""What a cell gets when no time is left; zero would mean for ever."""
_LOOK_S = 0.2

Progress = Callable[[int, int], None]
"""Called with the cells done and the cells there are."""


class CellClock:
    """Which cell is executed, seen from another thread."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.number = 0
        """The cell last begun, counted from 1 in the notebook as its author wrote it."""
        self.client: Any = None
        self._progress = progress or (lambda _done, _total: None)

    def watch(self, nb_man: Any) -> None:
        """Be told by papermill when cells begin and end."""
        begin, end, total = nb_man.cell_start, nb_man.cell_complete, len(nb_man.nb.cells)

        def cell_start(cell: Any, cell_index: int | None = None, **others: Any) -> None:
            before = nb_man.nb.cells[: (cell_index or 0) + 1]
            self.number = sum("injected-parameters" not in c.metadata.get("tags", ()) for c in before)
            begin(cell, cell_index=cell_index, **others)

        def cell_complete(cell: Any, cell_index: int | None = None, **others: Any) -> None:
            end(cell, cell_index=cell_index, **others)
            self._progress((cell_index or 0) + 1, total)

        nb_man.cell_start, nb_man.cell_complete = cell_start, cell_complete
        self._progress(0, total)

    def kill(self) -> None:
        """End the kernel at once, wherever it is."""
        with suppress(AttributeError, OSError):
            self.client.km.provisioner.process.kill()


class StixlabEngine(NBClientEngine):  # type: ignore[misc]
    """Executes all cells of a notebook in one kernel that sees only the environment it is given."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        environment: Mapping[str, str],
        folder: Path,
        limit_s: float,
        clock: CellClock,
        **_others: Any,
    ) -> Any:
        """Execute the cells.

        Parameters
        ----------
        nb_man
            The notebook, as papermill hands it over.
        kernel_name
            Name of the Jupyter kernel.
        environment
            All the kernel's environment variables.
        folder
            Its working directory.
        limit_s
            Seconds after which the cell that runs is stopped.
        clock
            Told what goes on.
        """
        until = time.monotonic() + limit_s
        sockets = Path(tempfile.mkdtemp(prefix="stixlab-"))
        config = Config()
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(sockets / "k")
        config.KernelManager.connection_file = str(sockets / "kernel.json")
        clock.watch(nb_man)
        clock.client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            config=config,
            startup_timeout=_START_S,
            timeout_func=lambda _cell: max(until - time.monotonic(), _LEAST_S),
            shutdown_kernel="immediate",
        )
        try:
            return clock.client.execute(env=dict(environment), cwd=str(folder))
        finally:
            shutil.rmtree(sockets, ignore_errors=True)


papermill_engines.register(_ENGINE, StixlabEngine)


def run_papermill(
    source: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    clock: CellClock,
    cancel: threading.Event | None = None,
    **engine: Any,
) -> None:
    """Have papermill execute a notebook, and wait for it.

    A thread of its own, so that it works within a running event loop, too (a notebook that runs a
    pipeline), and can be stopped.

    Parameters
    ----------
    source, executed
        Notebook files.
    parameters
        To be set.
    clock
        Told what goes on.
    cancel
        When set, the kernel is killed.
    **engine
        As `StixlabEngine.execute_managed_notebook` takes them.

    Raises
    ------
    Exception
        Whatever papermill raised.
    """
    raised: list[BaseException] = []

    def target() -> None:
        try:
            execute_notebook(
                str(source),
                str(executed),
                parameters=dict(parameters),
                engine_name=_ENGINE,
                kernel_name="python3",
                progress_bar=False,
                clock=clock,
                **engine,
            )
        except BaseException as error:  # noqa: BLE001  (handed to the waiting thread)
            raised.append(error)
        finally:
            ensure_event_loop().close()

    thread = threading.Thread(target=target, name=f"papermill-{source.stem}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_LOOK_S)
            if cancel is not None and cancel.is_set():
                clock.kill()
    except BaseException:
        clock.kill()
        thread.join(_START_S)
        raise
    if raised:
        raise raised[0]
