"""The app of the pipelines: what everyone sees, and what nobody but the team does."""

import pytest

from stixlab.client.overview import look_over
from stixlab.dashboards.pages import AppPage
from stixlab.dashboards.pipelines import View, summary_html
from stixlab.errors import CatalogError
from stixlab.model import RunStatus
from stixlab.pipeline.spec import read_spec
from tests.support.runs import NOW, make_lab, make_product, make_run

SECRETS = {
    "parameters": {"start": "SECRET-parameter"},
    "asked_by": "SECRET-person",
    "worker": "SECRET-host:1:2",
    "machine": "SECRET-machine",
    "error": "SECRET-error",
    "failures": ("SECRET-failure",),
    "notebook": "runs/SECRET-notebook",
    "log": "runs/SECRET-log",
    "outputs": {"SECRET-output": {}},
}


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path, access="public")


@pytest.fixture
def view(lab, tmp_path):
    def make(query=""):
        specs = {"trial": read_spec(tmp_path / "pipelines" / "trial.ipynb")}
        return View(lab, query, pipelines=specs, now=NOW)

    return make


def test_the_public_page_tells_numbers_ages_and_reasons(view, lab):
    lab.catalog.runs.save(make_run(1, RunStatus.FAILED))
    lab.catalog.runs.save(make_run(2, RunStatus.QUEUED))
    lab.catalog.runs.save(make_run(3))
    lab.catalog.products.save(make_product(hours=5))
    page = view().show()
    assert isinstance(page, AppPage)
    assert page.status == 200
    for words in (
        "A trial", "last run failed", "2026-03-04 09:01:30", "5 hours", "No newer telemetry has arrived",
        "asked for 2 hours ago", "simulated",
    ):  # fmt: skip
        assert words in page.html, words


def test_a_failure_is_marked_beside_the_name_and_the_red_number_leads_to_it(view, lab):
    lab.catalog.runs.save(make_run(1, RunStatus.FAILED))
    html = view().page().html
    assert 'A trial <span class="tag bad">last run failed</span>' in html
    assert '<tr id="pipeline-trial">' in html
    assert 'last run failed: <a href="#pipeline-trial">trial</a>' in html
    assert html.count("card number bad") == 1
    lab.catalog.runs.save(make_run(2, RunStatus.SUCCEEDED, finished=NOW))
    html = view().page().html
    assert "bad" not in html, "it runs again: the number of what failed is no alarm"
    assert "#pipeline-" not in html


def test_a_pipeline_that_is_gone_or_declared_wrongly_is_told_as_such(lab):
    lab.catalog.runs.save(make_run(1, RunStatus.FAILED, pipeline="old"))
    html = summary_html(look_over(lab.catalog, {}, wrong=["odd"], now=NOW))
    assert 'old <span class="tag gone">removed</span>' in html
    assert 'odd <span class="tag bad">declared wrongly</span>' in html
    assert "last run failed" not in html


def test_the_public_page_names_no_parameter_person_machine_or_error(view, lab):
    for number, status in enumerate(RunStatus, start=1):
        lab.catalog.runs.save(make_run(number, status, **SECRETS))
    assert "SECRET" not in view().page().html


def test_an_empty_data_center_has_a_page(view):
    html = view().page().html
    assert "The archive is empty" in html
    assert "never" in html


def test_a_link_with_more_than_the_app_is_told(view):
    page = view("run_id=<b>1</b>").page()
    assert page.status == 400
    assert "expected nothing behind /apps/pipelines; found run_id" in page.html


def test_a_silent_database_is_told_without_its_address(view, lab, monkeypatch):
    def away(**_):
        raise CatalogError("database at 127.0.0.1:27017: no answer")

    monkeypatch.setattr(lab.catalog.runs, "find", away)
    page = view().page()
    assert page.status == 503
    assert "27017" not in page.html


def test_the_team_gets_widgets(tmp_path):
    import ipywidgets

    lab = make_lab(tmp_path)
    assert isinstance(View(lab, "", pipelines={}).show(), ipywidgets.VBox)
