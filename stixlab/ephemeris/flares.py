"""A place on the Sun as the spacecraft and the Earth see it: coordinates, light times, angles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris import frames
from stixlab.ephemeris.orbit import Ephemeris
from stixlab.errors import ParameterError
from stixlab.timing import format_utc

__all__ = ["EARTH", "SPACECRAFT", "FlareGeometry", "flare_at_heliographic", "flare_seen_at"]

SPACECRAFT, EARTH = "stix", "earth"
"""Observers, as the names of the STIX data center have them."""
_LARGEST_ARCSEC = 90 * 3600.0

Vectors = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlareGeometry:
    """Where a flare is and how it is seen; made by `flare_seen_at` or `flare_at_heliographic`. One time."""

    ephemeris: Ephemeris
    """Spacecraft and Earth at the time of observation."""
    position: Vectors
    """(3,) on the photosphere, km, axes of J2000."""
    observer: str
    """`SPACECRAFT` or `EARTH`: whose time and view was given."""
    on_disk: bool
    """Whether the direction given meets the Sun; else the nearest point of the limb is taken."""

    def _place(self, observer: str) -> Vectors:
        return self.ephemeris.earth_position if observer == EARTH else self.ephemeris.position

    @cached_property
    def stonyhurst(self) -> tuple[float, float]:
        """Heliographic longitude and latitude, degrees."""
        return self._angles("heeq")

    @cached_property
    def carrington(self) -> tuple[float, float]:
        """Carrington longitude (0..360) and latitude when the light left the Sun, degrees."""
        longitude, latitude = self._angles("carrington")
        turned = frames.TURN_DEG_PER_DAY * self.light_time_s(self.observer) / 86_400.0
        return (longitude + turned) % 360.0, latitude

    def _angles(self, frame: str) -> tuple[float, float]:
        x, y, z = frames.rotate(self.ephemeris.rotation(frame), self.position).tolist()
        return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))

    def light_time_s(self, observer: str) -> float:
        """Light from the flare to an observer, seconds."""
        return float(np.linalg.norm(self._place(observer) - self.position)) / frames.LIGHT_KM_S

    def angle_from_normal_deg(self, observer: str) -> float:
        """Angle between the vertical at the flare and the direction of an observer, 0..180."""
        return _angle(self.position, self._place(observer) - self.position)

    def visible_from(self, observer: str) -> bool:
        """Whether the flare is on the half of the Sun that an observer sees."""
        return self.angle_from_normal_deg(observer) < 90.0

    def seen_from(self, observer: str) -> tuple[float, float]:
        """Helioprojective x (west) and y (north) for an observer, arcsec; also where it is hidden behind the Sun."""
        place = self._place(observer)
        x, y, z = (_view(place) @ (self.position - place)).tolist()
        return (
            float(np.degrees(np.arctan2(x, z)) * 3600),
            float(np.degrees(np.arctan2(y, np.hypot(x, z))) * 3600),
        )

    @property
    def time_at_sun(self) -> np.datetime64:
        """UTC when the light left the Sun."""
        late = np.timedelta64(round(self.light_time_s(self.observer) * 1e9), "ns")
        return np.datetime64(np.asarray(self.ephemeris.time).item(), "ns") - late

    def time_at(self, observer: str) -> np.datetime64:
        """UTC when the light reaches an observer."""
        return self.time_at_sun + np.timedelta64(round(self.light_time_s(observer) * 1e9), "ns")

    def as_document(self) -> dict[str, Any]:
        """Everything for JSON, under our names and under both sets of names that are in use elsewhere."""
        e = self.ephemeris
        solo, earth = self.light_time_s(SPACECRAFT), self.light_time_s(EARTH)
        norm_solo, norm_earth = (self.angle_from_normal_deg(o) for o in (SPACECRAFT, EARTH))
        names: dict[str, Any] = {
            "observer": self.observer,
            "flare_utc": format_utc(self.time_at_sun, digits=3),
            "time_at_spacecraft": format_utc(self.time_at(SPACECRAFT), digits=3),
            "time_at_earth": format_utc(self.time_at(EARTH), digits=3),
            "on_disk": self.on_disk,
            "stonyhurst_deg": list(self.stonyhurst),
            "carrington_deg": list(self.carrington),
            "hpc_spacecraft_arcsec": list(self.seen_from(SPACECRAFT)),
            "hpc_earth_arcsec": list(self.seen_from(EARTH)),
            "visible_from_spacecraft": self.visible_from(SPACECRAFT),
            "visible_from_earth": self.visible_from(EARTH),
            "earth_flare_solo_deg": _angle(e.earth_position - self.position, e.position - self.position),
            "flare_solo_lt": solo,
            "flare_earth_lt": earth,
            "flare_solo_r": solo * frames.LIGHT_KM_S / frames.AU_KM,
            "flare_norm_solo_deg": norm_solo,
            "flare_norm_earth_deg": norm_earth,
            "dt_flare": earth - solo,
            "dt_sun_center": float(e.light_time_difference_s),
            "earth_sun_lt": float(e.sun_earth_light_time_s),
            "sun_solo_lt": float(e.light_time_s),
            "owlt": float(e.earth_light_time_s),
            "mk": e.source,
            "kind": e.kind,
            "accuracy_km": float(e.accuracy_km),
        }
        others = {
            "dt": "dt_flare",
            "dt_solar_center": "dt_sun_center",
            "theta_flare_norm_solo_deg": "flare_norm_solo_deg",
            "theta_flare_norm_earth_deg": "flare_norm_earth_deg",
            "earth_sun_ltime": "earth_sun_lt",
            "sun_solo_ltime": "sun_solo_lt",
        }
        return names | {other: names[ours] for other, ours in others.items()}


def flare_seen_at(x: float, y: float, ephemeris: Ephemeris, *, observer: str = SPACECRAFT) -> FlareGeometry:
    """Flare that an observer sees at helioprojective x (west) and y (north).

    Parameters
    ----------
    x, y : arcsec
    ephemeris
        At the time when the observer sees it; one time.
    observer
        `SPACECRAFT` or `EARTH`.

    Raises
    ------
    ParameterError
        If the observer is unknown, the direction is none, or there are several times.
    """
    name = _observer(observer)
    if not (np.isfinite([x, y]).all() and max(abs(x), abs(y)) < _LARGEST_ARCSEC):
        raise ParameterError(f"flare: expected x and y in arcsec from the centre of the Sun; found {x}, {y}")
    place = _one(ephemeris).earth_position if name == EARTH else _one(ephemeris).position
    lon, lat = np.radians([x / 3600, y / 3600])
    ray = np.array([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)]) @ _view(place)
    towards = -float(place @ ray)
    nearest = place + towards * ray
    inside = frames.SUN_RADIUS_KM**2 - float(nearest @ nearest)
    on_disk = inside >= 0 and towards > 0
    point = nearest - np.sqrt(inside) * ray if on_disk else _limb(place, nearest)
    return FlareGeometry(ephemeris=ephemeris, position=point, observer=name, on_disk=on_disk)


def flare_at_heliographic(
    longitude: float, latitude: float, ephemeris: Ephemeris, *, observer: str = SPACECRAFT
) -> FlareGeometry:
    """Flare at a Stonyhurst longitude and latitude (degrees), seen by an observer at the time of the ephemeris.

    Raises
    ------
    ParameterError
        If the observer is unknown, the place is none, or there are several times.
    """
    name = _observer(observer)
    if not (np.isfinite(longitude) and -90.0 <= latitude <= 90.0):
        raise ParameterError(
            f"flare: expected a longitude and a latitude of -90 to 90 degrees; found {longitude}, {latitude}"
        )
    lon, lat = np.radians([longitude, latitude])
    there = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    point = frames.SUN_RADIUS_KM * there @ _one(ephemeris).rotation("heeq")
    return FlareGeometry(ephemeris=ephemeris, position=point, observer=name, on_disk=True)


def _limb(place: Vectors, nearest: Vectors) -> Vectors:
    """Point of the limb in the direction of a point beside the Sun."""
    distance = float(np.linalg.norm(place))
    sine = frames.SUN_RADIUS_KM / distance
    up = nearest - float(nearest @ place) / distance**2 * place
    return np.asarray(
        frames.SUN_RADIUS_KM * (sine * frames.unit(place) + np.sqrt(1 - sine * sine) * frames.unit(up))
    )


def _view(place: Vectors) -> Vectors:
    """Axes of an observer who looks at the Sun, north up: rows west, north, ahead."""
    ahead = -frames.unit(place)
    pole = frames.solar_pole()
    north = frames.unit(pole - float(pole @ ahead) * ahead)
    return np.stack([np.cross(ahead, north), north, ahead])


def _angle(a: Vectors, b: Vectors) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def _observer(name: str) -> str:
    known = {"stix": SPACECRAFT, "solo": SPACECRAFT, "spacecraft": SPACECRAFT, "earth": EARTH}
    if str(name).lower() not in known:
        raise ParameterError(f"observer: expected stix (or solo) or earth; found {name!r}")
    return known[str(name).lower()]


def _one(ephemeris: Ephemeris) -> Ephemeris:
    if np.ndim(ephemeris.time):
        raise ParameterError(
            f"flare: expected the ephemeris of one time; found {np.size(ephemeris.time)} times; ask for each"
        )
    return ephemeris
