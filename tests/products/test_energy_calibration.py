import dataclasses
import shutil

import numpy as np
import pytest
from astropy.io import fits

from stixlab.errors import FormatError, NotInCatalogError
from stixlab.instrument.elut import EnergyCalibration
from stixlab.products.energy_calibration import nearest_calibration, read_energy_calibration

NAME = "solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits"


def calibration_file(
    folder, *, gain=2.31, offset=225.0, instrument="STIX", drop="", elut="elut_table_20241114"
):
    """A product of the columns that are read."""
    pixels = np.arange(384, dtype=np.float64).reshape(1, 32, 12)
    columns = [
        fits.Column("offset", "384D", dim="(12,32)", array=offset + pixels * 0),
        fits.Column("gain", "384D", dim="(12,32)", array=gain * (1 + pixels * 1e-5)),
    ]
    control = fits.BinTableHDU.from_columns(
        [fits.Column("ob_elut_name", "19A", array=[elut])], name="CONTROL"
    )
    data = fits.BinTableHDU.from_columns([c for c in columns if c.name != drop], name="DATA")
    header = fits.Header(
        {"INSTRUME": instrument, "DATE-BEG": "2025-03-02T23:05:11", "DATE-END": "2025-03-03T23:05:12"}
    )
    path = folder / "cal.fits"
    fits.HDUList([fits.PrimaryHDU(header=header), control, data]).writeto(path, overwrite=True)
    return path


def test_gains_of_both_kinds_give_the_same(tmp_path):
    """Channels of 1024 per keV, or keV per step of 4096: files call both adu / keV."""
    channels = read_energy_calibration(calibration_file(tmp_path))
    steps = np.arange(384).reshape(32, 12)
    np.testing.assert_allclose(channels.gain, 2.31 * (1 + steps * 1e-5))
    other = calibration_file(tmp_path, gain=0.11, offset=900.0)
    in_steps = read_energy_calibration(other)
    np.testing.assert_allclose(in_steps.gain, 1 / (4 * 0.11 * (1 + steps * 1e-5)))
    assert in_steps.offset[0, 0] == 225.0
    assert in_steps.elut == "20241114"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"instrument": "EPD"}, "expected a product of STIX; found 'EPD'"),
        ({"drop": "gain"}, "expected an energy calibration"),
        ({"gain": 9.0}, "detector 1, pixel 0: expected a gain of 1 to 5"),
        ({"gain": np.nan}, "detector 1, pixel 0: expected a gain"),
        ({"offset": -3.0}, "an offset within 1024"),
    ],
)
def test_what_no_pixel_can_have_is_refused(tmp_path, options, told):
    with pytest.raises(FormatError, match=told):
        read_energy_calibration(calibration_file(tmp_path, **options))


@pytest.mark.parametrize("size", [0, 100, 2880, 8000])
def test_a_truncated_file_is_refused(tmp_path, size):
    path = calibration_file(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError, match=r"cal\.fits: expected"):
        read_energy_calibration(path)


def run(source, start, hours, elut="a"):
    begin = np.datetime64(start, "ns")
    zero = np.zeros((32, 12))
    return EnergyCalibration(zero, zero, begin, begin + np.timedelta64(hours, "h"), elut, source)


def test_the_nearest_long_run_with_the_same_table_is_taken():
    runs = [
        run("short", "2025-03-02T12:00", 6), run("other table", "2025-03-02", 24, "b"),
        run("far", "2025-01-01", 24), run("near", "2025-02-20", 24),
    ]  # fmt: skip
    time = np.datetime64("2025-03-02T12:00", "ns")
    assert nearest_calibration(runs, time, elut="a").source == "near"
    assert (
        nearest_calibration([dataclasses.replace(runs[1], elut="")], time, elut="a").source == "other table"
    )
    with pytest.raises(
        NotInCatalogError, match=r"12 h or more with table c; found short \(table a\), other table"
    ):
        nearest_calibration(runs, time, elut="c")


def test_the_real_product_is_read(real_data, tmp_path):
    path = real_data / "cal" / NAME
    found = read_energy_calibration(path)
    assert (found.elut, str(found.start)[:19]) == ("20241114", "2025-03-02T23:05:11")
    assert abs(np.median(found.gain) - 2.27) < 0.05
    assert abs(np.median(found.offset) - 224) < 2
    broken = tmp_path / "broken.fits"
    shutil.copyfile(path, broken)
    broken.write_bytes(broken.read_bytes()[:70_000])
    with pytest.raises(FormatError, match="expected an energy calibration"):
        read_energy_calibration(broken)
    with pytest.raises(FormatError, match="expected an energy calibration"):
        read_energy_calibration(real_data / "l1" / "hk" / "solo_L1_stix-hk-maxi_20200501_V01.fits")
