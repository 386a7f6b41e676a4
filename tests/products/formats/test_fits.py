import errno
import hashlib
import os
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.ephemeris.clock import load_clock
from stixlab.errors import ArchiveError, FormatError, SchemaError
from stixlab.products.formats.fits import fits_folder, fits_name, to_hdus, write_fits
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import content_sha256
from stixlab.telemetry.frames import SIMULATED_DESTINATION
from tests.support.columns import light_curve, random_codes
from tests.support.examples import examples
from tests.support.housekeeping import real_report
from tests.support.light_curves import level1, light_curve_dataset

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = "solo_L1_stix-ql-lightcurve_20210116_V01.fits"


def written(ds, folder, name=NAME, **options):
    write_fits(ds, folder / name, version=options.pop("version", 1), created=CREATED, **options)
    return folder / name


def test_names_and_folders_are_those_of_the_archive():
    day = np.datetime64("2021-06-06")
    assert fits_name("ql-lightcurve", day, 1) == "solo_L1_stix-ql-lightcurve_20210606_V01.fits"
    assert fits_name("hk-maxi", day, 12, complete=False) == "solo_L1_stix-hk-maxi_20210606_V12U.fits"
    assert fits_name("ql-lightcurve", day, 1, part=1) == "solo_L1_stix-ql-lightcurve-sup1_20210606_V01.fits"
    assert fits_folder("L1", day, "ql-lightcurve") == "fits/L1/2021/06/06/QL"
    assert fits_folder("L1", day, "hk-mini") == "fits/L1/2021/06/06/HK"


def test_simulated_product_says_so_in_its_name():
    name = fits_name("ql-lightcurve", np.datetime64("2021-06-06"), 1, origin="simulated")
    assert name == "solo_L1_stix-ql-lightcurve-simulated_20210606_V01.fits"


def test_unknown_type_has_no_name():
    with pytest.raises(SchemaError, match="found 'ql-light'"):
        fits_name("ql-light", np.datetime64("2021-06-06"), 1)


def test_file_comes_back_as_the_dataset(tmp_path):
    ds = light_curve_dataset()
    back = read_fits(written(ds, tmp_path), load_clock(None))
    xr.testing.assert_equal(back, ds)
    assert content_sha256(back) == content_sha256(ds)
    for key in ("title", "product", "level", "origin", "idb_version", "clock", "time_coverage_start"):
        assert back.attrs[key] == ds.attrs[key]
    assert back.attrs["dialect"] == "stixlab"


@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_any_light_curve_comes_back_equal(data, tmp_path_factory):
    """Bins of any length, clocks that slip, gaps, other energies, all schemes."""
    n_bands = data.draw(st.integers(1, 6))
    edges = data.draw(st.lists(st.integers(0, 32), min_size=n_bands + 1, max_size=n_bands + 1, unique=True))
    blocks, coarse = [], 664_146_000
    for _ in range(data.draw(st.integers(1, 4))):
        tenths, n_bins = data.draw(st.sampled_from([1, 3, 10, 40, 77])), data.draw(st.integers(1, 12))
        blocks.append(
            light_curve(
                random_codes(data.draw(st.integers(0, 99)), n_bins, n_bands),
                coarse=coarse,
                fine=data.draw(st.sampled_from([0, 1, 2, 65_535])),
                tenths=tenths,
                triggers=data.draw(st.lists(st.integers(0, 255), min_size=n_bins, max_size=n_bins)),
                edge_mask=sum(1 << e for e in edges),
                detector_mask=data.draw(st.integers(0, 2**32 - 1)),
                scheme=data.draw(st.sampled_from([(0, 5, 3), (0, 4, 4), (0, 3, 5), (0, 6, 2)])),
                triggers_scheme=data.draw(st.sampled_from([(0, 5, 3), (0, 0, 7)])),
            )
        )
        coarse += n_bins * tenths // 10 + data.draw(st.integers(0, 2))
    (ds,) = level1(*blocks)
    path = tmp_path_factory.mktemp("fits") / NAME
    write_fits(ds, path, version=1, created=CREATED)
    xr.testing.assert_equal(read_fits(path, load_clock(None)), ds)


@pytest.mark.parametrize("sid", [1, 2])
def test_housekeeping_comes_back_as_the_dataset(tmp_path, real_data, sid):
    ds = real_report(real_data, sid=sid)
    back = read_fits(written(ds, tmp_path), load_clock(None))
    xr.testing.assert_equal(back, ds)
    assert back.instrument_mode.attrs["flag_meanings"] == ds.instrument_mode.attrs["flag_meanings"]


