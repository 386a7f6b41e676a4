"""Axes of solar physics as rotations of the inertial axes (J2000, that is ICRS), and where the Earth is.

Definitions: Fraenz & Harper (2002, P&SS 50, 217) and Thompson (2006, A&A 449, 791); rotation of the Sun: Archinal et al.
(2011, CeMDA 109, 101). A rotation has shape (..., 3, 3) and its rows are the new axes, so that
``rotate(rotation, vector)`` gives the components along them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.scales import to_dynamical

__all__ = [
    "AU_KM",
    "LIGHT_KM_S",
    "SUN_RADIUS_KM",
    "TURN_DEG_PER_DAY",
    "carrington_meridian",
    "earth_state",
    "from_axes",
    "gse",
    "hae",
    "hci",
    "hee",
    "heeq",
    "rotate",
    "rtn",
    "solar_equator",
    "solar_pole",
    "unit",
]

AU_KM = 149_597_870.7
"""Astronomical unit (IAU 2012 B2)."""
LIGHT_KM_S = 299_792.458
SUN_RADIUS_KM = 695_700.0
"""Nominal radius of the photosphere (IAU 2015 B3)."""
_POLE = np.radians((286.13, 63.87))
"""Right ascension and declination of the north pole of the Sun (IAU 2009)."""
_MERIDIAN_DEG, TURN_DEG_PER_DAY = 84.176, 14.1844
"""Place of the prime (Carrington) meridian at J2000, and its rate (IAU 2009)."""
_OBLIQUITY = np.radians(84_381.448 / 3600)
"""Of the ecliptic at J2000 (IAU 1976)."""
_DAY_S = 86_400.0
_J2000_JD = 2_451_545.0
_NODE_S = 21_600.0
"""Steps at which the place of the Earth is worked out; the curve between them is true to a metre."""

Vectors = NDArray[np.float64]


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length one along the last dimension."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def rotate(rotation: Vectors, vectors: Vectors) -> Vectors:
    """Components of vectors (..., 3) along the rows of rotations (..., 3, 3)."""
    return np.asarray(np.einsum("...ij,...j->...i", rotation, vectors))


def from_axes(primary: Vectors, secondary: Vectors, *, order: str) -> Vectors:
    """Rotation with one axis along a vector and another as near to a second one as it can be.

    Parameters
    ----------
    primary, secondary : (..., 3)
    order
        Two letters: the axis of the primary and of the secondary, such as ``"zx"``.

    Returns
    -------
    (..., 3, 3)
    """
    first = unit(primary)
    along = (secondary * first).sum(axis=-1, keepdims=True)
    second = unit(secondary - along * first)
    axes = {order[0]: first, order[1]: second}
    first, second = np.broadcast_arrays(first, second)
    cross = np.cross(first, second)
    axes[(set("xyz") - set(order)).pop()] = cross if order in {"xy", "yz", "zx"} else -cross
    return np.stack(np.broadcast_arrays(axes["x"], axes["y"], axes["z"]), axis=-2)


def solar_pole() -> Vectors:
    """North pole of the Sun, J2000 axes, (3,)."""
    ra, dec = _POLE
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def hae() -> Vectors:
    """Ecliptic of J2000: x to the equinox, z to the pole of the ecliptic (HAE_J2000), (3, 3)."""
    cos, sin = np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)
    return np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])


def hci() -> Vectors:
    """Solar equator: z to the pole, x to its ascending node on the ecliptic of J2000 (HCI), (3, 3)."""
    return from_axes(solar_pole(), hae()[2], order="zy")


def heeq(earth: Vectors) -> Vectors:
    """Solar equator: z to the pole, x to the meridian of the Earth (HEEQ, Stonyhurst), (..., 3, 3)."""
    return from_axes(np.broadcast_to(solar_pole(), earth.shape), earth, order="zx")


def _ecliptic_pole(seconds: NDArray[np.float64]) -> Vectors:
    """Pole of the mean ecliptic of date, J2000 axes (IAU 1976 precession, 1980 obliquity)."""
    import erfa  # type: ignore[import-untyped]

    days = np.asarray(seconds) / _DAY_S
    tilt = erfa.obl80(_J2000_JD, days)
    of_date = np.stack([np.zeros_like(tilt), -np.sin(tilt), np.cos(tilt)], axis=-1)
    return np.asarray(np.einsum("...ji,...j->...i", erfa.pmat76(_J2000_JD, days), of_date))


def hee(earth: Vectors, seconds: NDArray[np.float64]) -> Vectors:
    """Ecliptic of date: x to the Earth, z near the pole of the ecliptic (HEE), (..., 3, 3)."""
    return from_axes(earth, _ecliptic_pole(seconds), order="xz")


def gse(earth: Vectors, seconds: NDArray[np.float64]) -> Vectors:
    """Ecliptic of date: z to its pole, x to the Sun as seen from the Earth (GSE), (..., 3, 3)."""
    return from_axes(_ecliptic_pole(seconds), -earth, order="zx")


def rtn(position: Vectors) -> Vectors:
    """The x axis from the Sun to the spacecraft, z near the solar pole (RTN), (..., 3, 3)."""
    return from_axes(position, np.broadcast_to(solar_pole(), position.shape), order="xz")


def carrington_meridian(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle of the Carrington meridian from the node of the solar equator on the equator of J2000, degrees in 0..360."""
    return np.asarray((_MERIDIAN_DEG + TURN_DEG_PER_DAY * (np.asarray(seconds) / _DAY_S)) % 360.0)


def solar_equator() -> Vectors:
    """Solar equator: z to the pole, x to its node on the equator of J2000; the axes of the Carrington meridian, (3, 3)."""
    pole = solar_pole()
    return from_axes(pole, np.cross([0.0, 0.0, 1.0], pole), order="zx")


def earth_state(utc: NDArray[np.datetime64]) -> tuple[Vectors, Vectors]:
    """Position and velocity of the Earth relative to the Sun, J2000 axes.

    Parameters
    ----------
    utc : any shape, datetime64[ns]

    Returns
    -------
    position, velocity : (..., 3), km and km/s
        Within 14 km of the JPL ephemerides (the model `epv00` of the IAU's SOFA, in the package erfa).
    """
    seconds = to_dynamical(utc)
    cell = np.floor(seconds / _NODE_S).astype(np.int64)
    nodes = np.unique(np.concatenate([cell.ravel(), cell.ravel() + 1]))
    r, v = _earth_at(nodes * _NODE_S)
    left = np.searchsorted(nodes, cell)
    part = (seconds / _NODE_S - cell)[..., None]
    start, end = r[left], r[left + 1]
    leave, arrive = v[left] * _NODE_S, v[left + 1] * _NODE_S
    # the cubic through both ends with their velocities; the grid is fixed, so that a time has one answer
    bend, twist = 3 * (end - start) - 2 * leave - arrive, 2 * (start - end) + leave + arrive
    position = start + part * (leave + part * (bend + part * twist))
    velocity = (leave + part * (2 * bend + part * 3 * twist)) / _NODE_S
    return np.asarray(position), np.asarray(velocity)


def _earth_at(seconds: NDArray[np.float64]) -> tuple[Vectors, Vectors]:
    import erfa

    around_sun, _ = erfa.epv00(_J2000_JD, seconds / _DAY_S)
    return np.asarray(around_sun["p"]) * AU_KM, np.asarray(around_sun["v"]) * (AU_KM / _DAY_S)
