"""Data requests from the FITS products of others: one product each, until their packets arrive."""

from dataclasses import replace

import pytest

from tests.support.chain import Chain, new_chain

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
