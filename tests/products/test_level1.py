import dataclasses
import gzip
import json

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.units import Unit
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.registry import SPECS, get_spec
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import SchemaError
from stixlab.idb import load_versions
from stixlab.products.level1 import content_sha256, make_level1, merge, split_days
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import check
from tests.support.columns import decoded, light_curve, random_codes
from tests.support.examples import examples
from tests.support.light_curves import day_of_packets, level1, light_curve_dataset


@pytest.fixture(scope="module")
def real_day(real_data):
    """Level 1 of the 36 real packets of 2021-01-16 and 17, with the clock kernel of the time."""
    path = real_data / "l1" / "ql" / "solo_LB_stix-21-6-30_0664156800_V01.fits"
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    columns, _ = decode(block, 54118, load_versions())
    (ds,) = make_level1(columns, load_clock(real_data / "spice" / "stix_min.tm"), load_versions())
    return ds


def test_real_day_has_all_bins_of_its_packets_and_is_as_declared(real_day):
    """35 packets of 580 bins and one of 222, without a gap."""
    assert real_day.sizes["time"] == 35 * 580 + 222
    check(real_day, get_spec("ql-lightcurve"))
    step = np.diff(real_day.time.to_numpy()).astype(np.int64) / 1e9
    assert np.abs(step - 4).max() < 1e-3
    assert real_day.energy_bounds.to_numpy().tolist() == [[4, 10], [10, 15], [15, 25], [25, 50], [50, 84]]


def test_real_day_equals_the_level_0_product_made_from_the_same_packets(real_day, real_data):
    """Codes are compared through their decompressed values; the L0 product has 2654 bins."""
    from stixlab.products.counts import to_counts

    with fits.open(real_data / "l1" / "ql" / "solo_L0_stix-ql-LightCurve_0664070400_V01.fits") as hdus:
        data, control = hdus["DATA"].data, hdus["CONTROL"].data
        codes, triggers = data["counts"].astype(np.uint8), data["triggers"].astype(np.uint8)
        states, index = data["rcr"], data["control_index"]
        offset = np.rint((data["time"] - 2) * 65536).astype(np.int64)
        scet = (control["scet_coarse"].astype(np.int64) << 16) + control["scet_fine"]
    assert len(codes) == 2654
    ours = real_day.isel(time=slice(0, 2654))
    scheme = np.full(2654, 53, dtype=np.uint8)
    assert (ours.counts.to_numpy() == to_counts(codes, scheme).values).all()
    assert (ours.triggers.to_numpy() == to_counts(triggers, scheme).values).all()
    assert (ours.rate_control_state.to_numpy() == states).all()
    # Its time column is rounded to the unit of the clock, 15 us, once for each packet.
    key = (ours.scet_coarse.to_numpy().astype(np.int64) << 16) + ours.scet_fine.to_numpy()
    assert np.abs(key - (scet[0] + offset)).max() <= 1
    first = np.flatnonzero(np.diff(index, prepend=-1))
    assert (key[first] == scet[index[first]]).all()


def test_real_day_keeps_utc_of_spice(real_day, real_data):
    """Every thousandth bin, start and end; the goal is 1 ms."""
    spiceypy = pytest.importorskip("spiceypy")
    kernels = real_data / "spice"
    try:
        spiceypy.furnsh([str(kernels / "naif0012.tls"), str(kernels / "solo_ANC_soc-sclk_20200922_V01.tsc")])
        for i in range(0, real_day.sizes["time"], 1000):
            coarse, fine = int(real_day.scet_coarse[i]), int(real_day.scet_fine[i])
            text = spiceypy.et2utc(spiceypy.scs2e(-144, f"{coarse}:{fine}"), "ISOC", 9)
            apart = np.datetime64(text, "ns") - real_day.time_bounds.to_numpy()[i, 0]
            assert abs(apart.astype(np.int64)) < 1_000_000
    finally:
        spiceypy.kclear()


def test_real_packet_equals_its_golden_values(real_data):
    """The tree decoded by the official pipeline: decompressed values and variances of every bin."""
    path = real_data / "telemetry" / "hex" / "21_6_30.hex"
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    columns, _ = decode(block, 54118, load_versions())
    (ds,) = make_level1(columns, load_clock(None), load_versions())
    with gzip.open(real_data / "telemetry" / "golden" / "hex.21_6_30.json.gz") as stream:
        golden = json.load(stream)["decompressed"]
    for name, values, error in (
        ("NIX00272", ds.counts, ds.counts_compression_error),
        ("NIX00274", ds.triggers, ds.triggers_error),
    ):
        assert values.to_numpy().T.reshape(-1).tolist() == np.ravel(golden[name]["value"]).tolist()
        found = error.to_numpy().T.reshape(-1).astype(np.float64) ** 2
        assert np.allclose(found, np.ravel(golden[name]["variance"]), rtol=1e-6)


