"""Single records over HTTP, and HEAD: what everyone may see, and no more."""

import json
from dataclasses import replace

import pytest

from stixlab.api.app import create_app
from stixlab.archive.trash import hide
from stixlab.plots.lightcurve import light_curve_figure
from tests.support.asgi import Client
from tests.support.chain import Chain, chain_of, new_chain
from tests.support.light_curves import day_of_packets
from tests.support.records import flare
from tests.support.science import pixel_request

CURVE = "L1_ql-lightcurve_20210605_flight"
OTHER = "L1_ql-lightcurve_20210606_flight"
PIXELS = "L1_sci-xray-cpd_2505080001-50001_flight"


@pytest.fixture(scope="module")
def received(tmp_path_factory) -> Chain:
    """Two days of light curves, a request, a flare of both days with its run."""
    folder = tmp_path_factory.mktemp("records")
    chain = new_chain(folder / "home")
    blocks = [b for d in (5, 6) for b in day_of_packets(seed=d, n_packets=2, start=f"2021-06-0{d}T00:01:00")]
    (folder / "tm.bin").write_bytes(b"".join(b.data.tobytes() for b in [*blocks, pixel_request(4)]))
    assert not chain.ingest(folder / "tm.bin").failed
    start = chain.catalog.products.get(CURVE).start
    run = {"pipeline": "flare_list", "parameters": {"start": "x"}, "run_id": "flare_list-01", "machine": "m"}
    chain.catalog.flares.save(
        replace(flare(), flare_id="2106050001", start=start, peak=start, end=chain.catalog.products.get(CURVE).end,
                run_id="flare_list-01", products=(CURVE, OTHER), origin="flight")
    )  # fmt: skip
    (chain.archive.run_folder("flare_list-01") / "flare_list.ipynb").write_text(
        json.dumps({"metadata": {"stixlab": run}})
    )
    return chain


@pytest.fixture
def chain(received, tmp_path) -> Chain:
    return received.copy(tmp_path / "home")


@pytest.fixture
def client(chain):
    return Client(create_app(chain.lab, chain.lab.settings))


def test_a_product_by_its_id_is_that_of_the_list(client):
    listed = {p["product_id"]: p for p in client.get("/api/v1/products").json()["products"]}
    for name in (CURVE, OTHER, PIXELS):
        assert client.get(f"/api/v1/products/{name}").json() == listed[name]
    assert client.get(listed[CURVE]["url"]).status_code == 200
    answer = client.get("/api/v1/products/nothing")
    assert (answer.status_code, "lists those there are" in answer.text) == (404, True)


@pytest.mark.parametrize("name", [CURVE, PIXELS, "2106050001", "2106050001_flight"])
def test_where_it_comes_from_is_what_the_lab_says(client, chain, name):
    document = chain.lab.explain(name).as_document()
    answer = client.get(f"/api/v1/explain/{name}").json()
    for key in ("id", "kind", "products", "changed", "n_packets"):
        assert answer[key] == document[key]
    assert answer["inputs"] == document["software"]["inputs"]
    assert [s["packets"] for s in answer["sources"]] == [s["packets"] for s in document["sources"]]
    assert answer["n_packets"] > 0


@pytest.mark.parametrize("name", [CURVE, PIXELS, "2106050001"])
def test_nothing_of_the_machine_or_the_team_is_told(client, chain, name):
    text = client.get(f"/api/v1/explain/{name}").text
    for secret in (str(chain.home), "zarr", "parameters", "machine", "fits/", "hidden"):
        assert secret not in text
    assert client.get("/api/v1/explain/2106050001").json()["run"] == {
        "run_id": "flare_list-01",
        "pipeline": "flare_list",
    }


def test_what_is_hidden_is_not_there_whatever_the_rights_of_the_service(client, chain):
    hide(chain.catalog, chain.archive, CURVE, who="tester", reason="a secret reason")
    for path in (f"/api/v1/products/{CURVE}", f"/api/v1/explain/{CURVE}"):
        for answer in (client.get(path), client.get("/api/v1/products")):
            assert "secret" not in answer.text
        assert client.get(path).status_code == 404
    flare_told = client.get("/api/v1/explain/2106050001").json()
    assert flare_told["products"] == [OTHER]
    assert CURVE not in json.dumps(flare_told)


def test_packets_requests_and_runs_are_for_the_team(client, chain):
    packet = chain.lab.explain(CURVE).sources[0].packets.ids()[0]
    for name in (packet, "sci-xray-cpd_2505080001-50001_flight", "flare_list-0123456789abcdef", "x" * 5000):
        answer = client.get(f"/api/v1/explain/{name}")
        assert answer.status_code == 404
        assert len(answer.content) < 1000


def test_both_are_described(client):
    document = client.get("/api/v1/openapi.json").json()
    for path, model in (
        ("products/{product_id}", "PublicProduct"),
        ("explain/{identity}", "PublicExplanation"),
    ):
        answer = document["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]
        assert answer["content"]["application/json"]["schema"]["$ref"].endswith(f"/{model}")
        assert document["components"]["schemas"][model]["properties"]
    assert {method for each in document["paths"].values() for method in each} == {"get"}


def test_head_gives_the_headers_of_get_and_nothing_else(client, chain):
    fits = f"/data/{chain.catalog.products.get(CURVE).fits}"
    for path in (fits, "/data/fits/", "/data", "/", f"/api/v1/products/{CURVE}", "/static/site.css", "/nowhere", "/api/v1/flares"):  # fmt: skip
        got, head = client.get(path), client.request("HEAD", path)
        assert head.status_code == got.status_code
        assert head.content == b""
        changing = {"date"}
        assert {k: v for k, v in head.headers.items() if k not in changing} == {
            k: v for k, v in got.headers.items() if k not in changing
        }
    assert int(client.request("HEAD", fits).headers["content-length"]) == len(client.get(fits).content) > 2880
    part = client.request("HEAD", fits, headers={"Range": "bytes=0-5"})
    assert part.status_code == 200
    assert client.post(fits).status_code == 405


def test_head_of_a_file_does_not_read_it(client, chain, monkeypatch):
    from starlette.responses import FileResponse

    def refuse(*_):
        raise AssertionError("the file is read")

    monkeypatch.setattr(FileResponse, "_open_file", refuse)
    assert client.request("HEAD", f"/data/{chain.catalog.products.get(CURVE).fits}").status_code == 200


@pytest.mark.parametrize("form", ["json", "csv", "fits"])
def test_a_download_over_a_change_of_bands_names_the_ranges_to_take(tmp_path, form):
    mask = sum(1 << e for e in (1, 7, 12, 17, 23, 31))
    chain = chain_of(
        tmp_path,
        *day_of_packets(seed=5, n_packets=2, start="2021-06-05T00:01:00"),
        *day_of_packets(n_packets=2, start="2021-06-06T12:00:00", edge_mask=mask),
    )
    client = Client(create_app(chain.lab, chain.lab.settings))
    address = f"/api/v1/lightcurve?format={form}&start=2021-06-05&end="
    with pytest.warns(UserWarning, match="energy bands change"):
        answer = client.get(f"{address}2021-06-07")
    assert answer.status_code == 400
    assert "; 2021-06-06T1" in answer.json()["error"]["message"]
    with pytest.warns(UserWarning, match="energy bands change"):
        page = light_curve_figure(chain.lab.open("ql-lightcurve", "2021-06-05", "2021-06-07"), [])
    assert page is not None
    assert client.get(f"{address}2021-06-06").status_code == 200
