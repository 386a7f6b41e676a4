"""Files that announce more than they hold, as damage or malice leaves them."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stixlab.errors import FormatError
from stixlab.fits_files import FITS_ERRORS, open_fits, open_whole_fits
from stixlab.products.energy_calibration import read_energy_calibration
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.timing.scet import ClockTable


def file_with(path: Path, **announced: object) -> Path:
    """A table of four rows whose header says something else."""
    hdu = fits.BinTableHDU.from_columns([fits.Column("counts", "J", array=np.arange(4))], name="DATA")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    content = path.read_bytes()
    for keyword, value in announced.items():
        start = content.index(f"{keyword:8}= ".encode(), 2880)
        content = content[:start] + f"{keyword:8}= {value:>20}".ljust(80).encode() + content[start + 80 :]
    path.write_bytes(content)
    return path


def in_gzip(path: Path) -> Path:
    packed = path.with_suffix(".fits.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


@pytest.mark.parametrize(
    "announced",
    [{"NAXIS2": 10**12}, {"NAXIS2": 10**30}, {"NAXIS2": -5}],
    ids=str,
)
@pytest.mark.parametrize("form", [Path, in_gzip], ids=["plain", "gzip"])
def test_a_file_gets_no_more_memory_than_it_fills(tmp_path, announced, form):
    path = form(file_with(tmp_path / "a.fits", **announced))
    clock = ClockTable(np.array([0]), np.array([0]), np.array([1.0]), source="none", accuracy_s=1.0)
    with pytest.raises(FormatError, match=r"a\.fits"):
        read_fits(path, clock)
    with pytest.raises(FormatError, match=r"a\.fits"):
        read_energy_calibration(path)


def rows(path):
    with open_whole_fits(path) as hdus:
        return hdus["DATA"].data["counts"].tolist()


@pytest.mark.parametrize(
    "announced", [{"PCOUNT": -(10**6)}, {"GCOUNT": -3}, {"BITPIX": 0}, {"NAXIS": 400}], ids=str
)
def test_lengths_that_cannot_be_are_left_to_the_reader(tmp_path, announced):
    """Nothing is counted backwards: that would take for ever."""
    with pytest.raises(FormatError, match=r"a\.fits"):
        rows(file_with(tmp_path / "a.fits", **announced))


@pytest.mark.parametrize("number", [1000, -1, "'many'"])
def test_a_table_has_at_most_as_many_columns_as_the_standard_allows(tmp_path, number):
    path = file_with(tmp_path / "a.fits", TFIELDS=number)
    with (
        pytest.raises(ValueError, match="DATA: expected at most 999 columns; found TFIELDS"),
        open_fits(path),
    ):
        pass


@pytest.mark.parametrize("form", [Path, in_gzip], ids=["plain", "gzip"])
def test_a_whole_file_is_read_packed_or_not(tmp_path, form):
    path = form(file_with(tmp_path / "a.fits"))
    with open_fits(path) as hdus:
        assert hdus["DATA"].data["counts"].tolist() == [0, 1, 2, 3]
    with open_fits(tmp_path / "nowhere.fits", path.read_bytes()) as hdus:
        assert len(hdus) == 2


def test_damage_within_gzip_is_one_of_the_named_errors(tmp_path):
    content = bytearray(gzip.compress(file_with(tmp_path / "a.fits").read_bytes()))
    content[10:20] = bytes(10)
    with pytest.raises(FITS_ERRORS) as caught, open_fits(tmp_path / "a.fits", bytes(content)):
        pass
    assert isinstance(caught.value, (zlib.error, OSError, EOFError))
