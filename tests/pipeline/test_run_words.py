"""A run, shown in a notebook or a terminal: what a person wants to know first."""

from dataclasses import asdict, replace

from stixlab.model import RunStatus
from tests.support.runs import make_run

FAILED = make_run(
    status=RunStatus.FAILED,
    error="trial.ipynb, cell 4: ValueError: <b>no</b>\nmore of it",
    parameters={"start": "a long story" * 100},
    versions={"numpy": "2" * 500},
)


def test_a_run_says_in_one_short_line_what_became_of_it():
    text = repr(FAILED)
    assert text == (
        "Run(run_id='trial-0000000000000001', status='failed', pipeline='trial', created='2026-03-04T11:00:00Z', "
        "started='2026-03-04T11:01:00Z', finished='2026-03-04T11:01:30Z', "
        "error='trial.ipynb, cell 4: ValueError: <b>no</b>')"
    )
    assert str(FAILED) == text
    assert "error" not in repr(make_run())
    assert "started" not in repr(make_run(status=RunStatus.QUEUED))


def test_a_long_error_is_cut_and_the_record_keeps_it():
    run = replace(FAILED, error="x" * 5000)
    assert repr(run).endswith("x...')")
    assert len(repr(run)) < 500
    assert asdict(run)["error"] == "x" * 5000


def test_in_a_notebook_a_run_is_a_table_without_anybody_s_html():
    html = FAILED._repr_html_()
    assert "<tr><th>status</th><td>failed</td></tr>" in html
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "a long story" not in html
