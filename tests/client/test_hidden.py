"""What an operator has hidden is refused to everybody else, whichever way it is asked for."""

from dataclasses import replace

import pytest

from stixlab.api.app import create_app
from stixlab.archive.trash import hide, show
from stixlab.errors import AccessError, NotInCatalogError
from tests.support.asgi import Client
from tests.support.chain import Chain, chain_of
from tests.support.fits_products import CREATED
from tests.support.light_curves import day_of_packets

CPD = "l1/sci/solo_L1_stix-sci-xray-cpd_20200505T235959-20200506T000019_V01_0087031809-50883.fits"
PRODUCT = "L1_sci-xray-cpd_0087031809-50883_flight"
CURVE = "L1_ql-lightcurve_20210605_flight"


@pytest.fixture(scope="module")
def received(tmp_path_factory, real_data) -> Chain:
    blocks = day_of_packets(seed=5, n_packets=2, start="2021-06-05T00:01:00")
    chain = chain_of(tmp_path_factory.mktemp("hidden"), *blocks)
    assert not chain.ingestor.import_files([real_data / CPD]).failed
    return chain


@pytest.fixture
def chain(received, tmp_path) -> Chain:
    return received.copy(tmp_path / "home")


def of_role(chain, access):
    return replace(chain.lab, settings=chain.lab.settings.model_copy(update={"access": access}))


@pytest.mark.parametrize("role", ["team", "public"])
def test_it_is_refused_by_its_id(chain, tmp_path, role):
    lab = of_role(chain, role)
    before = lab.products(type="sci-xray-cpd")[0]
    hide(chain.catalog, chain.archive, PRODUCT, who="tester", reason="a secret reason")
    ways = [
        lambda: lab.fetch(PRODUCT, tmp_path / "out"),
        lambda: lab.fetch(before, tmp_path / "out"),
        lambda: lab.fetch([PRODUCT], tmp_path / "out"),
        lambda: lab.open("sci-xray-cpd", request_id=PRODUCT),
        lambda: lab.open("sci-xray-cpd", request_id=f" {PRODUCT}"),
        lambda: lab.explain(PRODUCT),
    ]
    for way in ways:
        with pytest.raises(AccessError) as caught:
            way()
        assert "secret" not in caught.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("role", ["team", "operator"])
def test_it_is_not_found_by_time_or_request(chain, role):
    lab = of_role(chain, role)
    for product in (PRODUCT, CURVE):
        hide(chain.catalog, chain.archive, product, who="tester", reason="a test")
    assert lab.products() == []
    with pytest.raises(NotInCatalogError):
        lab.open("sci-xray-cpd", request_id=87_031_809)
    with pytest.raises(NotInCatalogError):
        lab.open("sci-xray-cpd", "2020-05-05", "2020-05-07")
    with pytest.raises(NotInCatalogError):
        lab.open("ql-lightcurve", "2021-06-05", "2021-06-06")


def test_an_operator_gets_it_and_shows_it_again(chain, tmp_path):
    hide(chain.catalog, chain.archive, PRODUCT, who="tester", reason="a test")
    assert chain.lab.fetch(PRODUCT, tmp_path).is_file()
    assert chain.lab.open("sci-xray-cpd", request_id=PRODUCT).sizes["time"] == 5
    assert chain.lab.explain(PRODUCT).id == PRODUCT
    show(chain.catalog, chain.archive, PRODUCT, who="tester", reason="done")
    assert of_role(chain, "team").fetch(PRODUCT, tmp_path).is_file()


def test_a_request_does_not_name_it_to_others(chain):
    (request,) = {p.request for p in chain.catalog.products.find(type="sci-xray-cpd")}
    hide(chain.catalog, chain.archive, PRODUCT, who="tester", reason="a test")
    if chain.catalog.requests.get(request) is not None:
        assert of_role(chain, "team").explain(request).products == ()
        assert chain.lab.explain(request).products == (PRODUCT,)


def test_the_http_service_gives_it_to_nobody(chain):
    lab = of_role(chain, "public")
    client = Client(create_app(lab, lab.settings))
    urls = {p.product_id: f"/data/{p.fits}" for p in lab.products()}
    assert {client.get(u).status_code for u in urls.values()} == {200}
    superseded = chain.archive.path(lab.products(type="sci-xray-cpd")[0].fits.replace("_V01_", "_V00_"))
    superseded.write_bytes(b"an earlier version")
    for product in urls:
        hide(chain.catalog, chain.archive, product, who="tester", reason="a test")
    for url in (*urls.values(), urls[PRODUCT].replace("_V01_", "_V00_")):
        assert client.get(url).status_code == 404
        listing = client.get(url.rsplit("/", 1)[0] + "/")
        assert url.rsplit("/", 1)[1] not in listing.text
    assert client.get("/api/v1/products").json()["found"] == 0
    assert client.get("/api/v1/lightcurve?start=2021-06-05").status_code == 404


def test_a_product_without_a_file_is_told(chain, tmp_path):
    chain.catalog.products.save(replace(chain.catalog.products.get(PRODUCT), fits="", created=CREATED))
    with pytest.raises(NotInCatalogError, match="no FITS form"):
        chain.lab.fetch(PRODUCT, tmp_path)
