"""Files that are cut off, lack what files of their maker have, or whose rows contradict each other."""

import gzip
import importlib.util
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stixlab.ephemeris.clock import load_clock
from stixlab.errors import FormatError
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.fits_dialects import read_fits
from tests.support.chain import new_chain
from tests.support.fits_products import REQUESTS
from tests.support.light_curves import light_curve_dataset

CLOCK = load_clock()
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
OFFICIAL = "l1/ql/solo_L1_stix-ql-lightcurve_20200506_V01.fits"
L1A = "l1/ql/solo_L1A_stix-ql-lightcurve_20210606_010104_V01.fits"
REQUEST = "l1/sci/solo_L1_stix-sci-xray-cpd_20200505T235959-20200506T000019_V01_0087031809-50883.fits"
HOUSEKEEPING = "l1/hk/solo_L1_stix-hk-maxi_20200501_V01.fits"
AUX = "aux/solo_L2_stix-aux-ephemeris_20221111_V01.fits"
CAL = "cal/solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits"


def read(content, name="a.fits"):
    return read_fits(Path(name), CLOCK, content=content)


def ends(content):
    """Where each HDU ends, by its name."""
    with fits.open(io.BytesIO(content)) as hdus:
        return {h.name: h.fileinfo()["datLoc"] + h.fileinfo()["datSpan"] for h in hdus}


def changed(content, change):
    """The file with its HDUs changed, checksums made anew."""
    with fits.open(io.BytesIO(content)) as hdus:
        for hdu in hdus:
            hdu.header.remove("CHECKSUM", ignore_missing=True)
        change(hdus)
        target = io.BytesIO()
        hdus.writeto(target, checksum=True)
    return target.getvalue()


@pytest.mark.parametrize("name", [OFFICIAL, REQUEST, HOUSEKEEPING, AUX, CAL, L1A])
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_behind_an_extension_is_refused(real_data, name):
    """What is left is a valid file with right checksums; it lacks what files of its maker have."""
    content = (real_data / name).read_bytes()
    found = ends(content)
    for last in list(found)[:-1]:
        with pytest.raises(FormatError, match=r"solo.*: expected a table \w+; .*fetch it again"):
            read(content[: found[last]], Path(name).name)


@pytest.mark.parametrize("product", ["ql-lightcurve", "sci-xray-cpd"])
def test_a_file_of_ours_cut_behind_an_extension_is_refused(tmp_path, product):
    ds = light_curve_dataset() if product == "ql-lightcurve" else REQUESTS[product]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    content = (tmp_path / "a.fits").read_bytes()
    found = ends(content)
    for last in list(found)[:-1]:
        with pytest.raises(FormatError, match=r"a\.fits: expected a table \w+; .*fetch it again"):
            read(content[: found[last]])


