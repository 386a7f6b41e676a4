"""The packet app without a browser: links, the form, pages, and a packet as HTML."""

from dataclasses import dataclass

import pytest

from stixlab.dashboards.packets import PAGE, SearchState, View, packet_html
from stixlab.dashboards.request import REQUEST_VARIABLE
from stixlab.errors import CatalogError, ParameterError
from stixlab.settings import Settings
from stixlab.telemetry.frames import SIMULATED_DESTINATION
from tests.support.packet_store import Store, new_store
from tests.support.packets import LIGHT_CURVE, MAXI, housekeeping, light_curves

T0 = 664_000_000


@dataclass
class TeamLab:
    settings: Settings
    store: Store

    @property
    def catalog(self):
        return self.store.catalog

    @property
    def archive(self):
        return self.store.archive

    @property
    def versions(self):
        return self.store.versions

    @property
    def clock(self):
        return self.store.clock


@pytest.fixture
def lab(tmp_path):
    store = new_store(tmp_path)
    store.add(light_curves(3, start=T0), "light.xml")
    store.add(housekeeping(MAXI, PAGE + 50, start=T0), "maxi.xml")
    return TeamLab(Settings(home=tmp_path, access="team"), store)


def ids(view):
    return [value for _, value in view.list.options if value]


def test_a_link_is_read_and_written_the_same():
    query = "?start=2021-01-16T10:00:00&ssid=30,31&status=ok&order=oldest"
    assert SearchState.from_query(query).query() == query
    assert SearchState.from_query("").query() == ""


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("begin=2021-06-06", "found begin"),
        ("spid=1&spid=2", "twice"),
        ("status=good", "found 'good'"),
        ("origin=moon", "expected one of flight"),
        ("order=random", "newest, oldest; found 'random'"),
    ],
)
def test_a_wrong_link_is_refused_with_what_was_expected(lab, query, told):
    with pytest.raises(ParameterError, match=told):
        SearchState.from_query(query)
    view = View(lab, query)
    assert 'role="alert"' in view.message.value
    assert not ids(view)


def test_numbers_may_be_several():
    assert SearchState.from_query("apid=1444, 1500").conditions()["apid"] == [1444, 1500]
    with pytest.raises(ParameterError, match="APID: expected a number"):
        SearchState.from_query("apid=many").conditions()


def test_without_a_link_the_latest_packets_are_listed(lab):
    view = View(lab, "")
    assert len(ids(view)) == PAGE
    assert "200 packets, and more behind them" in view.message.value
    assert "200 of 253 packets, from 2 files" in View(lab, "start=2020-01-01").message.value
    assert view.packet is None, "nothing is opened that nobody asked for"
    assert (view.next_button.disabled, view.back_button.disabled) == (False, True)


def test_pages_go_on_and_back(lab):
    view = View(lab, "")
    first = ids(view)
    view.next_button.click()
    assert len(ids(view)) == 53
    assert not set(ids(view)) & set(first)
    assert view.next_button.disabled
    view.back_button.click()
    assert ids(view) == first


def test_a_change_of_the_form_searches_anew(lab):
    view = View(lab, "")
    view.next_button.click()
    view.fields["spid"].value = str(LIGHT_CURVE)
    assert len(ids(view)) == 3
    assert view.state.given == {"spid": str(LIGHT_CURVE)}
    view.order.value = "oldest"
    assert view.found is not None
    assert (view.found["time"][1:] >= view.found["time"][:-1]).all()


def test_a_mistyped_condition_is_told_and_can_be_corrected(lab):
    view = View(lab, "")
    view.fields["start"].value = "<b>yesterday</b>"
    assert "expected UTC" in view.message.value
    assert "<b>yesterday" not in view.message.value
    view.fields["start"].value = ""
    assert len(ids(view)) == PAGE


def test_a_chosen_packet_is_shown_and_in_the_link(lab):
    view = View(lab, f"spid={LIGHT_CURVE}")
    view.list.value = ids(view)[0]
    assert view.packet is not None
    assert "NIX00272" in view.tree.value
    assert view.packet.content[:16].hex(" ")[:23] in view.tree.value
    again = View(lab, view.state.query())
    assert again.packet is not None
    assert (again.packet.id, ids(again)) == (view.packet.id, ids(view))
    assert "lab.packet(" in view.link.value


def test_the_second_page_has_a_link_of_its_own(lab):
    view = View(lab, "")
    view.next_button.click()
    assert ids(View(lab, view.state.query())) == ids(view)


def test_a_packet_that_is_gone_is_told(lab):
    view = View(lab, "packet=0123456789ab.0")
    assert "begins with 0123456789ab" in view.tree.value


def test_copies_are_listed_once_unless_all_are_asked_for(lab):
    lab.store.add(light_curves(3, start=T0), "again.xml")
    view = View(lab, f"spid={LIGHT_CURVE}")
    assert len(ids(view)) == 3
    view.fields["copies"].value = "all"
    assert len(ids(view)) == 6
    assert view.state.query().endswith("copies=all")


def test_nothing_found_says_what_to_do(lab):
    view = View(lab, "start=1999-01-01&end=1999-02-01")
    assert "take a condition away" in view.message.value


def test_a_silent_database_is_told(lab, monkeypatch):
    def away(**_):
        raise CatalogError("database: no answer")

    monkeypatch.setattr(lab.catalog.raw_files, "find", away)
    assert "no answer" in View(lab, "").message.value


def test_the_public_sees_nothing(lab):
    lab.settings = Settings(home=lab.settings.home, access="public")
    view = View(lab, f"packet={lab.store.find().ids[0]}")
    assert "for the team" in view.message.value
    assert "for the team" in view.tree.value
    assert not ids(view)


def test_simulated_packets_are_marked_in_list_and_tree(lab):
    lab.store.add(light_curves(1, destination=SIMULATED_DESTINATION), "sim.xml", origin="simulated")
    view = View(lab, "origin=simulated")
    assert view.list.options[1][0].endswith("[simulated]")
    view.list.value = ids(view)[0]
    assert "SIMULATED DATA" in view.tree.value


def test_the_html_of_a_packet_escapes_what_came_from_outside(lab):
    lab.store.add(housekeeping(MAXI, 1, start=T0), "<script>alert(1)</script>.xml")
    (identity,) = lab.store.find(file="<script>").ids
    html = packet_html(lab.store.get(identity))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_every_list_line_stands_below_its_heading(lab):
    view = View(lab, "")
    heading, line = (view.list.options[i][0] for i in (0, 1))
    assert heading.index("status") == line.index("ok ")


def test_the_whole_is_one_widget(lab):
    assert len(View(lab, "").show().children) == 7


def test_the_link_of_a_page_reaches_the_app(lab, monkeypatch):
    """Voila within the server of a member hands the query over in the environment."""
    monkeypatch.delenv(REQUEST_VARIABLE, raising=False)
    monkeypatch.setenv("QUERY_STRING", f"spid={LIGHT_CURVE}")
    assert len(ids(View(lab))) == 3


def test_the_snippet_finds_what_is_shown(lab):
    view = View(lab, f"spid={LIGHT_CURVE}&order=oldest")
    (line,) = [each for each in view.state.snippet().splitlines() if each.startswith("found")]
    assert line == f"found = lab.packets(spid=[{LIGHT_CURVE}], newest_first=False, distinct=True)"
