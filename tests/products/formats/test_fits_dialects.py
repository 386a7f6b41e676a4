import shutil

import numpy as np
import pytest
from astropy.io import fits

from stixlab.datasets.registry import get_spec
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import FormatError
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import merge, split_days
from stixlab.vocabulary import check
from tests.support.light_curves import light_curve_dataset

QL = "l1/ql"
OFFICIAL = f"{QL}/solo_L1_stix-ql-lightcurve_20200506_V01.fits"
L1A = f"{QL}/solo_L1A_stix-ql-lightcurve_20210606_010104_V01.fits"
CODES = f"{QL}/solo_L1_stix-ql-LightCurve_20210117_V01.fits"
L0 = f"{QL}/solo_L0_stix-ql-LightCurve_0664070400_V01.fits"


@pytest.fixture(scope="module")
def clock(real_data):
    return load_clock(real_data / "spice" / "stix_min.tm")


def raw_columns(path, names, hdu="DATA"):
    with fits.open(path) as hdus:
        return [np.array(hdus[hdu].data[n]) for n in names]


def test_official_day_in_centiseconds_is_read(real_data, clock):
    """2020-05-06: 21516 bins, a gap of 340 s at 17:34, the last band up to 150 keV."""
    ds = read_fits(real_data / OFFICIAL, clock)
    check(ds, get_spec("ql-lightcurve"))
    assert ds.sizes["time"] == 21516
    assert ds.energy_bounds.to_numpy().tolist() == [[4, 10], [10, 15], [15, 25], [25, 50], [50, 150]]
    counts, error, triggers = raw_columns(real_data / OFFICIAL, ("counts", "counts_err", "triggers"))
    assert (ds.counts.to_numpy() == counts).all()
    assert (ds.triggers.to_numpy() == triggers[:, 0]).all()
    assert (ds.counts_compression_error.to_numpy() == error).all()
    assert np.allclose(ds.counts_error.to_numpy() ** 2, error.astype(float) ** 2 + counts, rtol=1e-6)
    assert ds.time_bounds.to_numpy()[0, 0] == np.datetime64("2020-05-05T23:59:59.531")
    assert ds.time.to_numpy()[0] == np.datetime64("2020-05-06T00:00:01.531")
    gap = np.diff(ds.time.to_numpy()).max()
    assert gap == np.timedelta64(340_100, "ms")
    assert ds.attrs["origin"] == "flight"
    assert ds.attrs["dialect"] == "L1 of stixcore"
    assert ds.attrs["idb_version"] == "2.26.31, 2.26.32, 2.26.33"
    assert [str(d) for d, _ in split_days(ds)] == ["2020-05-06"]


def test_on_board_times_of_the_official_day_are_those_of_its_packets(real_data, clock):
    """They differ from UTC by the drift that the times of the file leave out within a run: below 0.2 s a day."""
    ds = read_fits(real_data / OFFICIAL, clock)
    key = (ds.scet_coarse.to_numpy().astype(np.int64) << 16) + ds.scet_fine.to_numpy()
    assert (np.diff(key) > 0).all()
    apart = clock.to_utc(ds.scet_coarse.to_numpy(), ds.scet_fine.to_numpy()) - ds.time_bounds.to_numpy()[:, 0]
    assert abs(apart).max() < np.timedelta64(200, "ms")
    coarse, fine = raw_columns(real_data / OFFICIAL, ("scet_coarse", "scet_fine"), "CONTROL")
    packets = (coarse.astype(np.int64) << 16) + fine
    assert np.isin(packets[(packets > key[0]) & (packets <= key[-1])], key).all()


