"""Physical values, states, and packets as records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stixlab.engineering import state_table, to_physical, to_state, unit_of
from stixlab.engineering.packets import iter_packet_records
from stixlab.ephemeris import load_clock
from stixlab.idb import load_definitions, load_versions
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.sources import read_packets
from tests.support.packets import flatten, housekeeping, light_curves, read_golden, read_hex


def physical(name: str, raw: int) -> float:
    return float(to_physical(name, np.array([raw]), load_definitions())[0][0])


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("NIXD0050", 2310, 17.905),  # attenuator voltage: wire facts section 8 gives 17.9 V
        ("NIXD0054", 3221, -0.01),  # a point of the temperature curve
        ("NIXD0054", 3363, -5.01),  # half way to the next
        ("NIXD0054", 300, 107.9), # continued below the first point: 99.99 + 87 * 9.99 / 110
        ("NIXD0035", 4095, 3.0),
        ("NIXD0002", 5, 20.0),
        ("NIXD0003", 250, 100.0),
        ("NIX00405", 39, 4.0),
    ],
)  # fmt: skip
def test_values_lie_on_straight_lines_between_points(name: str, raw: int, expected: float) -> None:
    """Numbers worked out by hand from the points, and our own rules."""
    assert physical(name, raw) == pytest.approx(expected, abs=0.01)


def test_many_values_are_looked_up_and_equal_few() -> None:
    """The table of all raw values is only a shortcut."""
    raw = np.arange(4096)
    few = np.concatenate(
        [to_physical("NIXD0054", raw[i : i + 100], load_definitions())[0] for i in range(0, 4096, 100)]
    )
    many, unit = to_physical("NIXD0054", np.tile(raw, 3), load_definitions())
    assert np.array_equal(many, np.tile(few, 3))
    assert (many.dtype, unit) == (np.float32, "deg_C")


def test_units_are_those_that_astropy_reads() -> None:
    """Every unit of a parameter that is decoded."""
    from astropy.units import Unit

    definitions = load_definitions()
    units = {name: unit_of(name, definitions) for name in definitions.parameters}
    for unit in set(units.values()):
        Unit("" if unit == "1" else unit)
    assert units["NIXD0027"] == "mA"
    assert units["NIXD0048"] == "V"
    assert units["NIX00272"] == "1"


def test_the_integration_time_counts_from_zero_only_in_bulk_science() -> None:
    """Wire facts section 7: quicklook (value + 1) * 0.1 s, bulk science value * 0.1 s."""
    definitions = load_definitions()
    assert to_physical("NIX00405", np.array([39]), definitions, spid=54118)[0][0] == pytest.approx(4.0)
    assert to_physical("NIX00405", np.array([40]), definitions, spid=54115)[0][0] == pytest.approx(4.0)


def test_states_are_words() -> None:
    """Numbers without a word stay numbers."""
    definitions = load_definitions()
    assert to_state("NIXD0023", np.array([5, 1, 9]), definitions).tolist() == ["NOMINAL", "BOOT", "9"]
    assert to_state("NIXD0022", np.array([1, 2]), definitions).tolist() == ["1", "2"]
    assert [s.word for s in state_table("NIXD0169", definitions)] == ["Off", "On"]
    assert state_table("NIXD0054", definitions) == ()


def test_calibration_agrees_with_the_golden_tree_where_that_is_linear(real_data: Path) -> None:
    """The official pipeline draws splines: equal only where the curve is one straight line."""
    golden = read_golden(real_data, "3_25_2")["engineering"]
    straight = [
        n
        for n in golden
        if len(load_definitions().point_pairs.get(load_definitions().parameters[n].curve, ((),))[0]) == 2
    ]
    assert len(straight) > 5
    for name in straight:
        assert physical(name, golden[name]["raw"]) == pytest.approx(golden[name]["eng"]["value"], rel=1e-5)
    words = [n for n in golden if state_table(n, load_definitions())]
    assert len(words) > 20
    for name in words:
        word = to_state(name, np.array([golden[name]["raw"]]), load_definitions())[0]
        assert str(golden[name]["eng"]) == word


@pytest.mark.parametrize("name", ["3_25_1", "3_25_2", "21_6_30", "21_6_21", "17_2"])
def test_records_are_what_the_golden_files_say(real_data: Path, name: str) -> None:
    """Header, UTC to the microsecond, raw values; plain types throughout."""
    versions, golden = load_versions(), read_golden(real_data, name)
    block, _ = read_packets(read_hex(real_data, name), name, versions)
    (record,) = iter_packet_records(block, versions, load_clock(), physical=True)
    assert json.loads(json.dumps(record)) == record
    assert record["spid"] == golden["spid"]
    assert (record["scet_coarse"], record["scet_fine"]) == (
        golden["data_header"]["scet_coarse"],
        golden["data_header"]["scet_fine"],
    )
    assert record["sequence_count"] == golden["header"]["sequence_count"]
    difference = np.datetime64(record["utc"][:-1]) - np.datetime64(golden["utc"].removesuffix("+00:00"))
    assert abs(difference) <= np.timedelta64(1, "us")
    if golden["spid"] in versions.latest.structures:
        assert record["status"] == "ok"
        assert record["parameters"] == flatten(golden["tree"])
    else:
        assert (record["status"], record["parameters"]) == ("undecoded", {})


def test_records_keep_the_order_of_the_packets() -> None:
    """Structures may alternate; a packet that does not decode has no parameters."""
    versions = load_versions()
    light, house = light_curves(3, n_bins=2), housekeeping(n=2)
    parts = [
        light.select(slice(0, 1)),
        house.select(slice(0, 1)),
        light.select(slice(1, 3)),
        house.select(slice(1, 2)),
    ]
    block = PacketBlock.concatenate(parts)
    broken = block.status.copy()
    broken[2] = Status.DUPLICATE
    records = list(iter_packet_records(block.with_status(broken), versions, load_clock(), physical=True))
    assert [r["ssid"] for r in records] == [30, 2, 30, 30, 2]
    assert [r["status"] for r in records] == ["ok", "ok", "duplicate", "ok", "ok"]
    assert records[2]["parameters"] == {}
    assert records[3]["parameters"]["NIX00445"] == [int(light.scet_coarse[2]) - 8]
    assert records[3]["engineering"]["NIX00405"] == {"value": [4.0], "unit": "s"}
    assert len(records[3]["decompressed"]["NIX00272"]["value"]) == 10
    plain = next(iter_packet_records(block, versions, load_clock()))
    assert "engineering" not in plain
