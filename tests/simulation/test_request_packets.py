"""Requests from given counts: decoding gives the counts back, divided over packets as on board."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import CompressionError, PacketError, ParameterError
from stixlab.idb import load_versions
from stixlab.simulation.request_packets import (
    aspect_packets,
    compress_triggers,
    pixel_packets,
    raw_pixel_packets,
    spectrogram_packets,
    visibility_packets,
)
from stixlab.simulation.requests import (
    SINGLE_PIXELS,
    SUMMED_PIXELS,
    AspectSamples,
    PixelCounts,
    Request,
    Spectrogram,
    Visibilities,
)
from stixlab.simulation.sequences import Departure
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import Status
from tests.support.examples import examples

OLD, NEW = 660_000_000, 700_000_000
"""On-board times before and since the flight software that counts starts in 24 bits."""
VERSIONS = load_versions()


def decoded(block):
    columns, status = decode(block, int(block.spid[0]), VERSIONS)
    assert (status == Status.OK).all()
    assert block.lengths.max() <= 4112
    return columns


def request(**other):
    return Request(2203011234, 0xC123, NEW - 5000, **other)


def pixels(n_times, n_energies, *, sets=SINGLE_PIXELS, mask=0xFFFFFFFF, seed=0, mean=3.0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean, (n_times, 32, len(sets), n_energies)) * rng.integers(0, 2, (n_times, 1, 1, 1))
    return PixelCounts(
        start_tenths=11 + 40 * np.arange(n_times),
        duration_tenths=np.full(n_times, 40),
        counts=counts,
        triggers=rng.integers(0, 4000, (n_times, 16)),
        pixel_sets=sets,
        detector_mask=mask,
        energy_low=tuple(range(3, 3 + n_energies)),
        energy_high=tuple(range(3, 3 + n_energies)),
        rate_control_state=rng.integers(0, 8, n_times),
    )


def bins_of(columns, name):
    """Time bin of each structure: one that goes on in the next packet is the same bin."""
    return np.unique(columns[name], return_inverse=True)[1]


@settings(max_examples=examples(25), deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 28),
    st.integers(1, 2**32 - 1),
    st.integers(1, 12),
    st.sampled_from([OLD, NEW]),
)
def test_counts_of_pixels_come_back(n_times, n_energies, mask, n_pixels, at):
    data = pixels(n_times, n_energies, sets=SINGLE_PIXELS[:n_pixels], mask=mask, seed=mask % 1000)
    columns = decoded(pixel_packets(request(), data, Departure(at), VERSIONS))
    assert columns["NIX00403"].sum() == len(columns["NIX00258"])
    sent = data.counts[:, data.detectors].transpose(0, 3, 1, 2)
    assert np.array_equal(decompress(columns["NIX00260"], 0, 4, 4)[0], sent.ravel())
    start = columns["NIX00404" if at == NEW else "NIX00441"]
    assert np.array_equal(np.unique(start), data.start_tenths)
    bins = bins_of(columns, "NIX00404" if at == NEW else "NIX00441")
    assert np.array_equal(columns["NIX00401"], data.rate_control_state[bins])
    assert np.array_equal(columns["NIXD0407"], np.tile(data.pixel_sets, len(start)))
    assert np.array_equal(np.bincount(bins, weights=columns["NIX00258"]), np.full(n_times, n_energies))
    assert np.array_equal(columns["NIXD0016"], np.tile(data.energy_low, n_times))


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(1, 5), st.integers(1, 28), st.floats(0.0, 400.0), st.integers(1, 2**32 - 1))
def test_raw_counts_come_back_and_zeros_are_not_sent(n_times, n_energies, mean, mask):
    data = pixels(n_times, n_energies, mask=mask, mean=mean, seed=mask % 1000)
    columns = decoded(raw_pixel_packets(request(), data, Departure(NEW), VERSIONS))
    bits, extra = columns["NIXD0159"].astype(int), columns["NIX00065"].astype(int)
    first = np.cumsum(bits) - bits
    padded = np.append(extra, [0, 0])
    counts = np.where(
        bits == 0, 1, np.where(bits == 1, padded[first], padded[first] * 256 + padded[first + 1])
    )
    times = np.repeat(bins_of(columns, "NIX00404"), columns["NIX00406"])
    found = np.zeros_like(data.counts)
    found[times, columns["NIXD0153"], columns["NIXD0158"], columns["NIXD0154"].astype(int) - 3] = counts
    sent = np.zeros_like(data.counts)
    sent[:, data.detectors] = data.counts[:, data.detectors]
    assert np.array_equal(found, sent)
    assert len(np.unique(columns["NIX00404"])) == n_times, "bins without counts are sent too"
    assert np.array_equal(columns["NIX00408"], data.triggers[bins_of(columns, "NIX00404"), 0])


def test_summed_pixels_have_the_same_form():
    data = pixels(3, 10, sets=SUMMED_PIXELS)
    block = pixel_packets(request(), data, Departure(NEW), VERSIONS, ssid=22)
    columns = decoded(block)
    assert set(block.ssid.tolist()) == {22}
    assert np.array_equal(
        decompress(columns["NIX00260"], 0, 4, 4)[0], data.counts.transpose(0, 3, 1, 2).ravel()
    )


@pytest.mark.parametrize(("at", "own"), [(OLD, False), (NEW, True)])
def test_triggers_of_pixel_data_have_a_scheme_of_their_own_since_2021(at, own):
    data = pixels(1, 2)
    made = request(counts_scheme=(0, 3, 5), triggers_scheme=(0, 5, 3))
    columns = decoded(pixel_packets(made, data, Departure(at), VERSIONS))
    scheme = (0, 5, 3) if own else (0, 3, 5)
    value, variance = decompress(columns["NIX00242"], *scheme)
    assert abs(value[0] - data.triggers[0, 0]) <= 2 * np.sqrt(variance[0]) + 1


def test_visibilities_come_back_with_their_signs():
    rng = np.random.default_rng(1)
    shape = (4, 12, 30)
    data = Visibilities(
        np.arange(4) * 40, np.full(4, 40), rng.integers(-31, 32, shape), rng.integers(-31, 32, shape),
        rng.integers(0, 31, shape[:2]), rng.integers(0, 31, (4, 16)), 0xFFFFFCFF,
        tuple(range(12)), tuple(range(12)),
    )  # fmt: skip
    columns = decoded(visibility_packets(request(counts_scheme=(1, 3, 4)), data, Departure(NEW), VERSIONS))
    assert np.array_equal(decompress(columns["NIX00263"], 1, 3, 4)[0], data.real.ravel())
    assert np.array_equal(decompress(columns["NIX00264"], 1, 3, 4)[0], data.imaginary.ravel())
    assert np.array_equal(decompress(columns["NIX00261"], 0, 4, 4)[0], data.flux.ravel())
    assert set(columns["NIX00100"].tolist()) == set(range(32)) - {8, 9}
    with pytest.raises(ParameterError, match="a scheme with a sign"):
        visibility_packets(request(), data, Departure(NEW), VERSIONS)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(1, 400), st.integers(1, 32), st.lists(st.integers(0, 399), max_size=4))
def test_spectrograms_come_back_and_a_change_of_state_begins_a_structure(n_times, n_energies, changes):
    rng = np.random.default_rng(n_times)
    state = np.zeros(n_times, dtype=np.int64)
    for c in changes:
        state[c:] += 1
    duration = rng.integers(5, 200, n_times)
    edges = np.concatenate([[60], 60 + np.cumsum(duration)])
    data = Spectrogram(
        edges[:-1], duration, rng.integers(0, 31, (n_times, n_energies)), rng.integers(0, 31, n_times),
        rate_control_state=state,
    )  # fmt: skip
    columns = decoded(spectrogram_packets(request(), data, Departure(NEW), VERSIONS))
    assert np.array_equal(decompress(columns["NIX00268"], 0, 4, 4)[0], data.counts.ravel())
    assert np.array_equal(columns["NIX00404"], data.start_tenths)
    assert np.array_equal(decompress(columns["NIX00267"], 0, 4, 4)[0], data.triggers)
    last = np.cumsum(columns["NIX00089"]) - 1
    assert np.array_equal(columns["NIX00269"], duration[last])
    assert np.array_equal(np.repeat(columns["NIX00401"], columns["NIX00089"]), state)


def test_aspect_samples_come_back_and_each_packet_has_its_own_start():
    rng = np.random.default_rng(0)
    data = AspectSamples(NEW * 65_536 + 7, rng.integers(0, 65_536, (2000, 4)))
    block = aspect_packets(data, Departure(NEW + 5000), VERSIONS)
    columns = decoded(block)
    assert len(block) == 4
    assert set(block.apid.tolist()) == {1500}, "as a real packet of 2020"
    assert np.array_equal(columns["NIX00092"], data.volts[:, 2])
    ticks = columns["NIX00445"].astype(np.int64) * 65_536 + columns["NIX00446"]
    steps = np.diff(ticks) / 65_536 / columns["NIX00089"][:-1]
    assert np.allclose(steps, 1.024, atol=1e-4)


def test_all_packets_of_a_request_carry_its_ids_and_time_stamp():
    block = pixel_packets(request(), pixels(4, 28), Departure(NEW, 5, 8.0, 0x5A), VERSIONS)
    columns = decoded(block)
    assert len(block) > 5
    assert set(columns["NIX00037"].tolist()) == {2203011234}
    assert set(columns["NIX00002"].tolist()) == {0xC123}
    assert set(columns["NIX00402"].tolist()) == {(NEW - 5000) << 16}
    assert block.sequence_flag.tolist() == [1, *[0] * (len(block) - 2), 2]
    assert block.sequence_count.tolist() == list(range(len(block)))
    assert np.diff(block.scet_coarse.astype(int)).tolist() == [8] * (len(block) - 1)
    assert block.simulated.all()


def test_scaled_triggers_lie_within_their_step():
    triggers = np.array([0, 1199, 1200, 40_000_000])
    assert compress_triggers(triggers, (0, 0, 7), 40, 1).tolist() == [0, 0, 1, 255]


def test_what_does_not_fit_is_told():
    data, many = pixels(2, 4), np.full((2, 32, 12, 4), 70_000)
    leave = Departure(NEW)
    with pytest.raises(ParameterError, match="expected counts"):
        pixel_packets(request(), replace(data, pixel_sets=SINGLE_PIXELS[:5]), leave, VERSIONS)
    with pytest.raises(CompressionError, match="wider exponent"):
        pixel_packets(request(counts_scheme=(0, 1, 1)), replace(data, counts=many), leave, VERSIONS)
    with pytest.raises(ParameterError, match="up to 65535"):
        raw_pixel_packets(request(), replace(data, counts=many), leave, VERSIONS)
    late = replace(data, start_tenths=data.start_tenths + 70_000)
    assert len(pixel_packets(request(), late, leave, VERSIONS))
    with pytest.raises(PacketError, match="NIX00441"):
        pixel_packets(request(), late, Departure(OLD), VERSIONS)
