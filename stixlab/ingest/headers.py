"""What the headers of FITS files say of the place of the spacecraft."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import TimeError

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.ephemeris.provider import Ephemerides

__all__ = ["place_keywords"]

log = logging.getLogger(__name__)


def place_keywords(ds: xr.Dataset, spice: Path | None) -> dict[str, Any]:
    """Keywords of position, velocity and light times for the middle of a dataset; none where no source covers it.

    Parameters
    ----------
    ds
        With ``time_bounds``.
    spice
        Meta-kernel or folder of kernels; None: the orbit table shipped.
    """
    bounds = ds["time_bounds"].to_numpy()
    try:
        return dict(_ephemerides(spice, _newest(spice)).keywords(bounds.min(), bounds.max()))
    except TimeError as error:
        log.info("header without position", extra={"reason": error.message})
        return {}


def _newest(spice: Path | None) -> int:
    """Tells that kernels have been replaced."""
    return 0 if spice is None or not spice.exists() else spice.stat().st_mtime_ns


@lru_cache(maxsize=1)
def _ephemerides(spice: Path | None, newest: int) -> Ephemerides:  # noqa: ARG001  (part of the key)
    from stixlab.ephemeris.provider import load_ephemerides

    return load_ephemerides(spice)
