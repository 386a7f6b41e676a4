"""Real products turned back into packets: decoding gives their counts back, in the packets they came in."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from stixlab.cli.reencode import reencode_command
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import FormatError, ParameterError, StixlabError
from stixlab.idb import load_versions
from stixlab.simulation.reencode import reencode
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import REENCODED_DESTINATION, Status
from stixlab.telemetry.sources import read_packets

VERSIONS = load_versions()


def product(real_data, pattern):
    (path,) = sorted((real_data / "l1").rglob(pattern))
    return path


def opened(path):
    """Rows of CONTROL and DATA."""
    with fits.open(path, memmap=False) as found:
        return found["CONTROL"].data, found["DATA"].data


def again(path, tmp_path, kind="bin"):
    """What was made, and its packets decoded."""
    made = reencode(path, out=tmp_path, kind=kind)
    block, _ = read_packets(made.file.read_bytes(), made.file.name, VERSIONS)
    columns, status = decode(block, int(block.spid[0]), VERSIONS)
    assert (status == Status.OK).all()
    assert len(block) == made.n_packets
    assert set(block.destination.tolist()) == {REENCODED_DESTINATION}
    assert block.lengths.max() <= 4112
    assert set((np.diff(block.sequence_count.astype(int)) % 16_384).tolist()) <= {1}
    return made, columns


def scheme(control, name="compression_scheme_counts_skm"):
    return tuple(int(x) for x in control[name][0])


PIXEL_DATA = [
    "*-cpd_20200505*",
    "*cpd_20200607T003001*",
    "*cpd_20200607T213709*",
    "*cpd_20240308*",
    "*cpd_20221109T004455*",
    "*cpd_20221114T214344*",
    "*scpd_20200505*",
]


@pytest.mark.parametrize("pattern", PIXEL_DATA)
@pytest.mark.filterwarnings("ignore")
def test_pixel_data_come_back_in_the_packets_they_came_in(real_data, tmp_path, pattern):
    """Files keep how many structures each packet had: how energies are divided over packets is that of the instrument."""
    path = product(real_data, pattern)
    control, data = opened(path)
    made, columns = again(path, tmp_path)
    assert columns["NIX00403"].tolist() == control["num_substructures"][0].tolist()
    counts = np.asarray(data["counts"]).astype(int)
    n_sets = int(columns["NIX00442"][0])
    used = counts[:, :, counts.sum(axis=(0, 1, 3)) > 0] if counts.shape[2] != n_sets else counts
    value, _ = decompress(columns["NIX00260"], *scheme(control))
    assert np.array_equal(value, used.transpose(0, 3, 1, 2).ravel())
    assert made.total_counts == counts.sum()
    name = "NIX00404" if "NIX00404" in columns else "NIX00441"
    start, first = np.unique(columns[name], return_index=True)
    expected = data["time"].astype(int) - data["timedel"].astype(int) // 2
    assert np.array_equal((start - start[0]).astype(int) * 10, expected - expected[0])
    assert np.array_equal(columns["NIX00405"][first].astype(int) * 10, data["timedel"])
    triggers, _ = decompress(columns["NIX00257"][first], *scheme(control, "compression_scheme_triggers_skm"))
    assert np.array_equal(triggers, data["triggers"][:, 15].astype(int))
    assert set(columns["NIX00037"].tolist()) == {int(control["request_id"][0])}
    stamp = set((columns["NIX00402"] >> np.uint64(16)).tolist())
    assert stamp == {int(control["time_stamp"][0])}


@pytest.mark.filterwarnings("ignore")
def test_raw_pixel_data_come_back(real_data, tmp_path):
    path = product(real_data, "*rpd_20200505*")
    control, data = opened(path)
    made, columns = again(path, tmp_path)
    assert columns["NIX00403"].tolist() == control["num_substructures"][0].tolist()
    assert made.total_counts == int(np.asarray(data["counts"]).sum())
    times = np.repeat(np.unique(columns["NIX00404"], return_inverse=True)[1], columns["NIX00406"])
    bits, extra = columns["NIXD0159"].astype(int), np.append(columns["NIX00065"], [0, 0]).astype(int)
    first = np.cumsum(bits) - bits
    found = np.zeros(np.shape(data["counts"]), dtype=int)
    count = np.where(bits == 0, 1, np.where(bits == 1, extra[first], extra[first] * 256 + extra[first + 1]))
    found[times, columns["NIXD0153"], columns["NIXD0158"], columns["NIXD0154"]] = count
    assert np.array_equal(found, data["counts"])


@pytest.mark.parametrize("pattern", ["*spectrogram-2102140001*", "*spectrogram-2207238956*"])
@pytest.mark.filterwarnings("ignore")
def test_spectrograms_come_back(real_data, tmp_path, pattern):
    path = product(real_data, pattern)
    control, data = opened(path)
    _, columns = again(path, tmp_path)
    mask = np.flatnonzero(control["energy_bin_mask"][0])
    value, _ = decompress(columns["NIX00268"], *scheme(control))
    assert np.array_equal(value.reshape(len(data), -1), data["counts"][:, mask])
    triggers, _ = decompress(columns["NIX00267"], *scheme(control, "compression_scheme_triggers_skm"))
    assert np.array_equal(triggers, data["triggers"])
    start = columns["NIX00404" if "NIX00404" in columns else "NIX00441"].astype(int)
    expected = np.rint((data["time"] - data["timedel"] / 2) * 10).astype(int)
    assert np.array_equal(start - start[0], expected - expected[0])
    last = np.cumsum(columns["NIX00089"]) - 1
    assert np.array_equal(columns["NIX00269"], np.rint(data["timedel"][last] * 10))


QUICKLOOK = [
    ("*ql-lightcurve_20200506*", "counts", "NIX00272"),
    ("*L1A*ql-lightcurve_20210606*", "counts", "NIX00272"),
    ("*ql-background_20200506*", "counts", "NIX00278"),
    ("*ql-variance_20200506*", "variance", "NIX00281"),
]


@pytest.mark.parametrize(("pattern", "name", "parameter"), QUICKLOOK)
@pytest.mark.filterwarnings("ignore")
def test_quicklook_comes_back_in_the_packets_it_came_in(real_data, tmp_path, pattern, name, parameter):
    path = product(real_data, pattern)
    control, data = opened(path)
    _, columns = again(path, tmp_path)
    assert len(columns) == len(control)
    value, _ = decompress(columns[parameter], *scheme(control, f"compression_scheme_{name}_skm"))
    counts = np.asarray(data[name]).reshape(len(data), -1).astype(int)
    found = np.concatenate(
        [
            value[a:b].reshape(counts.shape[1], -1).T
            for a, b in zip(columns.splits[parameter][:-1], columns.splits[parameter][1:], strict=True)
        ]
    )
    order = np.argsort(data["time"], kind="stable")
    assert np.array_equal(found, counts[order])
    begin = set(zip(columns["NIX00445"].tolist(), columns["NIX00446"].tolist(), strict=True))
    kept = set(zip(control["scet_coarse"].tolist(), control["scet_fine"].tolist(), strict=True))
    assert len(begin - kept) <= 2, "only packets cut at the limits of the day begin elsewhere"


@pytest.mark.filterwarnings("ignore")
def test_an_old_file_that_holds_codes_is_understood(real_data, tmp_path):
    """The L1 file of 2021-01-17 holds codes: 48 stands for 271 counts."""
    path = product(real_data, "*LightCurve_20210117*")
    _, data = opened(path)
    _, columns = again(path, tmp_path)
    assert np.array_equal(columns["NIX00272"].reshape(5, -1).T, data["counts"])
    assert np.array_equal(columns["NIX00274"], data["triggers"])


@pytest.mark.filterwarnings("ignore")
def test_flare_flags_come_back_without_the_bit_that_their_time_did_not_have(real_data, tmp_path):
    path = product(real_data, "*flareflag_20200506*")
    _, data = opened(path)
    _, columns = again(path, tmp_path)
    assert int(columns["NIX00089"].sum()) == len(data)
    assert set(columns["NIX00405"].tolist()) == {10_199}


@pytest.mark.parametrize("kind", ["xml", "hex"])
@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_file_holds_the_same_packets(real_data, tmp_path, kind):
    path = product(real_data, "*cpd_20200607T003001*")
    _, columns = again(path, tmp_path, kind)
    _, binary = again(path, tmp_path)
    assert np.array_equal(columns.block.data, binary.block.data)


def write_product(path: Path, *, level="L1", **change) -> Path:
    """A small light curve of five bins as others write it."""
    counts = (np.arange(25) // 2).reshape(5, 5)
    columns = {
        "control_index": ("K", np.zeros(5, dtype=int)),
        "time": ("D", 2.0 + 4 * np.arange(5)),
        "timedel": ("D", np.full(5, 4.0)),
        "triggers": ("K", np.arange(5)),
        "triggers_err": ("D", np.zeros(5)),
        "rcr": ("B", np.zeros(5, dtype=int)),
        "counts": ("5D", counts.astype(float)),
    }
    columns = {k: v for k, v in {**columns, **change}.items() if v is not None}
    skm = np.array([[0, 5, 3]])
    control = {
        "scet_coarse": ("J", [700_000_000]),
        "scet_fine": ("J", [100]),
        "index": ("K", [0]),
        "detector_mask": ("32B", np.ones((1, 32))),
        "pixel_mask": ("12B", np.ones((1, 12))),
        "energy_bin_edge_mask": ("33B", np.ones((1, 33))),
        "compression_scheme_counts_skm": ("3B", skm),
        "compression_scheme_triggers_skm": ("3B", skm),
    }
    begin = load_clock().to_utc(700_000_000, 100)
    header = fits.Header({"LEVEL": level, "DATE-BEG": str(begin)[:23], "OBT_BEG": "700000000:100"})
    tables = [
        fits.BinTableHDU.from_columns([fits.Column(n, f, array=a) for n, (f, a) in t.items()], name=name)
        for name, t in (("CONTROL", control), ("DATA", columns))
    ]
    fits.HDUList([fits.PrimaryHDU(header=header), *tables]).writeto(path)
    return path


def test_a_small_light_curve_comes_back(tmp_path):
    made, columns = again(write_product(tmp_path / "a.fits"), tmp_path / "out")
    assert (made.ssid, made.n_packets, made.n_bins, made.total_counts) == (30, 1, 5, 144)
    assert columns["NIX00445"].tolist() == [700_000_000]
    assert columns["NIX00446"].tolist() == [100]
    assert columns["NIX00266"].tolist() == [0xFFFFFFFF]
    assert columns["NIXD0107"].tolist() == [1]
    assert columns["NIX00272"].reshape(5, 5).T.ravel().tolist() == [i // 2 for i in range(25)]


def test_a_gap_begins_a_new_packet(tmp_path):
    time = np.array([2.0, 6.0, 10.0, 50.0, 54.0])
    _, columns = again(write_product(tmp_path / "a.fits", time=("D", time)), tmp_path / "out")
    assert columns["NIX00273"].tolist() == [3, 2]
    assert columns["NIX00445"].tolist() == [700_000_000, 700_000_048]
    assert columns.block.sequence_flag.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level": "L0"}, "level L1 or L1A; found L0"),
        ({"counts": None}, "counts, spectra or variance"),
        ({"counts": ("5D", np.full((5, 5), 0.5))}, "whole numbers"),
        ({"counts": ("5D", np.full((5, 5), 1001.0))}, r"scheme \(0, 5, 3\) can give"),
        ({"rcr": None}, "column rcr"),
        ({"timedel": None}, "column timedel"),
        ({"triggers_err": None, "counts": ("5D", np.full((5, 5), 300.0))}, "codes from 0 to 255"),
        ({"counts": ("5D", np.full((5, 5), np.nan))}, "whole numbers"),
        ({"counts": ("5D", np.full((5, 5), -1.0))}, "without a sign|or a sign"),
        ({"control_index": None}, "column control_index"),
    ],
)
def test_what_cannot_be_turned_back_is_told(tmp_path, change, words):
    path = write_product(tmp_path / "a.fits", **change)
    with pytest.raises(StixlabError, match=words):
        reencode(path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_files_and_kinds_are_refused(tmp_path):
    (tmp_path / "a.fits").write_bytes(b"no FITS")
    with pytest.raises(FormatError, match="expected a FITS product"):
        reencode(tmp_path / "a.fits", out=tmp_path)
    with pytest.raises(ParameterError, match="xml, bin, hex"):
        reencode(tmp_path / "a.fits", out=tmp_path, kind="csv")


def test_the_command_does_what_it_can_and_tells_the_rest(tmp_path):
    good = write_product(tmp_path / "good.fits")
    (tmp_path / "bad.fits").write_bytes(b"")
    arguments = [str(tmp_path / "bad.fits"), str(good), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(reencode_command, arguments)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [f["file"] for f in told["files"]] == ["REENCODED_good.bin"]
    assert [f["source"] for f in told["failed"]] == ["bad.fits"]
    assert told["files"][0]["origin"] == "re-encoded"


@pytest.mark.filterwarnings("ignore")
def test_spectra_of_detectors_come_back_with_their_times(real_data, tmp_path):
    """Packets of 116 spectra, as the file says of its own; each detector again after 1024 s."""
    path = product(real_data, "*ql-spectra_20200506*")
    control, data = opened(path)
    _, columns = again(path, tmp_path)
    order = np.argsort(data["time"], kind="stable")
    found = np.stack([columns[f"NIX{452 + c:05}"] for c in range(32)], axis=1)
    value, _ = decompress(found.ravel(), *scheme(control, "compression_scheme_spectra_skm"))
    assert np.array_equal(value.reshape(-1, 32), np.asarray(data["spectra"])[order].reshape(-1, 32))
    assert np.array_equal(columns["NIX00100"], np.asarray(data["detector_index"])[order].ravel())
    assert columns.counts("NIX00100").max() <= 116
    start = np.repeat(columns.single("NIX00445").astype(int), columns.counts("NIX00100"))
    time = start + 32 * columns["NIX00485"].astype(int)
    for detector in range(32):
        steps = np.diff(time[columns["NIX00100"] == detector])
        assert np.median(steps) == 1024
        assert steps.min() >= 1023


@pytest.mark.parametrize(
    "pattern", ["l1/sci/*l3-*", "l1/ql/*tmstatus*", "cal/solo_L1_stix-cal*", "l1/hk/*maxi*"]
)
@pytest.mark.filterwarnings("ignore")
def test_products_without_a_way_back_are_named(real_data, tmp_path, pattern):
    """Visibilities lost their codes, the flare list has no packets of its own, housekeeping is physical."""
    (path,) = real_data.glob(pattern)
    with pytest.raises(FormatError, match=path.name[:20]):
        reencode(path, out=tmp_path)
