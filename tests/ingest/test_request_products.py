"""Products of data requests: made at once, made again when the rest arrives, opened by number or time."""

from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import ArchiveError, NotInCatalogError, ParameterError, SchemaError
from stixlab.products.merging import content_sha256
from tests.support.chain import Chain, new_chain
from tests.support.science import NOW, aspect_burst, pixel_request, spectrogram_request

PIXELS = "L1_sci-xray-cpd_2505080001-50001_flight"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


def take(chain: Chain, folder: Path, name: str, *blocks):
    path = folder / name
    path.write_bytes(b"".join(b.data[b.offsets[0] : b.offsets[-1]].tobytes() for b in blocks))
    report = chain.ingest(path)
    assert not report.failed, report.as_document()
    return report


def test_a_request_becomes_a_product(chain, tmp_path):
    report = take(chain, tmp_path, "a.bin", pixel_request(5), spectrogram_request(2), aspect_burst(3))
    found = {p.product_id: p for p in chain.catalog.products.find()}
    assert {p["product_id"] for p in report.products} == set(found)
    assert {p.type for p in found.values()} == {"sci-xray-cpd", "sci-xray-spec", "sci-aspect-burst"}
    product = found[PIXELS]
    assert (product.version, product.complete, product.n_times) == (1, True, 10)
    assert (product.request, product.request_id) == ("sci-xray-cpd_2505080001-50001_flight", 2_505_080_001)
    assert set(product.provenance["inputs"]) == {"data", "definitions", "clock", "code", "place"}
    ds = chain.lab.open("sci-xray-cpd", request_id=2_505_080_001)
    assert content_sha256(ds) == product.content_sha256
    assert ds.attrs["complete"] == 1


def test_it_is_made_again_when_the_rest_arrives(chain, tmp_path):
    block = pixel_request(5)
    take(chain, tmp_path, "a.bin", block.select([0, 1, 4]))
    first = chain.catalog.products.get(PIXELS)
    assert (first.complete, first.version, first.n_times) == (False, 1, 6)
    assert chain.lab.open("sci-xray-cpd", request_id=2_505_080_001).attrs["complete"] == 0
    report = take(chain, tmp_path, "b.bin", block.select([2, 3]))
    (second,) = chain.catalog.products.find()
    assert [p["product_id"] for p in report.products] == [PIXELS]
    assert (second.complete, second.version, second.n_times, len(second.sources)) == (True, 2, 10, 2)
    assert chain.archive.path(first.zarr).exists(), "who has it open can still read it"
    assert chain.archive.replaced_s(first.zarr) > 0


def test_the_order_of_arrival_does_not_show(chain, tmp_path):
    block = pixel_request(5)
    take(chain, tmp_path, "a.bin", block.select([3, 1]))
    take(chain, tmp_path, "b.bin", block.select([4, 0, 1]))
    take(chain, tmp_path, "c.bin", block.select([2]))
    other = new_chain(tmp_path / "other")
    take(other, tmp_path, "d.bin", block)
    assert chain.contents() == other.contents()


def test_the_same_packets_in_another_file_change_the_sources_only(chain, tmp_path):
    block = pixel_request(3)
    take(chain, tmp_path, "a.bin", block)
    before = chain.catalog.products.get(PIXELS)
    report = take(chain, tmp_path, "b.bin", block.select([1]))
    after = chain.catalog.products.get(PIXELS)
    assert report.products == []
    assert (after.version, after.zarr, after.created) == (1, before.zarr, before.created)
    assert len(after.sources) == 2


