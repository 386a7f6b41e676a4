from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import ParameterError
from stixlab.ingest.mirror_http import Answer
from stixlab.ingest.mirror_pages import Entry, Selection, read_index_page

URL = "https://host/data/fits/L1/"
TABLE = """<table><tr><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="/data/fits/">Parent Directory</a></td><td>&nbsp;</td></tr>
<tr><td><a href="2021/">2021/</a></td><td align="right">2022-03-22 11:45  </td><td>  - </td></tr>
<tr><td><a href="a%20b.fits">a b.f..&gt;</a></td><td>2022-03-22 11:46</td><td>4.6M</td></tr>
</table><address>Apache at 12:31:07</address>"""


def names(html, url=URL):
    return [(e.name, e.is_folder) for e in read_index_page(html, url)[0]]


def test_a_page_of_apache_gives_what_is_below_with_its_row():
    entries, refused = read_index_page(TABLE, URL)
    assert entries == [
        Entry("2021", True, "2022-03-22 11:45 -"),
        Entry("a b.fits", False, "2022-03-22 11:46 4.6M"),
    ]
    assert refused == []


def test_the_clock_of_a_footer_is_no_part_of_a_row():
    """It would make the last file look changed every time."""
    html = '<pre><a href="a.fits">a</a>  2022-01-01 1K\n<a href="b.fits">b</a>  2022-01-02 2K\n</pre>now 12:00:01'
    assert [e.row for e in read_index_page(html, URL)[0]] == ["2022-01-01 1K", "2022-01-02 2K"]
    bare = '<ul><li><a href="a.fits">a</a></li></ul><p>generated 12:00:01</p>'
    assert read_index_page(bare, URL)[0][0].row == ""


@pytest.mark.parametrize(
    "href",
    [
        "../", "..", "/", "/data/", "/data/fits/L1", "/data/fits/L1/", "https://elsewhere/data/fits/L1/x.fits", "//elsewhere/x",
        "http://host/data/fits/L1/x.fits", "https://host:8443/data/fits/L1/x.fits", "?C=M;O=A", "x.fits?version=2", "#top", "",
        "mailto:someone@host", "javascript:void(0)", "file:///etc/passwd", "2021/06/", "2021/../../x.fits", "http://[bad",
    ],
)  # fmt: skip
def test_links_to_elsewhere_are_no_entries(href):
    assert names(f'<a href="{href}">x</a>') == []


@pytest.mark.parametrize(
    "href",
    ["%2e%2e%2fetc", "..%2fx.fits", "%2e%2e/", ".hidden", "a%00b", "a%5cb", "x%0a.fits", "a" * 300, "%ff%fe"],
)
def test_names_that_could_do_harm_are_refused_and_told(href):
    entries, refused = read_index_page(f'<a href="{href}">x</a>', URL)
    assert entries == []
    assert len(refused) == (0 if href == "%2e%2e/" and not refused else 1)


def test_each_name_stands_once_and_a_folder_goes_before_a_file():
    assert names('<a href="b">b</a><a href="b/">b</a><a href="./a.fits">a</a><a href="a.fits">icon</a>') == [
        ("a.fits", False), ("b", True),
    ]  # fmt: skip


@given(st.text(max_size=300))
def test_any_text_is_read_without_a_fault_and_gives_only_safe_names(text):
    entries, _ = read_index_page(f'<a href="{text}">x</a>{text}<a href="{text}', URL)
    for entry in entries:
        assert "/" not in entry.name
        assert not entry.name.startswith(".")
        assert entry.name.isprintable()


def day(text):
    return np.datetime64(text, "ns")


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("data/fits", True), ("data/fits/L1", True), ("data/fits/L0", False), ("data/fits/CAL", False), ("data/fits/L1/2020", False),
        ("data/fits/L1/2021", True), ("data/fits/L1/2022", True), ("data/fits/L1/2023", False), ("data/fits/L1/2021/05", False),
        ("data/fits/L1/2021/06", True), ("data/fits/L1/2021/06/05", False), ("data/fits/L1/2021/06/06", True),
        ("data/fits/L1/2021/06/06/QL", True), ("data/fits/L1/2022/01/02", True), ("data/fits/L1/2022/01/03", False),
        ("data/fits/L1/2021/99", True), ("data/fits/L1/other", True),
    ],
)  # fmt: skip
def test_folders_are_chosen_by_level_and_day(path, taken):
    selection = Selection(levels=("L1",), start=day("2021-06-06T12:00"), end=day("2022-01-03"))
    assert selection.takes_folder(tuple(path.split("/"))) is taken


def test_files_are_chosen_by_the_type_in_their_name():
    selection = Selection(types=("ql-lightcurve", "ql-tmstatusflarelist", "cal-spectra"))
    assert selection.takes_file("solo_L1_stix-ql-lightcurve_20200506_V01.fits")
    assert selection.takes_file("solo_L1_stix-ql-LightCurve_20210117_V01.fits")
    assert selection.takes_file("solo_L1_stix-ql-ql-tmstatusflarelist_20200506_V01.fits")
    assert selection.takes_file("solo_L1_stix-cal-energy_20200506_V01.fits")
    assert not selection.takes_file("solo_L1_stix-ql-background_20200506_V01.fits")
    assert not selection.takes_file("README")
    assert Selection().takes_file("README")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"types": ("ql-lightcurves",)}, "found 'ql-lightcurves'"),
        ({"levels": ("1",)}, "found '1'"),
        ({"start": day("2021-02-01"), "end": day("2021-01-01")}, "start before end"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(options, told):
    with pytest.raises(ParameterError, match=told):
        Selection(**options)


@pytest.mark.parametrize("text", ["", "-1", "²", "9" * 5000, "1e3"])
def test_a_length_that_no_file_has_is_none(text):
    assert Answer(200, {"Content-Length": text}, BytesIO(), "http://here/").length is None
    assert Answer(200, {"Content-Length": "12"}, BytesIO(), "http://here/").length == 12
