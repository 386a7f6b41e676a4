"""The HTTP service: what it answers, what it refuses, and what every answer carries."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from stixlab.api.app import create_app
from stixlab.settings import Settings
from tests.support.asgi import Client
from tests.support.quiet_sun import SmallLab

DAY = "start=2021-06-06&end=2021-06-07"
HOUR = "start=2021-06-06T08:00&end=2021-06-06T09:00"


@pytest.fixture
def lab(tmp_path):
    return SmallLab(tmp_path)


@pytest.fixture
def client(lab, tmp_path):
    return Client(create_app(lab, Settings(home=tmp_path)))


def test_the_csv_holds_the_counts_of_the_dataset_with_units_and_origin(client, lab):
    answer = client.get(f"/api/v1/lightcurve?{HOUR}&format=csv")
    lines = answer.text.splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert header[0] == "# warning: SIMULATED DATA, not a measurement of the Sun"
    assert any("# column counts_4-10keV [ct]" in line for line in header)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    expected = lab.data.isel(time=slice(7200, 8100))
    assert rows[0]["time"] == "2021-06-06T08:00:02.000Z"
    assert [int(r["counts_10-15keV"]) for r in rows] == expected["counts"].values[:, 1].tolist()
    assert answer.headers["content-disposition"].endswith('20210606T080000-20210606T090000_simulated.csv"')


def test_the_csv_of_a_day_is_whole(client):
    """More rows than are made at a time."""
    text = client.get(f"/api/v1/lightcurve?{DAY}&format=csv").text
    assert sum(1 for line in io.StringIO(text) if not line.startswith("#")) == 21_600 + 1


def test_the_json_holds_the_same(client, lab):
    answer = client.get(f"/api/v1/lightcurve?{HOUR}").json()
    assert answer["about"]["origin"] == "simulated"
    assert answer["units"]["integration_time"] == "s"
    counts = answer["data"]["counts_4-10keV"]
    np.testing.assert_array_equal(counts, lab.data["counts"].values[7200:8100, 0])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("start=yesterday", "start: expected a UTC time"),
        ("start=2021-06-07&end=2021-06-06", "after the start"),
        ("start=2021-01-01&end=2021-12-31", "at most 31 days"),
        ("", "start: Field required"),
        (f"{DAY}&format=xls", "format: Input should be"),
        (f"{DAY}&origin=moon", "origin: String should match"),
    ],
)
def test_a_wrong_request_is_answered_with_what_was_expected(client, query, told):
    answer = client.get(f"/api/v1/lightcurve?{query}")
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_nothing_in_the_interval_names_the_nearest(client):
    answer = client.get("/api/v1/lightcurve?start=2024-01-01")
    assert answer.status_code == 404
    assert answer.json()["error"]["nearest"] == "L1_ql-lightcurve_20210606_simulated"


def test_flares_are_found_by_time_and_size(client):
    found = client.get(f"/api/v1/flares?{DAY}&min_counts=2000").json()["flares"]
    assert [f["flare_id"] for f in found] == ["2106060800"]


def test_products_show_no_path_of_the_machine(client):
    answer = client.get("/api/v1/products?type=ql-lightcurve")
    (product,) = answer.json()["products"]
    assert product["url"] == "/data/fits/L1/2021/06/06/QL/light.fits"
    assert "zarr" not in product
    assert client.get(product["url"]).status_code == 200
    assert client.get("/api/v1/products?type=nonsense").status_code == 400


def test_the_archive_is_an_index_of_plain_links_down_to_the_file(client):
    path = "/data/fits/"
    for name in ("L1/", "2021/", "06/", "06/", "QL/", "light.fits"):
        links = re.findall(r'<td><a href="([^"]+)"', client.get(path).text)
        assert name in links
        path += name
    answer = client.get(path)
    assert (answer.headers["content-type"], len(answer.content)) == ("application/fits", 2880)
    part = client.get(path, headers={"Range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, b"SIMPLE")


def test_the_file_of_a_hidden_product_is_not_there_in_any_version(client, lab):
    folder = lab.home / "archive" / "fits" / "L1" / "2021" / "06" / "06" / "QL"
    for version in (1, 2):
        (folder / f"dark_V0{version}.fits").write_bytes(b"SIMPLE")
    path = "/data/fits/L1/2021/06/06/QL/"
    assert "dark_V01.fits" in client.get(path).text
    lab.hidden = [replace(lab.products()[0], fits="fits/L1/2021/06/06/QL/dark_V02.fits", hidden="wrong")]
    assert "dark" not in client.get(path).text
    assert "light.fits" in client.get(path).text
    assert client.get(path + "dark_V01.fits").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/data/fits/../secret",
        "/data/fits/%2e%2e/secret",
        "/data/fits/L1/%2e%2e/%2e%2e/secret",
        "/data/fits/..%2fsecret",
        "/data/fits//etc/passwd",
        "/data/fits/%2Fetc%2Fpasswd",
        "/data/fits/.hidden",
        "/data/fits/out/secret",
        "/data/fits/L1%00",
        "/data/fits/..%5csecret",
        "/data/fitsX",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
    ],
)
def test_no_path_leads_out_of_the_archive(client, lab, path):
    root = lab.archive.root
    (root / "secret").write_text("hidden words")
    (root / "fits" / ".hidden").write_text("hidden words")
    (root / "fits" / "out").symlink_to(root)
    answer = client.get(path)
    assert answer.status_code == 404
    assert "hidden words" not in answer.text


def test_simulated_files_stand_apart_and_say_so(client, lab):
    folder = lab.archive.root / "simulated" / "fits" / "L1"
    folder.mkdir(parents=True)
    (folder / "sim.fits").write_bytes(b"SIMPLE  =")
    assert 'href="/data/simulated/"' in client.get("/data/fits/").text
    assert "SIMULATED DATA" in client.get("/data/simulated/fits/L1/").text
    assert client.get("/data/simulated/fits/L1/sim.fits").content == b"SIMPLE  ="
    assert client.get("/data/fits/L1/sim.fits").status_code == 404
    assert client.get("/data/simulated/..%2f..%2fsecret").status_code == 404


def test_health_names_the_parts_and_the_age_of_the_data(client):
    answer = client.get("/health")
    report = answer.json()
    assert (answer.status_code, report["status"]) == (200, "ok")
    assert report["parts"]["database"]["answer_ms"] >= 0
    assert report["data"]["ql-lightcurve"]["latest"] == "2021-06-07T00:00:00Z"


def test_a_silent_database_gives_503_and_no_address(client, lab):
    lab.away = True
    for path in ("/health", "/", f"/api/v1/flares?{DAY}", f"/api/v1/lightcurve?{DAY}"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert "27017" not in answer.text
    assert client.get(f"/api/v1/flares?{DAY}").headers["retry-after"] == "30"


def test_a_service_that_died_shows_in_health(client, tmp_path):
    folder = tmp_path / "run" / "services"
    folder.mkdir(parents=True)
    (folder / "worker.json").write_text(
        '{"pid": 4194300, "started": "2021-06-06T00:00:00Z", "restarts": 2, "hub": 1}'
    )
    report = client.get("/health").json()
    assert (report["status"], report["parts"]["worker"]["ok"]) == ("degraded", False)


def test_the_service_connects_when_the_database_comes_back(tmp_path):
    from stixlab.errors import CatalogError

    answers = [CatalogError("away"), SmallLab(tmp_path)]

    def connect():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = Client(create_app(connect, Settings(home=tmp_path)))
    assert client.get("/api/v1/products").status_code == 503
    assert client.get("/api/v1/products").status_code == 200


def test_the_front_page_shows_latest_data_flares_and_that_it_is_simulated(client):
    html = client.get("/").text
    for words in (
        "SIMULATED DATA.",
        "Quicklook light curve",
        "2021-06-07 00:00:00",
        "2021-06-06 17:00:02",
        "<polyline",
    ):
        assert words in html
    assert not re.search(r"""(src|href)=["']?https?://""", html), "everything comes from here"


