"""Place for users: where the spacecraft is, how it is turned, where a flare is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.ephemeris.scales import as_times
from stixlab.errors import ParameterError
from stixlab.settings import Settings
from stixlab.timing import to_datetime

if TYPE_CHECKING:
    from stixlab.ephemeris.attitude import Attitude
    from stixlab.ephemeris.flares import FlareGeometry
    from stixlab.ephemeris.orbit import Ephemeris
    from stixlab.ephemeris.provider import Ephemerides

__all__ = [
    "AUX_TYPES",
    "get_attitude",
    "get_ephemerides",
    "get_ephemeris",
    "get_flare",
]

AUX_TYPES = ("aux-ephemeris", "asp-ephemeris")
"""Product types that hold orbit and attitude, old name and new; the later counts more."""


def get_ephemerides(
    settings: Settings, *, catalog: Any = None, archive: Any = None, time: Any = None
) -> Ephemerides:
    """Sources of orbit and attitude of this installation.

    Parameters
    ----------
    settings
        `spice` names kernels, if there are any.
    catalog, archive
        For the auxiliary products that were imported; without them there are none.
    time
        UTC, one or several: only products near them are read.

    Raises
    ------
    TimeError
        If a kernel that is named is missing, or a time cannot be read.
    FormatError
        If a product is damaged.
    """
    from stixlab.ephemeris.provider import load_ephemerides

    products = [] if catalog is None or archive is None else _aux_files(catalog, archive, time)
    return load_ephemerides(settings.spice, products)


def _aux_files(catalog: Any, archive: Any, time: Any) -> list[Path]:
    span: dict[str, Any] = {}
    if time is not None:
        times = np.atleast_1d(as_times(time))
        if not times.size:
            return []
        day = np.timedelta64(1, "D")
        span = {"start": to_datetime(times.min() - day), "end": to_datetime(times.max() + day)}
    found = [p for type_ in AUX_TYPES for p in catalog.products.find(type=type_, **span)]
    # What was worked out here from other sources is no source.
    return [archive.path(p.fits) for p in found if p.provenance.get("imported")]


def get_ephemeris(
    time: Any, *, settings: Settings, catalog: Any = None, archive: Any = None, kind: str | None = None
) -> Ephemeris:
    """Where spacecraft and Earth are; see `stixlab.ephemeris.provider.Ephemerides.at`.

    Raises
    ------
    TimeError
        If a time cannot be read, or nothing covers it.
    """
    return get_ephemerides(settings, catalog=catalog, archive=archive, time=time).at(time, kind=kind)


def get_attitude(time: Any, *, settings: Settings, catalog: Any = None, archive: Any = None) -> Attitude:
    """How the spacecraft is turned; `valid` is false where nothing says so, see `Ephemerides.attitude`.

    Raises
    ------
    TimeError
        If a time cannot be read.
    """
    return get_ephemerides(settings, catalog=catalog, archive=archive, time=time).attitude(time)


def get_flare(
    time: Any,
    x: float,
    y: float,
    *,
    settings: Settings,
    observer: str = "stix",
    catalog: Any = None,
    archive: Any = None,
) -> FlareGeometry:
    """A flare seen at helioprojective x and y (arcsec), as spacecraft and Earth see it.

    Raises
    ------
    TimeError
        If the time cannot be read, or nothing covers it.
    ParameterError
        If observer or direction cannot be used.
    """
    from stixlab.ephemeris.flares import flare_seen_at

    if np.ndim(as_times(time)):
        raise ParameterError("flare: expected one time; found several; ask for each")
    place = get_ephemeris(time, settings=settings, catalog=catalog, archive=archive)
    return flare_seen_at(x, y, place, observer=observer)
