"""What a member of the team does: log in, open JupyterLab, run a cell."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("platform")]

CELL = """import os, stixlab
lab = stixlab.connect()
ds = lab.open("ql-lightcurve", "2023-05-04T06:00", "2023-05-04T12:00")
print("bins", ds.sizes["time"], "counts", int(ds.counts.sum()), "flares", len(lab.flares()))
from stixlab.plots.still import plot_flares
plot_flares(lab.flares())"""


ALL_FOUND = """() => {
    const lists = [...document.querySelectorAll(".jp-OutputArea select[size]")];
    const rows = lists.length ? [...lists.at(-1).options].slice(1) : [];
    return rows.length > 0 && rows.every((row) => row.textContent.includes("(21,6,30)"));
}"""
"""The list shows what was searched for, and no longer what was there before."""


def log_in(page, password, name="operator"):
    page.goto("/hub/login")
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    page.click("#login_submit")


def test_a_wrong_password_is_refused(page):
    log_in(page, "not the password")
    assert "Invalid username or password" in page.locator(".login_error").inner_text()


def test_there_is_no_sign_up(platform):
    assert platform.get("/hub/signup")[0] == 404


def test_without_login_there_is_no_way_to_a_server_or_the_hub(platform):
    assert platform.get("/hub/api/users")[0] == 403
    status, text = platform.get("/user/operator/api/kernels")
    assert status != 200 or "Sign in" in text


def test_a_member_logs_in_and_runs_a_cell_on_the_data(page, platform):
    """The whole way: hub, server, kernel, catalogue, archive; the plot of the app in the notebook, too."""
    log_in(page, platform.password)
    page.wait_for_url("**/user/operator/lab**", timeout=120_000)
    page.goto("/user/operator/lab?reset")
    page.click('.jp-LauncherCard[data-category="Notebook"]', timeout=120_000)
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=120_000)
    page.click(".jp-Notebook .cm-content")
    page.keyboard.insert_text(CELL)
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output pre").first
    output.wait_for(timeout=120_000)
    words = output.inner_text().split()
    assert words[:2] == ["bins", "5400"]
    assert int(words[3]) > 0
    assert int(words[5]) >= 1
    page.locator(".jp-OutputArea-output img").first.wait_for(timeout=120_000)
    page.keyboard.insert_text("from stixlab.dashboards.lightcurves import View\nView(lab, '').show()")
    page.keyboard.press("Shift+Enter")
    frame = page.frame_locator(".jp-OutputArea-output iframe.plot")
    frame.locator("canvas").first.wait_for(timeout=120_000)
    assert page.outside == []


def test_a_member_finds_a_packet_and_sees_what_is_in_it(page, platform):
    """The packet browser in JupyterLab: search by words, choose one, its fields appear; the public has no such page."""
    assert platform.get("/apps/packets")[0] == 404
    log_in(page, platform.password)
    page.wait_for_url("**/user/operator/lab**", timeout=120_000)
    page.goto("/user/operator/lab/tree/shared-notebooks/packets.ipynb?reset")
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=120_000)
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    words = page.locator('.jp-OutputArea input[placeholder^="words"]')
    words.wait_for(timeout=120_000)
    words.fill("light curve")
    page.click('.jp-OutputArea button:has-text("Search")')
    listed = page.locator(".jp-OutputArea select[size]").last
    page.wait_for_function(ALL_FOUND, timeout=60_000)
    listed.select_option(index=1)
    page.locator("text=Number of light curve bins of a band").first.wait_for(timeout=60_000)
    assert page.locator("text=SIMULATED DATA").count() >= 1
    assert page.outside == []