def test_astropy_opens_every_table_without_a_warning(tmp_path, real_data):
    for ds in (light_curve_dataset(), real_report(real_data)):
        path = written(ds, tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path, checksum=True) as hdus:
                hdus.verify("exception")
                names = [h.name for h in hdus]
            for name in names[1:]:
                Table.read(path, hdu=name)


def test_tables_and_columns_are_those_of_the_official_file(tmp_path, real_data):
    """Every column of the official L1 of 2020-05-06 that we know the content of, of the same shape."""
    path = written(light_curve_dataset(), tmp_path)
    ours_only_names = {"triggers_err": "triggers_comp_err", "counts_err": "counts_comp_err"}
    left_out = {"raw_file", "packet", "parent"}
    with (
        fits.open(path) as ours,
        fits.open(real_data / "l1" / "ql" / "solo_L1_stix-ql-lightcurve_20200506_V01.fits") as theirs,
    ):
        assert [h.name for h in ours] == [h.name for h in theirs]
        for table in theirs[1:]:
            for column in table.columns.names:
                if column not in left_out:
                    name = ours_only_names.get(column, column)
                    shapes = [
                        d[n].reshape(len(d), -1).shape[1]
                        for d, n in ((ours[table.name].data, name), (table.data, column))
                    ]
                    assert shapes[0] == shapes[1], column


def test_housekeeping_columns_are_those_of_the_official_file(tmp_path, real_data):
    path = written(real_report(real_data), tmp_path)
    with (
        fits.open(path) as ours,
        fits.open(real_data / "l1" / "hk" / "solo_L1_stix-hk-maxi_20200501_V01.fits") as theirs,
    ):
        assert set(theirs["DATA"].columns.names) == set(ours["DATA"].columns.names)
        for column in theirs["DATA"].columns:
            if column.unit and column.name not in ("time", "timedel"):
                assert ours["DATA"].columns[column.name].unit == column.unit, column.name


def test_time_is_seconds_in_double_precision_from_the_keyword(tmp_path):
    """Both clients read it as seconds; it counts from DATE-BEG as it is written there, to the millisecond."""
    ds = light_curve_dataset()
    with fits.open(written(ds, tmp_path)) as hdus:
        data, header = hdus["DATA"], hdus[0].header
        assert data.columns["time"].format == data.columns["timedel"].format == "D"
        assert data.columns["time"].unit == data.columns["timedel"].unit == "s"
        begin = np.datetime64(header["DATE-BEG"], "ns")
        seconds = data.data["time"].astype(np.float64)
    assert np.array_equal(begin + np.rint(seconds * 1e9).astype("timedelta64[ns]"), ds.time.to_numpy())


def test_header_says_what_is_known_and_no_more(tmp_path):
    ds = light_curve_dataset()
    with fits.open(
        written(ds, tmp_path, raw_files=["b.xml", "a.xml"], parents=["c.fits"], complete=True, version=3)
    ) as hdus:
        header = hdus[0].header
    expected = {
        "FILENAME": NAME, "RAW_FILE": "a.xml;b.xml", "PARENT": "c.fits", "DATE": "2026-01-02T03:04:05", "LEVEL": "L1", "VERSION": "03",
        "OBSRVTRY": "Solar Orbiter", "TELESCOP": "SOLO/STIX", "INSTRUME": "STIX", "STYPE": 21, "SSTYPE": 6, "SSID": 30,
        "TIMESYS": "UTC", "BUNIT": "count", "XPOSURE": 4.0, "SIMULATD": False, "ORIGIN": "stixlab", "CREATOR": "stixlab",
        "DATAMIN": float(ds.counts.min()), "DATAMAX": float(ds.counts.max()), "COMPLETE": True,
    }  # fmt: skip
    assert {k: header[k] for k in expected} == expected
    assert header["DATE-BEG"] == header["DATE-OBS"] <= header["DATE-AVG"] <= header["DATE-END"]
    assert (Time(header["DATE-END"]) - Time(header["DATE-BEG"])).to_value("s") == pytest.approx(
        1200, abs=0.01
    )
    assert header["OBT_END"] - header["OBT_BEG"] == pytest.approx(1200, abs=0.01)
    assert not {"EAR_TDEL", "SUN_TIME", "DSUN_OBS", "INCOMPL"} & set(header)