def test_l1a_in_seconds_is_read(real_data, clock):
    """2021-06-06: 16802 bins, up to 84 keV, no STYPE in its header."""
    ds = read_fits(real_data / L1A, clock)
    check(ds, get_spec("ql-lightcurve"))
    assert ds.sizes["time"] == 16802
    assert ds.energy_bounds.to_numpy()[-1].tolist() == [50, 84]
    counts, error, triggers = raw_columns(real_data / L1A, ("counts", "counts_err", "triggers"))
    assert (ds.counts.to_numpy() == counts).all()
    assert (ds.triggers.to_numpy() == triggers).all()
    assert np.allclose(ds.counts_compression_error.to_numpy(), error)
    assert np.allclose(ds.counts_error.to_numpy() ** 2, error**2 + counts, rtol=1e-6)
    assert ds.time_bounds.to_numpy()[0, 0] == np.datetime64("2021-06-06T05:19:51.007")
    assert ds.attrs["source_level"] == "L1A"
    assert set(ds.detector_mask.to_numpy().tolist()) == {0xFFFF_FCFF}


def test_old_level_1_that_holds_codes_is_decompressed(real_data, clock):
    """2021-01-17: code 48 stands for 271; its 12 bins are among those of the packets and the L0 product."""
    ds = read_fits(real_data / CODES, clock)
    check(ds, get_spec("ql-lightcurve"))
    assert ds.sizes["time"] == 12
    assert ds.counts.to_numpy()[1, 0] == 271
    assert ds.attrs["dialect"] == "L1 of STIX-SWF (codes)"
    other = read_fits(real_data / L0, clock)
    same = np.isin(other.scet_coarse, ds.scet_coarse)
    for name in ("counts", "counts_error", "triggers", "triggers_error", "scet_coarse", "scet_fine"):
        assert (other[name].to_numpy()[same] == ds[name].to_numpy()).all(), name


def test_level_0_with_on_board_times_gets_utc_from_the_clock(real_data, clock):
    ds = read_fits(real_data / L0, clock)
    check(ds, get_spec("ql-lightcurve"))
    assert ds.sizes["time"] == 2654
    start = clock.to_utc(ds.scet_coarse.to_numpy(), ds.scet_fine.to_numpy())
    assert (ds.time_bounds.to_numpy()[:, 0] == start).all()
    assert ds.attrs["clock"] == clock.source


def test_file_and_telemetry_of_the_same_day_become_one(real_data, clock):
    """The same bins are known by their on-board time though UTC differs by milliseconds."""
    merged = merge([read_fits(real_data / L0, clock), read_fits(real_data / CODES, clock)])
    assert merged.sizes["time"] == 2654
    assert merged.attrs["dialect"] == "L0 of STIX-SWF (codes), L1 of STIX-SWF (codes)"


def test_packets_in_a_fits_file_are_for_ingest(real_data, clock):
    with pytest.raises(FormatError, match="use `stixlab ingest`"):
        read_fits(real_data / QL / "solo_LB_stix-21-6-30_0664156800_V01.fits", clock)


def test_what_is_not_read_is_recognised_and_named(real_data, clock):
    """Visibilities of 2020: all 0, five bins of 4 s in a file that ends four days later, without errors."""
    path = real_data / "l1/sci/solo_L1_stix-sci-xray-l3-87031827_20200508T011207_V01.fits"
    with pytest.raises(FormatError, match="found sci-xray-vis, level L1: expected visibilities with values"):
        read_fits(path, clock)
    with pytest.raises(FormatError, match="found an unknown product, level not given"):
        read_fits(real_data / "spectroscopy-reference/stx_srm_full.fits", clock)


def test_what_is_no_fits_file_is_told(tmp_path, clock):
    for name, content in (("empty.fits", b""), ("text.fits", b"hello\n" * 100), ("zero.fits", bytes(5760))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=name):
            read_fits(tmp_path / name, clock)
    with pytest.raises(FormatError, match=r"none\.fits"):
        read_fits(tmp_path / "none.fits", clock)
    with pytest.raises(FormatError, match="expected a FITS file"):
        read_fits(tmp_path, clock)


def changed(path, target, change):
    """Copy of a file with its HDUs changed, checksums made anew."""
    with fits.open(path) as hdus:
        change(hdus)
        hdus.writeto(target, checksum=True)
    return target


def without_column(table, column):
    def change(hdus):
        columns = [c for c in hdus[table].columns if c.name != column]
        place = hdus.index_of(table)
        hdus[place] = fits.BinTableHDU.from_columns(columns, name=table)

    return change


