"""The declaration of a pipeline, and what a wrong one is told."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import PipelineError
from stixlab.pipeline.discovery import find_pipelines, get_pipeline
from stixlab.pipeline.spec import TRIGGERS, json_schema, read_spec
from tests.support.pipelines import FIND, FRONT, PARAMETERS, SAVE, notebook, write_notebook


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pipelines"


def test_a_good_declaration_is_read_whole(folder):
    spec = read_spec(
        write_notebook(folder, FIND, SAVE, front=FRONT + "schedule: on new product\nauthors: [A. Nonymous]\n")
    )
    assert (spec.name, spec.title, spec.authors) == ("trial", "A trial", ("A. Nonymous",))
    assert (spec.needs, spec.makes, spec.schedule) == (("ql-lightcurve",), ("flare-list",), "on new product")
    assert spec.timeout_s == 60
    assert [p.name for p in spec.parameters] == ["start", "end", "origin"]
    start, end, origin = spec.parameters
    assert (start.type, start.default, start.help, start.required) == (
        "str",
        "2022-03-01",
        "UTC, start of the range",
        True,
    )
    assert end.limits == {"format": "time", "after": "start"}
    assert not origin.required


@pytest.mark.parametrize(
    ("front", "name", "words"),
    [
        (FRONT.replace("title: A trial\n", ""), "title", "missing"),
        (FRONT.replace("A trial", "[1]"), "title", "expected a text"),
        (FRONT + "color: red\n", "color", "unknown"),
        (FRONT.replace("ql-lightcurve", "ql-lightcurves"), "needs", "ql-lightcurves"),
        (FRONT.replace("[ql-lightcurve]", "ql-lightcurve"), "needs", "expected a list"),
        (FRONT.replace("[flare-list]", "[flare-list, flare-list]"), "makes", "twice"),
        (FRONT.replace("[flare-list]", "[]"), "makes", "at least one"),
        (FRONT.replace("60 s", "soon"), "timeout", "20 min"),
        (FRONT.replace("60 s", "0 s"), "timeout", "20 min"),
        (FRONT + "schedule: at noon\n", "schedule", "manual"),
        (FRONT.replace("after: start", "after: begin"), "parameters.end.after", "begin"),
        (FRONT + "  stop: {format: time}\n", "parameters.stop", "no such parameter"),
        (FRONT.replace("format: time", "fmt: time"), "parameters.start", "fmt"),
        ("title: [", "YAML", "cannot be read"),
        ("just a text", "YAML", "found str"),
    ],
)
def test_a_wrong_front_matter_is_refused_with_cell_and_field(folder, front, name, words):
    with pytest.raises(PipelineError, match=words) as caught:
        read_spec(write_notebook(folder, FIND, SAVE, front=front))
    assert (caught.value.cell, caught.value.field) == (1, name)
    assert str(caught.value).startswith(f"trial.ipynb, cell 1, {name}: ")


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("n = 3", "line", "name: type = default"),
        ("n: list = []  # which", "n", "found list"),
        ("n: int  # how many", "n", "a default"),
        ("n: int = 3", "n", "a comment"),
        ('n: int = "3"  # how many', "n", "of type int"),
        ("n: bool = 1  # whether", "n", "of type bool"),
        ("n: int = len([])  # how many", "n", "a plain value"),
        ("n: int = 3  # how many\nn: int = 4  # how many", "n", "twice"),
        ("import os", "line", "import os"),
        ("n: int = (", "Python", "cannot be read"),
    ],
)
def test_a_wrong_parameter_is_refused_with_cell_and_name(folder, line, name, words):
    with pytest.raises(PipelineError, match=words) as caught:
        read_spec(write_notebook(folder, FIND, SAVE, parameters=PARAMETERS + line))
    assert (caught.value.cell, caught.value.field) == (2, name)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (None, "found none"),
        ('run = stixlab.start_run("other", start=start)', "'trial' first"),
        ("run = stixlab.start_run()", "'trial' first"),
    ],
)
def test_a_notebook_that_does_not_start_its_run_is_refused(folder, start, words):
    with pytest.raises(PipelineError, match=words):
        read_spec(write_notebook(folder, start=start))


@pytest.mark.parametrize("content", ["", "{}", '{"cells": 3}', '{"cells": []}', "\x00\x01"])
def test_what_is_no_notebook_is_refused(folder, content):
    folder.mkdir()
    (folder / "trial.ipynb").write_text(content)
    with pytest.raises(PipelineError, match=r"trial\.ipynb"):
        read_spec(folder / "trial.ipynb")


def test_a_whole_number_serves_as_a_float(folder):
    spec = read_spec(
        write_notebook(folder, FIND, SAVE, parameters=PARAMETERS + "width: float = 3  # s, of the window")
    )
    assert spec.parameters[-1].default == 3.0
    assert isinstance(spec.parameters[-1].default, float)


def test_the_schema_says_what_a_run_may_be_given(folder):
    schema = json_schema(read_spec(write_notebook(folder, FIND, SAVE)))
    assert schema["required"] == ["start", "end"]
    assert schema["properties"]["start"] == {
        "type": "string", "description": "UTC, start of the range", "format": "date-time",
    }  # fmt: skip
    assert schema["properties"]["origin"]["enum"] == ["", "flight", "simulated"]
    assert schema["additionalProperties"] is False


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).filter(
    str.strip
)


@given(title=texts, summary=texts, schedule=st.sampled_from(TRIGGERS), minutes=st.integers(1, 500))
def test_what_is_written_as_yaml_is_read_again(tmp_path_factory, title, summary, schedule, minutes):
    front = yaml.safe_dump(
        {
            "title": title, "summary": summary, "needs": ["hk-maxi"], "makes": ["flare-list"],
            "schedule": schedule, "timeout": f"{minutes} min",
        },
        allow_unicode=True,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("p") / "trial.ipynb"
    path.write_text(notebook(SAVE, front=front), encoding="utf-8")
    spec = read_spec(path)
    assert (spec.title, spec.summary, spec.schedule, spec.timeout_s) == (
        title,
        summary,
        schedule,
        minutes * 60,
    )


def test_a_broken_pipeline_does_not_hide_the_others(folder):
    write_notebook(folder, FIND, SAVE)
    write_notebook(folder, FIND, SAVE, name="broken", front="title: only")
    found = find_pipelines(folder)
    assert list(found.good) == ["trial"]
    assert list(found.wrong) == ["broken"]
    with pytest.raises(PipelineError, match="missing"):
        get_pipeline(folder, "broken")


def test_an_unknown_pipeline_is_told_the_nearest(folder):
    write_notebook(folder, FIND, SAVE)
    with pytest.raises(PipelineError, match="did you mean trial"):
        get_pipeline(folder, "trail")
    with pytest.raises(PipelineError, match="expected a folder"):
        get_pipeline(folder / "nowhere", "trial")
