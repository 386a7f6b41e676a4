"""Keywords of the observation campaign, remarks and version of the source: carried from file to file."""

from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits

from stixlab.ephemeris import load_ephemerides
from stixlab.ephemeris.clock import load_clock
from stixlab.products.ephemeris import make_ephemeris
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.formats.fits_ephemeris import write_ephemeris_fits
from tests.support.fits_products import there_and_back
from tests.support.light_curves import light_curve_dataset

CLOCK = load_clock()
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
KEYWORDS = ("OBS_ID", "OBS_MODE", "OBS_TYPE", "SOOPNAME", "SOOPTYPE", "TARGET")
ATTRIBUTES = ("obs_id", "obs_mode", "obs_type", "soop_name", "soop_type", "target")
NOVEMBER = (
    "l1/sci/nov2022/solo_L1_stix-sci-xray-cpd_20221109T004455-20221109T005311_V01_2211090305-54678.fits"
)
ELEVENTH = (
    "l1/sci/nov2022/solo_L1_stix-sci-xray-cpd_20221111T085618-20221111T092155_V01_2211118567-54712.fits"
)
SECOND = "l1/sci/solo_L1_stix-sci-xray-cpd_20240308T193915-20240308T203235_V02_2403087339-57240.fits"
JUNE = "l1/sci/solo_L1_stix-sci-xray-cpd_20200607T213709-20200607T215208_V01_1178428688-49155.fits"
OF_MAY = "l1/ql/solo_L1_stix-ql-background_20200506_V01.fits"
L1A = "l1/sci/solo_L1A_stix-sci-spectrogram-2102140001_20210214T014006-20210214T015515_008648_V01.fits"
AUX = "aux/solo_L2_stix-aux-ephemeris_20221111_V01.fits"


def written(ds, path, **more):
    """The header of the dataset as a file of ours."""
    write_fits(ds, path, version=1, created=CREATED, **more)
    return fits.getheader(path)


@pytest.mark.parametrize("name", [NOVEMBER, SECOND, JUNE])
@pytest.mark.filterwarnings("ignore")
def test_keywords_and_remarks_of_an_official_file_come_out_again(real_data, tmp_path, name):
    theirs = fits.getheader(real_data / name)
    ds = read_fits(real_data / name, CLOCK)
    ours = written(ds, tmp_path / "a.fits")
    assert {k: ours[k] for k in KEYWORDS} == {k: theirs[k] for k in KEYWORDS}
    assert list(ours["COMMENT"]) == list(theirs["COMMENT"])
    assert "BSD request id" in ds.attrs["comments"]
    assert ours["SRC_VERS"] == theirs["VERSION"]
    assert ours["VERSION"] == "01"
    back = there_and_back(ds, tmp_path / "b.fits")
    for each in (*ATTRIBUTES, "comments", "source_version"):
        assert back.attrs.get(each) == ds.attrs.get(each), each


def test_what_is_known_becomes_attributes(real_data):
    attrs = read_fits(real_data / SECOND, CLOCK).attrs
    assert [attrs.get(a) for a in ATTRIBUTES] == [
        "SSTX_140A_RF6_118_5Md2_11L",
        "STIX_BASIC",
        "5Md2",
        "R_FULL_LRES_LCAD_RS-Synoptics-High",
        "RF6",
        None,
    ]
    assert attrs["source_version"] == "02"


@pytest.mark.parametrize("name", [OF_MAY, L1A])
@pytest.mark.filterwarnings("ignore")
def test_empty_values_and_placeholders_are_none(real_data, tmp_path, name):
    """``obs_id``, ``Nominal``, ``LC`` and ``Sun`` stand in every file of STIX-SWF."""
    ds = read_fits(real_data / name, CLOCK)
    assert not {*ATTRIBUTES, "comments"} & {*ds.attrs}
    header = written(ds, tmp_path / "a.fits")
    assert [header[k] for k in KEYWORDS] == ["none"] * 6
    assert header["SRC_VERS"] == "01"


