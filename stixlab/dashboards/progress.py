"""A bar that shows how far a run is: a widget in a notebook, a line in a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any

from stixlab.client.runs import follow
from stixlab.errors import StixlabError
from stixlab.model import Run, RunStatus

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["RunBar", "in_notebook", "progress_text", "run_progress", "run_with_bar"]

_STYLES = {RunStatus.SUCCEEDED: "success", RunStatus.FAILED: "danger", RunStatus.CANCELLED: "warning"}


def in_notebook() -> bool:
    """Whether this process is a kernel that can show widgets."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()


def progress_text(run: Run) -> str:
    """How far a run is, in words: ``flare_list: cell 3 of 7``."""
    name = run.pipeline
    if run.status is RunStatus.QUEUED:
        again = f" again, attempt {run.attempts + 1}" if run.attempts else ""
        return f"{name}: waits for a worker{again}"
    if run.status is RunStatus.RUNNING:
        if run.cancel_asked:
            return f"{name}: is being stopped"
        return (
            f"{name}: cell {min(run.cells_done + 1, run.cells)} of {run.cells}"
            if run.cells
            else f"{name}: starts"
        )
    return f"{name}: {run.status}"


class RunBar:
    """The widget: a bar of cells, what the run does, why it failed."""

    def __init__(self) -> None:
        import ipywidgets as widgets

        self.bar = widgets.IntProgress(value=0, min=0, max=1, layout=widgets.Layout(width="18em"))
        self.text = widgets.HTML()
        self.error = widgets.HTML()
        row = widgets.HBox(
            [self.bar, self.text], layout=widgets.Layout(flex_flow="row wrap", align_items="center")
        )
        self.widget = widgets.VBox([row, self.error], layout=widgets.Layout(display="none"))

    def show(self, run: Run) -> None:
        """Show a run as it is now."""
        self.widget.layout.display = None
        self.bar.max = max(run.cells, 1)
        self.bar.value = (
            self.bar.max if run.status is RunStatus.SUCCEEDED else min(run.cells_done, self.bar.max)
        )
        self.bar.bar_style = _STYLES.get(run.status, "info")
        self.text.value = f"<span>{escape(progress_text(run))}</span>"
        wrong = run.error if run.status is not RunStatus.SUCCEEDED else ""
        self.error.value = (
            f'<pre role="alert" style="white-space:pre-wrap;color:#a40000">{escape(wrong)}</pre>'
            if wrong
            else ""
        )


@contextmanager
def run_progress() -> Iterator[Callable[[Run], None]]:
    """What shows how far a run is, wherever this process shows things."""
    if in_notebook():
        from IPython.display import display

        bar = RunBar()
        display(bar.widget)  # type: ignore[no-untyped-call,unused-ignore]
        yield bar.show
    elif sys.stderr.isatty():
        with _terminal_bar() as show:
            yield show
    else:
        yield lambda _run: None


@contextmanager
def _terminal_bar() -> Iterator[Callable[[Run], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(run: Run) -> None:
            bar.update(
                task, description=progress_text(run), completed=run.cells_done, total=run.cells or None
            )

        yield show


def run_with_bar(
    lab: Lab, name: str, given: dict[str, Any], *, execute: Callable[[str], Run] | None = None
) -> Run:
    """A run when it has ended, its cells shown meanwhile.

    Parameters
    ----------
    lab
        Where it is asked for and followed.
    name, given
        Pipeline and parameters.
    execute
        Executes a run in this process, by its id; none: a worker does it.
    """
    asked = lab.desk.submit(name, given)
    with run_progress() as show:
        if execute is None:
            return follow(lab.catalog, asked.run_id, show)
        done = threading.Event()
        watcher = threading.Thread(target=_show_until, args=(lab, asked.run_id, show, done), daemon=True)
        watcher.start()
        try:
            run = execute(asked.run_id)
        finally:
            done.set()
            watcher.join()
        show(run)
        return run


def _show_until(lab: Lab, run_id: str, show: Callable[[Run], None], done: threading.Event) -> None:
    """Show how far a run is that is executed elsewhere in this process."""
    with suppress(StixlabError):  # who executes the run tells of an absent database
        follow(lab.catalog, run_id, show, stop=done.is_set)