def test_a_killed_ingest_is_made_good_by_the_same_call(chain, tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(pixel_request(3).data.tobytes())

    def fail(*_):
        raise ArchiveError("the disk is full")

    monkeypatch.setattr(chain.archive, "store_dataset", fail)
    with pytest.raises(ArchiveError, match="full"):
        chain.ingest(path)
    monkeypatch.undo()
    assert chain.catalog.products.find() == []
    assert len(chain.ingest(path).products) == 1


def test_requests_that_come_apart_leave_no_product_of_what_they_were(chain, tmp_path):
    """A burst over midnight that turns out to be two."""
    midnight = (NOW // 86_400 + 1) * 86_400
    burst = aspect_burst(6, sent=midnight - 25, sequence_flag=[1, 0, 2, 1, 0, 2])
    take(chain, tmp_path, "a.bin", burst.select([0, 1, 4, 5]))
    assert [p.complete for p in chain.catalog.products.find()] == [False]
    take(chain, tmp_path, "b.bin", burst.select([2]))
    take(chain, tmp_path, "c.bin", burst.select([3]))
    found = chain.catalog.products.find()
    assert [p.complete for p in found] == [True, True]
    assert {p.request for p in found} == {r.id for r in chain.catalog.requests.find()}


def test_a_hidden_product_stays_hidden_when_it_is_made_again(chain, tmp_path):
    from stixlab.archive import trash

    block = pixel_request(5)
    take(chain, tmp_path, "a.bin", block.select([0, 1]))
    trash.hide(chain.catalog, chain.archive, PIXELS, who="me", reason="wrong pixels")
    take(chain, tmp_path, "b.bin", block.select([2, 3, 4]))
    assert chain.catalog.products.find() == []
    (product,) = chain.catalog.products.find(hidden=True)
    assert (product.version, product.complete, product.hidden) == (2, True, "wrong pixels")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened")
    chain = new_chain(folder / "home")
    again = pixel_request(3, tc_sequence=50_009, first_count=200, sent=NOW + 900, seed=1)
    later = spectrogram_request(
        2, request=2_505_080_009, tc_sequence=50_010, stamp=NOW - 900, first_count=300, sent=NOW + 500
    )
    take(chain, folder, "a.bin", pixel_request(5), again, spectrogram_request(2, first_count=400), later)
    return chain.lab


@pytest.mark.parametrize(
    "name",
    ["2505080001-50001", "sci-xray-cpd_2505080001-50001_flight", PIXELS],
)
def test_by_each_of_its_names(lab, name):
    ds = lab.open("sci-xray-cpd", request_id=name)
    assert ds.sizes["time"] == 10
    assert ds.attrs["request_id"] == 2_505_080_001
    assert all(v.chunks is not None for v in ds.data_vars.values()), "lazy"


def test_a_number_that_was_sent_twice_asks_for_the_id(lab):
    with pytest.raises(NotInCatalogError, match=r"2505080001-50001_flight, .*2505080001-50009_flight"):
        lab.open("sci-xray-cpd", request_id=2_505_080_001)


def test_by_time_if_there_is_one(lab):
    ds = lab.open("sci-xray-spec", request_id=2_505_080_002)
    start, end = ds["time_bounds"].to_numpy().min(), ds["time_bounds"].to_numpy().max()
    half = start + (end - start) // 2
    part = lab.open("sci-xray-spec", start, half)
    assert 0 < part.sizes["time"] < ds.sizes["time"]
    assert (part["time"] < half).all()
    np.testing.assert_array_equal(part["counts"], ds["counts"][: part.sizes["time"]])


def test_by_time_if_there_are_several(lab):
    with pytest.raises(SchemaError, match=r"2 data requests have data of the range.*request_id="):
        lab.open("sci-xray-spec", "2025-05-08", "2025-05-09")


def test_mistakes_are_told(lab):
    with pytest.raises(ParameterError, match="found both"):
        lab.open("sci-xray-cpd", "2025-05-08", request_id=2_505_080_001)
    with pytest.raises(ParameterError, match="above 0"):
        lab.open("sci-xray-cpd", request_id=0)
    with pytest.raises(NotInCatalogError, match="stixlab requests"):
        lab.open("sci-xray-cpd", request_id=17)
    with pytest.raises(NotInCatalogError, match="stixlab requests"):
        lab.open("sci-xray-vis", request_id=2_505_080_001)
    with pytest.raises(NotInCatalogError, match="the nearest is 2025-05-08"):
        lab.open("sci-xray-spec", "2025-06-08", "2025-06-09")
