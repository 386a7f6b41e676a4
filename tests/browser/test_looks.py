"""How parts of pages look that need no platform: what is cut off can be read, what is wide fits on a phone."""

import json
from html import escape
from pathlib import Path

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.client.overview import look_over
from stixlab.dashboards.pipelines import summary_html
from stixlab.dashboards.runs import _STYLE, _line
from stixlab.model import RunStatus
from stixlab.pipeline.html import notebook_html
from tests.support.runs import NOW, make_run

pytestmark = [pytest.mark.browser]

SITE = Path(__file__).parents[2] / "stixlab" / "api" / "static" / "site.css"
PHONE = {"width": 390, "height": 844}
LONG = {"start": "2022-03-01T00:00:00", "end": "2022-03-02T00:00:00", "note": "a clock that was wrong " * 9}


@pytest.fixture
def shown(chromium):
    """Opens a page made of a text, of a size."""
    context = chromium.new_context(viewport=PHONE)

    def show(html, width=PHONE["width"]):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": PHONE["height"]})
        page.set_content(html)
        return page

    yield show
    context.close()


def test_parameters_that_are_cut_off_in_the_list_of_runs_are_shown_whole_under_the_pointer(shown):
    lines = [_line(make_run(n, parameters=LONG)).replace(" ", "\u00a0") for n in (1, 2, 3)]
    options = "".join(f"<option>{escape(line)}</option>" for line in lines)
    page = shown(
        f'{_STYLE}<div class="stix-runs"><select size="12" style="width: 600px">{options}</select>', 800
    )
    option = page.locator("option").nth(1)
    line = option.bounding_box()["height"]
    option.hover()
    box = option.bounding_box()
    assert box["height"] > 2 * line, "it wraps"
    assert option.evaluate("o => o.scrollWidth <= o.clientWidth"), "nothing of it is beyond the edge"
    assert page.locator("option").nth(2).bounding_box()["height"] == line


def test_a_failure_is_beside_the_name_on_a_phone_and_one_tap_from_the_number(shown):
    catalog = MemoryCatalog()
    catalog.runs.save(make_run(1, RunStatus.FAILED))
    html = summary_html(look_over(catalog, {}, wrong=["trial"], now=NOW))
    page = shown(f"<style>{SITE.read_text()}</style><main>{html}</main>")
    row, tag = page.locator("#pipeline-trial"), page.locator(".tag.bad").first
    assert tag.inner_text() == "last run failed"
    assert abs(tag.bounding_box()["y"] - row.bounding_box()["y"]) < 30, "on the line of the name"
    assert tag.evaluate("t => getComputedStyle(t).backgroundColor") == "rgb(179, 38, 30)"
    page.locator(".number.bad a").click()
    assert row.evaluate("r => r.matches(':target')")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_executed_notebook_fits_on_a_phone_with_all_that_stands_above_it(shown, tmp_path):
    facts = {
        "run_id": "flare_list-0123456789abcdef", "parameters": LONG, "inputs": {"L1_ql-lightcurve_20220301_flight": "ab" * 32},
        "versions": {"stixlab": "1"}, "started": "2026-03-04T10:00:01.345678+00:00",
    }  # fmt: skip
    path = tmp_path / "trial.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": {"stixlab": facts}, "nbformat": 4}))
    page = shown(notebook_html(path))
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    cell = page.locator("td", has_text="2026-03-04 10:00:01 UTC")
    assert cell.bounding_box()["height"] < 40, "a time is one line"
