"""All quicklook types, calibration and requests of a simulated day, held against what is true."""

from dataclasses import replace

import numpy as np
import pytest

from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.simulation import REQUEST_KINDS, WHAT, SolarFlare, demonstration, simulate
from stixlab.simulation.calibration import simulate_calibration
from stixlab.simulation.channels import channel_counts, pixel_pattern
from stixlab.simulation.instrument import BACKGROUND, count, expect, observe
from stixlab.simulation.planning import flare_location
from stixlab.simulation.sun import flare_light, make_flare
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.decode import decode, decode_all
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.sources import read_packets

DAY = "2022-03-01"
VERSIONS = load_versions()
LIGHT_CURVE, BACKGROUND_SPID, SPECTRA, VARIANCE, FLAG, LIST, CALIBRATION = (
    54118, 54119, 54120, 54121, 54122, 54144, 54124,
)  # fmt: skip


def read(truth):
    parts = [read_packets(p.read_bytes(), p.name, VERSIONS)[0] for p in truth.files]
    return PacketBlock.concatenate(parts)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The truth of the demonstration, its packets and their columns."""
    truth = demonstration(DAY, out=tmp_path_factory.mktemp("demo"))
    columns, block = decode_all(read(truth), VERSIONS)
    return truth, block, columns


def test_every_packet_is_complete_known_simulated_and_no_larger_than_those_on_board(shown):
    truth, block, _ = shown
    assert len(block) == truth.n_packets
    assert set(block.status.tolist()) == {Status.OK}
    assert block.simulated.all()
    assert block.lengths.max() == 4112
    kinds = set(zip(block.service.tolist(), block.ssid.tolist(), strict=True))
    assert kinds == {(3, 1), (3, 2), *((21, s) for s in (21, 24, 30, 31, 32, 33, 34, 41, 43))}


def test_each_sequence_begins_goes_on_and_ends(shown):
    _, _, columns = shown
    for spid in (BACKGROUND_SPID, SPECTRA, VARIANCE, FLAG, CALIBRATION):
        flags = columns[spid].block.sequence_flag.tolist()
        assert flags == [1, *[0] * (len(flags) - 2), 2], spid
    assert columns[LIST].block.sequence_flag.tolist() == [3]


def test_all_bins_of_the_day_are_there_without_a_gap(shown):
    _, _, columns = shown
    for spid, counter, step in (
        (BACKGROUND_SPID, "NIX00273", 8),
        (VARIANCE, "NIX00280", 4),
        (FLAG, "NIX00089", 4),
        (LIGHT_CURVE, "NIX00273", 4),
    ):
        start, n = columns[spid].single("NIX00445").astype(int), columns[spid].single(counter).astype(int)
        assert n.sum() * step == 86_400, spid
        assert np.array_equal(start[1:], start[:-1] + n[:-1] * step), spid
        assert set((columns[spid].single("NIX00405") + 1).tolist()) == {step * 10}


def test_the_background_monitor_counts_as_it_did_in_2020(shown):
    """Its bands of a quiet day, 2020-05-06: 5, 53, 61, 123 and 16 counts in 8 s."""
    _, _, columns = shown
    c = columns[BACKGROUND_SPID]
    value, _ = decompress(c["NIX00278"], 0, 5, 3)
    bands = [
        np.concatenate([x.reshape(5, -1)[i] for x in np.split(value, c.splits["NIX00278"][1:-1])])
        for i in range(5)
    ]
    assert np.allclose([np.median(b) for b in bands], [5, 53, 61, 123, 16], rtol=0.1)


def test_each_detector_has_a_spectrum_every_1024_s(shown):
    _, _, columns = shown
    c = columns[SPECTRA]
    assert np.array_equal(c["NIX00100"], np.arange(len(c["NIX00100"])) % 32)
    start = np.repeat(c.single("NIX00445").astype(int), c.counts("NIX00100")) + c["NIX00485"].astype(int) * 32
    times = start.reshape(-1, 32)
    assert (times == times[:, :1]).all()
    assert set(np.diff(times[:, 0]).tolist()) == {1024}
    assert len(times) == 86_400 // 1024 + 1


def test_the_flare_flag_is_up_during_the_flares_and_the_list_names_them(shown):
    truth, _, columns = shown
    c, clock = columns[FLAG], load_clock()
    t0 = int(c.single("NIX00445")[0])
    for flare in truth.flares:
        at = (int(clock.to_scet(np.array([flare.peak], dtype="datetime64[ns]"))[0][0]) - t0) // 4
        assert c["NIXD0449"][at] == 1
        assert c["NIXD0061"][at] >= 1
        assert (c["NIX00284"][at], c["NIX00283"][at]) == flare.location_arcmin
    assert np.mean(c["NIXD0449"]) < 0.25
    listed = columns[LIST]
    assert listed.single("NIX00294").tolist() == [len(truth.flares)]
    assert listed["NIX00289"].max() == 4
    assert np.array_equal(listed["NIX00292"], [f.location_arcmin[0] for f in truth.flares])


def test_the_calibration_run_has_its_lines_where_gain_and_offset_say(shown):
    truth, _, columns = shown
    c = columns[CALIBRATION]
    (run,) = truth.calibrations
    assert len(c) == run.n_packets
    assert c["NIXD0157"].tolist() == sorted(c["NIXD0157"].tolist())
    chosen = c["NIXD0157"] == 1
    assert chosen.sum() == 384
    value, _ = decompress(c["NIX00158"], 0, 4, 4)
    ends = np.cumsum(c["NIX00146"].astype(int))
    points = np.stack([value[e - 200 : e] for e in ends[chosen]]).sum(axis=0)
    for low, high, energy in ((20, 60, 30.85), (160, 185, 81.0)):
        line = low + int(points[low:high].argmax()) + 250.5
        assert line == pytest.approx(run.mean_offset + run.mean_gain * energy, abs=1.5)
    assert int(value.sum()) == pytest.approx(run.total_counts, rel=0.01)
    part = simulate_calibration(10, 1000, 3)
    assert np.array_equal(part.gain, simulate_calibration(99, 50, 3).gain), "one instrument, one gain"
    assert not np.array_equal(part.gain, simulate_calibration(10, 1000, 4).gain)


def test_the_larger_flares_have_their_requests_with_the_true_counts(shown):
    truth, _, columns = shown
    larger = [f for f in truth.flares if f.size >= 5000]
    assert [(r.flare_peak, r.kind) for r in truth.requests] == [
        (f.peak, kind) for f in larger for kind in ("pixel-data", "spectrogram")
    ]
    for asked in truth.requests:
        spid, name, scheme = {21: (54115, "NIX00260", (0, 4, 4)), 24: (54143, "NIX00268", (0, 5, 3))}[
            asked.ssid
        ]
        c = columns[spid]
        c = c.select(c.single("NIX00037") == asked.request_id)
        assert len(c) == asked.n_packets
        value, variance = decompress(c[name], *scheme)
        assert (
            abs(int(value.sum()) - asked.total_counts)
            < 10 * np.sqrt(variance.sum()) + 0.005 * asked.total_counts
        )
        assert sum(asked.counts_by_channel) == asked.total_counts
        assert set(c.single("NIX00002").tolist()) == {asked.tc_sequence}


def test_packets_of_two_requests_alternate_on_their_apid(shown):
    truth, block, columns = shown
    science = block.select(block.apid == 1468)
    ssids = science.ssid[: truth.requests[1].n_packets * 2]
    assert set(ssids.tolist()) == {21, 24}
    assert set((np.diff(science.sequence_count.astype(int)) % 16_384).tolist()) == {1}
    assert columns[54115].block.sequence_flag.tolist().count(1) == 3


def test_light_curves_and_housekeeping_are_the_same_whatever_else_is_made(tmp_path):
    """Everything but the sequence count: all packets of an APID are counted together."""
    span = (DAY, "2022-03-01T02:00")
    alone = read(simulate(*span, out=tmp_path / "a", seed=3, what=("lightcurve", "housekeeping")))
    whole = read(simulate(*span, out=tmp_path / "b", seed=3))
    for spid in (54118, 54101, 54102):
        a, b = alone.select(alone.spid == spid), whole.select(whole.spid == spid)
        assert len(a) == len(b) > 0
        assert np.array_equal(
            np.delete(a.data, a.offsets[:-1, None] + [2, 3]), np.delete(b.data, b.offsets[:-1, None] + [2, 3])
        )
        if spid != LIGHT_CURVE:
            assert np.array_equal(a.data, b.data)


@pytest.mark.parametrize("kind", WHAT)
def test_each_can_be_had_alone(tmp_path, kind):
    flares = [("2022-03-01T01:00", 20_000.0)]
    truth = simulate(DAY, "2022-03-01T02:00", out=tmp_path, flares=flares, what=(kind,))
    ssids = set(read(truth).ssid.tolist())
    assert (
        ssids
        == {
            "lightcurve": {30},
            "quicklook": {30, 31, 32, 33, 34, 43},
            "housekeeping": {1, 2},
            "calibration": {41},
            "science": {21, 24},
        }[kind]
    )
    assert len(truth.files) == 1


def test_every_kind_of_request_can_be_asked_for(tmp_path):
    flares = [("2022-03-01T01:00", 20_000.0), ("2022-03-01T01:30", 500.0)]
    truth = simulate(
        DAY, "2022-03-01T02:00", out=tmp_path, flares=flares, what=("science",), requests=tuple(REQUEST_KINDS)
    )
    columns, block = decode_all(read(truth), VERSIONS)
    assert set(block.status.tolist()) == {Status.OK}
    assert [r.ssid for r in truth.requests] == list(REQUEST_KINDS.values())
    assert len({r.request_id for r in truth.requests}) == 6
    for spid in (54114, 54115, 54116, 54117, 54143):
        assert set(columns[spid]["NIX00037"].tolist()) <= {r.request_id for r in truth.requests}
    raw, summed = (r for r in truth.requests if r.ssid in (20, 22))
    assert raw.total_counts == pytest.approx(summed.total_counts, rel=0.01)
    lower = simulate(
        DAY, "2022-03-01T02:00", out=tmp_path / "b", flares=flares, what=("science",), asked_above=100.0
    )
    assert len(lower.requests) == 4


def test_counters_go_on_from_day_to_day(tmp_path):
    truth = simulate("2022-03-01T22:00", "2022-03-02T02:00", out=tmp_path, flares=[], kinds=("bin",))
    block = read(truth)
    assert len(truth.files) == 2
    for apid in np.unique(block.apid):
        counts = block.sequence_count[block.apid == apid].astype(int)
        assert set((np.diff(counts) % 16_384).tolist()) == {1}, apid


@pytest.mark.parametrize("change", ["2020-05-18T13:28:59", "2021-06-23T14:38:40"])
def test_a_day_on_which_the_flight_software_changes_decodes(tmp_path, change):
    """2020-05: the flare flag gains a bit; 2021-06: starts of bins gain a byte."""
    at = np.datetime64(change, "ns")
    flares = [(at - np.timedelta64(20, "m"), 20_000.0), (at + np.timedelta64(50, "m"), 20_000.0)]
    truth = simulate(at - np.timedelta64(2, "h"), at + np.timedelta64(2, "h"), out=tmp_path, flares=flares)
    columns, block = decode_all(read(truth), VERSIONS)
    assert set(block.status.tolist()) == {Status.OK}
    assert len(set(VERSIONS.eras_at(block.scet_coarse).tolist())) == 2
    assert len(truth.requests) == 4
    for asked in truth.requests:
        c = columns[{21: 54115, 24: 54143}[asked.ssid]]
        assert (c.single("NIX00037") == asked.request_id).sum() == asked.n_packets


def test_the_32_channels_hold_the_counts_of_the_five_bands():
    time = np.datetime64("2022-03-01T00:00:02", "ns") + np.arange(500) * np.timedelta64(4, "s")
    expected = expect(time, flare_light(time, [make_flare(time[250], 5000.0)]))
    quiet, flare = channel_counts(expected)
    limits = [1, 7, 12, 17, 23, 28]
    assert np.allclose(np.add.reduceat(quiet[:, :28], limits[:5], axis=1), expected.quiet)
    assert np.allclose(np.add.reduceat(flare[:, :28], limits[:5], axis=1), expected.flare)
    assert pixel_pattern(3).sum() == pytest.approx(1.0, abs=0.05)
    seen = observe(time, flare_light(time, []), np.random.default_rng(0))
    assert np.array_equal(
        seen.counts, count(expect(time, flare_light(time, [])), np.random.default_rng(0)).counts
    )
    assert np.allclose(seen.counts.mean(axis=0), BACKGROUND, rtol=0.05)


def test_a_flare_has_one_place_on_the_disc():
    flare = make_flare(np.datetime64("2022-03-01T00:00", "ns"), 5000.0)
    places = {flare_location(replace(flare, peak=flare.peak + np.timedelta64(i, "m"))) for i in range(40)}
    assert len(places) > 20
    assert all(np.hypot(*p) <= 16 for p in places)
    assert flare_location(flare) == flare_location(replace(flare, size=1.0))


def test_a_range_too_short_for_spectra_or_calibration_is_made_without(tmp_path):
    truth = simulate(DAY, "2022-03-01T00:00:20", out=tmp_path, flares=[])
    columns, status = decode(read(truth), BACKGROUND_SPID, VERSIONS)
    assert columns.single("NIX00273").tolist() == [2]
    assert truth.calibrations == ()
    assert (status == Status.OK).all()


@pytest.mark.parametrize("day", [DAY, "2020-06-01"])
def test_very_short_and_very_long_flares_at_the_limits_of_the_range_are_asked_for_too(tmp_path, day):
    """Until 2021 a request could not be longer than 6553.5 s."""
    start = np.datetime64(day, "ns")
    sizes = ((0, 0.05, 0.05), (60, 300.0, 4000.0), (239, 500.0, 1.0))
    flares = [SolarFlare(start + np.timedelta64(m, "m"), 9000.0, rise, decay) for m, rise, decay in sizes]
    truth = simulate(
        start, start + np.timedelta64(4, "h"), out=tmp_path, flares=flares, what=("science",),
        requests=("pixel-data", "spectrogram", "aspect"),
    )  # fmt: skip
    block = decode_all(read(truth), VERSIONS)[1]
    assert set(block.status.tolist()) == {Status.OK}
    assert len(truth.requests) == 9
    assert min(r.n_bins for r in truth.requests) >= 1