def test_an_empty_archive_is_said_to_be_empty(client, lab):
    lab.empty = True
    answer = client.get("/")
    assert (answer.status_code, "The archive is empty" in answer.text) == (200, True)


def test_people_get_a_page_and_programs_get_json(client):
    page = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, "Nothing here" in page.text) == (404, True)
    assert client.get("/nowhere").json()["error"]["message"].startswith("/nowhere")


def test_an_unforeseen_error_is_logged_and_not_shown(client, lab, caplog):
    def fail(**_):
        raise RuntimeError("private detail")

    lab.catalog.flares.find = fail
    answer = client.get(f"/api/v1/flares?{DAY}")
    assert answer.status_code == 500
    assert "private detail" not in answer.text
    assert "private detail" in caplog.text


def test_every_answer_keeps_browsers_strict(client):
    for path in ("/", "/health", "/data/fits/", "/static/site.js", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_texts_are_compressed_and_files_are_not(client):
    assert client.get(f"/api/v1/lightcurve?{HOUR}").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/data/fits/L1/2021/06/06/QL/light.fits").headers


def test_the_interface_describes_itself_and_only_reads(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/lightcurve", "/api/v1/flares", "/api/v1/products", "/health"} <= set(paths)
    assert {method for each in paths.values() for method in each} == {"get"}
    assert client.post("/api/v1/flares").status_code == 405


def test_the_scripts_of_the_plots_are_served_from_here(client):
    assert client.get("/static/bokeh/bokeh.min.js").status_code == 200
    assert client.get("/static/site.css").headers["cache-control"] == "public, max-age=3600"
