"""Where the spacecraft and the Earth are, and everything that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris import frames
from stixlab.ephemeris.scales import to_dynamical
from stixlab.timing import format_utc

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["FRAMES", "Ephemeris"]

Vectors = NDArray[np.float64]
Numbers = NDArray[np.float64]

FRAMES = ("j2000", "hci", "hae", "hee", "heeq", "gse", "carrington")
"""Names that `Ephemeris.components` takes."""


@dataclass(frozen=True, eq=False)
class Ephemeris:
    """Spacecraft and Earth at one time or several; every array begins with the shape of the times.

    All is geometric (no light time, no aberration) unless said otherwise.
    """

    time: NDArray[np.datetime64]
    """UTC, datetime64[ns]."""
    position: Vectors
    """(..., 3) spacecraft relative to the Sun, km, axes of J2000."""
    velocity: Vectors
    """(..., 3) km/s."""
    earth_position: Vectors
    """(..., 3) Earth relative to the Sun, km, axes of J2000."""
    earth_velocity: Vectors
    """(..., 3) km/s."""
    accuracy_km: Numbers
    """How far the position may be off, km."""
    source: str
    """Where the position comes from; several by ", "."""
    kind: str
    """`kernel`, `product` or `table`; several by ", "."""
    remark: str = ""
    """What a user should know about the source; empty if nothing."""

    @cached_property
    def seconds(self) -> Numbers:
        """Dynamical seconds since J2000."""
        return to_dynamical(self.time)

    @cached_property
    def distance_km(self) -> Numbers:
        """From the Sun to the spacecraft."""
        return np.asarray(np.linalg.norm(self.position, axis=-1))

    @property
    def distance_au(self) -> Numbers:
        """From the Sun to the spacecraft, astronomical units."""
        return self.distance_km / frames.AU_KM

    @cached_property
    def earth_distance_km(self) -> Numbers:
        """From the Earth to the spacecraft."""
        return np.asarray(np.linalg.norm(self.position - self.earth_position, axis=-1))

    @cached_property
    def sun_earth_km(self) -> Numbers:
        """From the Sun to the Earth."""
        return np.asarray(np.linalg.norm(self.earth_position, axis=-1))

    @property
    def light_time_s(self) -> Numbers:
        """Light from the centre of the Sun to the spacecraft."""
        return self.distance_km / frames.LIGHT_KM_S

    @property
    def sun_earth_light_time_s(self) -> Numbers:
        """Light from the centre of the Sun to the Earth."""
        return self.sun_earth_km / frames.LIGHT_KM_S

    @property
    def earth_light_time_s(self) -> Numbers:
        """Light from the spacecraft to the Earth."""
        return self.earth_distance_km / frames.LIGHT_KM_S

    @property
    def light_time_difference_s(self) -> Numbers:
        """Sun to Earth minus Sun to spacecraft: added to times at the spacecraft it gives times at the Earth."""
        return self.sun_earth_light_time_s - self.light_time_s

    @property
    def sun_radius_arcsec(self) -> Numbers:
        """Angle of the photosphere's radius seen from the spacecraft."""
        return np.asarray(np.degrees(np.arcsin(frames.SUN_RADIUS_KM / self.distance_km)) * 3600)

    @property
    def sun_diameter_arcmin(self) -> Numbers:
        """Angle of the whole disk seen from the spacecraft."""
        return self.sun_radius_arcsec / 30

    @property
    def earth_angle_deg(self) -> Numbers:
        """Angle at the Sun between Earth and spacecraft, 0..180."""
        cross = np.linalg.norm(np.cross(self.position, self.earth_position), axis=-1)
        return np.asarray(np.degrees(np.arctan2(cross, (self.position * self.earth_position).sum(axis=-1))))

    @property
    def radial_velocity_km_s(self) -> Numbers:
        """Away from the Sun."""
        return np.asarray((self.position * self.velocity).sum(axis=-1) / self.distance_km)

    @property
    def speed_km_s(self) -> Numbers:
        """Relative to the Sun."""
        return np.asarray(np.linalg.norm(self.velocity, axis=-1))

    def rotation(self, frame: str) -> Vectors:
        """Rotation from the axes of J2000 to those of a frame, (3, 3) or (..., 3, 3).

        Raises
        ------
        ValueError
            If there is no such frame; the message lists them.
        """
        name = frame.lower()
        if name == "j2000":
            return np.eye(3)
        if name == "carrington":
            angle = np.radians(frames.carrington_meridian(self.seconds))
            cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
            turn = np.stack([cos, sin, zero, -sin, cos, zero, zero, zero, one], axis=-1)
            return np.asarray(turn.reshape(*np.shape(angle), 3, 3) @ frames.solar_equator())
        fixed = {"hci": frames.hci, "hae": frames.hae}
        if name in fixed:
            return fixed[name]()
        if name == "heeq":
            return frames.heeq(self.earth_position)
        if name in {"hee", "gse"}:
            return (frames.hee if name == "hee" else frames.gse)(self.earth_position, self.seconds)
        raise ValueError(f"frame: expected one of {', '.join(FRAMES)}; found {frame!r}")

    def components(self, frame: str) -> Vectors:
        """Position of the spacecraft along the axes of a frame, (..., 3) km; from the Earth for ``gse``, else from the Sun.

        Raises
        ------
        ValueError
            If there is no such frame.
        """
        origin = self.earth_position if frame.lower() == "gse" else 0.0
        return frames.rotate(self.rotation(frame), self.position - origin)

    def velocity_components(self, frame: str) -> Vectors:
        """Velocity relative to the Sun along the axes of a frame at that moment, (..., 3) km/s.

        Raises
        ------
        ValueError
            If there is no such frame.
        """
        return frames.rotate(self.rotation(frame), self.velocity)

    @cached_property
    def stonyhurst(self) -> tuple[Numbers, Numbers]:
        """Heliographic longitude (from the Earth's meridian, west positive, -180..180) and latitude, degrees."""
        return _angles(self.components("heeq"))

    @cached_property
    def carrington(self) -> tuple[Numbers, Numbers]:
        """Carrington longitude (0..360) and latitude of the centre of the disk that the spacecraft sees, degrees.

        The light left the Sun a light time earlier, and by then the Sun had turned less: the same convention as that of
        the Astronomical Almanac for the Earth, and of sunpy. Without it the longitude is smaller by up to 0.08 degrees.
        """
        longitude, latitude = _angles(self.components("carrington"))
        turned = frames.TURN_DEG_PER_DAY * self.light_time_s / 86_400.0
        return np.asarray((longitude + turned) % 360.0), latitude

    @cached_property
    def earth_carrington(self) -> tuple[Numbers, Numbers]:
        """The same for the disk that the Earth sees (L0 and B0)."""
        longitude, latitude = _angles(frames.rotate(self.rotation("carrington"), self.earth_position))
        turned = frames.TURN_DEG_PER_DAY * self.sun_earth_light_time_s / 86_400.0
        return np.asarray((longitude + turned) % 360.0), latitude

    def to_skycoord(self) -> Any:
        """Position of the spacecraft as a sunpy coordinate; see `stixlab.ephemeris.coordinates.spacecraft_coordinate`."""
        from stixlab.ephemeris.coordinates import spacecraft_coordinate

        return spacecraft_coordinate(self)

    def to_table(self) -> QTable:
        """One row for each time, with units."""
        from astropy import units as u
        from astropy.table import QTable
        from astropy.time import Time

        flat = {name: np.atleast_1d(values) for name, values in self.as_columns().items()}
        table = QTable({"time": Time(np.atleast_1d(self.time).astype("datetime64[us]"), scale="utc")})
        for name, values in flat.items():
            table[name] = values * u.Unit(_unit_of(name))
        table.meta |= {"source": self.source, "kind": self.kind, "remark": self.remark}
        return table

    def as_columns(self) -> dict[str, Numbers]:
        """Everything as arrays by name; the unit is the end of the name (km, km_s, deg, s, arcsec, au)."""
        columns = {"distance_au": self.distance_au, "distance_km": self.distance_km}
        for frame in ("heeq", "hee", "hci", "hae", "gse"):
            columns[f"{frame}_km"] = self.components(frame)
        columns["hci_velocity_km_s"] = self.velocity_components("hci")
        return columns | {
            "stonyhurst_longitude_deg": self.stonyhurst[0],
            "stonyhurst_latitude_deg": self.stonyhurst[1],
            "carrington_longitude_deg": self.carrington[0],
            "carrington_latitude_deg": self.carrington[1],
            "earth_angle_deg": self.earth_angle_deg,
            "earth_distance_au": self.earth_distance_km / frames.AU_KM,
            "light_time_s": self.light_time_s,
            "earth_light_time_s": self.earth_light_time_s,
            "light_time_difference_s": self.light_time_difference_s,
            "sun_radius_arcsec": self.sun_radius_arcsec,
            "speed_km_s": self.speed_km_s,
            "radial_velocity_km_s": self.radial_velocity_km_s,
            "accuracy_km": self.accuracy_km,
        }

    def as_document(self) -> dict[str, Any]:
        """The same for JSON: lists, times as text, and the source."""
        return {
            "time": [format_utc(t, digits=3) for t in np.atleast_1d(self.time)],
            **{name: np.atleast_1d(values).tolist() for name, values in self.as_columns().items()},
            "source": self.source,
            "kind": self.kind,
            "remark": self.remark,
        }

    def __repr__(self) -> str:
        times = np.atleast_1d(self.time)
        span = format_utc(times[0], digits=0)
        if len(times) > 1:
            span += f" to {format_utc(times[-1], digits=0)}, {len(times)} times"
        lon, lat = (np.atleast_1d(a)[0] for a in self.stonyhurst)
        return (
            f"<Ephemeris {span}: {np.atleast_1d(self.distance_au)[0]:.4f} au, Stonyhurst {lon:.2f}, {lat:.2f} deg, "
            f"to {np.atleast_1d(self.accuracy_km).max():.3g} km, from {self.source}>"
        )


def _angles(vectors: Vectors) -> tuple[Numbers, Numbers]:
    x, y, z = (vectors[..., i] for i in range(3))
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def _unit_of(name: str) -> str:
    if name.endswith("km_s"):
        return "km/s"
    return {"au": "AU"}.get(name.rsplit("_", 1)[1], name.rsplit("_", 1)[1])