def test_of_telemetry_nothing_is_known(tmp_path):
    header = written(light_curve_dataset(), tmp_path / "a.fits")
    assert [header[k] for k in KEYWORDS] == ["none"] * 6
    assert "SRC_VERS" not in header
    back = read_fits(tmp_path / "a.fits", CLOCK)
    assert not {*ATTRIBUTES, "comments", "source_version"} & {*back.attrs}


def test_the_mark_of_simulated_data_is_no_remark_of_a_source(tmp_path):
    ds = light_curve_dataset().assign_attrs(origin="simulated", comments="a\nremark", source_version="03")
    header = written(ds, tmp_path / "a.fits")
    assert "SIMULATED DATA" in str(header["COMMENT"])
    assert read_fits(tmp_path / "a.fits", CLOCK).attrs["comments"] == "a\nremark"
    del ds.attrs["comments"]
    written(ds, tmp_path / "b.fits")
    assert "comments" not in read_fits(tmp_path / "b.fits", CLOCK).attrs


def test_the_auxiliary_product_of_the_day_knows_the_observation_not_the_campaign(real_data, tmp_path):
    """That of 2022-11-11 names a campaign of which the request of that day says nothing."""
    sources = load_ephemerides(products=[real_data / AUX])
    known = {
        k: v
        for k, (v, _) in sources.keywords("2022-11-11T10:00", "2022-11-11T11:00").items()
        if k in KEYWORDS
    }
    theirs = fits.getheader(real_data / AUX)
    assert known == {k: theirs[k] for k in ("OBS_ID", "OBS_MODE", "OBS_TYPE")}
    assert theirs["SOOPTYPE"] == "CC6"
    assert fits.getheader(real_data / ELEVENTH)["SOOPTYPE"] == "none"
    of_another_day = sources.keywords("2022-11-12T10:00", "2022-11-12T11:00")
    assert not {*KEYWORDS} & {*of_another_day}
    nothing = load_ephemerides(products=[real_data / "aux/solo_L2_stix-aux-ephemeris_20200607_V01.fits"])
    assert not {*KEYWORDS} & {*nothing.keywords("2020-06-07T10:00", "2020-06-07T11:00")}


def test_the_ephemeris_of_a_day_has_them_as_well(real_data, tmp_path):
    sources = load_ephemerides(products=[real_data / AUX])
    theirs = fits.getheader(real_data / AUX)
    told = {k: theirs[k] for k in ("OBS_ID", "OBS_MODE", "OBS_TYPE")}
    for day, known in (("2022-11-11", told), ("2022-11-20", {})):
        path = tmp_path / f"{day}.fits"
        ds = make_ephemeris(np.datetime64(day), sources, CLOCK)
        write_ephemeris_fits(ds, path, ephemerides=sources, version=1, created=CREATED)
        header = fits.getheader(path)
        assert {k: header[k] for k in KEYWORDS} == dict.fromkeys(KEYWORDS, "none") | known


def test_what_the_file_itself_says_counts_before_the_auxiliary_product(real_data, tmp_path):
    keywords = {"OBS_ID": ("of the day", ""), "OBS_MODE": ("STIX_BASIC", "mode")}
    header = written(read_fits(real_data / SECOND, CLOCK), tmp_path / "a.fits", keywords=keywords)
    assert header["OBS_ID"] == "SSTX_140A_RF6_118_5Md2_11L"
    header = written(light_curve_dataset(), tmp_path / "b.fits", keywords=keywords)
    assert (header["OBS_ID"], header["OBS_MODE"], header["OBS_TYPE"]) == ("of the day", "STIX_BASIC", "none")
    assert read_fits(tmp_path / "b.fits", CLOCK).attrs["obs_mode"] == "STIX_BASIC"
    simulated = light_curve_dataset().assign_attrs(origin="simulated")
    assert written(simulated, tmp_path / "c.fits", keywords=keywords)["OBS_ID"] == "none"
