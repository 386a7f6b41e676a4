"""Ancillary ephemeris of a day: where the spacecraft is and how it is turned, every 64 seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import clock_attrs, make_dataset
from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.ephemeris.attitude import Attitude
from stixlab.ephemeris.orbit import Ephemeris
from stixlab.ephemeris.provider import Ephemerides
from stixlab.errors import ParameterError
from stixlab.timing import ClockTable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LEVEL", "STEP_S", "ephemeris_at", "make_ephemeris"]

LEVEL = "ANC"
STEP_S = 64
"""Step of the official products, the period of the long housekeeping report."""
_DAY_S = 86_400


def make_ephemeris(
    day: np.datetime64, ephemerides: Ephemerides, clock: ClockTable, *, step_s: int = STEP_S
) -> xr.Dataset:
    """Ephemeris of a UTC day.

    Parameters
    ----------
    day
        Any time of the day.
    ephemerides
        Sources of orbit and attitude.
    clock
        For the on-board times.
    step_s
        Length of a bin; the day is a whole number of them.

    Returns
    -------
    xarray.Dataset
        As `stixlab.datasets.ephemeris.EPHEMERIS` declares. Values hold at the middle of each bin. ``attrs`` say where
        orbit (``orbit_source``) and attitude (``attitude_source``) come from; both can be told apart by time through
        ``position_accuracy`` and ``attitude_valid``.

    Raises
    ------
    TimeError
        If nothing covers the orbit of the day.
    ParameterError
        If the step does not divide the day.
    """
    if step_s < 1 or _DAY_S % step_s:
        raise ParameterError(
            f"ephemeris: expected a step in seconds that divides a day; found {step_s}; take {STEP_S}"
        )
    begin = day.astype("datetime64[D]").astype("datetime64[ns]")
    edges = begin + np.arange(0, _DAY_S + 1, step_s) * np.timedelta64(1_000_000_000, "ns")
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    return ephemeris_at(bounds, ephemerides, clock)


def ephemeris_at(bounds: NDArray[np.datetime64], ephemerides: Ephemerides, clock: ClockTable) -> xr.Dataset:
    """Ephemeris of given bins; see `make_ephemeris`.

    Parameters
    ----------
    bounds : (time, 2), UTC
        May have no length.
    ephemerides
    clock

    Raises
    ------
    TimeError
        If nothing covers the orbit.
    """
    time = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) // 2
    place, attitude = ephemerides.at(time), ephemerides.attitude(time)
    coarse, fine = clock.to_scet(bounds[:, 0])
    arrays = _orbit_arrays(place) | _attitude_arrays(attitude)
    arrays |= {"time": time, "time_bounds": bounds, "scet_coarse": coarse, "scet_fine": fine}
    return make_dataset(
        EPHEMERIS,
        arrays,
        level=LEVEL,
        attrs={
            "origin": "flight",
            **clock_attrs(clock, arrays),
            "orbit_source": place.source,
            "orbit_kind": place.kind,
            "attitude_source": attitude.source,
            "remark": place.remark,
        },
    )


def _orbit_arrays(place: Ephemeris) -> dict[str, NDArray[Any]]:
    columns = place.as_columns()
    arrays: dict[str, NDArray[Any]] = {
        "distance": columns["distance_km"],
        "stonyhurst_longitude": columns["stonyhurst_longitude_deg"],
        "stonyhurst_latitude": columns["stonyhurst_latitude_deg"],
        "carrington_longitude": columns["carrington_longitude_deg"],
        "sun_radius": columns["sun_radius_arcsec"],
        "light_time": columns["light_time_s"],
        "light_time_difference": columns["light_time_difference_s"],
        "earth_angle": columns["earth_angle_deg"],
        "position_accuracy": columns["accuracy_km"],
    }
    for i, axis in enumerate("xyz"):
        arrays[f"heeq_{axis}"] = columns["heeq_km"][:, i].copy()
        arrays[f"hci_velocity_{axis}"] = columns["hci_velocity_km_s"][:, i].copy()
    return arrays


def _attitude_arrays(attitude: Attitude) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        name: np.nan_to_num(getattr(attitude, name)) for name in ("roll", "pitch", "yaw")
    }
    arrays["attitude_valid"] = attitude.valid
    arrays["aspect_valid"] = np.asarray(np.isfinite(attitude.aspect).all(axis=-1))
    for i, axis in enumerate("yz"):
        arrays[f"aspect_{axis}"] = np.nan_to_num(attitude.aspect[:, i])
    for i, axis in enumerate("xy"):
        arrays[f"pointing_{axis}"] = np.nan_to_num(attitude.pointing[:, i])
    return arrays
