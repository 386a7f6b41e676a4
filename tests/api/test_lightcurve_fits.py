"""The FITS file of an interval: with the header that files of the archive have."""

import io
import tempfile
from pathlib import Path

import pytest
from astropy.io import fits

from stixlab.api.app import create_app
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.merging import content_sha256
from tests.support.asgi import Client
from tests.support.chain import new_chain
from tests.support.light_curves import day_of_packets


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve")
    chain = new_chain(folder / "home")
    blocks = day_of_packets(seed=5, n_packets=4, start="2021-06-05T10:00:00")
    (folder / "tm.bin").write_bytes(b"".join(bytes(b.data) for b in blocks))
    assert not chain.ingest(folder / "tm.bin").failed
    return chain


@pytest.fixture
def client(chain, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Client(create_app(chain.lab, chain.lab.settings))


@pytest.mark.filterwarnings("error")
def test_the_header_is_that_of_the_archive(chain, client, tmp_path):
    answer = client.get("/api/v1/lightcurve?start=2021-06-05&end=2021-06-06&format=fits")
    header = fits.getheader(io.BytesIO(answer.content))
    (product,) = chain.lab.products(type="ql-lightcurve")
    stored = fits.getheader(chain.archive.path(product.fits))
    changing = {"FILENAME", "DATE", "CHECKSUM", "DATASUM"}
    assert {k: v for k, v in header.items() if k not in changing} == {
        k: v for k, v in stored.items() if k not in changing
    }
    assert {"HGLN_OBS", "DSUN_OBS", "EAR_TDEL", "CRLN_OBS"} <= set(header)
    assert header["FILENAME"] == "solo_stix_ql-lightcurve_20210605-20210606.fits"
    assert header["FILENAME"] in answer.headers["content-disposition"]
    ds = read_fits(Path("a.fits"), chain.lab.clock, content=answer.content)
    assert content_sha256(ds) == content_sha256(chain.lab.open("ql-lightcurve", "2021-06-05", "2021-06-06"))
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_leaves_nothing_behind(client, tmp_path):
    assert client.get("/api/v1/lightcurve?start=2023-06-05&format=fits").status_code == 404
    assert list(tmp_path.iterdir()) == []
