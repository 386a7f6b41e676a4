"""What the headers of FITS files say of the place of the spacecraft."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import FormatError, TimeError
from stixlab.ingest.context import imported_aux

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive import Archive
    from stixlab.ephemeris.provider import Ephemerides

__all__ = ["place_keywords"]

log = logging.getLogger(__name__)


def place_keywords(ds: xr.Dataset, spice: Path | None, archive: Archive | None = None) -> dict[str, Any]:
    """Keywords of position, velocity and light times for the middle of a dataset; none where no source covers it.

    Parameters
    ----------
    ds
        With ``time_bounds``.
    spice
        Meta-kernel or folder of kernels; None: the orbit table shipped.
    archive
        For auxiliary products that were imported, which count more than kernels that predict and than the table.
    """
    bounds = ds["time_bounds"].to_numpy()
    aux: tuple[Path, ...] = ()
    if archive is not None:
        aux = tuple(imported_aux(archive, bounds.min() + (bounds.max() - bounds.min()) // 2))
    try:
        return dict(_sources(spice, aux).keywords(bounds.min(), bounds.max()))
    except TimeError as error:
        log.info("header without position", extra={"reason": error.message})
        return {}


def _sources(spice: Path | None, aux: tuple[Path, ...]) -> Ephemerides:
    try:
        return _ephemerides(spice, tuple(map(_newest, (spice, *aux))), aux)
    except FormatError as error:
        # A product must not wait for a file beside it: `stixlab doctor --archive` tells of the damage.
        log.warning("header without auxiliary products", extra={"reason": error.message})
        return _ephemerides(spice, (_newest(spice),), ())


def _newest(path: Path | None) -> int:
    """Tells that a file or a folder of kernels has been replaced."""
    return 0 if path is None or not path.exists() else path.stat().st_mtime_ns


@lru_cache(maxsize=4)
def _ephemerides(spice: Path | None, newest: tuple[int, ...], aux: tuple[Path, ...]) -> Ephemerides:  # noqa: ARG001  (part of the key)
    from stixlab.ephemeris.provider import load_ephemerides

    return load_ephemerides(spice, aux)
