"""Products of other makers, read into our datasets: against their columns and against the packets they stood in."""

import warnings

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from stixlab.datasets.energy_calibration import ENERGY_CALIBRATION
from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.datasets.registry import get_spec
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import FormatError
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import make_level1, merge, split_days
from stixlab.products.merging import content_sha256
from stixlab.simulation.calibration import CalibrationSpectra, calibration_packets
from stixlab.simulation.reencode import reencode
from stixlab.simulation.sequences import Departure
from stixlab.telemetry.decode import decode, decode_all
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import check
from tests.support.fits_products import there_and_back
from tests.support.requests import VERSIONS, level1

SCIENCE = [
    "*-cpd_20200505*", "*cpd_20200607T003001*", "*cpd_20200607T213709*", "*cpd_20240308*", "*cpd_20221109T004455*",
    "*cpd_20221111T085618*", "*scpd_20200505*", "*rpd_20200505*", "*xray-spec_20200505*", "*xray-l1-2207235029*",
    "*spectrogram-2102140001*", "*spectrogram-2207238956*",
]  # fmt: skip
QUICK = ("*-cpd_20200505*", "*scpd_20200505*", "*xray-spec_20200505*", "*spectrogram-2102140001*")
"""One of each form and dialect; the others take longer."""
QUICKLOOKS = ("background", "variance", "flareflag", "lightcurve")
BUNDLED_DAY = "2020-05-06"


@pytest.fixture(scope="module")
def clock(real_data):
    return load_clock(real_data / "spice" / "stix_min.tm")


def found(real_data, pattern):
    (path,) = (real_data / "l1").rglob(pattern)
    return path


def without_checksums(hdus):
    for hdu in hdus:
        for keyword in ("CHECKSUM", "DATASUM"):
            hdu.header.remove(keyword, ignore_missing=True)


def assert_alike(ours: xr.Dataset, theirs: xr.Dataset, *, apart_s: float, but: tuple[str, ...] = ()) -> None:
    """The same variables with the same values; times within what their files round."""
    assert set(ours.variables) == set(theirs.variables)
    for name in set(ours.variables) - set(but):
        one, other = ours[name].to_numpy(), theirs[name].to_numpy()
        assert one.shape == other.shape, name
        if one.dtype.kind == "M":
            assert np.abs(one - other).max() <= np.timedelta64(round(apart_s * 1e9), "ns"), name
        elif one.dtype.kind == "f":
            assert np.allclose(one, other, rtol=1e-5), name
        else:
            assert (one == other).all(), name