def test_what_is_not_known_is_not_in_the_header(tmp_path):
    """Neither empty, nor claimed."""
    with fits.open(written(light_curve_dataset(), tmp_path)) as hdus:
        assert not {"PARENT", "RAW_FILE", "COMPLETE", "INCOMPL"} & set(hdus[0].header)


def test_header_says_why_a_day_is_not_complete(tmp_path):
    names = [f"IX2IX6BatchRequest.PktTmRaw.SOL.0.2020.121.07.11.03.{n}@2020.122.xml" for n in range(30)]
    why = "340 s are missing: a gap from 2024-03-28T01:00:00 to 2024-03-28T01:05:40"
    path = written(light_curve_dataset(), tmp_path, complete=False, why=why, raw_files=names)
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
    assert (header["COMPLETE"], header["INCOMPL"]) == (False, why)
    assert header["RAW_FILE"] == ";".join(sorted(names))


def test_simulated_file_cannot_be_taken_for_a_real_one(tmp_path):
    ds = light_curve_dataset(destination=SIMULATED_DESTINATION)
    path = written(ds, tmp_path)
    with fits.open(path) as hdus:
        header = hdus[0].header
    assert header["SIMULATD"] is True
    assert header["ORIGIN"] == "stixlab SIMULATOR"
    assert "SIMULATED DATA" in str(header["COMMENT"])
    assert read_fits(path, load_clock(None)).attrs["origin"] == "simulated"


def test_same_input_gives_the_same_bytes(tmp_path):
    ds = light_curve_dataset()
    one = write_fits(ds, tmp_path / "1" / NAME, version=1, created=CREATED)
    two = write_fits(ds, tmp_path / "2" / NAME, version=1, created=CREATED)
    content = (tmp_path / "1" / NAME).read_bytes()
    assert one == two == (hashlib.sha256(content).hexdigest(), len(content))
    assert content == (tmp_path / "2" / NAME).read_bytes()


def test_nothing_is_left_when_the_disk_is_full(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArchiveError, match="no space left"):
        write_fits(light_curve_dataset(), tmp_path / NAME, version=1, created=CREATED)
    assert not list(tmp_path.iterdir())


def test_dataset_that_departs_from_its_declaration_is_not_written(tmp_path):
    ds = light_curve_dataset()
    with pytest.raises(SchemaError, match="triggers: declared, not there"):
        written(ds.drop_vars("triggers"), tmp_path)
    with pytest.raises(SchemaError, match="at least one time"):
        written(ds.isel(time=slice(0, 0)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_long_texts_do_not_break_the_header(tmp_path):
    ds = light_curve_dataset().assign_attrs(clock="a clock kernel with quite a long name, " * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = written(ds, tmp_path, parents=[f"{i}-of-the-raw-files-it-was-made-from.xml" for i in range(9)])
        assert read_fits(path, load_clock(None)).attrs["clock"] == ds.attrs["clock"].strip()


@pytest.mark.parametrize("at", [0.1, 0.4, 0.6, 0.9, 0.999])
def test_truncated_file_is_told(tmp_path, at):
    path = written(light_curve_dataset(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * at)])
    with pytest.raises(FormatError, match=NAME):
        read_fits(path, load_clock(None))


@settings(max_examples=examples(40), deadline=None)
@given(place=st.floats(0, 0.9999), bit=st.integers(0, 7))
def test_flipped_bit_never_passes_and_never_breaks(tmp_path_factory, place, bit):
    """Whatever the bit is part of: a clear error, or (in the empty rest of a block) the same data."""
    content = _file_content(tmp_path_factory)
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / NAME
    path.write_bytes(damaged)
    try:
        ds = read_fits(path, load_clock(None))
    except FormatError:
        return
    assert content_sha256(ds) == content_sha256(light_curve_dataset())


_CONTENT = []


def _file_content(tmp_path_factory):
    if not _CONTENT:
        _CONTENT.append(written(light_curve_dataset(), tmp_path_factory.mktemp("whole")).read_bytes())
    return _CONTENT[0]


def test_hdus_can_be_made_without_a_file():
    hdus = to_hdus(light_curve_dataset(), filename=NAME, version=1, created=CREATED)
    assert [h.name for h in hdus] == ["PRIMARY", "CONTROL", "DATA", "IDB_VERSIONS", "ENERGIES"]
