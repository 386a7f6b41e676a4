"""Every app runs from its first to its last cell on simulated data."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support.platform import fill, home_environment

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Environment of a home with simulated hours in it."""
    home = tmp_path_factory.mktemp("home")
    environment = home_environment(home)
    fill(home, environment)
    return environment


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_an_app_runs_and_shows_a_page(path, environment, tmp_path):
    """In a process of its own, as Voila does it: with the rights of its audience."""
    audience = nbformat.read(path, 4).metadata["audience"]
    made = tmp_path / path.name
    code = (
        "import sys, nbformat, nbclient\n"
        "notebook = nbformat.read(sys.argv[1], 4)\n"
        "nbclient.NotebookClient(notebook, timeout=120).execute()\n"
        "nbformat.write(notebook, sys.argv[2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(made)], check=False,
        env=environment | {"PATH": os.environ["PATH"], "STIXLAB_ACCESS": audience}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs = [o for cell in nbformat.read(made, 4).cells if cell.cell_type == "code" for o in cell.outputs]
    shown = [o.data for o in outputs if "data" in o]
    if audience == "team":
        assert [d for d in shown if "application/vnd.jupyter.widget-view+json" in d], "it ends in a widget"
        assert 'role=\\"alert\\"' not in made.read_text(), "the state of the widgets tells of no problem"
    else:
        pages = [d["text/html"] for d in shown if "text/html" in d]
        assert [p for p in pages if 'data-status="200"' in p], "an app ends in a page"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_an_app_is_thin_and_carries_no_output(path):
    """What needs a test stands in `stixlab.dashboards`."""
    notebook = nbformat.read(path, 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert not any(
        line.lstrip().startswith(("def ", "class ", "for "))
        for cell in cells
        for line in cell.source.splitlines()
    )
    assert notebook.metadata.get("title"), "the title of the page"
    assert notebook.metadata.get("audience") in {"public", "team"}, "who sees it"
