"""Products of days that are not complete: their names, headers and records, and what becomes of them later."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stixlab.ingest import assemble
from stixlab.ingest.completeness import judge_day
from stixlab.ingest.reprocess import reprocess
from stixlab.products.completeness import Completeness, span_of_bins
from stixlab.simulation import simulate
from tests.support.chain import Chain, new_chain
from tests.support.light_curves import day_of_packets, light_curve_dataset
from tests.support.records import raw_file

CURVE = "L1_ql-lightcurve_20210117_flight"
N_BINS = 540
"""Of a packet: 40 of them make a day."""
ONE_LOST = "2160 s are missing: a gap from 2021-01-17T03:00:00 to 2021-01-17T03:36:00"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


@pytest.fixture(scope="session")
def packets() -> list:
    return day_of_packets(n_packets=40, n_bins=N_BINS, start="2021-01-17T00:00:00.5")


def take(chain: Chain, path: Path, blocks) -> None:
    path.write_bytes(b"".join(b.data.tobytes() for b in blocks))
    report = chain.ingest(path)
    assert not report.failed, report.as_document()


def header_of(chain: Chain, product) -> fits.Header:
    return fits.getheader(chain.archive.path(product.fits))


def test_a_day_of_which_every_fifth_packet_is_missing_is_incomplete(chain, packets, tmp_path):
    take(chain, tmp_path / "a.bin", [b for n, b in enumerate(packets) if n % 5])
    (product,) = chain.catalog.products.find()
    assert Path(product.fits).name == "solo_L1_stix-ql-lightcurve_20210117_V01U.fits"
    assert product.complete is False
    assert product.why == (
        "17281 s are missing: 8 gaps, the first from 2021-01-17T00:00:00 to 2021-01-17T00:36:00"
    )
    header = header_of(chain, product)
    assert (header["COMPLETE"], header["INCOMPL"]) == (False, product.why)
    assert (header["FILENAME"], header["VERSION"]) == (Path(product.fits).name, "01")


def test_a_day_is_complete_when_its_last_packet_has_arrived(chain, packets, tmp_path):
    """With another content a new version, which loses the U."""
    take(chain, tmp_path / "a.bin", packets[:5] + packets[6:])
    (first,) = chain.catalog.products.find()
    assert (first.complete, first.why, first.version) == (False, ONE_LOST, 1)
    take(chain, tmp_path / "b.bin", [packets[5]])
    (second,) = chain.catalog.products.find()
    assert (second.complete, second.why, second.version) == (True, "", 2)
    assert second.fits == first.fits.replace("_V01U", "_V02")
    header = header_of(chain, second)
    assert header["COMPLETE"] is True
    assert "INCOMPL" not in header
    assert chain.archive.path(first.fits).is_file(), "the earlier version stays"


def test_the_order_of_arrival_does_not_show(packets, tmp_path):
    found = []
    for number, order in enumerate(([packets[:9], packets[8:]], [packets[8:], packets[:9]])):
        chain = new_chain(tmp_path / str(number))
        for blocks in order:
            take(chain, tmp_path / f"{len(blocks)}.bin", blocks)
        (product,) = chain.catalog.products.find()
        found.append((product.complete, product.why, product.start, product.end, product.fits))
    assert found[0] == found[1]
    assert found[0][:2] == (True, "")


def test_another_rule_renews_name_and_header_without_a_new_version(chain, packets, tmp_path, monkeypatch):
    take(chain, tmp_path / "a.bin", packets[:5] + packets[6:])
    (before,) = chain.catalog.products.find()
    monkeypatch.setattr(assemble, "judge_day", lambda *_: Completeness(complete=True))
    reprocess(chain.ingestor, again=True)
    (after,) = chain.catalog.products.find()
    assert (after.complete, after.why, after.version) == (True, "", 1)
    assert (after.content_sha256, after.created) == (before.content_sha256, before.created)
    assert Path(after.fits).name == "solo_L1_stix-ql-lightcurve_20210117_V01.fits"
    assert header_of(chain, after)["COMPLETE"] is True
    monkeypatch.undo()
    reprocess(chain.ingestor, again=True)
    assert chain.catalog.products.find() == [before]


def test_other_code_renews_the_header(chain, packets, tmp_path, monkeypatch):
    """A header of which a mistake was mended is written again; the same once more changes no byte."""
    take(chain, tmp_path / "a.bin", packets[:3])
    (before,) = chain.catalog.products.find()
    content = chain.archive.path(before.fits).read_bytes()
    inputs = before.provenance["inputs"] | {"code": "other"}
    chain.archive.path(before.fits).write_bytes(b"as it was written by an older version")
    chain.catalog.products.save(replace(before, provenance=before.provenance | {"inputs": inputs}))
    report = reprocess(chain.ingestor)
    assert (report.why, report.changed) == ({"code": 1}, [])
    assert chain.catalog.products.find() == [before]
    assert chain.archive.path(before.fits).read_bytes() == content


@pytest.mark.parametrize(
    ("start", "end"), [("2026-02-03T00:00", "2026-02-04T00:00"), ("2026-11-21T00:00", "2026-11-22T00:00")]
)
def test_a_simulated_day_is_complete(chain, tmp_path, start, end):
    """Every type, at both ends of the day, whatever the on-board clock shows then; of the list of flares nothing can be said."""
    simulate(start, end, out=tmp_path / "sim", seed=3)
    assert not chain.ingest(tmp_path / "sim").failed
    products = [p for p in chain.catalog.products.find() if not p.request]
    assert len({p.type for p in products}) == 9
    assert {p.product_id: p.why for p in products if not p.complete} == {}
    for product in products:
        assert product.fits.endswith("_V01.fits")
        header = header_of(chain, product)
        assert header.get("COMPLETE") is (None if product.type == "ql-tmstatusflarelist" else True)
        raw = sorted(f.name for f in (tmp_path / "sim").iterdir() if f.suffix in {".xml", ".bin"})
        assert set(header["RAW_FILE"].split(";")) <= set(raw)
        assert "PARENT" not in header


def test_all_times_of_a_product_lie_between_its_start_and_end(chain, tmp_path):
    """Those without a length too: housekeeping, and a list of flares alone."""
    simulate("2026-02-03T00:00", "2026-02-03T02:00", out=tmp_path / "sim", seed=3)
    chain.ingest(tmp_path / "sim")
    products = chain.catalog.products.find()
    assert {"hk-maxi", "hk-mini", "ql-tmstatusflarelist"} <= {p.type for p in products}
    for product in products:
        if product.request:
            continue
        assert product.start < product.end
        assert product.end.microsecond % 1000 == 0
        with chain.lab.open(product.type, product.start, product.end, origin=product.origin) as ds:
            assert ds.sizes["time"] == product.n_times, product.product_id


def test_the_span_of_bins_is_of_whole_milliseconds():
    ns = np.array([["2021-01-17T00:00:00.000999", "2021-01-17T00:00:04.000001"]], dtype="M8[ns]")
    start, end = span_of_bins(ns)
    assert (start.microsecond, end.microsecond) == (0, 1000)
    point = np.array([["2021-01-17T00:00:00.5", "2021-01-17T00:00:00.5"]], dtype="M8[ns]")
    start, end = span_of_bins(point)
    assert (start.microsecond, end.microsecond) == (500_000, 501_000)
    whole = np.array([["2021-01-17", "2021-01-18"]], dtype="M8[ns]")
    assert [t.day for t in span_of_bins(whole)] == [17, 18]


OFFICIAL = "solo_L1_stix-ql-lightcurve_20210117_"


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        ([f"{OFFICIAL}V02.fits"], True),
        ([f"{OFFICIAL}V02.fits.gz"], True),
        ([f"{OFFICIAL}V02U.fits"], False),
        ([f"{OFFICIAL}V02U.fits", f"{OFFICIAL}V03.fits"], True),
        ([f"{OFFICIAL}V01.fits"], False),  # before there was a U: by what it covers
        (["solo_L1A_stix-ql-lightcurve_20210117_010104_V02.fits"], False),  # not of a whole day
        ([f"{OFFICIAL}V02.fits", "a.bin"], False),  # with telemetry
    ],
)
def test_files_of_others_say_it_by_their_names(names, complete):
    """Of some minutes of a day."""
    files = [raw_file(n, names=(n,), kind="edds-tm" if n.endswith("bin") else "fits") for n in names]
    found = judge_day([light_curve_dataset()], files, np.datetime64("2021-01-17"))
    assert found.complete is complete
    assert bool(found.why) is not complete


def test_an_import_that_says_that_it_is_incomplete_is(chain, packets, tmp_path):
    """Until telemetry fills it; then what is covered decides."""
    source = new_chain(tmp_path / "source")
    take(source, tmp_path / "a.bin", packets)
    (whole,) = source.catalog.products.find()
    path = tmp_path / f"{OFFICIAL}V02U.fits"
    path.write_bytes(source.archive.path(whole.fits).read_bytes())
    assert not chain.ingestor.import_files([path]).failed
    (product,) = chain.catalog.products.find()
    assert (product.complete, product.why) == (False, f"{path.name} says so by its name")
    header = header_of(chain, product)
    assert header["PARENT"] == path.name
    assert "RAW_FILE" not in header
    take(chain, tmp_path / "b.bin", packets[:1])
    (product,) = chain.catalog.products.find()
    assert (product.complete, product.version) == (True, 1)
    assert Path(product.fits).name == f"{OFFICIAL}V01.fits"
    header = header_of(chain, product)
    assert (header["PARENT"], header["RAW_FILE"]) == (path.name, "b.bin")
