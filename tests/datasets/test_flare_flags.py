import numpy as np

from stixlab.datasets.flare_flags import FLARE_FLAG, FLARE_FLAG_L0, build_flare_flag
from stixlab.datasets.report import BuildReport
from stixlab.engineering.calibration import to_state
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_definitions
from stixlab.telemetry.columns import Columns
from stixlab.vocabulary import check
from tests.support.quicklooks import decoded, flare_flags

OLD = 642_100_000
"""May 2020, before the flag of a flare in progress was sent."""


def build(columns):
    report = BuildReport()
    return build_flare_flag(columns, load_clock(None), report), report


def test_flags_and_signed_locations_are_as_sent():
    packets = decoded(flare_flags([0, 3, 4], status=2, progress=[0, 1, 1], y=-13, z=127))
    (ds,), report = build(packets)
    assert ds.thermal_index.to_numpy().tolist() == [0, 3, 4]
    assert ds.location_y.to_numpy().tolist() == [-13] * 3
    assert ds.location_z.to_numpy().tolist() == [127] * 3
    assert ds.flare_in_progress.to_numpy().tolist() == [0, 1, 1]
    assert ds.flare_in_progress_valid.to_numpy().all()
    assert ds.thermal_index.attrs["flag_meanings"].split()[3] == "moderate_m1"
    assert not report.n_packets
    check(ds, FLARE_FLAG_L0)


def test_old_software_does_not_say_whether_a_flare_is_going_on():
    (ds,), _ = build(decoded(flare_flags([1, 2], coarse=OLD)))
    assert not ds.flare_in_progress_valid.to_numpy().any()
    assert not ds.flare_in_progress.to_numpy().any()
    assert ds.thermal_index.to_numpy().tolist() == [1, 2]


def test_old_and_new_packets_together():
    old = decoded(flare_flags([1, 2], coarse=OLD))
    new = decoded(flare_flags([3, 4, 0], progress=[1, 1, 0]))
    (ds,), _ = build(Columns.concatenate([new, old]))
    assert ds.flare_in_progress_valid.to_numpy().tolist() == [True] * 3 + [False] * 2
    assert ds.flare_in_progress.to_numpy().tolist() == [1, 1, 0, 0, 0]
    assert ds.thermal_index.to_numpy().tolist() == [3, 4, 0, 1, 2]


def test_states_are_those_of_the_flight_database():
    definitions = load_definitions()
    for name in ("thermal_index", "non_thermal_index", "location_status"):
        field = FLARE_FLAG[name]
        texts = to_state(field.source_parameter, np.asarray(field.attrs["flag_values"]), definitions)
        assert len(set(map(str, texts))) == len(field.attrs["flag_meanings"].split())
        assert not any(str(t).isdigit() for t in texts), name


def test_unsynchronised_packets_are_reported_and_empty_ones_dropped_silently():
    (ds,), report = build(
        decoded(
            flare_flags([1], progress=0, synchronised=False),
            flare_flags([2, 2], progress=0, coarse=664_150_000),
        )
    )
    assert ds.sizes["time"] == 2
    assert list(report.as_document()) == ["on-board time is not synchronised"]
    assert build(decoded(flare_flags([], progress=[])))[0] == []
