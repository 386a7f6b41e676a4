"""The declaration of a pipeline, and what a wrong one is told."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import PipelineError
from stixlab.pipeline.discovery import find_pipelines, get_pipeline
from stixlab.pipeline.spec import json_schema, read_spec
from tests.support.pipelines import FIND, FRONT, PARAMETERS, SAVE, notebook, refused, write_notebook

WORDS = ("manual", "on new product", "hourly", "daily", "weekly")
"""Schedules beside cron lines."""


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
        (FRONT + "color: red\n", "color", "unknown; the fields are authors, fatal_warnings"),
        (FRONT + "shedule: daily\n", "shedule", "unknown; did you mean 'schedule'[?] the fields are authors"),
        (FRONT.replace("makes:", "make:"), "make", "did you mean 'makes'[?]"),
        (
            FRONT.replace("[flare-list]", "[flarelist]"),
            "makes",
            "'flarelist' is unknown; did you mean 'flare-list'[?]",
        ),
        (FRONT.replace("required: true", "requierd: true"), "parameters.start", "did you mean 'required'[?]"),
        (
            FRONT.replace("  start:", "  strat:"),
            "parameters.strat",
            "did you mean 'start'[?] the cell has start, end",
        ),
        (FRONT.replace("after: start", "after: strat"), "parameters.end.after", "did you mean 'start'[?]"),
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
        (FRONT.replace("A trial", "2022-03-01"), "title", "expected a text"),
        (FRONT.replace("Tries something.", "''"), "summary", "expected a text"),
        (FRONT + "authors: A. Nonymous\n", "authors", "expected a list"),
        (FRONT + "authors: ['']\n", "authors", "expected a list"),
        (FRONT + "margin: 1 week\n", "margin", "20 min"),
        (FRONT + "margin: 31 d\n", "margin", "at most 30 d"),
        (FRONT.replace("60 s", "60"), "timeout", "90 s"),
        (FRONT.replace("60 s", "1000 h"), "timeout", "at most 30 d"),
        (FRONT + "memory: 2\n", "memory", "2 GB"),
        (FRONT + "memory: 2 kB\n", "memory", "at least 100 MB"),
        (FRONT + "memory: 10 MB\n", "memory", "at least 100 MB"),
        (FRONT + "retries: -1\n", "retries", "from 0 to 10"),
        (FRONT + "retries: 11\n", "retries", "from 0 to 10"),
        (FRONT + "retries: true\n", "retries", "a whole number"),
        (FRONT + "priority: high\n", "priority", "from -100 to 100"),
        (FRONT + "priority: 101\n", "priority", "from -100 to 100"),
        (
            FRONT.replace("makes: [flare-list]", "makes: [hk-maxi]") + "may_make: [hk-maxi]\n",
            "may_make",
            "name it once",
        ),
        (FRONT + "may_make: hk-mini\n", "may_make", "expected a list"),
        (FRONT + "kernel: hot\n", "kernel", "fresh, warm"),
        (FRONT + "fatal_warnings: RuntimeWarning\n", "fatal_warnings", "expected a list"),
        (FRONT + "fatal_warnings: [RuntimeError]\n", "fatal_warnings", "RuntimeWarning"),
        (FRONT + "fatal_warnings: [RankWarning]\n", "fatal_warnings", "numpy.exceptions.RankWarning"),
        (FRONT + "window: yesterday\n", "window", "by the clock"),
        (FRONT + "title: Another\n", "YAML", "title is given twice"),
        (FRONT.replace("format: time, required: true}", "format: date}"), "parameters.start.format", "time"),
        (
            FRONT.replace("{format: time, required: true}", "{format: time, required: 1}"),
            "parameters.start.required",
            "true",
        ),
        (FRONT.replace("enum: [", "minimum: 1, enum: ["), "parameters.origin.minimum", "of an int or float"),
        (FRONT.replace('["", flight, simulated]', '["", 3]'), "parameters.origin.enum", "values of type str"),
        (FRONT.replace('["", flight, simulated]', "flight"), "parameters.origin.enum", "a list"),
        (FRONT.replace("after: start", "after: origin"), "parameters.end.after", "both with format"),
        (FRONT.replace("[ql-lightcurve]", "[]") + "schedule: on new product\n", "needs", "follows"),
        ("title: [", "YAML", "cannot be read"),
        ("just a text", "YAML", "found str"),
    ],
)
def test_a_wrong_front_matter_is_refused_with_cell_and_field(folder, front, name, words):
    with refused(words, cell=1, field=name) as caught:
        read_spec(write_notebook(folder, FIND, SAVE, front=front))
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
        ("w: float = 1e999  # wide", "w", "finite"),
    ],
)
def test_a_wrong_parameter_is_refused_with_cell_and_name(folder, line, name, words):
    with refused(words, cell=2, field=name):
        read_spec(write_notebook(folder, FIND, SAVE, parameters=PARAMETERS + line))


@pytest.mark.parametrize(
    ("limits", "line", "name", "words"),
    [
        ("n: {minimum: 4}", "n: int = 3  # how many", "n", "from 4 to inf"),
        ("n: {enum: [1, 2]}", "n: int = 3  # how many", "n", "among"),
        ("t: {format: time}", 't: str = "noon"  # when', "t", "expected a UTC time"),
        ("t: {format: time, required: true}", 't: str = ""  # when', "t", "expected a UTC time"),
        ("t: {format: time, after: end}", 't: str = "2021-01-01"  # when', "t", "after end"),
    ],
)
def test_a_default_that_a_run_would_be_refused_for_is_refused(folder, limits, line, name, words):
    with refused(words, cell=2, field=name):
        read_spec(
            write_notebook(folder, FIND, SAVE, front=f"{FRONT}  {limits}\n", parameters=PARAMETERS + line)
        )


def test_a_minimum_above_the_maximum_is_refused(folder):
    front = FRONT + "  n: {minimum: 4, maximum: 3}\n"
    with pytest.raises(PipelineError, match="more than the maximum") as caught:
        read_spec(write_notebook(folder, front=front, parameters=PARAMETERS + "n: int = 4  # how many"))
    assert caught.value.field == "parameters.n.minimum"


def test_what_is_not_declared_has_a_default(folder):
    spec = read_spec(write_notebook(folder, FIND, SAVE))
    assert (spec.schedule, spec.window, spec.authors, spec.fatal_warnings) == ("manual", "", (), ())
    assert (spec.memory_bytes, spec.retries, spec.kernel, spec.priority, spec.margin_s) == (
        None,
        2,
        "fresh",
        0,
        3600,
    )


def test_limits_of_a_run_are_read(folder):
    more = (
        "memory: 1.5 GB\nretries: 0\nkernel: warm\npriority: -3\nmargin: 2 h\n"
        "fatal_warnings: [RuntimeWarning, numpy.exceptions.RankWarning]\n"
    )
    spec = read_spec(write_notebook(folder, FIND, SAVE, front=FRONT + more))
    assert (spec.memory_bytes, spec.retries, spec.kernel) == (1_500_000_000, 0, "warm")
    assert (spec.priority, spec.margin_s) == (-3, 7200)
    assert spec.fatal_warnings == ("RuntimeWarning", "numpy.exceptions.RankWarning")


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
    assert schema["after"] == {"end": "start"}


def test_the_schema_is_one_of_the_draft_it_names(folder):
    from jsonschema import Draft202012Validator

    schema = json_schema(read_spec(write_notebook(folder, FIND, SAVE)))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).filter(
    str.strip
)


@st.composite
def fronts(draw):
    """Front matter as somebody could write it, with what it must be read as."""
    optional = {
        "authors": (st.lists(texts, unique=True, max_size=3), lambda v: ("authors", tuple(v))),
        "timeout": (st.integers(1, 500), lambda v: ("timeout_s", v * 60)),
        "memory": (st.integers(100, 9000), lambda v: ("memory_bytes", v * 10**6)),
        "retries": (st.integers(0, 10), lambda v: ("retries", v)),
        "priority": (st.integers(-100, 100), lambda v: ("priority", v)),
        "margin": (st.integers(0, 700), lambda v: ("margin_s", v * 3600)),
        "kernel": (st.sampled_from(["fresh", "warm"]), lambda v: ("kernel", v)),
    }
    units = {"timeout": "{} min", "memory": "{} MB", "margin": "{} h"}
    front = {"title": draw(texts), "summary": draw(texts), "needs": ["hk-maxi"], "makes": ["flare-list"]}
    read = {"title": front["title"], "summary": front["summary"]}
    front["schedule"] = read["schedule"] = draw(st.sampled_from([*WORDS, "30 4 * * 1", "*/5 * 1,15 * *"]))
    if front["schedule"] not in WORDS:
        front["window"] = read["window"] = draw(st.sampled_from(["yesterday", "last 3 days", "last 6 hours"]))
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        values, final = optional[name]
        value = draw(values)
        front[name] = units[name].format(value) if name in units else value
        read |= dict([final(value)])
    return front, read


@given(fronts())
def test_what_is_written_as_yaml_is_read_again(tmp_path_factory, written):
    front, read = written
    path = tmp_path_factory.mktemp("p") / "trial.ipynb"
    path.write_text(notebook(SAVE, front=yaml.safe_dump(front, allow_unicode=True)), encoding="utf-8")
    spec = read_spec(path)
    assert {name: getattr(spec, name) for name in read} == read


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