@pytest.mark.parametrize(
    "pattern",
    [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in SCIENCE],
)
@pytest.mark.filterwarnings("ignore")
def test_a_request_is_that_of_its_packets(real_data, clock, tmp_path, pattern):
    """Two ways: the file read, and its counts made packets, decoded and processed; masks, live time and all."""
    path = found(real_data, pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = read_fits(path, clock)
    check(ds, get_spec(ds.attrs["product"]))
    file = reencode(path, out=tmp_path).file
    through_packets = level1(read_packets(file.read_bytes(), file.name, VERSIONS)[0])
    but: tuple[str, ...] = ()
    if "2207238956" in pattern:
        # Their error of the last channel of spectrograms is the root of the counts.
        but = ("counts_error", "counts_compression_error")
    # On-board seconds taken for those of UTC: 38 ms in the six hours of the longest file.
    assert_alike(ds, through_packets, apart_s=0.05, but=but)
    for key in ("request_id", "tc_packet_id", "tc_sequence", "time_stamp_scet", "time_bin_shift", "complete"):
        assert ds.attrs[key] == through_packets.attrs[key], key
    assert ds.attrs["origin"] == "flight"
    assert ds.attrs["dialect"] in {"L1 of stixcore", "L1A of STIX-SWF"}
    back = there_and_back(ds, tmp_path / "ours.fits")
    assert content_sha256(back) == content_sha256(ds)


@pytest.mark.parametrize(
    "pattern", ["*-cpd_20200505*", "*cpd_20221109T004455*", "*rpd_20200505*", "*xray-spec_20200505*"]
)
@pytest.mark.filterwarnings("ignore")
def test_our_tables_have_the_columns_of_the_official_file(real_data, clock, tmp_path, pattern):
    """All but those that name their files and packets; of the same shape."""
    path = found(real_data, pattern)
    there_and_back(read_fits(path, clock), tmp_path / "ours.fits")
    renamed = {"counts_err": "counts_comp_err", "triggers_err": "triggers_comp_err"}
    left_out = {"raw_file", "packet", "parent", "num_substructures"}
    with fits.open(tmp_path / "ours.fits") as ours, fits.open(path) as theirs:
        for table in theirs[1:]:
            for column in set(table.columns.names) - left_out:
                name = "energy_bin_edge_mask" if column == "energy_bin_mask" else renamed.get(column, column)
                mine = ours[table.name].data[name]
                if name == column and column != "version":
                    assert (
                        mine.reshape(len(mine), -1).shape == table.data[column].reshape(len(mine), -1).shape
                    ), column


@pytest.mark.parametrize("name", QUICKLOOKS)
@pytest.mark.filterwarnings("ignore")
def test_a_quicklook_is_that_of_its_packets(real_data, clock, tmp_path, name):
    path = found(real_data, f"*stix-ql-{name}_20200506*")
    ds = read_fits(path, clock)
    check(ds, get_spec(f"ql-{name}"))
    block, _ = read_packets(reencode(path, out=tmp_path, clock=clock).file.read_bytes(), path.name, VERSIONS)
    (columns,) = decode_all(block, VERSIONS, keep_trailing=True)[0].values()
    through_packets = merge(make_level1(columns, clock, VERSIONS, origin="reencoded"))
    assert ds.sizes == through_packets.sizes
    # On-board times of the files differ by ticks within a run.
    assert_alike(ds, through_packets, apart_s=0.2, but=("scet_coarse", "scet_fine"))
    ticks = [
        (d.scet_coarse.to_numpy().astype(np.int64) << 16) + d.scet_fine.to_numpy()
        for d in (ds, through_packets)
    ]
    assert np.abs(ticks[0] - ticks[1]).max() < 0.02 * 65536
    assert content_sha256(there_and_back(ds, tmp_path / "ours.fits")) == content_sha256(ds)


@pytest.mark.parametrize("pattern", ["*-cpd_20200505*", "*xray-spec_20200505*", "*ql-spectra_20200506*"])
@pytest.mark.filterwarnings("ignore")
def test_a_channel_ends_where_the_next_begins(real_data, clock, pattern):
    """Tables of files of 2020-05 end channel 13 at 17 keV and begin channel 14 at 18 keV.

    The channels are cut by 33 edges, and those of all later files and of the tables of the instrument have 16, 18, 20.
    """
    path = found(real_data, pattern)
    with fits.open(path) as hdus:
        theirs = {int(e["channel"]): (e["e_low"], e["e_high"]) for e in hdus["ENERGIES"].data}
    assert (theirs[13], theirs[14]) == ((16, 17), (18, 20))
    bounds = read_fits(path, clock).energy_bounds.to_numpy()
    assert [16, 18] in bounds.tolist()
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()


@pytest.mark.filterwarnings("ignore")
def test_detector_spectra_stand_at_their_time(real_data, clock, tmp_path):
    """Rows that mix packets are left out; the rest equals the packets."""
    path = found(real_data, "*ql-spectra_20200506*")
    ds = read_fits(path, clock)
    check(ds, get_spec("ql-spectra"))
    with fits.open(path) as hdus:
        passed = hdus["DATA"].data["num_integrations"].astype(int)
    left_out = int((np.diff(passed, axis=1) < 0).any(axis=1).sum())
    assert ds.attrs["rows_left_out"] == left_out == 5
    assert int(ds.counts_valid.sum()) == 32 * (len(passed) - left_out)
    block, _ = read_packets(reencode(path, out=tmp_path, clock=clock).file.read_bytes(), path.name, VERSIONS)
    (columns,) = decode_all(block, VERSIONS)[0].values()
    other = merge(make_level1(columns, clock, VERSIONS, origin="reencoded"))
    for i, time in enumerate(ds.time.to_numpy()):
        near = int(abs(other.time - time).argmin())
        assert abs(other.time.to_numpy()[near] - time) < np.timedelta64(200, "ms")
        valid = ds.counts_valid.to_numpy()[i]
        for name in ("counts", "counts_compression_error", "triggers", "triggers_error"):
            assert np.allclose(
                ds[name].to_numpy()[i, valid], other[name].to_numpy()[near, valid], rtol=1e-6
            ), name


def test_housekeeping_states_are_numbers_again(real_data, clock):
    path = found(real_data, "*hk-maxi_20200501*")
    ds = read_fits(path, clock)
    check(ds, get_spec("hk-maxi"))
    with fits.open(path) as hdus:
        data = hdus["DATA"].data
        control = hdus["CONTROL"].data
        modes = {"SAFE": 2, "CONFIGURATION": 4, "NOMINAL": 5}
        assert ds.instrument_mode.to_numpy().tolist() == [modes[m] for m in data["instrument_mode"]]
        assert (ds.power_quarter_4.to_numpy() == (data["q4-power_status"] == "On")).all()
        assert (
            ds.high_voltage_regulators.to_numpy() == 3 * (data["hv_regulators_mask"] == "1 on 2 on")
        ).all()
        assert (ds.depolarisation_1.to_numpy() == data["hv1_depolar_in_progress"]).all()
        assert np.allclose(ds.temperature_dpu_board.to_numpy() + 273.15, data["hk_dpu_pcb_t"], atol=1e-4)
        assert np.allclose(ds.voltage_dpu_1v5.to_numpy(), data["hk_dpu_1v5_v"], rtol=1e-6)
        assert (ds.scet_coarse.to_numpy() == control["scet_coarse"]).all()
    assert set(ds.software_running.to_numpy().tolist()) == {0}
    assert ds.time.to_numpy()[0] == np.datetime64("2020-05-01T00:00:30.226")


def test_an_unknown_state_is_told(real_data, clock, tmp_path):
    with fits.open(found(real_data, "*hk-maxi_20200501*")) as hdus:
        hdus["DATA"].data["watchdog_state"][5] = "??"
        without_checksums(hdus)
        hdus.writeto(tmp_path / "a.fits")
    with pytest.raises(FormatError, match=r"a\.fits: expected in DATA\.watchdog_state one of off, on; found"):
        read_fits(tmp_path / "a.fits", clock)


def test_an_empty_flare_list_keeps_the_counters(real_data, clock):
    ds = read_fits(found(real_data, "*tmstatusflarelist*"), clock)
    check(ds, get_spec("ql-tmstatusflarelist"))
    assert int(ds.selected_data_counter[0]) == 23_955_176
    assert int(ds.n_flares[0]) == 0
    assert not ds.flare_valid.to_numpy().any()


def test_a_calibration_run_stands_once_with_its_true_length(real_data, clock):
    """The file holds it twice, with a tenth of two lengths: 45,599 s is that of the first packet, see `build_calibration`.

    CONTROL has tenths of a second, DATA whole ones: ten of them. The middle of the run lies on the day of its file.
    """
    ds = read_fits(real_data / "cal" / "solo_L1_stix-cal-energy_20200506_V01.fits.gz", clock)
    check(ds, get_spec("cal-spectra"))
    with fits.open(real_data / "cal" / "solo_L1_stix-cal-energy_20200506_V01.fits.gz") as hdus:
        counts = hdus["DATA"].data["counts"][0]
        control = hdus["CONTROL"].data
        assert float(ds.temperature[0]) + 273.15 == pytest.approx(control["average_temperature"][0])
        run = CalibrationSpectra(
            start_s=int(control["scet_coarse"][0]),
            duration_s=round(control["integration_time"].min() * 10),
            live_ms=int(control["live_time"][0]),
            counts=counts.astype(np.int64),
            subspectra=((0, 1024, 1),),
        )
    assert (ds.counts.to_numpy()[0] == counts).all()
    assert ds.sizes["time"] == 1
    assert float(ds.live_time[0]) == pytest.approx(21_780.304)
    assert float(ds.integration_time[0]) == 45_599
    begin = np.datetime64("2020-05-06T17:32:44.439", "ns")
    assert ds.time_bounds.to_numpy()[0].tolist() == [
        begin.astype(int),
        (begin + np.timedelta64(45_599, "s")).astype(int),
    ]
    assert ds.time.to_numpy()[0] == np.datetime64("2020-05-06T23:52:43.939")
    assert [str(d) for d, _ in split_days(ds)] == [BUNDLED_DAY]
    assert set(ds.subspectrum.to_numpy().tolist()) == {1}
    assert ds.counts_valid.to_numpy().all()
    # The same run through its packets: the clock of the file is 0.3 ms off ours.
    leave = Departure(run.start_s + run.duration_s + 2)
    columns, _ = decode(calibration_packets(run, leave, VERSIONS), 54124, VERSIONS)
    (other,) = make_level1(columns, clock, VERSIONS)
    for name in ("scet_coarse", "scet_fine", "integration_time"):
        assert (ds[name].to_numpy() == other[name].to_numpy()).all(), name
    for name in ("time", "time_bounds"):
        assert np.abs(ds[name].to_numpy() - other[name].to_numpy()).max() < np.timedelta64(50, "ms"), name


def test_auxiliary_ephemeris_is_read_at_its_own_times(real_data, clock):
    paths = sorted((real_data / "aux").glob("*.fits"))
    assert len(paths) > 5
    for path in paths:
        ds = read_fits(path, clock)
        check(ds, EPHEMERIS)
        with fits.open(path) as hdus:
            data = hdus["DATA"].data
            assert ds.sizes["time"] == len(data)
            assert abs(ds.distance.to_numpy() / data["solo_loc_carrington_dist"].ravel() - 1).max() < 1e-5
            assert np.allclose(ds["roll"].to_numpy(), data["roll_angle_rpy"][:, 0], atol=1e-5)
            good = ds.aspect_valid.to_numpy()
            assert np.allclose(ds.aspect_y.to_numpy()[good], data["y_srf"][good], atol=1e-4)
        assert (ds.attrs["product"], ds.attrs["source_level"]) == ("asp-ephemeris", "L2")
        assert ds.attrs["orbit_source"] == path.name
    assert read_fits(paths[0], clock, content=paths[0].read_bytes()).equals(read_fits(paths[0], clock))


def test_energy_calibration_is_read(real_data, clock):
    path = real_data / "cal" / "solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits"
    ds = read_fits(path, clock)
    check(ds, ENERGY_CALIBRATION)
    assert ds.offset.shape == (1, 32, 12)
    assert 2.2 < float(ds.gain.median()) < 2.4
    assert ds.attrs["elut"] == "20241114"
    assert str(ds.time_bounds.to_numpy()[0, 0])[:19] == "2025-03-02T23:05:11"
    content = path.read_bytes()
    with pytest.raises(FormatError, match="solo_CAL"):
        read_fits(path, clock, content=content[: len(content) // 2])


def test_all_quicklooks_of_a_day_are_of_that_day(real_data, clock):
    for path in sorted((real_data / "l1" / "ql").glob("*_20200506_*")):
        days = [str(d) for d, _ in split_days(read_fits(path, clock))]
        assert BUNDLED_DAY in days, path.name


def without_column(table, column):
    def change(hdus):
        columns = [c for c in hdus[table].columns if c.name != column]
        hdus[hdus.index_of(table)] = fits.BinTableHDU.from_columns(columns, name=table)

    return change


@pytest.mark.parametrize(
    "case",
    [
        ("*cpd_20221109T004455*", without_column("DATA", "counts"), "expected a column counts in DATA"),
        ("*cpd_20221109T004455*", without_column("DATA", "counts_comp_err"), "counts_comp_err or counts_err in DATA"),
        ("*cpd_20221109T004455*", without_column("DATA", "triggers_comp_err"), "triggers_comp_err or triggers_err"),
        ("*cpd_20221109T004455*", without_column("DATA", "detector_masks"), "detector_masks or detector_mask"),
        ("*cpd_20221109T004455*", without_column("CONTROL", "energy_bin_edge_mask"), "energy_bin_edge_mask or"),
        ("*cpd_20221109T004455*", without_column("CONTROL", "time_stamp"), "expected a column time_stamp in CONTROL"),
        ("*cpd_20221109T004455*", lambda h: h.pop("ENERGIES"), "expected a table ENERGIES"),
        ("*cpd_20221109T004455*", lambda h: h[0].header.remove("OBT_BEG"), "expected OBT_BEG in seconds"),
        ("*cpd_20221109T004455*", lambda h: h[0].header.set("OBT_BEG", -5e9), "OBT_BEG near CONTROL.time_stamp"),
        ("*cpd_20221109T004455*", lambda h: h["DATA"].data["pixel_masks"].fill(0), "pixels that DATA.pixel_masks"),
        ("*cpd_20221109T004455*", lambda h: h["DATA"].data["pixel_masks"].fill(1), "pixels that DATA.pixel_masks"),
        ("*cpd_20221109T004455*", lambda h: h["CONTROL"].data["energy_bin_edge_mask"].fill(0), "one energy mask"),
        ("*cpd_20221109T004455*", lambda h: h["CONTROL"].data["energy_bin_edge_mask"].fill(1), "rows in ENERGIES"),
        ("*ql-variance*", without_column("DATA", "variance_err"), "variance_comp_err or variance_err"),
        ("*ql-variance*", lambda h: h["CONTROL"].data["energy_bin_mask"].fill(False), "one energy mask"),
        ("*ql-spectra*", without_column("DATA", "num_integrations"), "expected a column num_integrations"),
        ("*ql-spectra*", lambda h: h["DATA"].data["detector_index"].fill(77), "detectors from 0 to 31"),
        ("*ql-flareflag*", without_column("DATA", "loc_y"), "expected a column loc_y in DATA"),
        ("*ql-background*", without_column("CONTROL", "energy_bin_edge_mask"), "expected a column energy_bin_edge"),
        ("*tmstatusflarelist*", without_column("DATA", "ubsd"), "expected a column ubsd in DATA"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_is_missing_or_wrong_is_named(real_data, clock, tmp_path, case):
    pattern, change, message = case
    with fits.open(found(real_data, pattern)) as hdus:
        without_checksums(hdus)
        change(hdus)
        hdus.writeto(tmp_path / "changed.fits")
    with pytest.raises(FormatError, match=message) as caught:
        read_fits(tmp_path / "changed.fits", clock)
    assert "changed.fits" in str(caught.value)
