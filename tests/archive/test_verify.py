"""Every damage is found, named and told with its cure; what is whole is found whole."""

import dataclasses
import shutil
from datetime import timedelta

import pytest

from stixlab.archive.bookkeeping import rebuild_contents
from stixlab.archive.contents import read_contents
from stixlab.archive.schema import write_version
from stixlab.archive.trash import hide
from stixlab.archive.verify import verify_archive
from stixlab.idb import load_versions
from stixlab.model import RunStatus
from stixlab.telemetry.frames import PacketBlock
from tests.support.archives import TABLE, dates, day_dataset, filled, store_day, update
from tests.support.columns import light_curve, random_codes
from tests.support.records import run

DAYS = dates("2021-06-05", 2)


@pytest.fixture
def kept(tmp_path):
    """An archive with something of every kind."""
    archive, catalog, _ = filled(tmp_path / "archive", *DAYS)
    raw_file = catalog.raw_files.find()[0]
    block = PacketBlock.concatenate(
        [light_curve(random_codes(i, 5), coarse=664_000_000 + i) for i in range(8)]
    )
    with archive.write_packets(raw_file.sha256, load_versions()) as writer:
        writer.append(block)
    catalog.raw_files.save(dataclasses.replace(raw_file, packets={"ok": 8}))
    folder = archive.run_folder("r1")
    (folder / "notebook.ipynb").write_text("{}")
    catalog.runs.save(
        dataclasses.replace(run("r1"), status=RunStatus.SUCCEEDED, notebook="runs/r1/notebook.ipynb")
    )
    return archive, catalog


def verify(kept):
    archive, catalog = kept
    return verify_archive(
        archive,
        raw_files=catalog.raw_files.find(),
        products=catalog.products.find(hidden=None),
        runs=catalog.runs.find(),
    )


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def test_a_whole_archive_is_found_whole(kept):
    found = verify(kept)
    assert found.ok
    assert found.spare == []
    assert found.looked_at == {
        "schema": 1,
        "raw": 2,
        "packets": 1,
        "dataset": 2,
        "fits": 2,
        "run": 1,
        "contents": 1,
        "level": 5,
    }
    assert found.n_bytes > 10_000


def paths(kept):
    archive, catalog = kept
    product, raw_file = catalog.products.find()[0], catalog.raw_files.find()[0]
    level = read_contents(archive, "L1", "ql-lightcurve", "flight").levels[0]
    return {
        "raw": archive.path(f"raw/{raw_file.sha256[:2]}/{raw_file.sha256}"),
        "packets": archive.path(f"packets/{raw_file.sha256[:2]}/{raw_file.sha256}.packets"),
        "dataset": archive.path(product.zarr) / "triggers" / "c" / "0",
        "fits": archive.path(product.fits),
        "level": archive.path(level.key),
        "run": archive.path("runs/r1/notebook.ipynb"),
        "contents": archive.path("zarr/L1/ql-lightcurve/contents_flight.json"),
    }


@pytest.mark.parametrize("kind", ["raw", "packets", "dataset", "fits", "level"])
def test_a_flipped_bit_is_found(kept, kind):
    path = paths(kept)[kind]
    flip(path)
    (damage,) = verify(kept).damages
    assert damage.kind == kind
    assert damage.cure
    assert damage.key in str(path)
    if kind in ("dataset", "fits"):
        product = kept[1].products.find()[0]
        begin, end = (f"{t:%Y-%m-%d}" for t in (product.start, product.end + timedelta(days=1)))
        command = f"stixlab reprocess --again --type ql-lightcurve --start {begin} --end {end}"
        assert command in damage.cure


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8])
def test_a_flipped_bit_is_found_wherever_it_is_among_the_packets(kept, share):
    path = paths(kept)["packets"]
    content = bytearray(
        path.read_bytes()
    )  # of eight packets: no bytes without a meaning lie between the columns
    length = int.from_bytes(content[-16:-8], "little")
    content[int(share * (len(content) - 16 - length))] ^= 1
    path.write_bytes(content)
    found = verify(kept).damages
    assert [d.kind for d in found] == ["packets"]


