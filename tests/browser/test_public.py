"""What a visitor sees, in a real browser, of a real platform."""

import json
from datetime import datetime

import numpy as np
import pytest

from tests.support.platform import END, START, stixlab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("platform")]

APP = f"/apps/lightcurves?start={START}&end={END}"
READ_BANDS = """() => {
    const shown = Bokeh.documents.at(-1);
    const read = (name) => {
        const source = [...shown._all_models.values()].find((m) => m.type === "ColumnDataSource" && m.name === name);
        return {time: Array.from(source.data.time ?? source.get("time")), counts: Array.from(source.data.counts)};
    };
    return [0, 1, 2, 3, 4].map((n) => read(`band-${n}`));
}"""


def open_app(page, link=APP):
    page.goto(link)
    page.wait_for_selector("body[data-plot=shown]")


def dataset(platform, start, end):
    """Times and counts of the catalogue's data, by the command line."""
    code = (
        "import stixlab, json, numpy as np\n"
        f"ds = stixlab.connect().open('ql-lightcurve', {start!r}, {end!r})\n"
        "print(json.dumps([ds.time.values.astype('M8[ms]').astype(int).tolist(), ds.counts.values.T.tolist()]))"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=platform.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    time, counts = json.loads(done.stdout)
    return np.array(time), np.array(counts)


def test_the_numbers_in_the_plot_are_those_of_the_dataset(page, platform):
    """Every bin of the interval stands in the plot, in every band."""
    open_app(page, "/apps/lightcurves?start=2023-05-04T07:00&end=2023-05-04T09:00")
    time, counts = dataset(platform, "2023-05-04T07:00", "2023-05-04T09:00")
    for n, band in enumerate(page.evaluate(READ_BANDS)):
        np.testing.assert_allclose(band["time"], time, rtol=0, atol=1.0)
        np.testing.assert_allclose(band["counts"], counts[n], rtol=1e-6)
    assert page.outside == []
    assert page.problems == []


def test_the_flares_in_the_table_are_those_of_the_catalogue_and_open_a_view_of_their_own(page, platform):
    open_app(page)
    rows = [json.loads(line) for line in stixlab(platform.environment, "flares", "--json").splitlines()]
    assert rows, "the simulated hours hold flares"
    peaks = [datetime.fromisoformat(row["peak"]).strftime("%Y-%m-%d %H:%M:%S") for row in rows]
    assert page.locator("td.w a").all_inner_texts() == peaks
    page.locator("td.w a").first.click()
    page.wait_for_selector("body[data-plot=shown]")
    assert page.locator("td.w a").count() >= 1
    assert page.problems == []


def test_simulated_data_are_labelled_as_such_above_the_plot_and_in_it(page):
    open_app(page)
    assert "SIMULATED DATA" in page.locator(".banner").inner_text()
    titles = page.evaluate(
        "[...Bokeh.documents.at(-1)._all_models.values()].filter((m) => m.type === 'Title').map((m) => m.text)"
    )
    assert any("SIMULATED" in title for title in titles)


def test_links_follow_the_zoom_and_bring_the_same_view_back(page, platform):
    open_app(page)
    box = page.locator("#plot canvas").first.bounding_box()
    y = box["y"] + box["height"] * 0.5
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y + 40, steps=6)
    page.mouse.up()
    page.wait_for_selector("#zoomed:visible")
    link = page.locator("#permanent").input_value()
    assert link.startswith(f"{platform.url}/apps/lightcurves?start=2023-05-04T")
    assert link.split("?")[1] in page.locator("[data-download=csv]").get_attribute("href")
    shown = page.evaluate(
        "(() => {const r = Bokeh.documents.at(-1).get_model_by_name('stix-time'); return [r.start, r.end]})()"
    )
    page.click("#zoomed")
    page.wait_for_selector("body[data-plot=shown]")
    first, last = (page.evaluate(READ_BANDS)[0]["time"][i] for i in (0, -1))
    assert abs(first - shown[0]) < 5000
    assert abs(last - shown[1]) < 5000


def test_what_is_downloaded_is_what_is_shown(page):
    open_app(page, "/apps/lightcurves?start=2023-05-04T07:00&end=2023-05-04T08:00")
    with page.expect_download() as download:
        page.click("[data-download=csv]")
    lines = [line for line in download.value.path().read_text().splitlines() if not line.startswith("#")]
    column = lines[0].split(",").index("counts_4-10keV")
    assert [int(line.split(",")[column]) for line in lines[1:]] == page.evaluate(READ_BANDS)[0]["counts"]
    with page.expect_download() as download:
        page.click("[data-download=fits]")
    from astropy.io import fits

    with fits.open(download.value.path()) as hdus:
        assert len(hdus["DATA"].data) == len(lines) - 1


@pytest.mark.parametrize(
    ("link", "status", "told"),
    [
        ("/apps/lightcurves?start=yesterday", 400, "expected a UTC time such as"),
        ("/apps/lightcurves?start=2021-01-01&end=2021-12-31", 400, "at most 31 days"),
        ("/apps/lightcurves?start=2030-01-01", 404, "nothing from"),
        ("/apps/nothing", 404, "no app"),
        ("/nowhere", 404, "nothing under this address"),
    ],
)
def test_a_wrong_link_gets_a_friendly_page(page, link, status, told):
    answer = page.goto(link)
    assert answer.status == status
    assert told in page.locator(".message").inner_text()
    assert "Traceback" not in page.content()


@pytest.mark.parametrize("path", ["/", "/data/fits/", APP])
def test_pages_fit_on_a_phone(chromium, platform, path):
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, base_url=platform.url
    )
    page = context.new_page()
    page.goto(path)
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 392
    context.close()


def test_the_front_page_leads_to_everything(page):
    page.goto("/")
    assert "SIMULATED" in page.locator(".banner").inner_text()
    assert page.locator("svg polyline").count() >= 5
    for link in ("/apps/lightcurves", "/data/fits/", "/hub/"):
        assert page.locator(f"a[href='{link}']").count()
    assert page.outside == []
    assert page.problems == []
