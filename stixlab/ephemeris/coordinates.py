"""Positions as coordinates of sunpy and astropy, without the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from stixlab.ephemeris.flares import FlareGeometry
from stixlab.ephemeris.frames import SUN_RADIUS_KM
from stixlab.ephemeris.orbit import Ephemeris

__all__ = ["astropy_time", "flare_coordinate", "helioprojective_frame", "spacecraft_coordinate"]


def astropy_time(ephemeris: Ephemeris) -> Any:
    """Times as an `astropy.time.Time`, to the nanosecond."""
    from astropy.time import Time

    nanoseconds = np.asarray(ephemeris.time).astype("datetime64[ns]").astype(np.int64)
    days, rest = np.divmod(nanoseconds, 86_400_000_000_000)
    return Time(days + 2_440_587.5, rest / 86_400e9, format="jd", scale="utc")


def spacecraft_coordinate(ephemeris: Ephemeris) -> Any:
    """Position as `SkyCoord` in `sunpy.coordinates.HeliographicStonyhurst` (longitude, latitude, radius).

    From there sunpy and astropy transform to all frames they know.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import HeliographicStonyhurst

    lon, lat = ephemeris.stonyhurst
    frame = HeliographicStonyhurst(obstime=astropy_time(ephemeris))
    return SkyCoord(lon * u.deg, lat * u.deg, ephemeris.distance_km * u.km, frame=frame)


def helioprojective_frame(ephemeris: Ephemeris) -> Any:
    """`sunpy.coordinates.Helioprojective` as the spacecraft sees it."""
    from sunpy.coordinates import Helioprojective

    place = spacecraft_coordinate(ephemeris)
    return Helioprojective(obstime=place.obstime, observer=place.frame)


def flare_coordinate(flare: FlareGeometry) -> Any:
    """Place of a flare as `SkyCoord` in `sunpy.coordinates.HeliographicStonyhurst`."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import HeliographicStonyhurst

    lon, lat = flare.stonyhurst
    frame = HeliographicStonyhurst(obstime=astropy_time(flare.ephemeris))
    return SkyCoord(lon * u.deg, lat * u.deg, SUN_RADIUS_KM * u.km, frame=frame)