@pytest.mark.parametrize("kind", ["raw", "packets", "dataset", "fits", "level", "run", "contents"])
def test_a_missing_file_is_found(kept, kind):
    paths(kept)[kind].unlink()
    found = verify(kept)
    assert [d.kind for d in found.damages] == [kind]
    assert not found.ok


def test_a_whole_dataset_that_is_missing_is_told_with_its_product(kept):
    archive, catalog = kept
    product = catalog.products.find()[1]
    shutil.rmtree(archive.path(product.zarr))
    (damage,) = verify(kept).damages
    assert (damage.product_id, damage.found) == (product.product_id, "it is missing")


def test_packets_of_another_file_are_found(kept):
    """Whole in themselves, and not those that the catalogue counted."""
    archive, catalog = kept
    raw_file = next(f for f in catalog.raw_files.find() if f.packets)
    with archive.write_packets(raw_file.sha256, load_versions()) as writer:
        writer.append(light_curve(random_codes(9, 5)))
    (damage,) = verify(kept).damages
    assert "expected 8 packets; found 1" in damage.found


def test_a_table_that_lags_behind_is_found_and_made_again(kept):
    archive, catalog = kept
    product = catalog.products.find()[0]
    catalog.products.save(dataclasses.replace(product, hidden="for a test"))
    assert [d.kind for d in verify(kept).damages] == ["contents"]
    assert rebuild_contents(archive, catalog.products.find(), **TABLE)
    assert verify(kept).ok


def test_a_damaged_table_is_made_again_from_nothing(kept):
    archive, catalog = kept
    path = paths(kept)["contents"]
    before = path.read_bytes()
    path.write_bytes(before[:100])
    assert [d.kind for d in verify(kept).damages] == ["contents"]
    assert rebuild_contents(archive, catalog.products.find(), **TABLE)
    assert path.read_bytes() == before


def test_a_damaged_level_is_made_again(kept):
    archive, catalog = kept
    path = paths(kept)["level"]
    before = path.read_bytes()
    flip(path)
    rebuild_contents(archive, catalog.products.find(), **TABLE)
    assert path.read_bytes() == before
    assert verify(kept).ok


def test_hidden_products_are_verified_too(kept):
    archive, catalog = kept
    hide(catalog, archive, catalog.products.find()[0].product_id, who="keeper", reason="wrong")
    assert verify(kept).looked_at["dataset"] == 2


def test_what_nothing_names_is_told_as_spare(kept):
    archive, catalog = kept
    sha256, _ = archive.store_raw(b"nobody's")
    stray = archive.path("fits/L1/2021/06/05/QL/stray_20210605_V01.fits")
    stray.write_bytes(b"")
    for version in ("_V00", "_V00U", "_V01U"):  # an older version is no stray, nor is one that was incomplete
        archive.path(catalog.products.find()[0].fits.replace("_V01", version)).write_bytes(b"")
    found = verify(kept)
    assert found.ok
    assert found.spare == ["fits/L1/2021/06/05/QL/stray_20210605_V01.fits", f"raw/{sha256[:2]}/{sha256}"]


def test_an_archive_of_another_version_is_told(kept):
    write_version(kept[0], 1)
    (damage,) = verify(kept).damages
    assert (damage.kind, damage.cure) == ("schema", "run `stixlab migrate`")


def test_damage_does_not_hold_up_the_next_change(kept):
    """A damaged level or dataset of another day is made again, or left out and told, while new data come in."""
    archive, catalog = kept
    levels = read_contents(archive, "L1", "ql-lightcurve", "flight").levels
    month = archive.path(next(v.key for v in levels if v.width_s == 600))
    flip(month)
    store_day(archive, catalog, day_dataset(DAYS[1], seed=77))
    update(archive, catalog, DAYS[1:])
    archive.remove(str(month.relative_to(archive.root.resolve())))
    assert verify(kept).ok
    flip(paths(kept)["dataset"])
    rebuild_contents(archive, catalog.products.find(), **TABLE)
    assert [d.kind for d in verify(kept).damages] == ["dataset"]
    assert {v.span for v in read_contents(archive, "L1", "ql-lightcurve", "flight").levels} >= {
        "2021",
        "20210606",
    }
