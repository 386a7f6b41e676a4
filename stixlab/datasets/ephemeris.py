"""Declaration of the ancillary ephemeris: orbit, attitude and aspect of a day."""

from __future__ import annotations

from stixlab.datasets.construction import TIME_FIELDS
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["EPHEMERIS"]


def _number(name: str, units: str, text: str) -> Field:
    return Field(name, ("time",), "float64", units, text)


def _flag(name: str, text: str) -> Field:
    return Field(name, ("time",), "bool", "1", text)


EPHEMERIS = DatasetSpec(
    product="asp-ephemeris",
    title="STIX ancillary ephemeris: orbit, attitude and aspect",
    fields=(
        *TIME_FIELDS,
        _number("distance", "km", "from the centre of the Sun to the spacecraft"),
        _number("stonyhurst_longitude", "deg", "heliographic longitude, from the meridian of the Earth"),
        _number("stonyhurst_latitude", "deg", "heliographic latitude"),
        _number("carrington_longitude", "deg", "Carrington longitude of the centre of the disk"),
        *(_number(f"heeq_{a}", "km", f"position, heliocentric Earth equatorial {a}") for a in "xyz"),
        *(_number(f"hci_velocity_{a}", "km / s", f"velocity, heliocentric inertial {a}") for a in "xyz"),
        _number("sun_radius", "arcsec", "apparent radius of the photosphere"),
        _number("light_time", "s", "light from the centre of the Sun to the spacecraft"),
        _number("light_time_difference", "s", "light from the Sun to the Earth minus Sun to spacecraft"),
        _number("earth_angle", "deg", "angle at the Sun between Earth and spacecraft"),
        _number("position_accuracy", "km", "how far the position may be off"),
        _number("roll", "deg", "turn about the direction of the Sun; 0 where attitude_valid is false"),
        _number("pitch", "deg", "off the Sun; 0 where attitude_valid is false"),
        _number("yaw", "deg", "off the Sun; 0 where attitude_valid is false"),
        _flag("attitude_valid", "whether anything says how the spacecraft is turned"),
        _number("aspect_y", "arcsec", "aspect solution, y; 0 where aspect_valid is false"),
        _number("aspect_z", "arcsec", "aspect solution, z; 0 where aspect_valid is false"),
        _flag("aspect_valid", "whether the aspect system has a solution"),
        _number("pointing_x", "arcsec", "where STIX points, x of the spacecraft; 0 without attitude"),
        _number("pointing_y", "arcsec", "where STIX points, y of the spacecraft; 0 without attitude"),
    ),
)
"""Ancillary ephemeris of a day."""
