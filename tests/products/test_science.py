"""Science products of level 1, against the official files and against what was put in."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.registry import get_spec
from stixlab.datasets.report import BuildReport
from stixlab.datasets.science import build_request
from stixlab.errors import SchemaError
from stixlab.products.formats.zarr import open_zarr, write_zarr
from stixlab.products.merging import content_sha256
from stixlab.products.science import make_science_level1, shift_time_bins
from stixlab.simulation import REQUEST_KINDS, simulate
from stixlab.simulation.reencode import reencode
from stixlab.simulation.request_packets import pixel_packets, raw_pixel_packets, spectrogram_packets
from stixlab.telemetry.assembly import assemble
from stixlab.telemetry.compression import compress, decompress
from stixlab.telemetry.decode import decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sequences import Headers
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import check
from tests.support.examples import examples
from tests.support.requests import (
    CLOCK,
    NEW,
    OLD,
    VERSIONS,
    asked,
    columns_of,
    leaving,
    level0,
    level1,
    pixels,
    reencoded,
    spectrogram,
)

OFFICIAL = [
    "*-cpd_20200505*", "*cpd_20200607T003001*", "*cpd_20200607T213709*", "*cpd_20240308*", "*cpd_20221109T004455*",
    "*cpd_20221111T085618*", "*cpd_20221114T214344*", "*scpd_20200505*", "*rpd_20200505*", "*xray-spec_20200505*",
    "*xray-l1-2207235029*", "*spectrogram-2102140001*", "*spectrogram-2207238956*",
]  # fmt: skip


def made(real_data, tmp_path, pattern):
    """The official file, and the dataset of packets made of it."""
    (path,) = (real_data / "l1" / "sci").rglob(pattern)
    file = reencode(path, out=tmp_path).file
    ds = level1(read_packets(file.read_bytes(), file.name, VERSIONS)[0])
    return path, ds


def on_our_axes(values, ds, e_low):
    """A column of an official file with the pixels and energies that were sent; others hold nothing."""
    values = np.asarray(values)
    if values.ndim == 4:
        if ds.sizes["pixel"] != values.shape[2]:
            values = values[:, :, ds.pixel.to_numpy()]
        elif ds.attrs["product"] == "sci-xray-scpd":
            values = values[:, :, : ds.sizes["pixel"]]
    at = [int(np.flatnonzero(np.isclose(e_low, low))[0]) for low in ds.energy_bounds.to_numpy()[:, 0]]
    return values[..., at]


@pytest.mark.parametrize("pattern", OFFICIAL)
@pytest.mark.filterwarnings("ignore")
def test_the_official_file_is_made_again(real_data, tmp_path, pattern):
    """Counts, errors, triggers, energies and times are those of the other pipelines."""
    path, ds = made(real_data, tmp_path, pattern)
    check(ds, get_spec(ds.attrs["product"]))
    with fits.open(path, memmap=False) as found:
        data, energies, header = found["DATA"].data, found["ENERGIES"].data, found[0].header
        unit = 0.01 if found["DATA"].columns["timedel"].unit == "cs" else 1.0
        names = data.names
        e_low = np.asarray(energies["e_low"], dtype=float)
        if "scpd" in pattern:
            assert not np.asarray(data["counts"])[:, :, ds.sizes["pixel"] :].any()
            data_counts = np.asarray(data["counts"])[:, :, : ds.sizes["pixel"]]
        else:
            data_counts = data["counts"]
        counts = on_our_axes(data_counts, ds, e_low).astype(int)
        assert np.array_equal(ds.counts, counts)
        assert int(ds.counts.sum()) == int(np.asarray(data["counts"]).astype(int).sum())
        assert np.array_equal(ds.triggers, np.asarray(data["triggers"]).astype(int))
        error = next((n for n in names if n.startswith("counts_")), None)
        if error is not None:
            theirs = np.asarray(data[error])[:, :, : ds.sizes["pixel"]] if "scpd" in pattern else data[error]
            theirs = on_our_axes(theirs, ds, e_low)
            # Their error of the last channel of spectrograms is the root of the counts, not that of compression.
            last = slice(None, -1) if ds.counts.ndim == 2 and ds.sizes["energy"] == 32 else slice(None)
            assert np.allclose(ds.counts_compression_error[..., last], theirs[..., last], rtol=1e-5)
            error = next(n for n in names if n.startswith("triggers_"))
            assert np.allclose(ds.triggers_error, data[error], rtol=1e-5)
        length = np.asarray(data["timedel"], dtype=float) * unit
        assert np.allclose(ds.integration_time, length, atol=0.006)
        middle = np.asarray(data["time"], dtype=float) * unit
        seconds = (ds.time - ds.time[0]).to_numpy() / np.timedelta64(1, "s")
        assert np.allclose(seconds, middle - middle[0], atol=0.006 + 3e-6 * middle[-1])
        begin = np.datetime64(header.get("DATE-BEG", header.get("DATE_BEG")), "ns")
        assert abs(ds.time_bounds.to_numpy()[0, 0] - begin) < np.timedelta64(20, "ms")
        e_high = np.asarray(energies["e_high"], dtype=float)
    at = [int(np.flatnonzero(np.isclose(e_low, low))[0]) for low in ds.energy_bounds.to_numpy()[:, 0]]
    # Tables of 2020-05 end a channel at 17 keV and begin the next at 18 keV.
    inner = np.isfinite(e_high[at]) & np.isin(e_high[at], [*e_low, e_high[-1], e_high[-2]])
    assert inner.sum() >= len(at) - 2
    assert np.allclose(ds.energy_bounds.to_numpy()[inner, 1], e_high[at][inner])
    assert ds.attrs["complete"] == 1
    assert ds.attrs["origin"] == "reencoded"


def reference_spectrum(real_data):
    """Times from the first, lengths, live times and counts of the spectrum of the IDL software."""
    path = real_data / "spectroscopy-reference" / "stx_spectrum_2021feb14_0140_0155.fits"
    with fits.open(path, memmap=False) as found:
        data = found["RATE"].data
        start, length, live = (np.asarray(data[n], dtype=float) for n in ("TIME", "TIMEDEL", "LIVETIME"))
        counts = np.asarray(data["RATE"], dtype=float) * (length * live)[:, None]
    return start - start[0], length, live, counts


@pytest.mark.filterwarnings("ignore")
def test_counts_moved_by_one_bin_are_those_of_the_reference_software(real_data, tmp_path):
    """2021-02-14: times, lengths and live time of IDL; its counts are corrected for the ELUT, a few percent."""
    _, ds = made(real_data, tmp_path, "*spectrogram-2102140001*")
    assert ds.attrs["time_bin_shift"] == 1
    assert ds.attrs["known_faults"] == "counts belong to the times of the bin before"
    moved = shift_time_bins(ds)
    start, length, live, counts = reference_spectrum(real_data)
    n = len(start)
    assert moved.sizes["time"] == ds.sizes["time"] - 1
    assert np.allclose(moved.integration_time[:n], length, atol=1e-4)
    # It moves counts to other lengths, but leaves their times: bins of changing length then overlap.
    seconds = (ds.time[1 : n + 1] - ds.time[1]).to_numpy() / np.timedelta64(1, "s")
    assert np.allclose(seconds, start, atol=0.02)
    bounds = moved.time_bounds.to_numpy()
    assert np.abs(bounds[1:, 0] - bounds[:-1, 1]).max() < np.timedelta64(1, "ms")
    assert np.abs(moved.livetime_fraction.to_numpy()[:n] - live).max() < 3.5e-4
    strong = counts > 200
    ratio = moved.counts.to_numpy()[:n][strong] / counts[strong]
    assert np.percentile(ratio, 1) > 0.9
    assert np.percentile(ratio, 99) < 1.1
    as_sent = ds.counts.to_numpy()[:n][strong] / counts[strong]
    assert as_sent.std() > 1.2 * ratio.std()
    check(moved, get_spec("sci-xray-spec"))
    assert shift_time_bins(moved) is moved


def test_a_real_packet_shows_the_shift(real_data):
    """2020-11-22: triggers a second are steady once moved, and jump between 44 and 23 039 as sent."""
    path = real_data / "telemetry" / "hex" / "21_6_24.hex"
    ds = level1(read_packets(path.read_bytes(), path.name, VERSIONS)[0])
    moved = shift_time_bins(ds)
    rate = (moved.triggers / moved.integration_time).to_numpy()
    assert rate.max() / rate.min() < 2.5
    sent = (ds.triggers[:-1] / ds.integration_time[:-1]).to_numpy()
    assert sent.max() / sent.min() > 100
    assert np.array_equal(moved.exposure_time, moved.integration_time)
    assert ds.livetime_valid.to_numpy().tolist() == [False] + [True] * 53
    assert (
        str(moved.attrs["time_coverage_end"]) < str(ds.attrs["time_coverage_end"])
        or ds.integration_time[-1] == 0
    )


@pytest.mark.filterwarnings("ignore")
def test_pixel_data_of_that_time_are_steady_as_they_stand(real_data, tmp_path):
    """2020-06-07, lengths from 18.7 to 20.8 s, after the flare: the length of each bin is its own."""
    _, ds = made(real_data, tmp_path, "*cpd_20200607T213709*")
    assert ds.attrs["time_bin_shift"] == 0
    triggers, length = ds.triggers.sum("accumulator").to_numpy()[15:], ds.integration_time.to_numpy()[15:]
    own, before = triggers / length, triggers[1:] / length[:-1]
    assert np.abs(np.diff(own)).mean() < 0.7 * np.abs(np.diff(before)).mean()


def test_the_shift_ends_with_the_fault_and_is_not_of_simulated_data():
    later = spectrogram_packets(asked(NEW), spectrogram(), leaving(NEW), VERSIONS)
    assert level1(later).attrs["time_bin_shift"] == 0
    early = spectrogram_packets(asked(OLD), spectrogram(), leaving(OLD), VERSIONS)
    assert level1(early).attrs["time_bin_shift"] == 1
    simulated = spectrogram_packets(asked(OLD), spectrogram(), leaving(OLD, destination=0x5A), VERSIONS)
    assert level1(simulated).attrs["time_bin_shift"] == 0
    assert level1(reencoded(early)).attrs["time_bin_shift"] == 1
    one = spectrogram_packets(asked(OLD), spectrogram(1), leaving(OLD), VERSIONS)
    assert level1(one).attrs["time_bin_shift"] == 0, "nothing to move it to"


def test_errors_are_of_compression_and_of_counting():
    data = pixels(3, 4)
    data = replace(data, counts=np.random.default_rng(0).integers(0, 60_000, data.counts.shape))
    ds = level1(pixel_packets(asked(), data, leaving(), VERSIONS))
    value, variance = decompress(compress(data.counts, 0, 4, 4).ravel(), 0, 4, 4)
    assert np.array_equal(ds.counts.to_numpy().ravel(), value)
    assert np.allclose(ds.counts_compression_error.to_numpy().ravel() ** 2, variance, rtol=1e-5)
    assert np.allclose(ds.counts_error.to_numpy().ravel() ** 2, variance + value, rtol=1e-5)
    raw = level1(
        raw_pixel_packets(
            asked(),
            pixels(3, 32, energy_low=tuple(range(32)), energy_high=tuple(range(32))),
            leaving(),
            VERSIONS,
        )
    )
    assert np.allclose(raw.counts_error.to_numpy() ** 2, raw.counts, rtol=1e-5)
    assert "counts_compression_error" not in raw


def test_triggers_scaled_on_board_are_scaled_back():
    """(code + 0.5) 30 n_int for an accumulator in use, nothing for the others; the factor may be another."""
    data = pixels(2, 3, mask=0x3, duration_tenths=np.array([40, 20]))
    data = replace(data, triggers=np.tile(np.arange(16) * 1200, (2, 1)))
    block = pixel_packets(asked(triggers_scheme=(0, 0, 7)), data, leaving(), VERSIONS)
    ds = level1(block)
    codes = level0(block).triggers_code.to_numpy()
    assert ds.triggers.to_numpy()[:, 0].tolist() == [
        int((codes[0, 0] + 0.5) * 1200),
        int((codes[1, 0] + 0.5) * 600),
    ]
    assert not ds.triggers.to_numpy()[:, 1:].any()
    assert ds.triggers_error.to_numpy()[:, 0].tolist() == [600, 300]
    assert level1(block, trigger_factor=60).triggers_error.to_numpy()[:, 0].tolist() == [1200, 600]


def test_scaled_sums_of_spectrograms_know_their_accumulators():
    data = spectrogram(8, 4, detector_mask=0xFFFFFCFF)
    data = replace(data, triggers=np.full(8, 700_000))
    ds = level1(spectrogram_packets(asked(triggers_scheme=(0, 0, 7)), data, leaving(), VERSIONS))
    step = 30 * np.rint(ds.integration_time.to_numpy() * 10) * 16
    codes = np.minimum(700_000 // step, 255)
    assert np.array_equal(ds.triggers, ((codes + 0.5) * step).astype(int))


def test_old_software_compressed_triggers_as_counts():
    """Before flight software 181 the scheme of triggers in pixel data is not the one that was used."""
    data = pixels(2, 3)
    data = replace(data, triggers=np.random.default_rng(0).integers(0, 100_000, (2, 16)))
    schemes = {"counts_scheme": (0, 4, 4), "triggers_scheme": (0, 5, 3)}
    for stamp, scheme in ((OLD, (0, 4, 4)), (NEW, (0, 5, 3))):
        ds = level1(pixel_packets(asked(stamp, **schemes), data, leaving(stamp), VERSIONS))
        value, variance = decompress(compress(data.triggers, *scheme).ravel(), *scheme)
        assert np.array_equal(ds.triggers.to_numpy().ravel(), value)
        assert np.allclose(ds.triggers_error.to_numpy().ravel() ** 2, variance, rtol=1e-5)


@pytest.mark.parametrize(("stamp", "left"), [(660_000_000, 30), (658_000_000, 32), (669_000_000, 32)])
def test_detectors_that_were_not_recorded_are_cleared_in_the_mask(stamp, left):
    ds = level1(pixel_packets(asked(stamp), pixels(), leaving(stamp), VERSIONS))
    assert int(ds.detector_mask[0]).bit_count() == left
    assert ("detectors 9 and 10 were not recorded" in ds.attrs["known_faults"]) == (left == 30)
    valid = ds.livetime_valid.to_numpy()[0]
    assert valid.sum() == left
    assert valid[[8, 9]].tolist() == [left == 32] * 2


def test_a_request_over_a_change_of_the_channels_is_two_datasets():
    """2023-01-30T00:04:35: nominal channels before, those of the fine test from then on."""
    change = CLOCK.to_scet(np.array(["2023-01-30T00:04:35"], dtype="datetime64[ns]"))[0][0]
    stamp = int(change) - 9
    data = pixels(5, 4, start_tenths=40 * np.arange(5))
    ds0 = level0(pixel_packets(asked(stamp), data, leaving(stamp), VERSIONS))
    first, second = make_science_level1(ds0, VERSIONS, CLOCK)
    assert (first.attrs["energy_channels"], second.attrs["energy_channels"]) == ("nominal", "20221216")
    assert first.energy_bounds.to_numpy().tolist() == [[6, 7], [7, 8], [8, 9], [9, 10]]
    assert second.energy_bounds.to_numpy()[0].tolist() == [4.95, 5.45]
    assert (first.sizes["time"] + second.sizes["time"], first.sizes["time"]) == (5, 2)
    joined = np.concatenate([first.counts, second.counts])
    assert np.array_equal(joined, data.counts)
    assert first.attrs["time_coverage_end"] == second.attrs["time_coverage_start"]
    assert first.attrs["request_id"] == second.attrs["request_id"] == 2203011234


def test_the_same_packets_give_the_same_arrays():
    block = pixel_packets(asked(), pixels(12, 20), leaving(), VERSIONS)
    order = np.random.default_rng(0).permutation(len(block))
    assert content_sha256(level1(block)) == content_sha256(level1(block.select(order)))


def test_incomplete_requests_say_so_in_level_1():
    block = pixel_packets(asked(), pixels(12, 20), leaving(), VERSIONS)
    ds = level1(block.select(np.arange(len(block)) != 1))
    assert ds.attrs["complete"] == 0
    assert "between sequence counts 0 and 2" in ds.attrs["incomplete_because"]
    assert not ds.counts_valid.to_numpy().all()


def test_a_negative_code_of_damaged_counts_is_zero():
    """Counts under a scheme with a sign, as requests for visibilities have it."""
    columns = dict(
        columns_of(pixel_packets(asked(counts_scheme=(1, 3, 4)), pixels(1, 1), leaving(), VERSIONS)).values
    )
    columns["NIX00260"] = np.full(384, 0x83, dtype=np.uint8)
    block = encode(54115, columns, scet_coarse=NEW + 9000, sequence_flag=[3], versions=VERSIONS)
    assert int(level1(block).counts.max()) == 0


def test_only_level_0_of_requests_is_taken():
    ds = level1(pixel_packets(asked(), pixels(), leaving(), VERSIONS))
    with pytest.raises(
        SchemaError, match=r"expected level L0 of one of sci-xray-rpd.*found level L1 of sci-xray-cpd"
    ):
        make_science_level1(ds, VERSIONS, CLOCK)


def test_simulated_requests_are_what_was_put_in(tmp_path):
    """Every kind of request of one flare, against the truth: counts by channel within compression, bins and span."""
    truth = simulate(
        "2022-03-01T10:00", "2022-03-01T14:00", out=tmp_path, flares=[("2022-03-01T12:00", 30_000.0)],
        what=("science",), requests=tuple(REQUEST_KINDS), kinds=("bin",),
    )  # fmt: skip
    block = PacketBlock.concatenate([read_packets(p.read_bytes(), p.name, VERSIONS)[0] for p in truth.files])
    for asked_for in truth.requests:
        mine = block.select(block.ssid == asked_for.ssid)
        (one,) = assemble(columns_of(mine), others=Headers.of(block.select(block.ssid != asked_for.ssid)))
        (ds,) = make_science_level1(build_request(one, CLOCK, BuildReport()), VERSIONS, CLOCK)
        assert ds.attrs["origin"] == "simulated"
        assert ds.sizes["time"] == asked_for.n_bins
        start = np.datetime64(asked_for.start, "ns")
        assert abs(ds.time_bounds.to_numpy()[0, 0] - start) < np.timedelta64(100, "ms")
        if "counts" in ds:
            true = np.array(asked_for.counts_by_channel)[ds.channel_low.to_numpy()]
            found = ds.counts.sum([d for d in ds.counts.dims if d != "energy"]).to_numpy()
            assert (np.abs(found - true) <= 3 * np.sqrt(true + 1) + 0.02 * true).all()


@pytest.mark.parametrize("pattern", ["*cpd_20221114T214344*", "*spectrogram-2102140001*"])
@pytest.mark.filterwarnings("ignore")
def test_products_keep_their_content_in_the_archive_form(real_data, tmp_path, pattern):
    _, ds = made(real_data, tmp_path, pattern)
    write_zarr(ds, tmp_path / "zarr")
    again = open_zarr(tmp_path / "zarr")
    assert content_sha256(again.load()) == content_sha256(ds)
    assert again.attrs["complete"] == 1


@settings(deadline=None, max_examples=examples(60))
@given(st.integers(0, 2**32 - 1))
def test_damaged_packets_are_never_an_exception(seed):
    """Bytes changed so that the packet still decodes: something is left out, or the values are what they say."""
    rng = np.random.default_rng(seed)
    block = (
        pixel_packets(asked(), pixels(4, 6), leaving(), VERSIONS)
        if seed % 2
        else spectrogram_packets(asked(), spectrogram(120, 6), leaving(), VERSIONS)
    )
    data = block.data.copy()
    packet = rng.integers(0, len(block), 4)
    data[block.offsets[packet] + 16 + rng.integers(0, 60, 4)] = rng.integers(0, 256, 4)
    columns, _ = decode(replace(block, data=data), int(block.spid[0]), VERSIONS)
    for one in assemble(columns) if len(columns) else []:
        ds0 = build_request(one, CLOCK, BuildReport())
        for ds in [] if ds0 is None else make_science_level1(ds0, VERSIONS, CLOCK):
            assert np.isfinite(ds.livetime_fraction).all()
            assert np.isfinite(ds.counts_error).all()
