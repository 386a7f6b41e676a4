"""The runs of the pipelines for the team, as widgets: what runs, what became of each, cancel, retry, ask for one."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import ipywidgets as widgets

from stixlab.client.overview import look_over
from stixlab.dashboards.callbacks import problem_html, showing_errors
from stixlab.dashboards.pages import render
from stixlab.dashboards.pipelines import summary_html
from stixlab.dashboards.progress import RunBar
from stixlab.dashboards.run_form import RunForm
from stixlab.errors import NotInCatalogError, StixlabError
from stixlab.model import Run, RunStatus
from stixlab.pipeline.spec import PipelineSpec

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["RunDesktop", "RunList", "run_html"]

_MOST = 200
"""Runs of the list."""
_LOG_BYTES = 20_000
"""So much of the end of a log is shown."""
_LIVE_S = 3.0
_SINCE = {"last day": 1, "last week": 7, "last month": 30, "ever": 0}
_SHOWN: list[weakref.ref[RunDesktop]] = []
"""The one that was shown last in this process: the others stay as they are."""
_STYLE = """<style>
.stix-runs select { font-family: monospace; font-size: 12px; }
.stix-runs option:hover, .stix-runs option:checked { white-space: pre-wrap; overflow-wrap: anywhere; text-indent: -6ch; padding-left: calc(6ch + 4px); }
.stix-summary .row.four { display: grid; grid-template-columns: repeat(auto-fit, minmax(9em, 1fr)); gap: 8px; }
.stix-summary .number b { font-size: 1.5em; margin-right: .4em; } .stix-summary .number.bad b { color: #a40000; }
.stix-summary small, .stix-summary .hint, .stix-summary .lede, .stix-summary .provenance { color: #566475; display: block; }
.stix-summary table { border-collapse: collapse; } .stix-summary th, .stix-summary td { padding: 2px 1em 2px 0; text-align: left; vertical-align: top; }
.stix-summary .n { text-align: right; } .stix-summary .tag { background: #fff1d6; padding: 0 .5em; border-radius: 9px; font-size: .85em; }
.stix-summary .tag.bad { background: #a40000; color: #fff; } .stix-summary .tag.gone { background: none; border: 1px solid #566475; color: #566475; }
.stix-summary td.bad { color: #a40000; font-weight: 700; }
.stix-summary td.w, .stix-summary td.age { white-space: nowrap; } .stix-summary td, .stix-summary th { line-height: 1.4; }
.stix-summary h1 { display: none; }
</style>"""


class RunList:
    """The runs: filters, a list, and all that is known of the one that is chosen.

    Parameters
    ----------
    lab
        Where the runs are, and where they are cancelled and tried again.
    pipelines
        Names to choose from.
    """

    def __init__(self, lab: Lab, pipelines: Mapping[str, PipelineSpec]) -> None:
        self._lab = lab
        self.chosen: Run | None = None
        layout = widgets.Layout(width="11em")
        self.pipeline = widgets.Dropdown(
            options=[("all pipelines", ""), *((n, n) for n in pipelines)], layout=layout
        )
        self.status = widgets.Dropdown(
            options=[("any status", ""), *((str(s), str(s)) for s in RunStatus)], layout=layout
        )
        self.since = widgets.Dropdown(options=list(_SINCE), value="last week", layout=layout)
        self.mine = widgets.Checkbox(value=False, description="only mine", indent=False, layout=layout)
        narrow = widgets.Layout(width="7em")
        self.refresh_button = widgets.Button(description="Refresh", icon="refresh", layout=narrow)
        self.live = widgets.ToggleButton(
            value=True, description="Live", tooltip="Follow what changes", layout=narrow
        )
        self.list = widgets.Select(options=[], rows=12, layout=widgets.Layout(width="auto"))
        self.list.add_class("stix-runs")
        self.message = widgets.HTML()
        self.bar = RunBar()
        self.cancel_button = widgets.Button(description="Cancel", icon="stop", disabled=True)
        self.retry_button = widgets.Button(description="Try again", icon="repeat", disabled=True)
        self.details = widgets.HTML()
        self._lock = threading.RLock()
        self._filling = False
        self._listen()

    def show(self) -> Any:
        """The list as one widget."""
        wrap = widgets.Layout(flex_flow="row wrap", align_items="center")
        filters = widgets.HBox(
            [self.pipeline, self.status, self.since, self.mine, self.refresh_button, self.live], layout=wrap
        )
        buttons = widgets.HBox([self.cancel_button, self.retry_button, self.bar.widget], layout=wrap)
        return widgets.VBox([filters, self.message, self.list, buttons, self.details])

    def refresh(self) -> None:
        """Look again, keeping what is chosen."""
        with self._lock:
            try:
                found = self._find()
                if self.chosen is not None:
                    self.chosen = self._lab.catalog.runs.get(self.chosen.run_id)
            except StixlabError as error:
                self._say(error)
                return
            self.message.value = "" if found else "<p>No run meets all of this.</p>"
            keep = self.chosen.run_id if self.chosen else ""
            options = [(_HEADING, ""), *((_line(run), run.run_id) for run in found)]
            if options != list(self.list.options):
                self._filling = True
                self.list.options = options
                self.list.value = keep if keep in {run.run_id for run in found} else ""
                self._filling = False
            self._tell()

    def choose(self, run_id: str) -> None:
        """Show a run."""
        with self._lock:
            try:
                self.chosen = self._lab.catalog.runs.get(run_id)
            except StixlabError as error:
                self._say(error)
                return
            self._tell()

    def cancel(self) -> None:
        """Ask the chosen run to stop."""
        self._change(self._lab.cancel)

    def retry(self) -> None:
        """Have the chosen run tried again."""
        self._change(self._lab.retry)

    def may_change(self, run: Run) -> bool:
        """Whether the one in front of this may cancel a run and have it tried again."""
        desk = self._lab.desk
        return desk.operator or (bool(desk.user) and run.asked_by == desk.user)

    def _change(self, what: Any) -> None:
        if self.chosen is None:
            return
        try:
            what(self.chosen.run_id)
        except StixlabError as error:
            self._say(error)
        else:
            self.refresh()

    def _find(self) -> list[Run]:
        days = _SINCE[self.since.value]
        found: list[Run] = self._lab.catalog.runs.find(
            pipeline=self.pipeline.value or None,
            status=self.status.value or None,
            start=datetime.now(UTC) - timedelta(days=days) if days else None,
            asked_by=self._lab.desk.user if self.mine.value else None,
            limit=_MOST,
        )
        return found

    def _tell(self) -> None:
        """Show what is chosen."""
        run = self.chosen
        if run is None:
            self.cancel_button.disabled = self.retry_button.disabled = True
            self.bar.widget.layout.display = "none"
            self.details.value = ""
            return
        self.cancel_button.disabled = run.status.has_ended or not self.may_change(run)
        again = run.status in (RunStatus.FAILED, RunStatus.CANCELLED)
        self.retry_button.disabled = not again or not self.may_change(run)
        self.bar.widget.layout.display = None
        self.bar.show(run)
        self.bar.error.value = ""  # the details say it
        html = run_html(self._lab, run)
        if html != self.details.value:
            self.details.value = html

    def _say(self, error: StixlabError) -> None:
        self.message.value = problem_html(error.message)

    def _listen(self) -> None:
        self.refresh_button.on_click(showing_errors(lambda _: self.refresh(), self.message))
        self.cancel_button.on_click(showing_errors(lambda _: self.cancel(), self.message))
        self.retry_button.on_click(showing_errors(lambda _: self.retry(), self.message))
        for each in (self.pipeline, self.status, self.since, self.mine):
            each.observe(showing_errors(lambda _: self.refresh(), self.message), names="value")
        self.list.observe(showing_errors(self._chosen, self.message), names="value")

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"] and not self._filling:
            self.choose(change["new"])


class RunDesktop:
    """The app of the team: the summary, the list, and the form of each pipeline.

    Parameters
    ----------
    lab
        Where the runs are.
    pipelines
        Declarations by name.
    wrong
        Names of those that are declared wrongly.
    """

    def __init__(
        self, lab: Lab, pipelines: Mapping[str, PipelineSpec], *, wrong: Collection[str] = ()
    ) -> None:
        self._lab = lab
        self._pipelines = dict(pipelines)
        self._wrong = tuple(wrong)
        self.summary = widgets.HTML()
        self.summary.add_class("stix-summary")
        self.runs = RunList(lab, pipelines)
        self.choice = widgets.Dropdown(
            options=[("choose a pipeline", ""), *((f"{s.title} ({n})", n) for n, s in pipelines.items())],
            layout=widgets.Layout(width="30em", max_width="100%"),
        )
        self.place = widgets.VBox([])
        self.message = widgets.HTML()
        self.forms: dict[str, RunForm] = {}
        opened = showing_errors(lambda change: self.open_form(change["new"]), self.message)
        self.choice.observe(opened, names="value")
        self.refresh()

    def show(self) -> Any:
        """The app as one widget, which follows what changes as long as it is there."""
        form = widgets.VBox([self.choice, self.message, self.place])
        tabs = widgets.Tab(
            [self.runs.show(), form, self.summary], titles=("Runs", "Ask for a run", "Summary")
        )
        app = widgets.VBox([widgets.HTML(_STYLE), tabs])
        app.add_class("stix-pipelines")
        _SHOWN[:] = [weakref.ref(self)]
        threading.Thread(target=_live, args=(_SHOWN[0],), daemon=True, name="pipelines-live").start()
        app.desktop = self  # lives as long as its widget
        return app

    def refresh(self) -> None:
        """Look again at everything."""
        self.runs.refresh()
        try:
            html = summary_html(look_over(self._lab.catalog, self._pipelines, wrong=self._wrong))
        except StixlabError as error:
            html = problem_html(error.message)
        self.summary.value = html

    def open_form(self, name: str) -> None:
        """Show the form of a pipeline."""
        self.message.value, self.place.children = "", []
        if name and name not in self.forms:
            self.forms[name] = RunForm(self._lab, self._pipelines[name])
        self.place.children = [self.forms[name].show()] if name else []


def _live(desktop: weakref.ref[RunDesktop]) -> None:
    """Look again every few seconds, until another one is shown or this one is gone."""
    pause = threading.Event()
    while not pause.wait(_LIVE_S) and [desktop] == _SHOWN:
        shown = desktop()
        if shown is None:
            return
        if shown.runs.live.value:
            showing_errors(shown.refresh, shown.runs.message)()
        del shown


def run_html(lab: Lab, run: Run) -> str:
    """All that is known of a run, as HTML for the team."""
    seconds = (run.finished - run.started).total_seconds() if run.finished and run.started else None
    facts = [
        ("run", run.run_id),
        ("parameters", json.dumps(run.parameters)),
        ("asked for", f"{_time(run.created)}, {run.trigger}{', by ' + run.asked_by if run.asked_by else ''}"),
        ("started", _time(run.started)),
        ("finished", f"{_time(run.finished)}{f', after {seconds:.1f} s' if seconds is not None else ''}"),
        ("not before", _time(run.not_before) if run.status is RunStatus.QUEUED else ""),
        ("cells", f"{run.cells_done} of {run.cells}" if run.cells else ""),
        ("attempts", str(run.attempts) if run.attempts > 1 else ""),
        ("stopped by", run.cancel_asked),
        ("worker", run.worker),
        ("inputs", ", ".join(sorted(run.inputs))),
        ("outputs", json.dumps(run.outputs, default=str) if run.outputs else ""),
        ("versions", ", ".join(f"{n} {v}" for n, v in run.versions.items())),
    ]
    return render(
        "run.html.j2",
        run=run,
        facts=[(name, value) for name, value in facts if value],
        notebook=f"/services/team/runs/{quote(run.run_id, safe='')}" if run.notebook else "",
        log=_end_of_log(lab, run),
    )


def _end_of_log(lab: Lab, run: Run) -> str:
    """The end of the log; why it cannot be shown; empty if there is none."""
    if not run.log:
        return ""
    try:
        path = lab.archive.path(run.log)
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
    except (OSError, NotInCatalogError) as error:
        return f"The log cannot be read: {error}"
    return f"...\n{text}" if size > _LOG_BYTES else text


_HEADING = f"{'asked for (UTC)':<20} {'status':<10} {'cells':>7} {'seconds':>8}  {'pipeline':<20} parameters"


def _line(run: Run) -> str:
    end = run.finished or (
        datetime.now(UTC).replace(microsecond=0) if run.status is RunStatus.RUNNING else None
    )
    seconds = f"{(end - run.started).total_seconds():.0f}" if end and run.started else ""
    cells = f"{run.cells_done}/{run.cells}" if run.cells else ""
    given = " ".join(f"{n}={v}" for n, v in run.parameters.items() if v != "")
    return f"{run.created:%Y-%m-%d %H:%M:%S}  {run.status:<10} {cells:>7} {seconds:>8}  {run.pipeline:<20} {given}"


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
