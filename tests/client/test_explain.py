"""Where things come from: every packet named is one that was received, and none is left out."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import AccessError, NotInCatalogError
from stixlab.settings import Settings
from stixlab.telemetry.writers import write_binary, write_edds_xml, write_hex, write_moc_ascii
from tests.support.chain import Chain, new_chain
from tests.support.packets import light_curves
from tests.support.records import flare
from tests.support.science import NOW, aspect_burst, pixel_request


class Counted:
    """A collection that counts what it is asked."""

    def __init__(self, collection, asked):
        self._collection, self._asked = collection, asked

    def __getattr__(self, name):
        if name in {"get", "find", "each"}:
            self._asked.append(name)
        return getattr(self._collection, name)


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    """Two files with light curves over a midnight, one of them with half of a request; the rest of it in the other."""
    folder: Path = tmp_path_factory.mktemp("explained")
    chain = new_chain(folder / "home")
    curves = light_curves(40, n_bins=580)
    pixels = pixel_request(5)
    for name, blocks in (
        ("first.bin", (curves.select(np.arange(0, 25)), pixels.select([0, 1, 4]))),
        ("second.bin", (pixels.select([2, 3]), curves.select(np.arange(20, 40)), aspect_burst(3))),
    ):
        path = folder / name
        path.write_bytes(b"".join(b.data[b.offsets[0] : b.offsets[-1]].tobytes() for b in blocks))
        assert not chain.ingest(path).failed
    return chain


def received(chain, source):
    """Bytes of the packets that an explanation names, from the raw file."""
    content = chain.archive.read_raw(source.sha256)
    places = zip(source.packets.offset_bytes.tolist(), source.packets.length_bytes.tolist(), strict=True)
    return [content[o : o + n] for o, n in places]


def count(chain, monkeypatch, name, attribute="_collection"):
    asked = []
    for store in (
        chain.catalog.products,
        chain.catalog.raw_files,
        chain.catalog.requests,
        chain.catalog.flares,
    ):
        monkeypatch.setattr(store, attribute, Counted(getattr(store, attribute), asked))
    found = chain.lab.explain(name)
    monkeypatch.undo()
    return found, len(asked)


def test_a_day_made_again_from_the_packets_named_is_the_same_day(chain, tmp_path, monkeypatch):
    products = chain.catalog.products.find(type="ql-lightcurve")
    assert len(products) >= 2
    for product in products:
        found, asked = count(chain, monkeypatch, product.product_id)
        assert asked <= 2
        assert found.kind == "product"
        again = new_chain(tmp_path / product.product_id)
        path = tmp_path / "again.bin"
        path.write_bytes(b"".join(b"".join(received(chain, s)) for s in found.sources))
        again.ingest(path)
        assert again.contents()[product.product_id] == product.content_sha256
        assert {s.names for s in found.sources} <= {("first.bin",), ("second.bin",)}
        assert found.changed == ()
    named = sum(chain.lab.explain(p.product_id).n_packets for p in products)
    assert 45 <= named <= 45 + 2 * len(products), "those over midnight twice, five that came twice, no others"


def test_the_packets_of_a_request(chain, monkeypatch):
    for name in ("L1_sci-xray-cpd_2505080001-50001_flight", "sci-xray-cpd_2505080001-50001_flight"):
        found, asked = count(chain, monkeypatch, name)
        assert asked <= 2
        assert found.n_packets == 5
        packets = {p for s in found.sources for p in received(chain, s)}
        block = pixel_request(5)
        assert packets == {block.packet(i) for i in range(5)}
        assert found.software["idb_version"]
        assert found.changed == ()


def test_packets_without_numbers(chain):
    (product,) = chain.catalog.products.find(type="sci-aspect-burst")
    found = chain.lab.explain(product.product_id)
    assert found.n_packets == 3


def test_one_of_two_bursts_of_a_day(tmp_path):
    chain = new_chain(tmp_path / "home")
    first, second = aspect_burst(3), aspect_burst(4, data=NOW - 5000, sent=NOW + 2000, first_count=300)
    (tmp_path / "a.bin").write_bytes(first.data.tobytes() + second.data.tobytes())
    chain.ingest(tmp_path / "a.bin")
    found = [chain.lab.explain(r.id) for r in chain.catalog.requests.find()]
    assert sorted(f.n_packets for f in found) == [3, 4]


def test_a_packet(chain, monkeypatch):
    product = chain.lab.explain("L1_sci-xray-cpd_2505080001-50001_flight")
    identity = product.sources[0].packets.ids()[0]
    found, asked = count(chain, monkeypatch, identity)
    assert asked <= 2
    assert (found.kind, found.n_packets) == ("packet", 1)
    assert received(chain, found.sources[0])[0] in {pixel_request(5).packet(i) for i in range(5)}


def test_a_flare_is_told_with_its_run_and_the_packets_of_its_time(chain, monkeypatch):
    (product, *_) = chain.catalog.products.find(type="ql-lightcurve")
    start = product.start + timedelta(hours=3)
    record = replace(
        flare(),
        start=start,
        peak=start + timedelta(minutes=2),
        end=start + timedelta(minutes=5),
        run_id="flare_list-0123",
        products=(product.product_id,),
    )
    chain.catalog.flares.replace(start, start + timedelta(hours=1), "flight", [record])
    folder = chain.archive.run_folder(record.run_id)
    told = {
        "run_id": record.run_id,
        "pipeline": "flare_list",
        "parameters": {"start": "x"},
        "machine": "here",
    }
    (folder / "flare_list.ipynb").write_text(json.dumps({"metadata": {"stixlab": told}}))
    found, asked = count(chain, monkeypatch, record.flare_id)
    assert asked <= 2
    assert found.run == {k: v for k, v in told.items() if k != "machine"}
    assert found.products == (product.product_id,)
    assert 1 <= found.n_packets <= 4
    assert found.software["inputs"]
    assert "run flare_list-0123: flare_list start=x" in str(found)


def test_a_flare_is_found_whatever_its_origin(chain, monkeypatch):
    (product, *_) = chain.catalog.products.find(type="ql-lightcurve")
    start = product.start + timedelta(hours=7)
    times = {"start": start, "peak": start + timedelta(minutes=2), "end": start + timedelta(minutes=5)}
    simulated = replace(
        flare(),
        **times,
        flare_id="2101010707",
        run_id="",
        origin="simulated",
        products=(product.product_id,),
    )
    chain.catalog.flares.save(simulated)
    for name in ("2101010707", "2101010707_simulated"):
        found, asked = count(chain, monkeypatch, name)
        assert asked <= 2
        assert found.record["origin"] == "simulated"
    with pytest.raises(NotInCatalogError, match="there is nothing called"):
        chain.lab.explain("2101010707_flight")
    chain.catalog.flares.save(replace(simulated, origin="flight"))
    with pytest.raises(NotInCatalogError, match=r"2 origins .*: 2101010707_flight, 2101010707_simulated;"):
        chain.lab.explain("2101010707")
    assert chain.lab.explain("2101010707_flight").record["origin"] == "flight"


@pytest.mark.parametrize(
    "content", [b'{"cells": [], "meta', b'{"metadata": {}}', b"[]", b'{"metadata": {"stixlab": 3}}', None]
)
def test_a_run_whose_executed_notebook_cannot_be_read_is_told_with_the_reason(chain, content):
    (product, *_) = chain.catalog.products.find(type="ql-lightcurve")
    start = product.start + timedelta(hours=5)
    times = {"start": start, "peak": start + timedelta(minutes=2), "end": start + timedelta(minutes=5)}
    record = replace(flare(), **times, run_id="flare_list-4567", products=(product.product_id,))
    chain.catalog.flares.replace(start, start + timedelta(hours=1), "flight", [record])
    path = chain.archive.run_folder(record.run_id) / "flare_list.ipynb"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    found = chain.lab.explain(record.flare_id)
    why = "is not in the archive" if content is None else "flare_list.ipynb of this run cannot be read: "
    assert found.run["run_id"] == record.run_id
    assert why in found.run["problem"]
    assert found.run["problem"] in str(found)
    assert "`stixlab explain flare_list-4567`" in str(found)


def test_what_changed_since_is_named(chain, monkeypatch):
    from stixlab.ingest import provenance

    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    for name in ("L1_sci-xray-cpd_2505080001-50001_flight", "sci-xray-cpd_2505080001-50001_flight"):
        assert chain.lab.explain(name).changed == ("code",)
    assert "changed since: code" in str(chain.lab.explain("L1_sci-xray-cpd_2505080001-50001_flight"))


def test_the_document_is_plain(chain):
    document = chain.lab.explain("L1_sci-xray-cpd_2505080001-50001_flight").as_document()
    text = json.dumps(document, default=lambda v: v.isoformat())
    assert json.loads(text)["n_packets"] == 5
    assert datetime(2025, 5, 8, tzinfo=UTC) < document["record"]["start"]


@pytest.mark.parametrize(
    "name", ["", "nothing", "L1_ql-lightcurve_19700101_flight", "2501010000", "sci-xray-cpd_1-1_flight"]
)
def test_what_is_not_there_is_told(chain, name):
    with pytest.raises(NotInCatalogError, match="there is nothing called"):
        chain.lab.explain(name)


def test_packets_are_not_for_the_public(chain):
    lab = replace(chain.lab, settings=Settings(home=chain.home, access="public"))
    with pytest.raises(AccessError, match="public"):
        lab.explain("nothing")


def test_a_text_file_is_explained_by_its_bytes_too(tmp_path):
    chain = new_chain(tmp_path / "home")
    write_binary(light_curves(3), tmp_path / "a.bin")
    chain.ingest(tmp_path / "a.bin")
    (product, *_) = chain.catalog.products.find()
    assert f"packet {chain.lab.explain(product.product_id).sources[0].packets.ids()[0]}: byte 0" in str(
        chain.lab.explain(product.product_id)
    )


@pytest.mark.parametrize(
    ("form", "write"),
    [("xml", write_edds_xml), ("hex", write_hex), ("ascii", write_moc_ascii), ("binary", write_binary)],
)
def test_of_a_text_both_lengths_are_told(tmp_path, form, write):
    """Where a packet stands in a file of digits, and how many digits of it are there."""
    chain = new_chain(tmp_path / "home")
    block = light_curves(3)
    path = tmp_path / f"a.{form}"
    write(block, path)
    assert not chain.ingest(path).failed
    (product, *_) = chain.catalog.products.find(type="ql-lightcurve")
    record = replace(flare(), start=product.start, peak=product.start, end=product.end, products=(product.product_id,), run_id="")  # fmt: skip
    chain.catalog.flares.save(record)
    packet = chain.lab.explain(product.product_id).sources[0].packets.ids()[0]
    for name in (product.product_id, record.flare_id, packet):
        found = chain.lab.explain(name)
        content = path.read_bytes()
        for each in found.as_document()["sources"][0]["packets"]:
            offset, n_bytes, digits = (each[k] for k in ("offset_bytes", "length_bytes", "hex_digits"))
            assert digits == (0 if form == "binary" else 2 * n_bytes)
            there = content[offset : offset + (digits or n_bytes)]
            there = bytes.fromhex(there.decode()) if digits else there
            assert there in {block.packet(i) for i in range(3)}
        told = f"{n_bytes} bytes, {2 * n_bytes} hexadecimal digits in the file"
        assert (told in str(found)) is (form != "binary")
