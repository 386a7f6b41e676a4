"""The form of a run, made from the schema of its pipeline: inputs, what is said beside them, the bar."""

import pytest

from stixlab.dashboards.run_form import RunForm
from stixlab.errors import AccessError
from stixlab.model import RunStatus
from stixlab.pipeline.parameters import check_parameters
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FRONT, PARAMETERS, write_notebook
from tests.support.runs import make_lab

FRONT_OF_ALL = (
    FRONT
    + """\
  sigma: {minimum: 1, maximum: 10}
  count: {minimum: 0}
"""
)
ALL = (
    PARAMETERS
    + """\
sigma: float = 3.0  # how far above the noise
count: int = 5  # at most so many
fast: bool = False  # less exact
"""
)
START = 'run = stixlab.start_run("trial", start=start, end=end, origin=origin, sigma=sigma, count=count, fast=fast)'


@pytest.fixture
def lab(tmp_path):
    write_notebook(tmp_path / "pipelines", front=FRONT_OF_ALL, parameters=ALL, start=START)
    return make_lab(tmp_path)


@pytest.fixture
def form(lab, tmp_path):
    return RunForm(lab, read_spec(tmp_path / "pipelines" / "trial.ipynb"))


def fill(form, **values):
    for name, value in values.items():
        form.fields[name].input.value = value


def said(form):
    return {name: f.problem.value for name, f in form.fields.items() if f.problem.value}


def test_each_parameter_has_the_input_of_its_kind_with_its_default_and_help(form):
    kinds = {name: type(f.input).__name__ for name, f in form.fields.items()}
    assert kinds == {
        "start": "Text", "end": "Text", "origin": "Dropdown", "sigma": "Text", "count": "Text", "fast": "Checkbox",
    }  # fmt: skip
    assert (form.fields["start"].input.value, form.fields["sigma"].input.value) == ("", "3.0")
    assert [value for _, value in form.fields["origin"].input.options] == ["", "flight", "simulated"]
    assert "how far above the noise, number, 1 to 10" in form.fields["sigma"].help.value
    assert ">UTC, start of the range<" in form.fields["start"].help.value
    assert [n for n, f in form.fields.items() if f.required] == ["start", "end"]


def test_nothing_is_said_before_anything_was_typed(form):
    assert said(form) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "yesterday"),
        ("sigma", "11"),
        ("sigma", "many"),
        ("sigma", "nan"),
        ("count", "2.5"),
        ("count", "-1"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_alone_as_soon_as_it_is_typed(form, field, value):
    fill(form, **{field: value})
    assert list(said(form)) == [field]
    assert 'role="alert"' in said(form)[field]


def test_an_end_before_its_start_is_said_beside_the_end(form):
    fill(form, start="2022-03-02", end="2022-03-01")
    assert list(said(form)) == ["end"]
    fill(form, end="2022-03-03")
    assert said(form) == {}


def test_nothing_starts_while_something_is_wrong_and_all_of_it_is_said(form, lab):
    fill(form, sigma="11")
    assert not form.start()
    assert set(said(form)) == {"start", "end", "sigma"}
    assert lab.catalog.runs.find() == []


def test_what_is_typed_is_shown_as_text_and_never_as_html(form):
    fill(form, start="<img src=x onerror=alert(1)>")
    assert "<img" not in form.fields["start"].problem.value


def test_the_run_is_asked_for_with_checked_parameters_and_followed_to_its_end(form, lab):
    fill(form, start="2022-03-01", end="2022-03-02", sigma="4", fast=True, origin="flight")
    assert form.start()
    assert form.button.disabled, "not twice by accident"
    run = lab.catalog.runs.get(form.run.run_id)
    given = {
        "start": "2022-03-01",
        "end": "2022-03-02",
        "origin": "flight",
        "sigma": 4.0,
        "count": 5,
        "fast": True,
    }
    assert run.parameters == check_parameters(form.spec, given)
    assert isinstance(run.parameters["sigma"], float)
    claimed = lab.catalog.runs.claim("host:1:2", 60)
    import dataclasses
    from datetime import UTC, datetime

    done = dataclasses.replace(
        claimed,
        status=RunStatus.FAILED,
        finished=datetime.now(UTC),
        cells=4,
        cells_done=2,
        error="cell 3: <b>no</b>",
    )
    lab.catalog.runs.finish(done)
    form.wait(20)
    assert form.run.status is RunStatus.FAILED
    assert (form.bar.bar.value, form.bar.bar.max, form.bar.bar.bar_style) == (2, 4, "danger")
    assert "cell 3: &lt;b&gt;no&lt;/b&gt;" in form.bar.error.value
    assert not form.button.disabled


def test_a_refusal_is_shown_and_the_form_stays_usable(tmp_path, form, lab):
    class Refusing:
        user, operator = "ada", False

        def submit(self, *_):
            raise AccessError("run trial: not today")

    spec = form.spec
    refused = RunForm(make_lab(tmp_path, desk=Refusing()), spec)
    fill(refused, start="2022-03-01", end="2022-03-02")
    assert not refused.start()
    assert "not today" in refused.message.value
    assert not refused.button.disabled


def test_the_form_follows_any_pipeline_of_the_installation(lab):
    """Every shipped pipeline has a form: a new type of parameter must not break it."""
    from stixlab.pipeline.discovery import find_pipelines
    from stixlab.settings import project_folder

    specs = find_pipelines(project_folder("pipelines")).good
    assert specs
    for spec in specs.values():
        assert set(RunForm(lab, spec).fields) == {p.name for p in spec.parameters}


def broken(*_given, **_named):
    raise RuntimeError("a <mistake> of ours")


@pytest.mark.parametrize(
    ("part", "act"),
    [
        ("_checked", lambda form: fill(form, sigma="4")),
        ("_checked", lambda form: form.button.click()),
        ("start", lambda form: form.button.click()),
        ("_changed", lambda form: fill(form, fast=True)),
    ],
)
def test_what_a_callback_raises_is_shown_in_the_form_and_logged(form, monkeypatch, caplog, part, act):
    """Widgets hide it: nothing would happen, and nobody would know why."""
    monkeypatch.setattr(form, part, broken)
    act(form)
    assert "RuntimeError: a &lt;mistake&gt; of ours" in form.message.value
    assert 'role="alert"' in form.message.value
    assert [r.exc_info[0] for r in caplog.records if r.levelname == "ERROR"] == [RuntimeError]


def test_what_the_thread_that_follows_raises_is_shown_in_the_form(form, monkeypatch):
    monkeypatch.setattr("stixlab.dashboards.run_form.follow", broken)
    fill(form, start="2022-03-01", end="2022-03-02")
    form.button.click()
    form.wait(20)
    assert "RuntimeError" in form.message.value
    assert not form.button.disabled
