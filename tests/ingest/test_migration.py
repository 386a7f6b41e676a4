"""Archives of older versions are brought up to date from their raw files."""

import dataclasses

import pytest

from stixlab.archive.schema import ARCHIVE_VERSION, archive_version
from stixlab.archive.verify import verify_archive
from stixlab.catalog.stores import SCHEMA_VERSION
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest import Ingestor
from stixlab.ingest.migration import bring_up_to_date
from stixlab.timing import to_datetime64
from tests.support.archives import filled
from tests.support.columns import light_curve, random_codes
from tests.support.light_curves import day_of_packets


@pytest.fixture
def old(tmp_path):
    """What an ingest of version 1 left: packets as ``.npz``, records that say nothing of structures and requests."""
    archive, catalog, _ = filled(tmp_path / "archive")
    ingestor = Ingestor(
        catalog=catalog, archive=archive, versions=load_versions(), clock=load_clock(None), processes=1
    )
    for number in range(2):
        blocks = day_of_packets(seed=number, n_packets=2, start=f"2021-06-0{number + 5}T00:01:00")
        (tmp_path / f"tm{number}.bin").write_bytes(b"".join(bytes(b.data) for b in blocks))
    ingestor.ingest(sorted(tmp_path.glob("tm*.bin")))
    now = {f.sha256: f for f in catalog.raw_files.find()}
    assert len(now) == 2
    for each in now.values():
        path = archive.path(f"packets/{each.sha256[:2]}/{each.sha256}.packets")
        path.rename(path.with_suffix(".npz"))
        catalog.raw_files.save(dataclasses.replace(each, structures={}, requests=()))
    archive.path("schema.json").unlink()
    catalog.set_schema_version(1)
    return ingestor, archive, catalog, now


def test_all_is_as_if_ingested_now(old):
    ingestor, archive, catalog, now = old
    products = catalog.products.find()
    report = bring_up_to_date(ingestor, archive)
    assert (report.steps, report.n_files, report.problems) == ([1], 2, [])
    assert archive_version(archive) == ARCHIVE_VERSION
    assert catalog.schema_version == SCHEMA_VERSION
    assert {f.sha256: f for f in catalog.raw_files.find()} == now
    assert catalog.products.find() == products
    assert not list(archive.root.rglob("*.npz.packets")) + list(archive.root.glob("packets/*/*.npz"))
    records = {"raw_files": catalog.raw_files.find(), "products": products}
    assert verify_archive(archive, **records).ok
    again = bring_up_to_date(ingestor, archive)
    assert (again.steps, again.n_files) == ([], 0)


def test_a_raw_file_that_is_missing_holds_the_version_back(old):
    ingestor, archive, catalog, now = old
    gone = next(iter(now))
    raw = archive.path(f"raw/{gone[:2]}/{gone}")
    kept = raw.read_bytes()
    raw.unlink()
    report = bring_up_to_date(ingestor, archive)
    assert report.steps == []
    assert "missing" in report.problems[0]
    assert archive_version(archive) == 1
    raw.write_bytes(kept)
    assert bring_up_to_date(ingestor, archive).steps == [1]
    assert catalog.raw_files.get(gone) == now[gone]


def test_a_hidden_product_stays_hidden_when_its_day_is_made_again(old, tmp_path):
    ingestor, archive, catalog, _ = old
    bring_up_to_date(ingestor, archive)
    product = catalog.products.find()[0]
    catalog.products.save(dataclasses.replace(product, hidden="wrong clock"))
    late = light_curve(
        random_codes(7, 50), coarse=int(ingestor.clock.to_scet(to_datetime64(product.end))[0]) + 400
    )
    (tmp_path / "late.bin").write_bytes(bytes(late.data))
    ingestor.ingest([tmp_path / "late.bin"])
    again = catalog.products.get(product.product_id)
    assert again.n_times == product.n_times + 50
    assert again.version == product.version + 1
    assert again.hidden == "wrong clock"
    assert product.product_id not in {p.product_id for p in catalog.products.find()}
