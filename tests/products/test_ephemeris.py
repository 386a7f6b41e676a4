"""The ancillary ephemeris of a day, as a dataset and as FITS."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.ephemeris import load_clock, load_ephemerides
from stixlab.ephemeris.aux_products import is_aux_product, read_aux
from stixlab.errors import ParameterError, SchemaError, TimeError
from stixlab.products.ephemeris import ephemeris_at, make_ephemeris
from stixlab.products.formats.fits_ephemeris import ephemeris_fits_name, write_ephemeris_fits
from stixlab.vocabulary import check

DAY = np.datetime64("2022-11-11", "D")
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def sources(real_data: Path):
    return load_ephemerides(products=sorted((real_data / "aux").glob("*.fits")))


def test_a_day_is_as_declared_and_holds_what_its_sources_say(sources) -> None:
    ds = make_ephemeris(DAY, sources, load_clock())
    check(ds, EPHEMERIS)
    assert ds.sizes["time"] == 1350
    assert ds.time_bounds.to_numpy()[0, 0] == np.datetime64("2022-11-11")
    assert ds.time_bounds.to_numpy()[-1, 1] == np.datetime64("2022-11-12")
    assert ds.attitude_valid.all()
    assert "solo_L2_stix-aux-ephemeris_20221111_V01.fits" in ds.attrs["orbit_source"]
    noon = ds.sel(time="2022-11-11T12:00:00", method="nearest")
    place = sources.at(noon.time.to_numpy())
    assert float(noon.heeq_x) == pytest.approx(float(place.components("heeq")[0]))
    assert float(noon.carrington_longitude) == pytest.approx(float(place.carrington[0]))
    assert float(noon.pointing_x) == pytest.approx(float(sources.attitude(noon.time.to_numpy()).pointing[0]))
    assert all(np.isfinite(ds[f.name]).all() for f in EPHEMERIS.fields if f.dtype == "float64")


def test_a_day_without_attitude_says_so_and_holds_no_nan() -> None:
    ds = make_ephemeris(np.datetime64("2021-06-06"), load_ephemerides(), load_clock(), step_s=3600)
    assert ds.sizes["time"] == 24
    assert not ds.attitude_valid.any()
    assert not ds.aspect_valid.any()
    assert ds.attrs["attitude_source"] == "none"
    assert ds["roll"].to_numpy().tolist() == [0.0] * 24
    assert (ds.position_accuracy == 10_000).all()


def test_a_day_that_nothing_covers_and_a_step_that_does_not_fit_are_refused() -> None:
    with pytest.raises(TimeError, match="covered"):
        make_ephemeris(np.datetime64("2040-01-01"), load_ephemerides(), load_clock())
    with pytest.raises(ParameterError, match="divides a day"):
        make_ephemeris(DAY, load_ephemerides(), load_clock(), step_s=7000)


def test_the_file_is_read_back_by_us_and_by_astropy(sources, tmp_path: Path) -> None:
    """Without a warning; orbit and attitude as they were; columns where others look for them."""
    from astropy.io import fits
    from astropy.table import QTable

    ds = make_ephemeris(DAY, sources, load_clock())
    path = tmp_path / ephemeris_fits_name(DAY, 3)
    assert path.name == "solo_ANC_stix-asp-ephemeris_20221111_V03.fits"
    assert is_aux_product(path)
    _, n_bytes = write_ephemeris_fits(ds, path, ephemerides=sources, version=3, created=CREATED)
    assert path.stat().st_size == n_bytes
    ours = read_aux(path)
    again, place = load_ephemerides(products=[path]), sources.at(ds.time.to_numpy())
    assert np.linalg.norm(again.at(ds.time.to_numpy()).position - place.position, axis=1).max() < 10
    assert np.array_equal(ours.roll_pitch_yaw[:, 0], ds["roll"].to_numpy())
    assert np.array_equal(ours.aspect_valid, ds.aspect_valid.to_numpy())
    with fits.open(path, checksum=True) as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "CONTROL", "DATA"]
        header = hdus[0].header
        hdus.verify("exception")
    assert header["DATE-AVG"] == "2022-11-11T12:00:00.000"
    assert header["HGLN_OBS"] == pytest.approx(-21.44, abs=0.01)
    assert (header["LEVEL"], header["COMPLETE"]) == ("ANC", True)
    obt = ds.scet_coarse.to_numpy() + ds.scet_fine.to_numpy() / 65536
    assert header["OBT_END"] == pytest.approx(obt[-1] + 64, abs=1e-4)
    table = QTable.read(path, hdu=2)
    assert table["roll_angle_rpy"].unit == "deg"
    assert table["solo_loc_heeq_zxy"].shape == (1350, 3)
    assert table["time"][1].to_value("s") == 96


def test_the_on_board_end_is_the_latest_of_bins_of_any_length(sources, tmp_path: Path) -> None:
    from astropy.io import fits

    begin = DAY.astype("datetime64[ns]")
    seconds = np.array([[0, 3600], [64, 128], [128, 140]]).astype("timedelta64[s]")
    ds = ephemeris_at(begin + seconds, sources, load_clock())
    write_ephemeris_fits(ds, tmp_path / "a.fits", ephemerides=sources, version=1, created=CREATED)
    header = fits.getheader(tmp_path / "a.fits")
    assert header["OBT_END"] - header["OBT_BEG"] == pytest.approx(3600, abs=1e-4)
    assert header["COMPLETE"] is False
    assert header["INCOMPL"] == "82800 s are missing: a gap from 2022-11-11T01:00:00 to 2022-11-12T00:00:00"
    assert ephemeris_fits_name(DAY, 2, complete=False).endswith("_20221111_V02U.fits")


def test_without_attitude_the_file_says_so_too(tmp_path: Path) -> None:
    sources = load_ephemerides()
    ds = make_ephemeris(np.datetime64("2021-06-06"), sources, load_clock())
    path = tmp_path / "solo_ANC_stix-asp-ephemeris_20210606_V01.fits"
    write_ephemeris_fits(ds, path, ephemerides=sources, version=1, created=CREATED)
    back = load_ephemerides(products=[path])
    assert not back.attitude("2021-06-06T12:00").valid
    assert back.at("2021-06-06T12:00").kind == "product"


def test_the_same_day_gives_the_same_bytes(sources, tmp_path: Path) -> None:
    shas = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / ephemeris_fits_name(DAY, 1)
        ds = make_ephemeris(DAY, sources, load_clock())
        shas.add(write_ephemeris_fits(ds, path, ephemerides=sources, version=1, created=CREATED)[0])
    assert len(shas) == 1


def test_what_departs_from_the_declaration_is_not_written(sources, tmp_path: Path) -> None:
    ds = make_ephemeris(DAY, sources, load_clock()).drop_vars("roll")
    with pytest.raises(SchemaError, match="roll: declared, not there"):
        write_ephemeris_fits(ds, tmp_path / "x.fits", ephemerides=sources, version=1, created=CREATED)
    assert not list(tmp_path.iterdir())
