"""Raw files that were damaged on the disk, and are given again."""

import os
from pathlib import Path

import pytest

from stixlab.archive import Archive
from stixlab.archive.layout import raw_key
from stixlab.archive.verify import verify_archive
from stixlab.ingest import lookout
from stixlab.ingest.watch import Watcher
from tests.support.chain import Chain, new_chain
from tests.support.light_curves import day_of_packets
from tests.support.watching import Clock


@pytest.fixture
def path(tmp_path) -> Path:
    made = tmp_path / "a.bin"
    made.write_bytes(b"".join(b.data.tobytes() for b in day_of_packets()))
    return made


@pytest.fixture
def chain(tmp_path, path) -> Chain:
    made = new_chain(tmp_path / "home")
    assert not made.ingest(path).failed
    return made


def stored(chain: Chain) -> Path:
    (known,) = chain.catalog.raw_files.find()
    return chain.archive.path(raw_key(known.sha256))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def damages(chain: Chain) -> list[str]:
    reader = Archive(chain.archive.root)
    found = verify_archive(
        reader, raw_files=chain.catalog.raw_files.find(), products=chain.catalog.products.find(hidden=None)
    )
    return [d.kind for d in found.damages]


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_a_raw_file_that_is_damaged_is_repaired_by_the_same_file(chain, path, damage):
    products = chain.catalog.products.find()
    damage(stored(chain))
    assert damages(chain) == ["raw"]
    report = chain.ingest(path)
    assert not report.failed
    assert [f.status for f in report.files] == ["repaired"]
    assert report.as_document()["files"]["repaired"] == 1
    assert "written anew" in report.files[0].findings[-1]
    assert damages(chain) == []
    assert stored(chain).read_bytes() == path.read_bytes()
    assert chain.catalog.products.find() == products
    assert [f.status for f in chain.ingest(path).files] == ["repeated"]


def test_a_sound_file_is_not_written(chain, path):
    before = stored(chain).stat()
    chain.ingest(path)
    assert (stored(chain).stat().st_mtime_ns, stored(chain).stat().st_ino) == (
        before.st_mtime_ns,
        before.st_ino,
    )


def test_an_imported_product_is_repaired_too(tmp_path, real_data):
    chain = new_chain(tmp_path / "home")
    source = real_data / "l1/ql/solo_L1_stix-ql-lightcurve_20200506_V01.fits"
    chain.ingestor.import_files([source])
    flip(stored(chain))
    assert damages(chain) == ["raw"]
    assert [f.status for f in chain.ingestor.import_files([source]).files] == ["repaired"]
    assert damages(chain) == []


def test_a_file_whose_packets_are_gone_too_is_stored_again(chain, path):
    (known,) = chain.catalog.raw_files.find()
    flip(stored(chain))
    chain.archive.open_packets(known.sha256).path.unlink()
    assert not chain.ingest(path).failed
    assert damages(chain) == []


def test_a_file_that_changes_meanwhile_repairs_nothing(chain, path, monkeypatch):
    flip(stored(chain))
    content = stored(chain).read_bytes()
    real = Archive.raw_copy

    def change(self, source, sha256):
        path.write_bytes(b"another content")
        return real(self, source, sha256)

    monkeypatch.setattr(Archive, "raw_copy", change)
    report = chain.ingest(path)
    assert report.failed
    assert "changed in between" in report.files[0].error
    assert stored(chain).read_bytes() == content
    assert damages(chain) == ["raw"]


def test_the_watched_folder_repairs(tmp_path, path):
    """The same content under the same path: it is looked at again when the file was touched."""
    chain, clock, told = new_chain(tmp_path / "home"), Clock(), []
    folder = tmp_path / "in"
    folder.mkdir()
    given = folder / path.name
    given.write_bytes(path.read_bytes())
    watcher = Watcher(
        [folder],
        tmp_path / "home",
        tell=told.append,
        say=lambda _: None,
        events=False,
        lookout=lookout.Lookout([], clock=clock.monotonic, now=clock.now),
    )

    def settle() -> None:
        for seconds in (1.0, 3.0, 1.0):
            clock.seconds += seconds
            watcher.turn(chain.ingestor)

    settle()
    assert [str(a.status) for a in told] == ["taken"]
    os.utime(given, ns=(1, 1))
    settle()
    assert len(told) == 1, "it is stored well"
    flip(stored(chain))
    os.utime(given, ns=(2, 2))
    settle()
    watcher.close()
    assert damages(chain) == []
    assert [str(a.status) for a in told] == ["taken", "repeated"]
    assert "written anew" in told[-1].reason
