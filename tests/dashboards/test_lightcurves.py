"""The light-curve app without a browser: links, what the page says, what it shows."""

import json
import re
from datetime import UTC, datetime
from html import unescape

import numpy as np
import pytest

from stixlab.dashboards import request
from stixlab.dashboards.lightcurves import View, ViewState, age_text
from stixlab.errors import ParameterError, TimeError
from stixlab.vocabulary import FLIGHT
from tests.support.quiet_sun import DAY, SmallLab, light_curve

NOW = datetime(2021, 6, 8, 12, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path):
    return SmallLab(tmp_path)


@pytest.fixture
def public(monkeypatch):
    monkeypatch.setenv(request.REQUEST_VARIABLE, "http://127.0.0.1:1/apps/request")


def test_a_link_is_read_and_written_the_same():
    query = "?start=2021-06-06T08:00:00&end=2021-06-06T09:00:00&origin=simulated"
    assert ViewState.from_query(query).query() == query


@pytest.mark.parametrize(
    ("query", "problem", "told"),
    [
        ("start=yesterday", TimeError, "expected a UTC time such as"),
        ("end=2021-06-06", TimeError, "start: expected a UTC time beside the end"),
        ("start=2021-06-07&end=2021-06-06", TimeError, "after the start"),
        ("start=2021-01-01&end=2021-12-31", TimeError, "at most 31 days"),
        ("begin=2021-06-06", ParameterError, "found begin"),
        ("start=2021-06-06&start=2021-06-07", ParameterError, "twice"),
        ("origin=moon", ParameterError, "flight or simulated or reencoded; found 'moon'"),
    ],
)
def test_a_wrong_link_is_refused_with_what_was_expected(query, problem, told):
    with pytest.raises(problem, match=told):
        ViewState.from_query(query)


def test_a_wrong_link_gives_a_page_that_shows_a_right_one(lab):
    page = View(lab, "start=yesterday", now=NOW).page()
    assert page.status == 400
    assert "found &#39;yesterday&#39;" in page.html
    assert 'href="/apps/lightcurves?start=2021-06-06&amp;end=2021-06-07"' in page.html


def test_what_a_visitor_typed_is_never_markup(lab):
    page = View(lab, "start=<script>alert(1)</script>", now=NOW).page()
    assert "<script>alert" not in page.html


def test_no_query_shows_the_latest_day(lab):
    view = View(lab, "", now=NOW)
    assert view.state.query() == "?start=2021-06-06&end=2021-06-07"
    assert view.page().status == 200


def test_an_interval_without_data_offers_the_nearest_day(lab):
    page = View(lab, "start=2024-01-01", now=NOW).page()
    assert page.status == 404
    assert "?start=2021-06-06&amp;end=2021-06-07" in page.html


def test_an_empty_archive_is_said_to_be_empty(lab):
    lab.empty = True
    page = View(lab, "", now=NOW).page()
    assert (page.status, "holds none yet" in page.html) == (404, True)


def test_a_silent_database_is_said_to_be_silent(lab):
    lab.away = True
    page = View(lab, "", now=NOW).page()
    assert (page.status, "does not answer" in page.html) == (503, True)


def test_a_page_of_simulated_data_says_so_and_one_of_flight_data_does_not(lab):
    assert "SIMULATED DATA." in View(lab, "", now=NOW).page().html
    lab.data, lab.found = light_curve(origin=FLIGHT, hours=2), []
    assert "SIMULATED" not in View(lab, "", now=NOW).page().html.upper()


def test_the_page_says_what_is_shown_and_how_old_it_is(lab):
    html = View(lab, "", now=NOW).page().html
    for words in (
        "21,600",
        "4-10, 10-15, 15-25, 25-50, 50-84 keV",
        "100.0%",
        "36 hours",
        "2021-06-06 08:00:02",
    ):
        assert words in html
    assert 'href="/apps/lightcurves?start=2021-06-05&amp;end=2021-06-06"' in html
    assert 'href="/api/v1/lightcurve?start=2021-06-06&amp;end=2021-06-07&amp;format=fits"' in html


def test_the_snippet_gives_the_data_that_are_shown(lab):
    view = View(lab, "start=2021-06-06T08:00&end=2021-06-06T08:10", now=NOW)
    names = {"lab": lab}
    line = next(line for line in view.snippet().splitlines() if line.startswith("ds ="))
    times = re.findall(r'"(2021[^"]+)"', line)
    names["ds"] = lab.open("ql-lightcurve", *(np.datetime64(t, "ns") for t in times))
    assert names["ds"].identical(view.dataset)
    compile(view.snippet(), "snippet", "exec")


def test_only_flares_of_the_interval_and_the_origin_are_listed(lab):
    assert [f.peak.hour for f in View(lab, "start=2021-06-06&end=2021-06-06T12:00", now=NOW).flares] == [8]
    lab.data = light_curve(origin=FLIGHT, hours=24)
    assert View(lab, "", now=NOW).flares == []


def test_the_plot_of_a_short_interval_holds_every_bin(lab):
    """What the browser reads out of the plot are the counts of the dataset."""
    view = View(lab, "start=2021-06-06T08:00&end=2021-06-06T09:00", now=NOW)
    figure = view.figure()
    source = next(s for s in figure.select({"name": "band-0"}) if "counts" in getattr(s, "data", {}))
    np.testing.assert_array_equal(source.data["counts"], view.dataset["counts"].values[:, 0])
    assert figure.x_range.name == "stix-time"


def test_a_public_page_carries_the_plot_as_data_and_no_script(lab, public):
    html = View(lab, "", now=NOW).page().html
    scripts = re.findall(r"<script([^>]*)>", html)
    assert scripts == [' type="application/json" id="plot-document"']
    assert len(html) < 400_000
    document = json.loads(re.search(r'id="plot-document">(.*?)</script>', html, re.DOTALL)[1])
    assert document["root_id"]


def test_in_a_notebook_the_page_needs_nothing_from_elsewhere(lab):
    html = View(lab, "", now=NOW).show()._repr_html_()
    assert html.startswith('<div class="app" data-status="200">')
    without_scripts = re.sub(r"<script[^>]*>.*?</script>", "", unescape(html), flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["']?https?://""", without_scripts)


def test_warming_up_can_be_repeated(lab):
    View.warm_up(lab)
    View.warm_up(lab)


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.001, "less than a minute"),
        (0.5, "30 minutes"),
        (1.2, "1 hour"),
        (47, "47 hours"),
        (49, "2 days"),
        (90_000, "10 years"),
    ],
)
def test_ages_are_said_in_words(hours, text):
    from datetime import timedelta

    assert age_text(timedelta(hours=hours)) == text


def test_the_view_covers_the_day_from_its_first_to_its_last_bin(lab):
    times = View(lab, "", now=NOW).dataset["time"].values
    assert times[0] == DAY + np.timedelta64(2, "s")
    assert times[-1] == DAY + np.timedelta64(86_398, "s")
