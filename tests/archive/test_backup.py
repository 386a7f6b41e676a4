"""Backup and restore: the same answers, whole or not at all, and damage is never restored."""

import gzip
import io
import subprocess
import tarfile
from functools import partial

import numpy as np
import pytest

from stixlab.archive import Archive, backup
from stixlab.archive.backup import read_backup, restore_backup, write_backup
from stixlab.archive.spans import open_span
from stixlab.archive.trash import delete, hide
from stixlab.archive.verify import verify_archive
from stixlab.catalog import MemoryCatalog
from stixlab.catalog.dump import begin_restore, dump_collection, end_restore, load_collection
from stixlab.errors import ArchiveError, CatalogError, ConflictError, FormatError
from tests.support.archives import dates, filled
from tests.support.records import flare, run

DAYS = dates("2021-06-05", 2)
WHY = {"who": "keeper", "reason": "wrong"}


@pytest.fixture
def kept(tmp_path):
    archive, catalog, _ = filled(tmp_path / "home" / "archive", *DAYS)
    catalog.flares.save(flare())
    catalog.runs.save(run())
    hide(catalog, archive, "L1_ql-lightcurve_20210605_flight", **WHY)
    delete(catalog, archive, "L1_ql-lightcurve_20210605_flight", **WHY)
    return archive, catalog


def write(kept, path, **more):
    archive, catalog = kept
    documents = {name: partial(dump_collection, catalog, name) for name in catalog.collections}
    return write_backup(path, archive, documents, catalog_version=catalog.schema_version, **more)


def restore(path, root, catalog, **more):
    made = restore_backup(
        path, root, begin=partial(begin_restore, catalog), load=partial(load_collection, catalog), **more
    )
    end_restore(catalog, made.catalog_version)
    return made


def contents(root):
    left_out = (".writing",)
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.name not in left_out
    }


def without_replaced(found):
    gone = {k.replace(".replaced-", "") for k in found if ".replaced-" in k}
    return {k: v for k, v in found.items() if ".replaced-" not in k and not k.startswith(tuple(gone))}


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz", "b.tgz"])
def test_a_restored_archive_answers_the_same(kept, tmp_path, name):
    archive, catalog = kept
    written = write(kept, tmp_path / name)
    other, root = MemoryCatalog(), tmp_path / "new" / "archive"
    made = restore(tmp_path / name, root, other)
    assert (made.n_files, made.size_bytes, made.documents) == (
        written.n_files,
        written.size_bytes,
        written.documents,
    )
    for collection in catalog.collections:
        ours = sorted(catalog.collections[collection].each(), key=lambda d: d["_id"])
        assert ours == sorted(other.collections[collection].each(), key=lambda d: d["_id"])
    for store in ("products", "raw_files", "flares", "runs", "audit"):
        assert getattr(catalog, store).find() == getattr(other, store).find()
    assert without_replaced(contents(archive.root)) == contents(root)
    restored = Archive(root)
    np.testing.assert_array_equal(*(open_span(a, "ql-lightcurve")["counts"] for a in (archive, restored)))
    records = {"raw_files": other.raw_files.find(), "products": other.products.find(hidden=None)}
    assert verify_archive(restored, **records).ok


def test_further_folders_come_along(kept, tmp_path):
    (tmp_path / "home" / "idb").mkdir()
    (tmp_path / "home" / "idb" / "a.sqlite").write_bytes(b"definitions")
    write(kept, tmp_path / "b.tar", folders={"definitions": tmp_path / "home" / "idb"})
    restore(
        tmp_path / "b.tar",
        tmp_path / "new" / "archive",
        MemoryCatalog(),
        folders={"definitions": tmp_path / "new" / "idb"},
    )
    assert (tmp_path / "new" / "idb" / "a.sqlite").read_bytes() == b"definitions"


