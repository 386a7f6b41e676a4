"""Packets to columns: the quicklook day against its L0 product, damaged packets, selections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stixlab.errors import PacketError, UnknownPacketError
from stixlab.idb import load_versions
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import Status
from stixlab.telemetry.sources import read_packets
from tests.support.packets import LIGHT_CURVE, housekeeping, light_curves


def test_the_quicklook_day_equals_its_level_0_product(real_data: Path) -> None:
    """Codes, triggers, rate control and on-board times of the 2654 bins that the L0 product has."""
    versions = load_versions()
    path = real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits"
    block, _ = read_packets(path.read_bytes(), path.name, versions)
    columns, statuses = decode(block, LIGHT_CURVE, versions)
    assert (statuses == Status.OK).all()
    bins = columns.of_packet("NIX00271", 0)[0]
    codes, triggers, states, times = [], [], [], []
    for i in range(len(columns)):
        n = int(columns.of_packet("NIX00273", i)[0])
        codes.append(columns.of_packet("NIX00272", i).reshape(5, n).T)
        triggers.append(columns.of_packet("NIX00274", i))
        states.append(columns.of_packet("NIX00276", i))
        start = int(columns["NIX00445"][i]) * 65536 + int(columns["NIX00446"][i])
        times.append(start + np.arange(n) * (int(columns["NIX00405"][i]) + 1) * 65536 // 10)
    assert bins == 580
    ours = {
        "counts": np.concatenate(codes),
        "triggers": np.concatenate(triggers),
        "rcr": np.concatenate(states),
    }
    ticks = np.concatenate(times)
    with fits.open(real_data / "l1" / "ql" / "solo_L0_stix-ql-LightCurve_0664070400_V01.fits") as hdus:
        data, control = hdus["DATA"].data, hdus["CONTROL"].data
        first = int(control["scet_coarse"][0]) * 65536 + int(control["scet_fine"][0])
        # their time is the middle of the bin, seconds past the first one; the fine part is rounded up there
        expected = np.rint(first + (data["time"] - data["timedel"] / 2) * 65536).astype(np.int64)
        assert len(data) == 2654
        place = np.searchsorted(ticks, expected - 8)
        assert np.abs(ticks[place] - expected).max() <= 2
        for name, column in ours.items():
            assert np.array_equal(column[place], data[name]), name


def test_an_unknown_structure_is_named() -> None:
    """Identified, no definition: the message says what it is."""
    with pytest.raises(UnknownPacketError, match="54331"):
        decode(light_curves(1), 54331, load_versions())


def test_only_good_packets_are_decoded() -> None:
    """A packet whose counter lies is told apart, the others come through in order."""
    block = light_curves(4, n_bins=10)
    data = block.data.copy()
    data[int(block.offsets[2]) + 38 : int(block.offsets[2]) + 40] = 0xFF
    broken, _ = read_packets(data.tobytes(), "x", load_versions())
    columns, statuses = decode(broken, LIGHT_CURVE, load_versions())
    assert statuses.tolist() == [0, 0, Status.CORRUPT, 0]
    assert len(columns) == 3
    whole, _ = decode(block.select(np.array([0, 1, 3])), LIGHT_CURVE, load_versions())
    for name in columns:
        assert np.array_equal(columns[name], whole[name])
        assert np.array_equal(columns.splits[name], whole.splits[name])


def test_selected_packets_keep_their_part_of_every_column() -> None:
    """The same as decoding the selected packets alone, bits of long fields included."""
    versions = load_versions()
    for block in (light_curves(5, n_bins=3), housekeeping(n=5)):
        spid = int(block.spid[0])
        columns, _ = decode(block, spid, versions)
        for chosen in (np.array([4, 1]), np.array([True, False, True, True, False])):
            part = columns.select(chosen)
            alone, _ = decode(block.select(chosen), spid, versions)
            assert part.block.data.tobytes() == alone.block.data.tobytes()
            for name in alone:
                assert np.array_equal(part[name], alone[name])
                assert np.array_equal(part.splits[name], alone.splits[name])
        assert len(columns.select(np.zeros(5, dtype=bool))) == 0


def test_a_parameter_that_repeats_is_not_taken_for_a_single_one() -> None:
    """Asking for one value a packet fails where there are more."""
    columns, _ = decode(light_curves(2, n_bins=3), LIGHT_CURVE, load_versions())
    assert columns.single("NIX00405").tolist() == [39, 39]
    with pytest.raises(PacketError, match="30 times in 2 packets"):
        columns.single("NIX00272")
