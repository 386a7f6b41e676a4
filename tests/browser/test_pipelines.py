"""The pipelines in a real browser: numbers for everyone; runs, a form and the executed notebook for the team."""

import json
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.platform import END, START, stixlab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("platform")]

RUN = f"""import stixlab
run = stixlab.connect().run("flare_list", start="{START}", end="{END}")
print("ended", run.status, "asked by", run.asked_by)"""
SHOW = """import stixlab
from stixlab.dashboards.pipelines import View
View(stixlab.connect(), "").show()"""


@pytest.fixture
def member(page, platform):
    """A page of a member of the team, in a new notebook."""
    made = json.loads(stixlab(platform.environment, "accounts", "add", "ada", "--json"))
    page.goto("/hub/login")
    page.fill("#username_input", made["name"])
    page.fill("#password_input", made["password"])
    page.click("#login_submit")
    page.wait_for_url("**/user/ada/lab**", timeout=120_000)
    page.goto("/user/ada/lab?reset")
    page.click('.jp-LauncherCard[data-category="Notebook"]', timeout=120_000)
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=120_000)
    page.click(".jp-Notebook .cm-content")
    yield page
    stixlab(platform.environment, "accounts", "remove", "ada")


def execute(page, code):
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")


def test_everyone_sees_numbers_ages_and_reasons(page):
    answer = page.goto("/apps/pipelines")
    assert answer.status == 200
    assert page.locator(".number").count() == 4
    assert "flare_list" in page.locator("table").first.inner_text()
    assert "No newer telemetry has arrived" in page.locator("table").last.inner_text()
    assert page.outside == []
    assert page.problems == []


def test_the_page_fits_on_a_phone_and_says_the_age_there_too(chromium, platform):
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, base_url=platform.url
    )
    page = context.new_page()
    page.goto("/apps/pipelines")
    assert page.evaluate("document.documentElement.scrollWidth") <= 392
    age = page.locator("td.age").first.bounding_box()
    assert age["x"] + age["width"] <= 390
    context.close()


def test_a_wrong_link_gets_a_friendly_page(page):
    assert page.goto("/apps/pipelines?run=1").status == 400
    assert "expected nothing behind" in page.locator(".message").inner_text()


def test_the_public_cannot_ask_for_a_run_nor_see_one(platform):
    request = urllib.request.Request(
        f"{platform.url}/api/v1/runs", b'{"pipeline": "flare_list"}', {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)
    run = json.loads(stixlab(platform.environment, "runs", "--json").splitlines()[0])["run_id"]
    assert platform.get(f"/api/v1/runs/{run}")[0] == 401
    assert "Sign in" in platform.get(f"/services/team/runs/{run}")[1]
    assert "Sign in" in platform.get("/services/team/dask/status")[1]


def test_prometheus_can_read_the_numbers(platform):
    status, text = platform.get("/metrics")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert status == 200
    assert {"stixlab_runs", "stixlab_queue_length", "stixlab_product_age_seconds"} <= names


def test_a_member_runs_a_pipeline_from_a_cell_with_a_bar_and_reads_its_notebook(member, platform):
    """The database user of the team cannot write: the run goes over HTTP to the queue and a worker does it."""
    execute(member, RUN)
    printed = member.locator(".jp-OutputArea-output pre").filter(has_text="ended").first
    printed.wait_for(timeout=180_000)
    assert printed.inner_text().startswith("ended succeeded")
    assert member.locator(".jp-OutputArea [role=progressbar], .jp-OutputArea .widget-hprogress").count() >= 1
    run = json.loads(stixlab(platform.environment, "runs", "--json").splitlines()[0])
    member.goto(f"/services/team/runs/{run['run_id']}")
    assert "stixlab.start_run" in member.locator("body").inner_text()
    assert member.outside == []


def test_a_member_sees_the_runs_and_what_is_wrong_with_a_form(member):
    execute(member, SHOW)
    listed = member.locator(".jp-OutputArea select[size]").last
    listed.wait_for(timeout=120_000)
    listed.select_option(index=1)
    member.locator("text=Executed notebook").first.wait_for(timeout=60_000)
    member.click("text=Ask for a run")
    choice = member.locator(".jp-OutputArea select:visible").first
    choice.select_option(index=1)
    start = member.locator('.jp-OutputArea input[placeholder^="2021"]:visible').first
    start.fill("yesterday")
    start.press("Tab")
    member.locator("text=expected a UTC time such as").first.wait_for(timeout=60_000)