@pytest.mark.parametrize("name", [OFFICIAL, REQUEST, AUX, CAL, L1A])
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_anywhere_says_how_much_is_missing_and_the_cure(real_data, name):
    content = (real_data / name).read_bytes()
    inside_data = ends(content)["DATA"] - 2880
    for n in (inside_data, inside_data + 1, ends(content)["DATA"] - 1):
        with pytest.raises(
            FormatError,
            match=rf"{Path(name).name}.*truncated: expected {ends(content)['DATA']} bytes by its headers, "
            rf"found {n}; fetch it again",
        ):
            read(content[:n], Path(name).name)
    for n in (1000, 2880 * 2 - 1, ends(content)["DATA"] + 2000):
        if n < len(content) and n != ends(content)["CONTROL"]:
            with pytest.raises(
                FormatError, match=r"truncated: expected the rest of the header.*fetch it again"
            ):
                read(content[:n], Path(name).name)
    packed = gzip.compress(content)
    with pytest.raises(FormatError, match=r"truncated: expected the end of what gzip packed.*fetch it again"):
        read(packed[: len(packed) // 2], Path(name).name)


def removed(*keywords):
    def change(hdus):
        for keyword in keywords:
            hdus[0].header.remove(keyword)

    return change


@pytest.mark.parametrize("name", [OFFICIAL, L1A, REQUEST])
@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("LEVEL", "expected keyword LEVEL, such as 'L1'; there is none"),
        ("CREATOR", "expected keyword CREATOR, such as 'stixcore'; there is none"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_keyword_that_is_missing_is_named(real_data, name, keyword, message):
    content = changed((real_data / name).read_bytes(), removed(keyword))
    with pytest.raises(FormatError, match=rf"a\.fits: {message}"):
        read(content)


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_does_not_say_what_it_is_names_the_keywords(real_data):
    content = changed((real_data / OFFICIAL).read_bytes(), removed("STYPE", "SSTYPE", "SSID", "FILENAME"))
    with pytest.raises(FormatError, match=r"found an unknown product.*STYPE, SSTYPE and SSID"):
        read(content)
    assert read(content, Path(OFFICIAL).name).attrs["product"] == "ql-lightcurve"


def set_time(row, value):
    def change(hdus):
        hdus["DATA"].data["time"][row] = value

    return change


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        (OFFICIAL, 7, 0, "row 7 .* runs back.*row 6"),
        (OFFICIAL, 1, 200, "row 1 .* begins .* before row 0 ends"),
        (OFFICIAL, 21515, 0, "row 21515 .* runs back"),
        (L1A, 3, 0, "row 3 .* runs back"),
        (REQUEST, 2, 0, "row 2 .* runs back"),
        (HOUSEKEEPING, 9, 0, "row 9 .* runs back"),
        ("l1/ql/solo_L1_stix-ql-spectra_20200506_V01.fits", 4, 0, "row 4 .* runs back"),
        ("l1/ql/solo_L1_stix-ql-flareflag_20200506_V01.fits", 4, 0, "row 4 .* runs back"),
        ("l1/ql/solo_L1_stix-ql-variance_20200506_V01.fits", 4, 1600, "row 4 .* begins"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_row_that_runs_back_or_overlaps_is_named(real_data, name, row, value, message):
    """With checksums that are right: what was written is wrong."""
    content = changed((real_data / name).read_bytes(), set_time(row, value))
    with pytest.raises(FormatError, match=rf"a\.fits: expected .*rows of DATA.*{message}") as caught:
        read(content)
    assert str(caught.value).count("20") >= 2, "both times are told"


@pytest.mark.parametrize("product", ["ql-lightcurve", "sci-xray-cpd"])
def test_a_row_of_ours_that_runs_back_is_named(tmp_path, product):
    ds = light_curve_dataset() if product == "ql-lightcurve" else REQUESTS[product]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    content = changed((tmp_path / "a.fits").read_bytes(), set_time(2, 0.0))
    with pytest.raises(FormatError, match=r"a\.fits: expected .*rows of DATA.*row 2 .* runs back"):
        read(content)


def bundled():
    """FITS files of the small archive in the package stixpy."""
    folder = Path(importlib.util.find_spec("stixpy").submodule_search_locations[0])
    with tarfile.open(folder / "data" / "test_data.tar.gz") as archive:
        for member in archive:
            if ".fits" in member.name and "._" not in member.name:
                yield member.name, archive.extractfile(member).read()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_real_file_is_refused(real_data):
    """All of the shared data and of stixpy but those that are refused for what they hold."""
    paths = [p for folder in ("l1", "aux", "cal") for p in sorted((real_data / folder).rglob("*.fits*"))]
    files = [(p.name, p.read_bytes()) for p in paths] + list(bundled())
    assert len(files) > 50
    refused = []
    for name, content in files:
        try:
            assert read(content, name).sizes["time"] > 0
        except FormatError as error:
            refused.append(str(error))
    assert [r.split(": ")[1] for r in refused] == [
        "expected a product; found packets (level LB of ql-lightcurve); use `stixlab ingest`",
        "found sci-xray-vis, level L1",
    ]


def test_bins_of_any_length_overlap_by_rounding(real_data):
    """Of real files the largest: 0.4 s of bins of 18 s."""
    path = (
        real_data
        / "l1/sci/solo_L1A_stix-sci-spectrogram-2207238956_20220723T122007-20220723T182511_079258_V01.fits"
    )
    ds = read_fits(path, CLOCK)
    bounds = ds.time_bounds.to_numpy()
    assert (bounds[:-1, 1] - bounds[1:, 0]).max() > np.timedelta64(390, "ms")


@pytest.mark.filterwarnings("ignore")
def test_what_is_refused_leaves_archive_and_catalogue_as_they_are(real_data, tmp_path):
    chain = new_chain(tmp_path / "home")
    whole = (real_data / REQUEST).read_bytes()
    cut = {n: whole[:end] for n, end in ends(whole).items() if n != "ENERGIES"}
    wrong = {
        **cut,
        "inside": whole[:-3000],
        "level": changed(whole, removed("LEVEL")),
        "row": changed(whole, set_time(2, 0)),
    }
    assert not chain.ingestor.import_files([real_data / REQUEST]).failed
    before = chain.files(), chain.contents(), chain.catalog.products.find()
    for name, content in wrong.items():
        path = tmp_path / f"{name}.fits"
        path.write_bytes(content)
        report = chain.ingestor.import_files([path])
        assert report.failed, name
        assert (chain.files(), chain.contents(), chain.catalog.products.find()) == before, name
