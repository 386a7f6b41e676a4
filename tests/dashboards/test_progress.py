"""How far a run is, as a widget, as a line, or not at all."""

import io
import sys

import pytest

from stixlab.dashboards.progress import RunBar, in_notebook, progress_text, run_progress
from stixlab.model import RunStatus
from tests.support.runs import make_run


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (make_run(status=RunStatus.QUEUED), "trial: waits for a worker"),
        (make_run(status=RunStatus.QUEUED, attempts=1), "trial: waits for a worker again, attempt 2"),
        (make_run(status=RunStatus.RUNNING), "trial: starts"),
        (make_run(status=RunStatus.RUNNING, cells=7, cells_done=2), "trial: cell 3 of 7"),
        (make_run(status=RunStatus.RUNNING, cells=7, cells_done=7), "trial: cell 7 of 7"),
        (make_run(status=RunStatus.RUNNING, cancel_asked="ada"), "trial: is being stopped"),
        (make_run(status=RunStatus.CANCELLED), "trial: cancelled"),
    ],
)
def test_a_run_in_words(run, text):
    assert progress_text(run) == text


def test_the_bar_is_full_when_the_run_succeeded_and_says_nothing_of_old_errors():
    bar = RunBar()
    bar.show(make_run(status=RunStatus.QUEUED, error="database away"))
    assert "database away" in bar.error.value
    bar.show(make_run(cells=5, cells_done=5, error=""))
    assert (bar.bar.value, bar.bar.max, bar.bar.bar_style, bar.error.value) == (5, 5, "success", "")


def test_a_process_that_shows_nothing_gets_nothing(capsys):
    assert not in_notebook()
    with run_progress() as show:
        show(make_run())
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_line_on_stderr(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with run_progress() as show:
        show(make_run(status=RunStatus.RUNNING, cells=7, cells_done=2))
    assert "trial: cell 3 of 7" in terminal.getvalue()