def test_housekeeping_is_physical_with_states_as_numbers(real_data):
    """A real long report of 2020-12-02; -27 V of the spline of others is 17.9 V of the straight line."""
    path = real_data / "telemetry" / "hex" / "3_25_2.hex"
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    columns, _ = decode(block, 54102, load_versions())
    (ds,) = make_level1(columns, load_clock(None), load_versions())
    assert float(ds.voltage_attenuator[0]) == pytest.approx(17.9, abs=0.01)
    assert float(ds.temperature_detector_q1[0]) == pytest.approx(-39.5, abs=0.1)
    assert float(ds.archive_memory_usage[0]) == 60
    mode = ds.instrument_mode
    assert mode.attrs["flag_meanings"].split()[int(mode[0])] == "safe"
    assert (ds.time.to_numpy() == ds.time_bounds.to_numpy()[:, 0]).all()
    check(ds, get_spec("hk-maxi"))


@pytest.mark.parametrize("product", SPECS)
def test_every_unit_is_one_that_astropy_knows(product):
    for field in get_spec(product).fields:
        if field.units:
            Unit(field.units)


def test_variables_carry_name_unit_and_origin():
    ds = light_curve_dataset()
    assert ds.counts.attrs["units"] == "count"
    assert ds.counts.attrs["source_parameter"] == "NIX00272"
    assert ds.counts.attrs["ancillary_variables"] == "counts_error counts_compression_error"
    assert ds.attrs["origin"] == "flight"
    assert ds.attrs["level"] == "L1"
    assert ds.attrs["idb_version"] == "2.26.34", "in force in January 2021"
    assert ds.attrs["time_coverage_start"].startswith("2021-01-16T23:57:59.9") or ds.attrs[
        "time_coverage_start"
    ].startswith("2021-01-16T23:58:00.0")


def test_repeated_and_shuffled_packets_give_the_same():
    """Retransmissions and overlapping files: order and number do not matter."""
    blocks = day_of_packets()
    first = level1(*blocks)[0]
    again = level1(*blocks[::-1], blocks[2], blocks[2], blocks[0])[0]
    xr.testing.assert_identical(first, again)


def test_of_two_packets_at_the_same_time_the_same_one_is_kept_always():
    """Same on-board time, other content: which stays depends on the content alone."""
    one, other = light_curve(random_codes(1, 5)), light_curve(random_codes(2, 5))
    assert content_sha256(level1(one, other)[0]) == content_sha256(level1(other, one)[0])
    assert level1(one, other)[0].sizes["time"] == 5


def test_simulated_packets_do_not_pass_as_flight_nor_the_other_way():
    blocks = [
        light_curve(random_codes(1, 5)),
        light_curve(random_codes(1, 5), destination=SIMULATED_DESTINATION),
    ]
    with pytest.raises(SchemaError, match="1 of 2 are marked as of another"):
        level1(*blocks)
    with pytest.raises(SchemaError, match="origin simulated"):
        level1(blocks[0], origin="simulated")
    with pytest.raises(SchemaError, match="expected one of flight, simulated, reencoded; found 'real'"):
        level1(blocks[0], origin="real")
    assert level1(blocks[1], origin="simulated")[0].attrs["origin"] == "simulated"


def test_structure_without_builder_is_named():
    columns = decoded(light_curve(random_codes(1, 5)))
    other = dataclasses.replace(columns.block, ssid=columns.block.ssid + 10)
    with pytest.raises(SchemaError, match=r"found \(21, 6, 40\)"):
        make_level1(dataclasses.replace(columns, block=other), load_clock(None), load_versions())


def test_no_packets_give_no_dataset():
    columns = dataclasses.replace(decoded(light_curve(random_codes(1, 5))), block=PacketBlock.empty())
    assert make_level1(columns, load_clock(None), load_versions()) == []


def test_packets_left_out_are_reported():
    report = BuildReport()
    level1(light_curve(random_codes(1, 5), triggers=[1]), *day_of_packets(), report=report)
    assert report.n_packets == 1


