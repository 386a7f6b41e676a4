"""What executes the cells, one by one: nbclient as papermill has it, watched for what it lets pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from papermill.clientwrap import PapermillNotebookClient

from stixlab.pipeline.limits import Watch

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

__all__ = ["CellClock", "CellExitedError", "NotebookClient", "Progress", "QuietLog"]

Progress = Callable[[int, int], None]
"""Called with the cells done and the cells there are."""


class CellClock:
    """Which cell is executed, seen from another thread."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.number = 0
        """The cell last begun, counted from 1 in the notebook as its author wrote it."""
        self.done = False
        """Whether the last cell was executed to its end."""
        self._total = 0
        self._progress = progress or (lambda _done, _total: None)

    def watch(self, nb_man: Any) -> None:
        """Be told by papermill when cells begin."""
        begin, self._total = nb_man.cell_start, len(nb_man.nb.cells)

        def cell_start(cell: Any, cell_index: int | None = None, **others: Any) -> None:
            before = nb_man.nb.cells[: (cell_index or 0) + 1]
            self.number = sum("injected-parameters" not in c.metadata.get("tags", ()) for c in before)
            begin(cell, cell_index=cell_index, **others)

        nb_man.cell_start = cell_start
        self._progress(0, self._total)

    def end_cell(self, index: int) -> None:
        """Note that a cell was executed to its end; papermill calls one that failed complete, too.

        Parameters
        ----------
        index
            Of the cell, from 0, in the notebook as it is executed.
        """
        self.done = index + 1 == self._total
        self._progress(index + 1, self._total)


class CellExitedError(Exception):
    """A cell has asked its kernel to end, as ``exit()`` does, or was left by `SystemExit`.

    Parameters
    ----------
    source
        Code of the cell.
    found
        How it did that.
    """

    def __init__(self, source: str, found: str) -> None:
        super().__init__(found)
        self.source = source
        self.found = found


class QuietLog(_Adapter):
    """Our own log for the libraries that execute: what they call errors are ends of kernels, of which we tell why.

    What they tell at debug level holds the contents of all messages, secrets among them: it is told nowhere.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Tell at debug level what is above it."""
        if level > logging.DEBUG:
            super().log(logging.DEBUG, msg, *args, **kwargs)


class NotebookClient(PapermillNotebookClient):  # type: ignore[misc]
    """Counts what a cell writes, notes when it has ended, and sees when it asks for an exit."""

    watch: Watch
    clock: CellClock

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel, unless the cell has written too much."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data", "error"):
            content = msg["content"]
            parts = [
                content.get("text", ""),
                *content.get("data", {}).values(),
                *content.get("traceback", ()),
            ]
            if not self.watch.count_output(
                sum(len(p) if isinstance(p, str) else len(repr(p)) for p in parts)
            ):
                return None
        return super().process_message(msg, cell, cell_index)

    def execute_cell(self, cell: Any, cell_index: int, **kwargs: Any) -> Any:
        """Execute a cell; see nbclient."""
        self.watch.output_bytes = 0
        done = super().execute_cell(cell, cell_index, **kwargs)
        self.clock.end_cell(cell_index)
        return done

    def check_exit(self, cell: Any, cell_index: int, execute_reply: dict[str, Any] | None) -> None:
        """Refuse a cell that ends the notebook; its kernel may live on until it is killed, as if nothing were wrong.

        Parameters
        ----------
        cell, cell_index
            The cell that has ended.
        execute_reply
            What the kernel answered.

        Raises
        ------
        CellExitedError
            If it exits.
        """
        content = execute_reply["content"] if execute_reply else {}
        if any(each.get("source") == "ask_exit" for each in content.get("payload", ())):
            found = "exit() or quit()"
        elif content.get("status") == "error" and content.get("ename") == "SystemExit":
            found = f"SystemExit: {content.get('evalue', '')}".rstrip(": ")
        else:
            return
        self.nb_man.cell_exception(cell, cell_index=cell_index)
        raise CellExitedError(cell.source, found)
