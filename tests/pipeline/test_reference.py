"""The documentation of the pipelines says what they declare."""

from pathlib import Path

import pytest

from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.front_matter import FIELDS
from stixlab.pipeline.reference import BEGIN, END, reference_page, with_reference
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FIND, FRONT, PARAMETERS, SAVE, write_notebook

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pipelines.md"


def test_the_page_of_all_pipelines_is_that_of_the_declarations():
    """If this fails: `stixlab pipelines --page docs/pipelines.md`."""
    page = PAGE.read_text("utf-8")
    assert with_reference(page, find_pipelines(ROOT / "pipelines").good.values()) == page


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_of_a_declaration_is_told(field):
    assert f"`{field}`" in PAGE.read_text("utf-8")
    assert f"`{field}`" in (ROOT / "pipelines" / "README.md").read_text("utf-8")


def test_the_page_of_a_pipeline_tells_everything_it_declares(tmp_path):
    more = (
        "schedule: 30 4 * * 1\nwindow: last 7 days\nmemory: 2 GB\nretries: 0\nkernel: warm\n"
        "authors: [A. Nonymous]\nfatal_warnings: [RuntimeWarning]\n"
    )
    limits = "  n: {minimum: 1, maximum: 9}\n"
    front = FRONT.replace("parameters:", more + "parameters:") + limits
    parameters = PARAMETERS + "n: int = 3  # how many | which\n"
    text = reference_page(read_spec(write_notebook(tmp_path, FIND, SAVE, front=front, parameters=parameters)))
    for words in (
        "# trial: A trial",
        "Tries something.",
        "- Needs: `ql-lightcurve`",
        "- Makes: `flare-list`",
        "at `30 4 * * 1` (cron, UTC), over last 7 days",
        "- Limits: 1 min, 2 GB of memory; not tried again",
        "- Kernel: warm",
        "- Fatal warnings: `RuntimeWarning`",
        "- Authors: A. Nonymous",
        "| `start` | str | must be given | UTC time | UTC, start of the range |",
        "| `n` | int | `3` | at least 1, at most 9 | how many \\| which |",
        "stixlab run trial -p start=2022-03-01 -p end=2022-03-01T06:00:00",
    ):
        assert words in text


def test_a_page_tells_what_a_pipeline_follows_and_what_follows_it(tmp_path):
    one = FRONT + "schedule: on new product\n"
    two = FRONT.replace("[flare-list]", "[hk-mini]").replace("[ql-lightcurve]", "[flare-list]")
    write_notebook(tmp_path, name="one", front=one)
    write_notebook(tmp_path, name="two", front=two + "schedule: on new product\n")
    specs = find_pipelines(tmp_path).good
    assert "- Is followed by: `two`" in reference_page(specs["one"], specs.values())
    assert "- Follows: `one`" in reference_page(specs["two"], specs.values())


def test_a_page_without_the_marks_is_left_alone():
    with pytest.raises(ValueError, match="expected the marks"):
        with_reference("# A page\n", [])
    assert with_reference(f"a\n{BEGIN}\nold\n{END}\nb\n", []) == f"a\n{BEGIN}\n\n\n{END}\nb\n"