def test_merge_of_parts_is_that_of_all_packets_in_any_split():
    blocks = day_of_packets()
    whole = level1(*blocks)[0]
    parts = [level1(*blocks[3:5])[0], level1(*blocks[:4])[0], level1(blocks[5], blocks[0])[0]]
    xr.testing.assert_identical(merge(parts), whole)
    xr.testing.assert_identical(merge(parts[::-1]), whole)


def test_first_part_wins_where_several_have_a_time():
    one, other = level1(light_curve(random_codes(1, 5)))[0], level1(light_curve(random_codes(2, 5)))[0]
    assert (merge([one, other]).counts == one.counts).all()
    assert (merge([other, one]).counts == other.counts).all()


def test_merge_fills_gaps_from_the_parts_of_less_trust():
    blocks = day_of_packets(n_packets=4)
    trusted, rest = level1(blocks[0], blocks[3])[0], level1(*day_of_packets(n_packets=4))[0]
    merged = merge([trusted, rest])
    assert merged.sizes["time"] == 200
    assert (np.diff(merged.time.to_numpy()) > np.timedelta64(0)).all()


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=12), st.randoms())
def test_any_order_of_overlapping_packets_gives_the_same(placed, random):
    """Packets that begin at any second, overlap and contradict each other."""
    blocks = [light_curve(random_codes(s, 4), coarse=664_146_182 + t) for t, s in placed]
    shuffled = blocks.copy()
    random.shuffle(shuffled)
    assert content_sha256(level1(*blocks)[0]) == content_sha256(level1(*shuffled)[0])


def test_merge_of_other_energies_says_so():
    one = level1(light_curve(random_codes(1, 5)))[0]
    other = level1(light_curve(random_codes(1, 5), edge_mask=sum(1 << e for e in (1, 7, 12, 17, 23, 31))))[0]
    with pytest.raises(
        SchemaError, match="4 10 15 25 50 84 keV in all parts; part 2 has 4 10 15 25 50 150 keV"
    ):
        merge([one, other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.assign_attrs(origin="simulated"), "expected origin 'flight'"),
        (lambda ds: ds.assign_attrs(product="ql-spectra"), "expected product 'ql-lightcurve'"),
        (lambda ds: ds.drop_vars("triggers"), "differs in \\['triggers'\\]"),
    ],
)
def test_merge_of_unlike_parts_is_refused(change, message):
    ds = light_curve_dataset()
    with pytest.raises(SchemaError, match=message):
        merge([ds, change(ds)])


def test_merge_of_nothing_is_refused():
    with pytest.raises(SchemaError, match="at least one"):
        merge([])


def test_merged_attributes_name_all_sources():
    blocks = day_of_packets(n_packets=2)
    one = level1(blocks[0])[0].assign_attrs(source_sha256="b a", clock="kernel 1")
    other = level1(blocks[1])[0].assign_attrs(source_sha256="c a", clock="kernel 2", dialect="L1")
    merged = merge([one, other])
    assert merged.attrs["source_sha256"] == "a b c"
    assert merged.attrs["clock"] == "kernel 1, kernel 2"
    assert merged.attrs["dialect"] == "L1"
    assert merged.attrs["time_coverage_end"] == other.attrs["time_coverage_end"]


def test_days_are_cut_by_the_middle_of_the_bin_and_put_together_again():
    ds = light_curve_dataset()
    days = list(split_days(ds))
    assert [str(d) for d, _ in days] == ["2021-01-16", "2021-01-17"]
    for day, part in days:
        assert part.sizes["time"] == ds.sel(time=str(day)).sizes["time"]
        assert part.attrs["time_coverage_start"] != part.attrs["time_coverage_end"]
    xr.testing.assert_identical(merge([p for _, p in days]), ds)


def test_empty_dataset_has_no_day():
    assert list(split_days(light_curve_dataset().isel(time=slice(0, 0)))) == []


def test_content_hash_is_of_values_and_units_only():
    ds = light_curve_dataset()
    same = ds.assign_attrs(run_id="other", history="x")
    assert content_sha256(same) == content_sha256(ds)
    changed = ds.copy(deep=True)
    changed.counts[3, 2] += 1
    assert content_sha256(changed) != content_sha256(ds)
    renamed = ds.copy()
    renamed["counts"] = ds.counts.assign_attrs(units="1")
    assert content_sha256(renamed) != content_sha256(ds)
    assert content_sha256(ds.isel(time=slice(0, -1))) != content_sha256(ds)
