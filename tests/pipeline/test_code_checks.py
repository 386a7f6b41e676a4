"""What is told of the code of a pipeline before a kernel starts."""

import re
from pathlib import Path

import pytest

from stixlab.errors import PipelineError
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FIND, FRONT, PARAMETERS, SAVE, notebook, refused, write_notebook

ROOT = Path(__file__).parents[2]
START = 'run = stixlab.start_run("trial", start=start, end=end, origin=origin{})'


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("flares = (", "line 1, '[(]' was never closed"),
        ("a = 1\nfor", "line 2, invalid syntax: 'for'"),
        ("return 3", "'return' outside function"),
        ("%matplotlib inline\nx = = 2", "line 2, invalid syntax"),
        ("print 3", "print"),
        ("a\x00b", "null bytes"),
    ],
)
def test_a_cell_that_is_no_python_is_told_with_its_line(tmp_path, code, words):
    with refused(f"trial.ipynb, cell 5, Python: cannot be read: .*{words}", cell=5, field="Python"):
        read_spec(write_notebook(tmp_path, FIND, code, SAVE))


@pytest.mark.parametrize(
    "code",
    [
        "%matplotlib inline\nimport os",
        "!ls -l\nfiles = !ls",
        "%%time\nflares = []",
        "%%bash\nfor f in *; do echo $f; done",
        "os?",
        "await something()",
        '"\\d"',
        "# only a comment",
        "",
    ],
)
def test_what_a_notebook_may_hold_beside_python_is_no_error(tmp_path, code):
    assert read_spec(write_notebook(tmp_path, FIND, code, SAVE)).name == "trial"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ('run = stixlab.start_run("trial", start=start, end=end)', "expected every parameter of the .* origin=origin"),
        (START.format(", colour=1"), "colour: no such parameter; the cell has start, end, origin"),
        (
            'run = stixlab.start_run("trial", start=start, end=end, orign=origin)',
            "orign: no such parameter; did you mean 'origin'.*; trial.ipynb, cell 3, start_run: .*add origin=origin",
        ),
        ('run = stixlab.start_run("trail", start=start, end=end, origin=origin)', "name 'trial' first"),
    ],
)  # fmt: skip
def test_a_start_with_other_parameters_is_refused(tmp_path, start, words):
    with refused(words, cell=3, field="start_run"):
        read_spec(write_notebook(tmp_path, FIND, SAVE, start=start))


def test_a_start_that_hands_on_a_mapping_is_not_judged(tmp_path):
    start = 'run = stixlab.start_run("trial", **given)'
    assert read_spec(write_notebook(tmp_path, FIND, SAVE, start=start))


@pytest.mark.parametrize(
    ("code", "cell", "field", "words"),
    [
        ('run.save("flarelist", flares)', 5, "run.save", "'flarelist' is not declared; did you mean 'flare-list'"),
        ('run.fetch("ql-lightcurves")', 5, "run.fetch", "did you mean 'ql-lightcurve'.* needs: ql-lightcurve"),
        ('run.fetch(product_type="hk-mini")', 5, "run.fetch", "'hk-mini' is not declared; the first cell"),
        ("run.flares()", 5, "run.flares", "'flare-list' is not declared"),
        ('%%time\nds = run.fetch("hk-mini")', 5, "run.fetch", "'hk-mini'"),
        ('%time ds = run.fetch("hk-mini")', 5, "run.fetch", "'hk-mini'"),
        ('def look():\n    return run.fetch("hk-mini")', 5, "run.fetch", "'hk-mini'"),
    ],
)  # fmt: skip
def test_what_is_not_declared_is_told_where_it_stands(tmp_path, code, cell, field, words):
    with refused(words, cell=cell, field=field):
        read_spec(write_notebook(tmp_path, FIND, code, SAVE))


def test_a_declared_result_that_is_never_saved_is_told(tmp_path):
    with refused("saves the declared result 'flare-list'; found none", cell=0, field="run.save"):
        read_spec(write_notebook(tmp_path, FIND))


@pytest.mark.parametrize(
    "code",
    [
        'if len(flares):\n    run.save("flare-list", flares)',
        'name = "flare-list"\nrun.save(name, flares)',
        "save_all(run, flares)",
        "save = run.save",
        "run.save_products()",
        '%%time\nrun.save("flare-list", flares)',
        '%time run.save("flare-list", flares)',
        '%timeit -n 1 run.save("flare-list", flares)',
        'for name in ("flare-list",):\n    run.save(name, flares)',
    ],
)
def test_a_result_that_may_be_saved_is_not_missed(tmp_path, code):
    assert read_spec(write_notebook(tmp_path, FIND, code))


def test_what_may_be_made_may_be_saved_and_need_not(tmp_path):
    front = FRONT + "may_make: [hk-mini]\n"
    assert read_spec(write_notebook(tmp_path, FIND, SAVE, front=front))
    assert read_spec(write_notebook(tmp_path, FIND, SAVE, 'run.save("hk-mini", [])', front=front))


def test_methods_of_other_things_are_their_own_affair(tmp_path):
    code = 'figure.save("a.png")\nstore.fetch("anything")'
    assert read_spec(write_notebook(tmp_path, FIND, code, SAVE))


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_cells(tmp_path):
    path = write_notebook(
        tmp_path, 'run.fetch("ql-spectra")', "x = (", 'run.save("flares", x)',
        front=FRONT.replace("60 s", "soon"), parameters=PARAMETERS + "n: int = 3",
        start='run = stixlab.start_run("other", start=start)',
    )  # fmt: skip
    with pytest.raises(PipelineError) as caught:
        read_spec(path)
    told = [(e.cell, e.field) for e in caught.value.faults]
    assert told == [(1, "timeout"), (2, "n"), (3, "start_run"), (5, "Python")], (
        "what hangs on these is not judged"
    )
    assert all(e.message in caught.value.message for e in caught.value.faults)
    path = write_notebook(
        tmp_path, 'run.fetch("ql-spectra")', 'run.save("flares", [])', start=START.format(", n=1")
    )
    with pytest.raises(PipelineError) as caught:
        read_spec(path)
    assert [(e.cell, e.field) for e in caught.value.faults] == [
        (3, "start_run"), (4, "run.fetch"), (5, "run.save"), (0, "run.save"),
    ]  # fmt: skip


def test_the_example_of_the_documentation_is_a_good_declaration(tmp_path):
    section = (ROOT / "docs" / "pipelines.md").read_text("utf-8").split("## A first one")[1].split("\n## ")[0]
    (front,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    parameters, *cells = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    path = tmp_path / "bright.ipynb"
    path.write_text(notebook(*cells, front=front, parameters=parameters, start=None), encoding="utf-8")
    assert read_spec(path).title == "Bright flares"
