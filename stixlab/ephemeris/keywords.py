"""Keywords that say in a FITS header where spacecraft, Earth and Sun were (Solar Orbiter metadata standard, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stixlab.ephemeris.orbit import Ephemeris

__all__ = ["ephemeris_cards"]

_COORDINATES = (
    ("HEE", "hee", "Heliocentric Earth Ecliptic"),
    ("HCI", "hci", "Heliocentric Inertial"),
    ("HAE", "hae", "Heliocentric Aries Ecliptic"),
    ("HEQ", "heeq", "Heliocentric Earth Equatorial"),
    ("GSE", "gse", "Geocentric Solar Ecliptic"),
)


def ephemeris_cards(middle: Ephemeris, start: NDArray[np.datetime64]) -> dict[str, tuple[Any, str]]:
    """Keywords and their values and comments, in the order of the official products.

    Parameters
    ----------
    middle
        At the middle of the observation, one time.
    start
        UTC of the start of the observation, which DATE_EAR and DATE_SUN are made from.

    Returns
    -------
    dict
        ``header.update(...)`` of astropy takes it. Right where the official files of 2020 to 2023 are wrong: CRLN_OBS
        is the Carrington longitude, HAEZ_OBS is z, OBS_VR is relative to the Sun.
    """
    lon, lat = middle.stonyhurst
    carrington, _ = middle.carrington
    velocity = middle.velocity_components("hci") * 1000.0
    cards: dict[str, tuple[Any, str]] = {
        "SPICE_MK": (middle.source, "source of the orbit"),
        "EPHKIND": (middle.kind, "kernel, product or table"),
        "EPHACC": (_rounded(middle.accuracy_km * 1000.0, 0), "[m] accuracy of the position"),
        "RSUN_ARC": (_rounded(middle.sun_radius_arcsec, 9), "[arcsec] apparent photospheric solar radius"),
        "HGLT_OBS": (_rounded(lat, 9), "[deg] s/c heliographic latitude (B0 angle)"),
        "HGLN_OBS": (_rounded(lon, 9), "[deg] s/c heliographic longitude (Stonyhurst)"),
        "CRLT_OBS": (_rounded(lat, 9), "[deg] s/c Carrington latitude (B0 angle)"),
        "CRLN_OBS": (_rounded(carrington, 9), "[deg] s/c Carrington longitude (L0 angle)"),
        "DSUN_OBS": (_rounded(middle.distance_km * 1000.0), "[m] s/c distance from Sun"),
    }
    for prefix, frame, name in _COORDINATES:
        values = middle.components(frame) * 1000.0
        for axis, value in zip("XYZ", values.tolist(), strict=True):
            cards[f"{prefix}{axis}_OBS"] = (_rounded(value), f"[m] s/c {name} {axis}")
        if frame == "hci":
            for axis, value in zip("XYZ", velocity.tolist(), strict=True):
                cards[f"HCI{axis}_VOB"] = (_rounded(value, 4), f"[m/s] s/c {name} {axis} Velocity")
    difference, light_time = float(middle.light_time_difference_s), float(middle.light_time_s)
    return cards | {
        "OBS_VR": (
            _rounded(middle.radial_velocity_km_s * 1000.0, 4),
            "[m/s] radial velocity of s/c from the Sun",
        ),
        "EAR_TDEL": (_rounded(difference, 6), "[s] Time(Sun to Earth) - Time(Sun to S/C)"),
        "SUN_TIME": (_rounded(light_time, 6), "[s] Time(Sun to s/c)"),
        "DATE_EAR": (_shifted(start, difference), "start time, corrected to Earth"),
        "DATE_SUN": (_shifted(start, -light_time), "start time, corrected to Sun"),
    }


def _rounded(value: Any, digits: int = 3) -> float:
    return round(float(value), digits)


def _shifted(time: NDArray[np.datetime64], seconds: float) -> str:
    moved = np.asarray(time).astype("datetime64[ns]").astype(np.int64) + round(seconds * 1e9)
    return str(np.datetime_as_string(moved.view("datetime64[ns]"), unit="ms"))
