"""Executed notebooks as pages: everything to read, nothing to execute."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stixlab.errors import NotInCatalogError, PipelineError
from stixlab.model import RunStatus
from stixlab.pipeline.html import notebook_html
from tests.support.examples import examples
from tests.support.runs import make_run

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Reader(HTMLParser):
    """Notes what a browser would execute or fetch."""

    def __init__(self):
        super().__init__()
        self.active, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "iframe", "object", "embed", "form", "link", "svg", "base"}:
            self.active.append(tag)
        for name, value in attrs:
            fetched = name in {"src", "srcset", "data"} and not str(value).startswith("data:image/")
            if name.startswith("on") or fetched or (name == "href" and "javascript:" in str(value).lower()):
                self.active.append((tag, name, value))

    def handle_data(self, data):
        self.text.append(data)


def code(source="1 + 1", *outputs):
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": 1,
    }


def shown(**data):
    return {
        "output_type": "display_data",
        "data": {k.replace("_", "/"): v for k, v in data.items()},
        "metadata": {},
    }


def page(tmp_path, *cells, **said):
    path = tmp_path / "trial.ipynb"
    path.write_text(json.dumps({"cells": list(cells), "metadata": {"stixlab": said}, "nbformat": 4}))
    return notebook_html(path)


def read(html):
    reader = Reader()
    reader.feed(html)
    return reader


def test_text_code_and_outputs_are_shown(tmp_path):
    html = page(
        tmp_path,
        {"cell_type": "markdown", "source": ["# Flares\n", "and *text*"], "metadata": {}},
        code("flares = 3 < 4", {"output_type": "stream", "name": "stdout", "text": ["a <b> & c\n"]}),
        code("draw()", shown(image_png=PIXEL, text_plain="<Figure>")),
        code("table", shown(text_html="<table><tr><td>7</td></tr></table>", text_plain="7")),
        title="Flare list", run_id="flare_list-1", parameters={"start": "2022"}, error="cell 4: no <light>",
    )  # fmt: skip
    text = "".join(read(html).text)
    for words in (
        "Flares",
        "flares = 3 < 4",
        "a <b> & c",
        "flare_list-1",
        "start = 2022",
        "cell 4: no <light>",
    ):
        assert words in text
    assert "<em>text</em>" in html
    assert f"data:image/png;base64,{PIXEL}" in html
    assert "<td>7</td>" in html
    assert read(html).active == []


def test_what_became_of_the_run_stands_above_the_cells(tmp_path):
    facts = {
        "run_id": "trial-1", "inputs": {"L1_b": "b" * 64, "L1_a": "a" * 64}, "versions": {"stixlab": "1.2", "numpy": "2"},
        "started": "2026-03-04T10:00:01.345678+00:00", "finished": "2026-03-04T10:01:31.345678+00:00",
    }  # fmt: skip
    html = page(tmp_path, code("the_first_cell = 1"), **facts)
    text = "".join(read(html).text)
    for words in (
        "succeeded",
        "2026-03-04 10:00:01 UTC",
        "2026-03-04 10:01:31 UTC",
        "L1_a",
        "b" * 64,
        "numpy 2",
    ):
        assert words in text[: text.index("the_first_cell")], words
    assert ".345678" not in text, "nobody reads microseconds, and they do not fit on a phone"
    assert "failed" in "".join(read(page(tmp_path, code(), **facts, error="too hot")).text)


def test_the_record_of_the_run_says_more_than_its_notebook(tmp_path):
    path = tmp_path / "trial.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": {"stixlab": {"run_id": "x"}}, "nbformat": 4}))
    run = make_run(1, RunStatus.FAILED, attempts=2, failures=("too <warm>",), error="too hot")
    text = "".join(read(notebook_html(path, run)).text)
    for words in ("failed", "2; attempt 1: too <warm>", "too hot"):
        assert words in text


@pytest.mark.parametrize("odd", ["noon", 3, None, ["x"]])
def test_a_time_that_is_none_is_shown_as_it_stands(tmp_path, odd):
    assert "trial" in page(tmp_path, code(), started=odd, finished=odd, inputs=odd, versions=odd)


@pytest.mark.parametrize(
    "bad",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        "<iframe src='https://example.org'></iframe>",
        "<style>@import 'https://example.org/a.css'</style>",
        "<scr<script></script>ipt>alert(1)</script>",
        "<div style='background:url(https://example.org)'>x</div>",
        "<ScRiPt >alert(1)",
    ],
)
def test_nothing_of_an_output_is_executed_or_fetched(tmp_path, bad):
    cells = [
        code("1", shown(text_html=bad)),
        code(bad, {"output_type": "stream", "name": "stdout", "text": bad}),
        code("1", {"output_type": "error", "ename": bad, "evalue": bad, "traceback": [bad]}),
        code("1", shown(**{"image_svg+xml": bad, "application_javascript": bad})),
        code("1", shown(image_png=bad, text_plain=bad)),
        {"cell_type": "markdown", "source": bad, "metadata": {}},
        {"cell_type": "raw", "source": bad, "metadata": {}},
    ]
    html = page(tmp_path, *cells, title=bad, run_id=bad, error=bad, parameters={bad: bad})
    assert read(html).active == []
    assert html.count("<style") == 1, "that of the page itself"
    assert "style='background" not in html


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet="<>/ =\"'abcsriptonlx&;:-!\n", max_size=60))
def test_no_text_at_all_becomes_active(tmp_path, text):
    html = page(
        tmp_path, code("1", shown(text_html=text)), {"cell_type": "markdown", "source": text, "metadata": {}}
    )
    assert read(html).active == []


def test_logins_in_addresses_are_not_shown(tmp_path):
    html = page(
        tmp_path,
        code("1", {"output_type": "stream", "name": "stdout", "text": "mongodb://me:secret@host/db"}),
    )
    assert "secret" not in html
    assert "mongodb://***@host/db" in html


def test_a_dataset_is_shown_once_and_short(tmp_path):
    """What xarray folds by styles would be unfolded here, for pages, and stand beside its own text."""
    import xarray as xr

    ds = xr.Dataset({"counts": ("time", [1, 2, 3], {"units": "count"})})
    html = page(tmp_path, code("ds", shown(text_html=ds._repr_html_(), text_plain=repr(ds))))
    text = "".join(read(html).text)
    assert text.count("Data variables") == 1
    assert "counts   (time) int64" in text
    assert "units" not in text


def test_long_output_is_cut_and_says_so(tmp_path):
    html = page(tmp_path, code("1", {"output_type": "stream", "name": "stdout", "text": "x" * 300_000}))
    assert len(html) < 250_000
    assert "100000 characters more" in html


def test_what_is_no_notebook_is_refused(tmp_path):
    with pytest.raises(NotInCatalogError, match=r"gone.ipynb"):
        notebook_html(tmp_path / "gone.ipynb")
    for content in ("", "[]", '{"cells": 3, "metadata": {}}', '{"cells": [{}], "metadata": {}}'):
        path = tmp_path / "bad.ipynb"
        path.write_text(content)
        with pytest.raises(PipelineError, match=r"bad.ipynb"):
            notebook_html(path)
