"""`stixlab pipelines`: the list, and what is wrong with declarations."""

import json

import pytest

from stixlab.cli import pipelines
from stixlab.cli.pipelines import pipelines_command
from stixlab.pipeline.reference import BEGIN, END
from tests.support.cli import invoke
from tests.support.pipelines import FIND, FRONT, SAVE, START, write_notebook


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines, "project_folder", lambda _name: tmp_path)
    return tmp_path


def write(folder, name, needs="ql-lightcurve", makes="flare-list", schedule="on new product"):
    front = FRONT.replace("[flare-list]", f"[{makes}]").replace("[ql-lightcurve]", f"[{needs}]")
    write_notebook(folder, name=name, front=f"{front}schedule: {schedule}\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_wrong_declaration_is_told_beside_the_good_ones_and_fails(folder, options):
    write(folder, "good")
    write_notebook(folder, FIND, SAVE, name="odd", start=START)
    done = invoke(pipelines_command, *options, status=1)
    assert "A trial" in done.stdout
    assert done.stderr.startswith("stixlab: odd.ipynb, cell 3, start_run: ")
    assert [json.loads(line)["title"] for line in done.stdout.splitlines() if options] == ["A trial"] * len(
        options
    )


def test_a_circle_is_told_once(folder):
    write(folder, "one", "hk-mini", "flare-list")
    write(folder, "two", "flare-list", "hk-mini")
    done = invoke(pipelines_command, status=1)
    assert done.stderr.count("one -> two -> one") == 1
    assert len(done.stderr.splitlines()) == 1


def test_the_page_is_not_written_where_a_declaration_is_wrong(folder, tmp_path):
    write_notebook(folder, FIND, SAVE, name="odd", start=START)
    page = tmp_path / "page.md"
    page.write_text(f"a\n{BEGIN}\nold\n{END}\n")
    assert "odd.ipynb" in invoke(pipelines_command, "--page", str(page), status=1).stderr
    assert "old" in page.read_text()


def test_good_declarations_are_no_failure_and_say_nothing_more(folder):
    write(folder, "one")
    assert invoke(pipelines_command).stderr == ""


def test_pipelines_that_deliver_the_same_are_told_by_a_line(folder):
    write(folder, "one")
    write(folder, "two", schedule="manual")
    write(folder, "three", "hk-mini", "hk-maxi")
    done = invoke(pipelines_command)
    (line,) = done.stderr.splitlines()
    assert line == (
        "stixlab: warning: one and two may both deliver flare-list; of the same range the one that ends last stands"
    )
    page = invoke(pipelines_command, "two").stdout
    assert "- Also delivered by: `one` (all of it); of the same range the run that ends last stands" in page
    assert "Also delivered" not in invoke(pipelines_command, "three").stdout