def set_keyword(keyword, value):
    return lambda hdus: hdus[0].header.set(keyword, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_keyword("DATE_BEG", "yesterday"), "expected DATE-BEG as yyyy-mm-dd.*found 'yesterday'"),
        (lambda h: h[0].header.remove("DATE_BEG"), "expected DATE-BEG"),
        (
            lambda h: (h[0].header.set("TELESCOP", "SOLO/EUI"), h[0].header.set("INSTRUME", "EUI")),
            "of STIX; found 'EUI",
        ),
        (lambda h: h.pop("DATA"), "expected a table DATA; found CONTROL, ENERGIES"),
        (lambda h: h.pop("CONTROL"), "expected a table CONTROL"),
        (without_column("DATA", "counts"), "expected a column counts in DATA"),
        (without_column("DATA", "counts_err"), r"counts_comp_err or counts_err"),
        (without_column("DATA", "timedel"), "expected a column timedel in DATA"),
        (without_column("CONTROL", "scet_fine"), "expected a column scet_fine in CONTROL"),
        (without_column("CONTROL", "detector_mask"), "expected a column detector_mask in CONTROL"),
        (without_column("ENERGIES", "e_high"), "expected a column e_high in ENERGIES"),
        (
            lambda h: h["DATA"].columns.change_unit("time", ""),
            "expected a unit of time .* for DATA.time; found 'none'",
        ),
        (lambda h: h["DATA"].data["timedel"].fill(0), "expected DATA.timedel above 0"),
        (lambda h: h["DATA"].data["counts"].fill(-1), "whole numbers from 0 to 4294967295 in DATA.counts"),
        (lambda h: h["DATA"].data["control_index"].fill(77), "each DATA.control_index in CONTROL.index"),
    ],
)
def test_what_is_missing_or_wrong_is_named(real_data, tmp_path, clock, change, message):
    path = changed(real_data / L1A, tmp_path / "changed.fits", change)
    with pytest.raises(FormatError, match=message) as caught:
        read_fits(path, clock)
    assert "changed.fits" in str(caught.value)


def test_damage_is_found_by_the_checksums_of_the_file(real_data, tmp_path, clock):
    content = bytearray((real_data / OFFICIAL).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(FormatError, match="fetch it again"):
        read_fits(tmp_path / "a.fits", clock)


def test_name_of_the_file_does_not_matter(real_data, tmp_path, clock):
    shutil.copyfile(real_data / L1A, tmp_path / "anything")
    assert read_fits(tmp_path / "anything", clock).sizes["time"] == 16802


def test_simulated_mark_of_others_is_kept(real_data, tmp_path, clock):
    path = changed(real_data / CODES, tmp_path / "a.fits", set_keyword("ORIGIN", "some simulation"))
    assert read_fits(path, clock).attrs["origin"] == "simulated"


def test_first_bins_of_a_cut_packet_keep_their_on_board_time(real_data, tmp_path, clock):
    """A file that begins in the middle of a packet, written with a clock 5.7 s off ours."""

    def change(hdus):
        place = hdus.index_of("DATA")
        hdus[place] = fits.BinTableHDU(hdus[place].data[100:], name="DATA", header=hdus[place].header)
        begin = np.datetime64(hdus[0].header["DATE_BEG"], "ms") + np.timedelta64(5700, "ms")
        hdus[0].header["DATE_BEG"] = str(begin)

    whole = read_fits(real_data / L1A, clock)
    part = read_fits(changed(real_data / L1A, tmp_path / "a.fits", change), clock)
    for name in ("scet_coarse", "scet_fine"):
        assert (part[name].to_numpy() == whole[name].to_numpy()[100:]).all()


def test_our_own_product_is_read_with_any_clock(tmp_path, clock):
    from datetime import UTC, datetime

    from stixlab.products.formats.fits import write_fits

    ds = light_curve_dataset()
    write_fits(ds, tmp_path / "a.fits", version=1, created=datetime(2026, 1, 1, tzinfo=UTC))
    assert (read_fits(tmp_path / "a.fits", clock).time == ds.time).all()
