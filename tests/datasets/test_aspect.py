"""Aspect bursts: four diodes along time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.report import BuildReport
from stixlab.simulation.request_packets import aspect_packets
from stixlab.simulation.requests import AspectSamples
from stixlab.telemetry.encode import encode
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.requests import NEW, VERSIONS, columns_of, leaving, level0, level1

DIODES = ("cha_diode0", "cha_diode1", "chb_diode0", "chb_diode1")


def samples(n, *, seed=0, **other):
    volts = np.random.default_rng(seed).integers(0, 1 << 16, (n, 4))
    return AspectSamples(start_ticks=(NEW << 16) + 12_345, volts=volts, **other)


@settings(deadline=None, max_examples=examples(15))
@given(st.integers(1, 1500), st.integers(1, 200), st.integers(1, 255))
def test_readings_come_back_with_their_times(n, averaging, summing):
    data = samples(n, averaging=averaging, summing=summing)
    ds = level1(aspect_packets(data, leaving(), VERSIONS))
    assert np.array_equal(np.stack([ds[d] for d in DIODES], axis=1), data.volts)
    ticks = ds.scet_coarse.to_numpy().astype(int) << 16 | ds.scet_fine.to_numpy()
    assert np.abs(ticks - data.ticks(np.arange(n))).max() <= 1
    assert ds.integration_time.to_numpy() == pytest.approx(averaging * summing / 1000)
    assert (ds.time.to_numpy() > ds.time_bounds.to_numpy()[:, 0]).all()


def test_a_real_packet(real_data):
    path = real_data / "telemetry" / "hex" / "21_6_42.hex"
    ds = level0(read_packets(path.read_bytes(), path.name, VERSIONS)[0])
    assert ds.sizes["time"] == 107
    assert ds.cha_diode0.to_numpy()[:4].tolist() == [7136, 7136, 7135, 7133]
    assert ds.chb_diode1.to_numpy()[:2].tolist() == [5839, 5837]
    assert float(ds.integration_time[0]) == pytest.approx(1.024)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"NIX00445": 1 << 31}, "on-board time is not synchronised"),
        ({"NIX00088": 0}, "samples have no length: summing or averaging is 0"),
    ],
)
def test_samples_without_a_time_are_left_out(change, reason):
    columns = dict(columns_of(aspect_packets(samples(20), leaving(), VERSIONS)).values)
    columns |= {n: np.full(1, v) for n, v in change.items()}
    report = BuildReport()
    block = encode(54125, columns, scet_coarse=NEW + 9000, sequence_flag=[3], versions=VERSIONS)
    assert level0(block, report) is None
    assert list(report.offsets) == [reason]
