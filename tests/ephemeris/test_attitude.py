"""How the spacecraft is turned: from auxiliary products, from kernels, and the answer where there is neither."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from stixlab.ephemeris import load_ephemerides
from stixlab.ephemeris.attitude import NONE, attitude_from_products, no_attitude
from stixlab.ephemeris.aux_products import AuxProduct, read_aux
from stixlab.ephemeris.frames import rtn
from stixlab.ephemeris.scales import to_dynamical
from stixlab.errors import TimeError


@pytest.fixture
def aux(real_data: Path) -> list[Path]:
    return sorted((real_data / "aux").glob("*.fits"))


def test_rows_of_products_come_back_as_they_are(aux: list[Path]) -> None:
    product = read_aux(aux[2])
    found = load_ephemerides(products=aux).attitude(product.time)
    assert np.array_equal(np.stack([found.roll, found.pitch, found.yaw], axis=1), product.roll_pitch_yaw)
    assert np.array_equal(found.aspect, product.aspect)
    assert found.valid.all()
    assert found.source == product.name


def test_pointing_is_that_of_the_ground_software(real_data: Path, aux: list[Path]) -> None:
    """Flares of 2022-11 of which the IDL maps give the pointing: on the Sun to 2.5 arcsec, off-pointed to 6."""
    sources = load_ephemerides(products=aux)
    with (real_data / "flare_cases.csv").open(newline="") as file:
        cases = [r for r in csv.DictReader(file) if r["stx_pointing_x"] and r["aux_file"]]
    n_off = 0
    for case in cases:
        time = case["peak_utc"] or case["bp_beg"].replace(" ", "T")
        attitude = sources.attitude(time)
        expected = np.array([float(case["stx_pointing_x"]), float(case["stx_pointing_y"])])
        off = np.hypot(*expected) > 1000
        n_off += off
        assert np.hypot(*(attitude.pointing - expected)) < (6 if off else 2.5), case["flare_id"]
        assert bool(attitude.aspect_used) is not bool(off)
    assert len(cases) >= 10
    assert n_off >= 3


def test_the_sun_in_the_frame_of_stix_is_that_of_published_maps(real_data: Path, aux: list[Path]) -> None:
    """Stated positions of maps in both frames: x of STIX is along our -y, y of STIX along our x."""
    sources = load_ephemerides(products=aux)
    with (real_data / "flare_cases.csv").open(newline="") as file:
        cases = [r for r in csv.DictReader(file) if r["stix_frame_x"]]
    assert len(cases) >= 6
    for case in cases:
        attitude = sources.attitude(case["peak_utc"])
        hpc = np.array([float(case["csv_bp_hpc_x"]), float(case["csv_bp_hpc_y"])])
        x, y = attitude.from_helioprojective(hpc)
        assert (y, -x) == pytest.approx((float(case["stix_frame_x"]), float(case["stix_frame_y"])), abs=12)
        assert attitude.to_helioprojective(np.array([x, y])) == pytest.approx(hpc, abs=1e-6)


def test_where_nothing_covers_a_time_the_answer_says_so(aux: list[Path], real_data: Path) -> None:
    """Neither NaN in silence nor an orbit-based guess: `valid` and `source`, or an error for those who need it."""
    for sources in (
        load_ephemerides(),
        load_ephemerides(real_data / "spice" / "stix_min.tm"),
        load_ephemerides(products=aux),
    ):
        found = sources.attitude("2021-06-06T11:27")
        assert not found.valid
        assert found.source == found.kind == NONE
        assert found.as_document()["roll_deg"] == [None]
        with pytest.raises(TimeError, match=r"2021-06-06T11:27:00Z.*import the solo_L2_stix-aux-ephemeris"):
            found.required()
    partly = load_ephemerides(products=aux).attitude(["2022-11-11", "2021-01-01"])
    assert partly.valid.tolist() == [True, False]
    assert np.isnan(partly.pointing[1]).all()


def made(time: list[str], roll: list[float], *, aspect: bool = True, name: str = "made") -> AuxProduct:
    n = len(time)
    source = read_shipped_states()
    return AuxProduct(
        name=name,
        time=np.array(time, dtype="datetime64[ns]"),
        roll_pitch_yaw=np.column_stack([roll, np.zeros(n), np.zeros(n)]),
        aspect=np.full((n, 2), 5.0 if aspect else np.nan),
        aspect_valid=np.full(n, aspect),
        states=source,
        kernels="",
    )


def read_shipped_states():
    from stixlab.ephemeris.states import load_shipped_orbit

    return load_shipped_orbit()


def test_between_rows_the_roll_goes_the_short_way() -> None:
    product = made(["2023-01-01T00:00:00", "2023-01-01T00:01:00"], [179.0, -179.0])
    found = attitude_from_products(np.array(["2023-01-01T00:00:30"], dtype="datetime64[ns]"), [product])
    assert abs(found.roll[0]) == pytest.approx(180)


def test_in_a_gap_nothing_is_known_and_at_its_edges_the_rows_are() -> None:
    product = made(["2023-01-01T00:00:00", "2023-01-01T00:20:00"], [1.0, 2.0])
    times = np.array(
        ["2023-01-01T00:00:00", "2023-01-01T00:10:00", "2023-01-01T00:20:00", "2023-01-01T00:20:30"],
        dtype="datetime64[ns]",
    )
    found = attitude_from_products(times, [product])
    assert found.valid.tolist() == [True, False, True, True]
    assert found.roll[2] == 2.0
    assert not attitude_from_products(times + np.timedelta64(1, "h"), [product]).valid.any()


def test_of_two_products_of_one_time_the_later_counts() -> None:
    time = ["2023-01-01T00:00:00", "2023-01-01T00:01:00"]
    found = attitude_from_products(
        np.array(time, dtype="datetime64[ns]"),
        [made(time, [1, 1], name="old"), made(time, [2, 2], name="new")],
    )
    assert found.roll.tolist() == [2, 2]
    assert found.source == "new"


def test_without_an_aspect_solution_the_attitude_points() -> None:
    time = np.array(["2023-01-01T00:00:30"], dtype="datetime64[ns]")
    rows = ["2023-01-01T00:00:00", "2023-01-01T00:01:00"]
    with_it = attitude_from_products(time, [made(rows, [0, 0])])
    without = attitude_from_products(time, [made(rows, [0, 0], aspect=False)])
    assert with_it.pointing.tolist() == [[65.0, 3.0]]
    assert without.pointing.tolist() == [[26.1, 58.2]]
    assert without.pointing_on_sun.tolist() == [[26.1, 58.2]]
    turned = attitude_from_products(time, [made(rows, [90, 90], aspect=False)])
    assert turned.pointing_on_sun == pytest.approx(np.array([[-58.2, 26.1]]))


def test_no_times_no_trouble() -> None:
    nothing = np.array([], dtype="datetime64[ns]")
    assert no_attitude(nothing).valid.shape == (0,)
    assert attitude_from_products(nothing, [made(["2023-01-01"], [0])]).roll.shape == (0,)


@pytest.fixture
def attitude_kernels(real_data: Path, tmp_path: Path) -> tuple[Path, tuple[float, float, float]]:
    """Kernels with an attitude made here: half an hour of 2021-03-01 at a known roll, off-pointed by known angles."""
    import spiceypy as sp

    roll, pitch, yaw = 30.0, 0.4, -0.25
    begin = np.datetime64("2021-03-01T10:00:00", "ns")
    times = begin + np.arange(0, 1801, 60) * np.timedelta64(1_000_000_000, "ns")
    seconds = to_dynamical(times)
    position = load_ephemerides(real_data / "spice" / "stix_min.tm").at(times).position
    to_body = sp.eul2m(*np.radians([roll, -pitch, yaw + 180.0]), 1, 2, 3)
    path = tmp_path / "made.bc"
    folder = real_data / "spice"
    sp.furnsh([str(folder / "naif0012.tls"), str(folder / "solo_ANC_soc-sclk_20200922_V01.tsc")])
    try:
        ticks = np.array([sp.sce2c(-144, t) for t in seconds])
        quaternions = np.array([sp.m2q(to_body @ r) for r in rtn(position)])
        handle = sp.ckopn(str(path), "made", 0)
        sp.ckw03(
            handle, ticks[0], ticks[-1], -144000, "J2000", False, "made", len(ticks), ticks, quaternions,
            np.zeros((len(ticks), 3)), 1, np.array([ticks[0]]),
        )  # fmt: skip
        sp.ckcls(handle)
    finally:
        sp.kclear()
    kernels = "\n".join(f"'{p}'" for p in [*sorted(folder.glob("*.[!t]*")), *folder.glob("*.t[!m]*"), path])
    meta = tmp_path / "flown.tm"
    meta.write_text(f"\\begindata\nKERNELS_TO_LOAD = (\n{kernels}\n)\n")
    return meta, (roll, pitch, yaw)


def test_attitude_of_kernels_is_the_one_put_in(attitude_kernels) -> None:
    """Roll, pitch and yaw; outside of the kernel there is none."""
    meta, (roll, pitch, yaw) = attitude_kernels
    sources = load_ephemerides(meta)
    found = sources.attitude(["2021-03-01T10:10:00", "2021-03-01T10:10:30", "2021-03-01T12:00"])
    assert found.valid.tolist() == [True, True, False]
    assert found.roll[:2] == pytest.approx([roll] * 2, abs=1e-4)
    assert found.pitch[:2] == pytest.approx([pitch] * 2, abs=1e-4)
    assert found.yaw[:2] == pytest.approx([yaw] * 2, abs=1e-4)
    assert found.kind == "kernel"
    assert found.source == "flown.tm"


def test_pointing_north_and_west_have_their_signs(attitude_kernels) -> None:
    """The axis of the spacecraft that looks at the Sun, worked out by hand from the rotation put in."""
    meta, (_, pitch, yaw) = attitude_kernels
    found = load_ephemerides(meta).attitude("2021-03-01T10:10:00")
    off_axis = found.pointing_on_sun - _turned(np.array([26.1, 58.2]), float(found.roll))
    assert off_axis == pytest.approx([-yaw * 3600, pitch * 3600], abs=1)


def _turned(xy: np.ndarray, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ xy
