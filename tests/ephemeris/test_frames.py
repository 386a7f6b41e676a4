"""Axes, times and motion: against SPICE, which the official products are made with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.ephemeris import frames
from stixlab.ephemeris.kepler import GM_SUN, propagate
from stixlab.ephemeris.scales import as_times, from_dynamical, to_dynamical
from stixlab.errors import TimeError
from tests.support.examples import examples

TIMES = np.array(
    ["2020-02-11", "2020-05-06T11:59:59.610", "2022-11-10T12:00:25.204", "2026-08-01", "2030-11-17"],
    dtype="datetime64[ns]",
)
FRAMES = {
    "SOLO_HCI": lambda earth, _: np.broadcast_to(frames.hci(), (len(earth), 3, 3)),
    "SUN_ARIES_ECL": lambda earth, _: np.broadcast_to(frames.hae(), (len(earth), 3, 3)),
    "SOLO_HEE_NASA": frames.hee,
    "SOLO_HEEQ": lambda earth, _: frames.heeq(earth),
    "EARTH_SUN_ECL": frames.gse,
}


@pytest.fixture
def spice(real_data: Path, monkeypatch: pytest.MonkeyPatch):
    import spiceypy

    monkeypatch.chdir(real_data)
    spiceypy.furnsh("spice/stix_min.tm")
    yield spiceypy
    spiceypy.kclear()


def test_dynamical_time_is_that_of_spice(spice) -> None:
    """To a microsecond; a microsecond is 5 cm of the orbit."""
    expected = [spice.utc2et(str(t)) for t in TIMES]
    assert np.abs(to_dynamical(TIMES) - expected).max() < 1e-6
    back = np.array([from_dynamical(t) for t in expected])
    assert np.abs(back - TIMES).max() <= np.timedelta64(1, "us")


def test_axes_are_those_of_spice(spice) -> None:
    """Fixed axes exactly; those that look at the Earth to 1e-7 rad, since the Earth is 14 km off at most."""
    earth, _ = frames.earth_state(TIMES)
    seconds = to_dynamical(TIMES)
    for name, rotation in FRAMES.items():
        expected = np.array([spice.pxform("J2000", name, t) for t in seconds])
        assert np.abs(rotation(earth, seconds) - expected).max() < 1e-7, name


def test_the_carrington_axes_are_those_of_spice(spice) -> None:
    """IAU_SUN."""
    seconds = to_dynamical(TIMES)
    angle = np.radians(frames.carrington_meridian(seconds))
    for a, t in zip(angle, seconds, strict=True):
        turn = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
        assert np.abs(turn @ frames.solar_equator() - spice.pxform("J2000", "IAU_SUN", t)).max() < 1e-9


def test_the_earth_is_where_the_ephemeris_has_it(spice) -> None:
    """Within 14 km of DE421, as the documentation of the model says."""
    position, velocity = frames.earth_state(TIMES)
    expected = np.array([spice.spkgeo(399, t, "J2000", 10)[0] for t in to_dynamical(TIMES)])
    assert np.linalg.norm(position - expected[:, :3], axis=1).max() < 14
    assert np.linalg.norm(velocity - expected[:, 3:], axis=1).max() < 1e-5


VECTOR = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(VECTOR, VECTOR, st.permutations("xyz"))
def test_axes_from_two_vectors_turn_and_do_not_mirror(primary, secondary, letters) -> None:
    if np.linalg.norm(np.cross(frames.unit(primary), frames.unit(secondary))) < 1e-3:
        return
    order = "".join(letters[:2])
    rotation = frames.from_axes(primary, secondary, order=order)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation["xyz".index(order[0])] == pytest.approx(frames.unit(primary))
    assert rotation["xyz".index(order[1])] @ secondary > 0


@settings(max_examples=examples(60))
@given(
    st.floats(0.28, 1.02),
    st.floats(0.0, 0.6),
    st.floats(0, 6.28),
    st.lists(st.floats(-60 * 86400, 60 * 86400), min_size=1, max_size=5),
)
def test_motion_on_an_ellipse_goes_back_the_way_it_came(axis_au, eccentricity, anomaly, steps) -> None:
    """Energy and angular momentum stay, and the way back ends at the start."""
    axis = axis_au * frames.AU_KM
    distance = axis * (1 - eccentricity * np.cos(anomaly))
    position = axis * np.array(
        [np.cos(anomaly) - eccentricity, np.sqrt(1 - eccentricity**2) * np.sin(anomaly), 0]
    )
    velocity = (
        np.sqrt(GM_SUN * axis)
        / distance
        * np.array([-np.sin(anomaly), np.sqrt(1 - eccentricity**2) * np.cos(anomaly), 0])
    )
    n = len(steps)
    r, v = propagate(np.tile(position, (n, 1)), np.tile(velocity, (n, 1)), np.array(steps))
    back, _ = propagate(r, v, -np.array(steps))
    assert back == pytest.approx(np.tile(position, (n, 1)), abs=0.1)
    energy = (v**2).sum(axis=1) / 2 - GM_SUN / np.linalg.norm(r, axis=1)
    assert energy == pytest.approx(-GM_SUN / (2 * axis), rel=1e-9)
    assert np.cross(r, v)[:, 2] == pytest.approx(np.cross(position, velocity)[2], rel=1e-9)


def test_motion_on_an_ellipse_is_that_of_spice(spice) -> None:
    state = spice.spkgeo(-144, float(to_dynamical(TIMES)[1]), "J2000", 10)[0]
    r, v = propagate(state[None, :3], state[None, 3:], np.array([30 * 86400.0]))
    expected = spice.prop2b(GM_SUN, state, 30 * 86400.0)
    assert np.concatenate([r[0], v[0]]) == pytest.approx(expected, rel=1e-12)


def test_times_are_taken_as_people_hand_them_over() -> None:
    from datetime import UTC, datetime

    from astropy.time import Time

    one = np.datetime64("2022-11-11T12:00:00", "ns")
    for given_ in ("2022-11-11T12:00", datetime(2022, 11, 11, 12, tzinfo=UTC), one, Time("2022-11-11T12:00")):
        assert as_times(given_) == one
        assert as_times(given_).shape == ()
    import xarray as xr

    assert as_times(np.array("2022-11-11T12:00")) == one
    assert as_times(xr.DataArray([one], dims="time")).tolist() == [one.astype(int)]
    assert as_times(["2022-11-11T12:00", one]).tolist() == [one.astype(int)] * 2
    for wrong in ("noon", 5, np.array(["NaT"], dtype="datetime64[ns]"), ["2022-11-11", "soon"]):
        with pytest.raises(TimeError, match="expected"):
            as_times(wrong)


def test_the_place_of_the_earth_does_not_depend_on_how_many_times_are_asked() -> None:
    """It is worked out on a grid; between its points the model itself is met to a metre."""
    import erfa

    times = np.datetime64("2023-03-01T01:02:03", "ns") + np.arange(200) * np.timedelta64(
        10_000_000_000_000, "ns"
    )
    together, velocity = frames.earth_state(times)
    alone, _ = frames.earth_state(times[77])
    assert np.array_equal(together[77], alone)
    model, _ = erfa.epv00(2_451_545.0, to_dynamical(times) / 86_400)
    assert np.abs(together - model["p"] * frames.AU_KM).max() < 0.001
    assert np.abs(velocity - model["v"] * frames.AU_KM / 86_400).max() < 1e-6