def test_other_tools_can_check_it(kept, tmp_path):
    """No part of stixlab is needed to see that a backup is good, or to get at a file in it."""
    write(kept, tmp_path / "b.tar")
    subprocess.run(["tar", "-xf", tmp_path / "b.tar", "-C", tmp_path], check=True)
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "MANIFEST.sha256"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("where", [0.03, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_backup_is_not_restored(kept, tmp_path, where, packed):
    path = tmp_path / ("b.tar.gz" if packed else "b.tar")
    write(kept, path)
    whole = path.read_bytes()
    content = bytearray(gzip.decompress(whole)) if packed else bytearray(whole)
    with tarfile.open(tmp_path / path.name) as opened:
        member = [m for m in opened if m.size > 100][
            int(where * sum(m.size > 100 for m in opened.getmembers()))
        ]
    content[member.offset_data + 50] ^= 1
    path.write_bytes(gzip.compress(bytes(content)) if packed else content)
    catalog, root = MemoryCatalog(), tmp_path / "new" / "archive"
    with pytest.raises(FormatError, match="whole backup"):
        restore(path, root, catalog)
    assert not root.exists()
    assert all(next(c.each(), None) is None for c in catalog.collections.values())
    assert list(root.parent.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", ["b.tar", "b.tgz"])
def test_a_truncated_backup_is_not_restored(kept, tmp_path, share, name):
    path = tmp_path / name
    write(kept, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError, match="whole backup"):
        read_backup(path)


def test_something_else_is_no_backup(tmp_path):
    (tmp_path / "b.tar").write_bytes(b"something else" * 1000)
    with pytest.raises(FormatError, match="whole backup"):
        read_backup(tmp_path / "b.tar")
    with pytest.raises(FormatError, match="whole backup"):
        read_backup(tmp_path / "none.tar")


@pytest.mark.parametrize("name", ["../outside", "/outside", "archive/../../outside", "archive/outside\0"])
def test_no_name_leads_out_of_the_archive(kept, tmp_path, name):
    path = tmp_path / "b.tar"
    write(kept, path)
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as packed:
        info = tarfile.TarInfo(name)
        info.pax_headers = {"path": name}
        info.size = 4
        packed.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(FormatError, match="leads out"):
        restore(path, tmp_path / "new" / "archive", MemoryCatalog())
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{}",
        b'{"format": 1, "created": "now", "archive_version": "two", "catalog_version": 1, "documents": {}}',
    ],
)
def test_a_backup_that_does_not_say_what_it_is_is_refused(tmp_path, head):
    with tarfile.open(tmp_path / "b.tar", "w") as packed:
        info = tarfile.TarInfo("stixlab-backup.json")
        info.size = len(head)
        packed.addfile(info, io.BytesIO(head))
    with pytest.raises(FormatError, match=r"no stixlab-backup\.json that says what it is"):
        read_backup(tmp_path / "b.tar")


def test_links_are_refused(kept, tmp_path):
    path = tmp_path / "b.tar"
    write(kept, path)
    with tarfile.open(path, "a") as packed:
        info = tarfile.TarInfo("archive/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        packed.addfile(info)
    with pytest.raises(FormatError, match="no file"):
        read_backup(path)


def test_a_backup_of_a_newer_version_is_refused(kept, tmp_path, monkeypatch):
    write(kept, tmp_path / "b.tar")
    monkeypatch.setattr(backup, "ARCHIVE_VERSION", 1)
    with pytest.raises(FormatError, match="newer version"):
        read_backup(tmp_path / "b.tar")


def test_nothing_is_restored_over_something(kept, tmp_path):
    archive, catalog = kept
    write(kept, tmp_path / "b.tar")
    before = contents(archive.root)
    with pytest.raises(ConflictError, match="no archive"):
        restore(tmp_path / "b.tar", archive.root, MemoryCatalog())
    assert contents(archive.root) == before
    with pytest.raises(ConflictError, match="empty catalogue"):
        restore(tmp_path / "b.tar", tmp_path / "new" / "archive", catalog)
    assert not (tmp_path / "new" / "archive").exists()


def test_a_restore_that_was_cut_short_is_finished_by_the_same_command(kept, tmp_path):
    write(kept, tmp_path / "b.tar")
    other, root = MemoryCatalog(), tmp_path / "new" / "archive"
    loaded = []

    def dies(name, lines):
        if len(loaded) == 3:
            raise CatalogError("database: gone")
        loaded.append(name)
        return load_collection(other, name, lines)

    with pytest.raises(CatalogError, match="gone"):
        restore_backup(tmp_path / "b.tar", root, begin=partial(begin_restore, other), load=dies)
    assert not root.exists()
    restore(tmp_path / "b.tar", root, other)
    assert other.products.find() == kept[1].products.find()
    with pytest.raises(ConflictError):
        restore(tmp_path / "b.tar", tmp_path / "third", other)


def test_a_backup_that_fails_leaves_nothing_and_keeps_the_one_before(kept, tmp_path):
    archive, _ = kept
    path = tmp_path / "b.tar"
    write(kept, path)
    before = path.read_bytes()
    victim = next(archive.root.glob("raw/*/*"))

    def away(_what, done, _total):
        if done == 1 and victim.exists():
            victim.unlink()

    with pytest.raises(ArchiveError, match="give the same command again"):
        write(kept, path, progress=away)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tar", "home"]


def test_a_database_that_goes_away_is_told_as_that(kept, tmp_path):
    def gone():
        raise CatalogError("database: gone")

    with pytest.raises(CatalogError, match="gone"):
        write_backup(tmp_path / "b.tar", kept[0], {"products": gone}, catalog_version=2)
    assert not (tmp_path / "b.tar").exists()
