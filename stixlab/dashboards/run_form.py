"""A form for a run of a pipeline, made from the JSON Schema of its parameters.

What is wrong is said beside its field, before anything starts; then a bar shows the cells.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from stixlab.client.runs import follow
from stixlab.dashboards.callbacks import problem_html, showing_errors
from stixlab.dashboards.progress import RunBar
from stixlab.errors import ParameterError, StixlabError
from stixlab.model import Run
from stixlab.pipeline.parameters import parameters_from_text
from stixlab.pipeline.schema import json_schema
from stixlab.pipeline.spec import PipelineSpec

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["Field", "RunForm"]

_WIDE = "16em"


class Field:
    """One parameter: its input, what it means, and what is wrong with what was typed.

    Parameters
    ----------
    name
        Of the parameter.
    schema
        Its part of the JSON Schema.
    required
        Whether a run must be given it.
    """

    def __init__(self, name: str, schema: Mapping[str, Any], *, required: bool) -> None:
        self.name = name
        self.required = required
        self.input = _input(schema)
        mark = ' <b title="needed">*</b>' if required else ""
        label = widgets.HTML(f"<b>{escape(name)}</b>{mark}", layout=widgets.Layout(width="9em"))
        self.help = widgets.HTML(f'<small style="color:#566475">{escape(_help_text(schema))}</small>')
        self.problem = widgets.HTML()
        row = widgets.HBox(
            [label, self.input, self.problem],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        self.widget = widgets.VBox([row, self.help], layout=widgets.Layout(margin="0 0 6px 0"))

    @property
    def text(self) -> str | None:
        """What was given, as text; none where the field was left empty."""
        value = self.input.value
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value).strip() or None

    def say(self, problem: str) -> None:
        """Show what is wrong beside the field; empty: nothing is."""
        self.problem.value = (
            f'<span role="alert" style="color:#a40000">{escape(problem)}</span>' if problem else ""
        )


class RunForm:
    """The form of one pipeline.

    Parameters
    ----------
    lab
        Where the run is asked for and followed.
    spec
        The pipeline.
    """

    def __init__(self, lab: Lab, spec: PipelineSpec) -> None:
        self._lab = lab
        self.spec = spec
        self.run: Run | None = None
        schema = json_schema(spec)
        needed = set(schema["required"])
        self.fields = {
            name: Field(name, part, required=name in needed) for name, part in schema["properties"].items()
        }
        self.button = widgets.Button(description="Run", button_style="primary", icon="play")
        self.message = widgets.HTML()
        self.bar = RunBar()
        self._thread: threading.Thread | None = None
        self._seen: set[str] = set()
        self.button.on_click(showing_errors(lambda _: self.start(), self.message))
        for name, field in self.fields.items():
            changed = showing_errors(lambda _, name=name: self._changed(name), self.message)
            field.input.observe(changed, names="value")
        # What checks parameters takes a second to import: while the form is read, not when it is filled in.
        warm_up = showing_errors(self._checked, self.message)
        threading.Thread(target=warm_up, daemon=True, name="form-warm-up").start()

    def show(self) -> Any:
        """The form as one widget."""
        summary = widgets.HTML(f"<p>{escape(self.spec.summary)}</p>")
        rows = [field.widget for field in self.fields.values()]
        return widgets.VBox([summary, *rows, self.button, self.message, self.bar.widget])

    def check(self) -> dict[str, Any] | None:
        """The parameters, all of them right; none if something is wrong, which the fields say then."""
        found, problems = self._checked()
        for name, field in self.fields.items():
            field.say(problems.get(name, ""))
        rest = [text for name, text in problems.items() if name not in self.fields]
        self.message.value = problem_html("; ".join(rest)) if rest else ""
        return found if not problems else None

    def start(self) -> bool:
        """Ask for the run if nothing is wrong, and follow it; whether it was asked for."""
        self._seen = set(self.fields)
        given = self.check()
        if given is None or (self._thread is not None and self._thread.is_alive()):
            return False
        try:
            self.run = self._lab.submit(self.spec.name, **given)
        except StixlabError as error:
            self.message.value = problem_html(error.message)
            return False
        self.button.disabled = True
        following = showing_errors(self._follow, self.message)
        self._thread = threading.Thread(target=following, args=(self.run.run_id,), daemon=True)
        self._thread.start()
        return True

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the run has ended that was asked for."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _checked(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Parameters, and what is wrong by name."""
        texts = {name: field.text for name, field in self.fields.items()}
        try:
            return parameters_from_text(self.spec, {n: t for n, t in texts.items() if t is not None}), {}
        except ParameterError as error:
            told = [str(each) for each in error.details.get("problems", (error.message,))]  # type: ignore[attr-defined]
        return {}, {name: text for name, _, text in (each.partition(": ") for each in told)}

    def _changed(self, name: str) -> None:
        """Say at once what is wrong with a field that was filled in; of the others only what was said before."""
        self._seen.add(name)
        _, problems = self._checked()
        for each, field in self.fields.items():
            field.say(problems.get(each, "") if each in self._seen else "")

    def _follow(self, run_id: str) -> None:
        try:
            self.run = follow(self._lab.catalog, run_id, self.bar.show)
        finally:
            self.button.disabled = False


def _input(schema: Mapping[str, Any]) -> Any:
    """The widget of a parameter; numbers are typed as text, so that what is wrong is said and not corrected."""
    layout = widgets.Layout(width=_WIDE)
    default = schema.get("default")
    if "enum" in schema:
        choices = [(str(each) if each != "" else "(any)", str(each)) for each in schema["enum"]]
        value = str(default) if default in schema["enum"] else choices[0][1]
        return widgets.Dropdown(options=choices, value=value, layout=layout)
    if schema["type"] == "boolean":
        return widgets.Checkbox(value=bool(default), indent=False, layout=layout)
    hint = "2021-06-06T00:00:00" if schema.get("format") == "date-time" else ""
    text = "" if default is None else str(default)
    return widgets.Text(value=text, placeholder=hint, continuous_update=False, layout=layout)


def _help_text(schema: Mapping[str, Any]) -> str:
    """What a parameter means and what it may be."""
    low, high = schema.get("minimum"), schema.get("maximum")
    limits = {
        (True, True): f"{low} to {high}",
        (True, False): f"at least {low}",
        (False, True): f"at most {high}",
    }.get((low is not None, high is not None), "")
    kind = {"integer": "whole number", "number": "number"}.get(schema["type"], "")
    if schema.get("format") == "date-time" and "UTC" not in schema.get("description", ""):
        kind = "UTC time"
    return ", ".join(part for part in (schema.get("description", ""), kind, limits) if part)
