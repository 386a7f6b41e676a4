"""Data requests from the FITS products of others: one product each, until their packets arrive."""

from dataclasses import replace

import pytest
from astropy.io import fits

from stixlab.ingest.reprocess import reprocess
from tests.support.chain import Chain, new_chain
from tests.support.science import aspect_burst, pixel_request

CPD = "l1/sci/solo_L1_stix-sci-xray-cpd_20200505T235959-20200506T000019_V01_0087031809-50883.fits"
SPEC = "l1/sci/solo_L1_stix-sci-xray-spec_20200505T235959-20200506T000019_V01_0087031812-50886.fits"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


def test_an_official_product_is_opened_by_its_request(chain, real_data):
    report = chain.ingestor.import_files([real_data / CPD, real_data / SPEC])
    assert not report.failed, report.as_document()
    found = {p.type: p for p in chain.catalog.products.find()}
    assert set(found) == {"sci-xray-cpd", "sci-xray-spec"}
    product = found["sci-xray-cpd"]
    assert product.product_id == "L1_sci-xray-cpd_0087031809-50883_flight"
    assert (product.request_id, product.complete, product.version) == (87_031_809, True, 1)
    ds = chain.lab.open("sci-xray-cpd", request_id=87_031_809)
    assert ds.sizes["time"] == product.n_times
    again = chain.lab.open("sci-xray-cpd", "2020-05-05T23:59", "2020-05-06T00:01")
    assert again.sizes == ds.sizes
    found = chain.lab.explain(product.product_id)
    assert found.sources[0].names == (CPD.rsplit("/", 1)[-1],)
    assert found.n_packets == 0


def test_the_same_again_changes_nothing(chain, real_data, tmp_path):
    chain.ingestor.import_files([real_data / CPD])
    before = chain.catalog.products.find()
    assert chain.ingestor.import_files([real_data / CPD]).products == []
    assert chain.catalog.products.find() == before


def test_packets_come_before_an_imported_product(chain, real_data, tmp_path):
    """What was made of packets is not replaced by an import."""
    chain.ingestor.import_files([real_data / CPD])
    (imported,) = chain.catalog.products.find()
    ours = replace(imported, provenance={k: v for k, v in imported.provenance.items() if k != "source_level"})
    chain.catalog.products.save(ours)
    other = tmp_path / "other.fits"
    other.write_bytes((real_data / CPD).read_bytes() + bytes(2880))
    chain.ingestor.import_files([other])
    assert chain.catalog.products.find() == [ours]


def test_a_burst_of_our_own_is_the_same_request_when_it_is_imported(chain, tmp_path):
    """It has no number: time and sending decide, which the header tells."""
    source = new_chain(tmp_path / "source")
    (tmp_path / "a.bin").write_bytes(aspect_burst(3).data.tobytes())
    assert not source.ingest(tmp_path / "a.bin").failed
    (made,) = source.catalog.products.find()
    path = source.archive.path(made.fits)
    assert not chain.ingestor.import_files([path]).failed
    (imported,) = chain.catalog.products.find()
    assert (imported.product_id, imported.content_sha256) == (made.product_id, made.content_sha256)
    assert not source.ingestor.import_files([path]).failed
    assert source.catalog.products.find() == [made], "not a second time in its own archive"
    header = fits.getheader(chain.archive.path(imported.fits))
    assert header["PARENT"] == path.name
    assert "RAW_FILE" not in header


def test_an_import_under_a_name_of_earlier_is_renamed_not_doubled(chain, tmp_path):
    source = new_chain(tmp_path / "source")
    (tmp_path / "a.bin").write_bytes(aspect_burst(3).data.tobytes())
    source.ingest(tmp_path / "a.bin")
    (made,) = source.catalog.products.find()
    chain.ingestor.import_files([source.archive.path(made.fits)])
    (imported,) = chain.catalog.products.find()
    former = "sci-aspect-burst_t0001234567-0001234599_flight"
    inputs = imported.provenance["inputs"] | {"code": "older"}
    old = replace(imported, product_id=f"L1_{former}", request=former)
    chain.catalog.products.save(replace(old, provenance=old.provenance | {"inputs": inputs}))
    chain.catalog.products.delete(imported.product_id)
    reprocess(chain.ingestor)
    (again,) = chain.catalog.products.find()
    assert (again.product_id, again.request) == (imported.product_id, imported.request)
    assert chain.archive.replaced_s(again.zarr) == 0


def test_an_incomplete_request_is_still_incomplete_when_it_is_imported(chain, tmp_path):
    source = new_chain(tmp_path / "source")
    block = pixel_request(5).select([0, 1, 4])
    (tmp_path / "a.bin").write_bytes(block.data[block.offsets[0] : block.offsets[-1]].tobytes())
    source.ingest(tmp_path / "a.bin")
    (made,) = source.catalog.products.find()
    (request,) = source.catalog.requests.find()
    assert (made.complete, made.why) == (False, request.why)
    assert made.why
    header = fits.getheader(source.archive.path(made.fits))
    assert (header["INCOMPL"], header["RAW_FILE"]) == (made.why, "a.bin")
    chain.ingestor.import_files([source.archive.path(made.fits)])
    (imported,) = chain.catalog.products.find()
    assert (imported.product_id, imported.complete, imported.why) == (made.product_id, False, made.why)
    assert "V01U" in imported.fits
