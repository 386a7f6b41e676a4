"""Spectrograms of level 0: samples, their energies and their times."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.report import BuildReport
from stixlab.simulation.request_packets import spectrogram_packets
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import encode
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.requests import NEW, OLD, VERSIONS, asked, columns_of, leaving, level0, spectrogram


def sent(data, time_stamp=NEW):
    return spectrogram_packets(asked(time_stamp), data, leaving(time_stamp), VERSIONS)


def again(columns, time_stamp=NEW):
    """Packets of changed columns."""
    n = len(columns["NIX00403"])
    return encode(
        54143, columns, scet_coarse=time_stamp + 9000 + np.arange(n), sequence_count=np.arange(n),
        sequence_flag=[3] if n == 1 else [1, *[0] * (n - 2), 2], versions=VERSIONS,
    )  # fmt: skip


@pytest.mark.parametrize("time_stamp", [OLD, NEW])
@settings(deadline=None, max_examples=examples(15))
@given(st.integers(1, 400), st.integers(1, 31), st.integers(0, 9))
def test_samples_come_back_with_their_times(time_stamp, n_times, n_energies, seed):
    """Over several packets; a structure ends with each packet."""
    data = spectrogram(n_times, n_energies, seed=seed)
    data = replace(data, duration_tenths=data.duration_tenths // 4 + 1, start_tenths=data.start_tenths)
    start = 11 + np.cumsum(data.duration_tenths) - data.duration_tenths
    data = replace(data, start_tenths=start)
    ds = level0(sent(data, time_stamp))
    assert np.array_equal(ds.counts_code, compress(data.counts, 0, 4, 4))
    assert np.array_equal(ds.triggers_code, data.triggers)
    assert np.array_equal(np.rint(ds.integration_time.to_numpy() * 10), data.duration_tenths)
    seconds = (ds.time_bounds[:, 0] - ds.time_bounds[0, 0]).to_numpy() / np.timedelta64(1, "s")
    assert np.allclose(seconds, (start - start[0]) / 10, atol=1e-3)
    assert ds.channel_low.to_numpy().tolist() == list(range(1, n_energies + 1))
    assert ds.counts_valid.to_numpy().all()


def test_channels_summed_on_board_are_one_energy():
    ds = level0(sent(spectrogram(5, 6, lowest_channel=2, channels_per_energy=3)))
    assert ds.channel_low.to_numpy().tolist() == [2, 5, 8, 11, 14, 17]
    assert ds.channel_high.to_numpy().tolist() == [4, 7, 10, 13, 16, 19]


def test_a_last_energy_of_fewer_channels_ends_where_the_request_ends():
    columns = dict(columns_of(sent(spectrogram(5, 6, lowest_channel=2, channels_per_energy=3))).values)
    ds = level0(again(columns | {"NIXD0443": columns["NIXD0443"] - 1}))
    assert int(ds.channel_high[-1]) == 18


def test_energies_may_change_from_structure_to_structure():
    """What one structure has and the other has not is not valid."""
    one = columns_of(sent(spectrogram(3, 4, lowest_channel=1))).values
    other = columns_of(sent(spectrogram(2, 5, lowest_channel=3, seed=1))).values
    other = other | {"NIX00404": other["NIX00404"] + 5000}
    ds = level0(again({n: np.concatenate([one[n], other[n]]) for n in one}))
    assert ds.channel_low.to_numpy().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert ds.counts_valid.to_numpy()[0].tolist() == [True] * 4 + [False] * 3
    assert ds.counts_valid.to_numpy()[-1].tolist() == [False] * 2 + [True] * 5


def test_where_old_software_gives_no_length_the_next_structure_ends_the_bin():
    data = spectrogram(500, 20)
    data = replace(data, duration_tenths=np.full(500, 40), start_tenths=11 + 40 * np.arange(500))
    columns = columns_of(sent(data)).values
    assert len(columns["NIX00403"]) > 2
    block = again(columns | {"NIX00269": columns["NIX00269"] * 0})
    length = level0(block).integration_time.to_numpy()
    assert (length[:-1] == 4).all()
    assert length[-1] == 0
    without_one = level0(block.select(np.arange(len(block)) != 1))
    length = without_one.integration_time.to_numpy()
    assert (length == 0).sum() == 2, "over a missing packet nothing is known"


def test_samples_that_do_not_fit_are_left_out_and_noted():
    columns = columns_of(sent(spectrogram(5, 6))).values
    report = BuildReport()
    assert level0(again(columns | {"NIXD0443": columns["NIXD0443"] + 3}), report) is None
    assert list(report.offsets) == ["the number of energies does not fit their bounds"]
    start = columns["NIX00404"].copy()
    start[2] = start[4]
    report = BuildReport()
    assert level0(again(columns | {"NIX00404": start}), report).sizes["time"] == 4
    assert list(report.offsets) == ["the times of a structure run back"]


def test_a_real_spectrogram(real_data):
    """2020-11-22: times are those of the ends of the bins; see `stixlab.products.science.shift_time_bins`."""
    path = real_data / "telemetry" / "hex" / "21_6_24.hex"
    ds = level0(read_packets(path.read_bytes(), path.name, VERSIONS)[0])
    assert dict(ds.sizes) == {"time": 54, "energy": 20, "bound": 2}
    assert ds.integration_time.to_numpy()[:4].tolist() == pytest.approx([19.4, 19.8, 19.0, 19.3])
    assert ds.attrs["complete"] == 1
