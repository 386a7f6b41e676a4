"""Visibilities of level 0."""

import numpy as np
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.simulation.request_packets import visibility_packets
from stixlab.simulation.requests import Visibilities
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.requests import VERSIONS, asked, leaving, level0, level1


def visibilities(n_times=3, n_energies=4, *, mask=0xFFFFFCFF, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n_times, n_energies, mask.bit_count())
    return Visibilities(
        start_tenths=11 + 40 * np.arange(n_times),
        duration_tenths=np.full(n_times, 40),
        real=rng.integers(-31, 32, shape),
        imaginary=rng.integers(-31, 32, shape),
        flux=rng.integers(0, 32, shape[:2]),
        triggers=rng.integers(0, 32, (n_times, 16)),
        detector_mask=mask,
        energy_low=tuple(range(2, 2 + n_energies)),
        energy_high=tuple(range(2, 2 + n_energies)),
    )


@settings(deadline=None, max_examples=examples(15))
@given(
    st.integers(1, 12),
    st.integers(1, 20),
    st.sampled_from([0xFFFFFFFF, 0xFFFFFCFF, 0x10, 0xF000000F]),
    st.integers(0, 9),
)
def test_parts_come_back_with_their_sign_at_their_detectors(n_times, n_energies, mask, seed):
    data = visibilities(n_times, n_energies, mask=mask, seed=seed)
    block = visibility_packets(asked(counts_scheme=(1, 3, 4)), data, leaving(), VERSIONS)
    ds = level1(block)
    own = np.flatnonzero(mask >> np.arange(32) & 1)
    for name in ("real", "imaginary"):
        values = ds[f"visibility_{name}"].to_numpy()
        assert np.array_equal(values[:, own], getattr(data, name).transpose(0, 2, 1))
        assert np.abs(values).sum() == np.abs(getattr(data, name)).sum()
        assert not ds[f"visibility_{name}_error"].to_numpy().any()
    assert np.array_equal(ds.flux, data.flux)
    assert np.array_equal(ds.triggers, data.triggers)
    assert np.array_equal(
        ds.detector_valid.to_numpy().any(axis=(0, 2)), (mask >> np.arange(32) & 1).astype(bool)
    )
    assert ds.attrs["known_faults"] == ""
    assert [int(ds[f"pixel_mask_{i}"][0]) for i in range(1, 6)] == [0x888, 0x444, 0x222, 0x111, 0xFFF]


def test_a_lost_packet_is_a_hole():
    data = visibilities(12, 20)
    block = visibility_packets(asked(counts_scheme=(1, 3, 4)), data, leaving(), VERSIONS)
    ds = level0(block.select(np.arange(len(block)) != 2))
    valid = ds.counts_valid.to_numpy()
    assert not valid.all()
    assert not ds.flux_code.to_numpy()[~valid].any()
    assert np.array_equal(ds.detector_valid.to_numpy().any(axis=1), valid)


def test_a_real_packet_whose_scheme_lacks_the_sign(real_data):
    """2020-05-06: flux and triggers as in the product made of it; that the parts are without their sign is told."""
    path = real_data / "telemetry" / "hex" / "21_6_23.hex"
    block, _ = read_packets(path.read_bytes(), path.name, VERSIONS)
    assert level0(block).attrs["without_sign"] == 1
    ds = level1(block)
    assert ds.attrs["known_faults"] == "visibilities were compressed without their sign"
    (product,) = (real_data / "l1" / "sci").glob("*l3-87031827*")
    with fits.open(product, memmap=False) as found:
        data = found["DATA"].data
        assert np.array_equal(ds.flux[1], data["flux"][4])
        valid = ds.counts_valid[0].to_numpy()
        assert np.array_equal(ds.flux[0].to_numpy()[valid], data["flux"][3][valid])
        assert np.array_equal(ds.triggers, data["triggers"][3:])
    assert ds.detector.to_numpy()[ds.detector_valid[1].to_numpy().any(axis=1)].tolist() == [
        1, 3, 4, 9, 14, 21, 29, 30, 31, 32,
    ]  # fmt: skip
