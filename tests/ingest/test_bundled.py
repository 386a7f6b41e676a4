import io
import sys
import tarfile

import pytest

from stixlab.errors import FormatError
from stixlab.ingest import bundled
from stixlab.ingest.bundled import bundled_products, bundled_source, import_bundled
from stixlab.ingest.report import FileResult, IngestReport
from stixlab.instrument.packages import package_folder
from tests.support.chain import new_chain
from tests.support.public_archive import fits_bytes


def archive(path, members):
    """A packed archive of (name, content); content None: a link out of it."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            tar.addfile(info, None if content is None else io.BytesIO(content))
    return path


@pytest.fixture
def package():
    if package_folder() is None:
        pytest.skip("the package stixpy is not installed")


def test_only_fits_files_are_taken_and_nothing_is_unpacked(tmp_path):
    path = archive(
        tmp_path / "data.tar.gz",
        [
            ("b.fits", fits_bytes(1)), ("._b.fits", b"fork"), ("../../a.fits", fits_bytes(2)), ("link.fits", None),
            ("read.me", b"x"), ("/etc/c.fits.gz", b"\x1f\x8b"),
        ],
    )  # fmt: skip
    assert [name for name, _ in bundled_products(path)] == ["a.fits", "b.fits", "c.fits.gz"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [0, 10, 200, -20])
def test_a_damaged_archive_is_refused(tmp_path, size):
    path = archive(tmp_path / "data.tar.gz", [("a.fits", fits_bytes(1, 20_000))])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError, match=r"data\.tar\.gz: expected"):
        bundled_products(path)


def test_a_flipped_bit_is_refused_or_found(tmp_path):
    path = archive(tmp_path / "data.tar.gz", [("a.fits", fits_bytes(1, 20_000))])
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x10
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match="expected an archive of FITS files"):
        bundled_products(path)


def test_an_archive_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = archive(
        tmp_path / "data.tar.gz", [("a.fits", fits_bytes(1, 20_000)), ("b.fits", fits_bytes(2, 20_000))]
    )
    monkeypatch.setattr(bundled, "_MAX_BYTES", 30_000)
    with pytest.raises(FormatError, match="at most 30000 bytes of files; found more"):
        bundled_products(path)


def test_an_archive_without_products_is_told(tmp_path):
    with pytest.raises(FormatError, match="found no FITS file"):
        bundled_products(archive(tmp_path / "data.tar.gz", [("read.me", b"x")]))


def test_the_package_carries_real_products_of_may_2020(package, real_data):
    """The light curve is the one that lies in the test data as well."""
    products = dict(bundled_products())
    assert len(products) == 12
    assert all(content.startswith(b"SIMPLE  =") for content in products.values())
    light = "solo_L1_stix-ql-lightcurve_20200506_V01.fits"
    assert products[light] == (real_data / "l1" / "ql" / light).read_bytes()
    assert bundled_source().startswith("stixpy 0.")
    assert "stixpy" not in sys.modules


class Takes:
    """Stands for an ingestor: notes what it is given."""

    def import_files(self, paths):
        self.given = {p.name: p.read_bytes() for p in paths}
        self.folder = paths[0].parent
        error = f"{paths[1]}: recognised, not read yet"
        files = [FileResult(str(paths[0]), "new"), FileResult(str(paths[1]), "failed", error=error)]
        return IngestReport(files=files)


def test_they_are_imported_and_the_report_names_the_package(tmp_path, monkeypatch):
    path = archive(tmp_path / "data.tar.gz", [("a.fits", fits_bytes(1)), ("b.fits", fits_bytes(2))])
    monkeypatch.setattr(bundled, "find_package_file", lambda *_: (path, "stixpy 0.2.1"))
    takes = Takes()
    report = import_bundled(takes)
    assert takes.given == {"a.fits": fits_bytes(1), "b.fits": fits_bytes(2)}
    assert not takes.folder.exists()
    assert [f.path for f in report.files] == ["stixpy 0.2.1: a.fits", "stixpy 0.2.1: b.fits"]
    assert report.files[1].error == "b.fits: recognised, not read yet"


@pytest.mark.slow
def test_the_real_light_curve_is_in_the_archive_afterwards(package, tmp_path):
    """Measured, not simulated; the same again changes nothing."""
    chain = new_chain(tmp_path)
    report = import_bundled(chain.ingestor)
    (product,) = [p for p in chain.catalog.products.find() if p.type == "ql-lightcurve"]
    assert product.product_id == "L1_ql-lightcurve_20200506_flight"
    assert all(f.path.startswith("stixpy 0.") for f in report.files)
    before = chain.contents()
    import_bundled(chain.ingestor)
    assert chain.contents() == before
