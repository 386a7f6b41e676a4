"""The papermill engine of the runner: kernel on unix sockets, its own environment, one time limit for all cells.

Importing this module imports papermill, which takes seconds: import it where a notebook is executed.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

__all__ = ["ENGINE_NAME", "StixlabEngine"]

ENGINE_NAME = "stixlab"
_START_S = 120
_LEAST_S = 0.05
"""What a cell gets when no time is left; zero would mean for ever."""

Progress = Callable[[int, int], None]
"""Called with the cells done and the cells there are."""


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
        progress: Progress | None = None,
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
        progress
            Told before the first cell and after each.
        """
        until = time.monotonic() + limit_s
        sockets = Path(tempfile.mkdtemp(prefix="stixlab-"))
        config = Config()
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(sockets / "k")
        config.KernelManager.connection_file = str(sockets / "kernel.json")
        if progress is not None:
            _report_cells(nb_man, progress)
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            config=config,
            startup_timeout=_START_S,
            timeout_func=lambda _cell: max(until - time.monotonic(), _LEAST_S),
            shutdown_kernel="immediate",
        )
        try:
            return client.execute(env=dict(environment), cwd=str(folder))
        finally:
            shutil.rmtree(sockets, ignore_errors=True)


def _report_cells(nb_man: Any, progress: Progress) -> None:
    complete, total = nb_man.cell_complete, len(nb_man.nb.cells)

    def cell_complete(cell: Any, cell_index: int | None = None, **others: Any) -> None:
        complete(cell, cell_index=cell_index, **others)
        progress((cell_index or 0) + 1, total)

    nb_man.cell_complete = cell_complete
    progress(0, total)


papermill_engines.register(ENGINE_NAME, StixlabEngine)
