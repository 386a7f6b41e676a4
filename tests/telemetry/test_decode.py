"""Real packets: raw values against the golden trees, the quicklook day against its L0 product, and back to bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stixlab.errors import PacketError, UnknownPacketError
from stixlab.idb import Versions, load_versions
from stixlab.idb.mission import read_database
from stixlab.instrument.detectors import active_trigger_groups
from stixlab.telemetry.decode import Columns, decode, decode_all
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.schemes import decompress_column
from stixlab.telemetry.sources import read_packets
from tests.support.packets import LIGHT_CURVE, flatten, housekeeping, light_curves, read_golden, read_hex

DECODED = ["3_25_1", "3_25_2", "21_6_30"]


def integers(columns: Columns, name: str) -> list[int]:
    values = columns[name]
    return [int.from_bytes(bytes(row), "big") for row in values] if values.ndim > 1 else values.tolist()


def again(columns: Columns, block: PacketBlock, versions) -> bytes:
    """The packets made anew from their columns."""
    return encode(
        columns.spid,
        columns.values,
        scet_coarse=block.scet_coarse,
        scet_fine=block.scet_fine,
        sequence_count=block.sequence_count,
        sequence_flag=block.sequence_flag,
        apid=block.apid,
        destination=block.destination,
        synchronised=block.synchronised,
        versions=versions,
    ).data.tobytes()


@pytest.mark.parametrize("name", DECODED)
def test_raw_values_equal_the_golden_tree(real_data: Path, name: str) -> None:
    """Every parameter, in packet order, and no other; then the packet made anew from them."""
    versions = load_versions()
    golden = read_golden(real_data, name)
    block, _ = read_packets(read_hex(real_data, name), name, versions)
    columns, statuses = decode(block, golden["spid"], versions)
    expected = flatten(golden["tree"])
    assert statuses.tolist() == [Status.OK]
    assert {n: integers(columns, n) for n in columns} == expected
    assert again(columns, block, versions) == block.data.tobytes()


def test_decompressed_values_equal_the_golden_tree(real_data: Path) -> None:
    """Counts and triggers of the light curve, values and variances."""
    versions = load_versions()
    golden = read_golden(real_data, "21_6_30")
    block, _ = read_packets(read_hex(real_data, "21_6_30"), "x", versions)
    columns, _ = decode(block, LIGHT_CURVE, versions)
    assert set(golden["decompressed"]) == {"NIX00272", "NIX00274"}
    for name, expected in golden["decompressed"].items():
        pair = decompress_column(columns, name)
        assert pair is not None
        value, variance = pair
        compared = {k for k in expected if k != "raw"}
        assert compared, "the golden tree has values"
        for key in compared:
            found = {"value": value, "decompressed": value, "eng": value}.get(key, variance)
            np.testing.assert_allclose(np.ravel(expected[key]), found, rtol=1e-12)


def test_every_golden_tree_with_the_mission_database(real_data: Path) -> None:
    """The loop runs every structure that later issues add; two types leave bytes that the database does not describe."""
    versions = Versions.single(read_database(real_data / "idb" / "idb_v2.26.34_7dbe7b7d.sqlite"))
    trailing = []
    for path in sorted((real_data / "telemetry" / "hex").glob("*.hex")):
        golden = read_golden(real_data, path.stem)
        block, _ = read_packets(path.read_bytes(), path.name, versions)
        assert block.spid.tolist() == [golden["spid"]]
        decoded, final = decode_all(block, versions, keep_trailing=True)
        if not decoded:
            assert path.stem == "17_2"
            continue
        columns = decoded[golden["spid"]]
        if final.status[0] == Status.TRAILING:
            trailing.append(path.stem)
            made = again(columns, block, versions)
            assert made[16:] == block.data.tobytes()[16 : len(made)]
        else:
            assert again(columns, block, versions) == block.data.tobytes()
        assert {n: integers(columns, n) for n in columns if len(columns[n])} == flatten(golden["tree"])
    assert trailing == ["21_6_43", "239_21"]


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
    with pytest.raises(UnknownPacketError, match="visibilities"):
        decode(light_curves(1), 54117, load_versions())


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


def test_scaled_triggers_are_undone_with_the_integration_time() -> None:
    """Wire facts section 6 (c): (code + 0.5) * 30 * n_int * n_groups."""
    block = light_curves(2, n_bins=4, n_energies=1)
    columns, _ = decode(block, LIGHT_CURVE, load_versions())
    values = dict(columns.values)
    values["NIXD0104"], values["NIXD0105"], values["NIXD0106"] = (np.full(2, x) for x in (0, 0, 7))
    values.pop("NIXG0015")
    made = encode(LIGHT_CURVE, values, scet_coarse=[1, 2])
    scaled, _ = decode(made, LIGHT_CURVE, load_versions())
    pair = decompress_column(scaled, "NIX00274")
    assert pair is not None
    n_groups = int(active_trigger_groups(np.array([0xFFFFFCFF]))[0])
    assert n_groups == 16  # detectors 9 and 10 are off, their partners 8 and 16 are on
    np.testing.assert_array_equal(pair[0], (scaled["NIX00274"] + 0.5) * 30 * 40 * 16)
    np.testing.assert_array_equal(pair[1], (0.5 * 30 * 40 * 16) ** 2)
