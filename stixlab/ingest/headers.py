"""What the headers of FITS files say of the place of the spacecraft, and from which sources."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import FormatError, TimeError

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive import Archive
    from stixlab.ephemeris.provider import Ephemerides

__all__ = ["DayPlaces", "PlaceSources", "place_keywords", "place_sources"]

log = logging.getLogger(__name__)

_AUX = ("aux-ephemeris", "asp-ephemeris")
"""Product types that hold orbit and attitude; the later counts more."""
_NEAR = timedelta(days=1)
_ONE = threading.Lock()
"""SPICE cannot be asked by two threads at a time."""


@dataclass(frozen=True)
class PlaceSources:
    """Where the place of the spacecraft at some time is taken from, besides the orbit table shipped."""

    spice: Path | None = None
    """Meta-kernel or folder of kernels."""
    aux: tuple[tuple[str, str], ...] = ()
    """Key in the archive and hash of each product of orbit and attitude that was imported; the later counts more."""

    def digest(self) -> str:
        """Hash that is another one when the sources are others."""
        said = [sha256 for _, sha256 in self.aux]
        if self.spice is not None:
            said.append(_state(self.spice, _newest(self.spice)))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def paths(self, archive: Archive) -> tuple[Path, ...]:
        """Files of the products."""
        return tuple(archive.path(key) for key, _ in self.aux)

    def load(self, archive: Archive) -> Ephemerides:
        """What answers; without a product that is damaged, of which `stixlab doctor --archive` tells."""
        aux = self.paths(archive)
        try:
            return _ephemerides(self.spice, tuple(map(_newest, (self.spice, *aux))), aux)
        except FormatError as error:
            # A product must not wait for a file beside it.
            log.warning("header without auxiliary products", extra={"reason": error.message})
            return _ephemerides(self.spice, (_newest(self.spice),), ())


def place_sources(catalog: Any, spice: Path | None, start: datetime, end: datetime) -> PlaceSources:
    """Sources for a range of time: kernels, and the products of orbit and attitude that were imported and are shown.

    Parameters
    ----------
    catalog
    spice
        Meta-kernel or folder of kernels; None: there is none.
    start, end
        UTC with a zone; products of the days around it count as well.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    near = catalog.products.contents(_AUX, start=start - _NEAR, end=end + _NEAR)
    if not near:
        return PlaceSources(spice)
    known = catalog.products.get_many([c.product_id for c in near])
    found = [p for t in _AUX for p in known.values() if p.type == t and p.provenance.get("imported")]
    found.sort(key=lambda p: (_AUX.index(p.type), p.start, p.fits))
    return PlaceSources(spice, tuple((p.fits, p.fits_sha256) for p in found))


@dataclass
class DayPlaces:
    """`place_sources` of days; each is asked for once, as a day has products of many types."""

    catalog: Any
    spice: Path | None = None
    _known: dict[datetime, PlaceSources] = field(default_factory=dict)

    def of(self, start: datetime) -> PlaceSources:
        """Sources for the day that begins then, UTC with a zone.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        if start not in self._known:
            self._known[start] = place_sources(self.catalog, self.spice, start, start + _NEAR)
        return self._known[start]


def place_keywords(
    ds: xr.Dataset, sources: PlaceSources | None = None, archive: Archive | None = None
) -> dict[str, Any]:
    """Keywords of position, velocity and light times for the middle of a dataset; none where no source covers it.

    Parameters
    ----------
    ds
        With ``time_bounds``.
    sources
        What counts more than the orbit table shipped; None: nothing.
    archive
        That holds the products among the sources; may be None where there are none.
    """
    bounds = ds["time_bounds"].to_numpy()
    chosen = sources or PlaceSources()
    try:
        with _ONE:
            place = (
                _ephemerides(chosen.spice, (_newest(chosen.spice),), ())
                if archive is None
                else chosen.load(archive)
            )
            return dict(place.keywords(bounds.min(), bounds.max()))
    except TimeError as error:
        log.info("header without position", extra={"reason": error.message})
        return {}


def _newest(path: Path | None) -> int:
    """Tells that a file or a folder of kernels has been replaced."""
    return 0 if path is None or not path.exists() else path.stat().st_mtime_ns


@lru_cache(maxsize=4)
def _state(spice: Path, newest: int) -> str:  # noqa: ARG001  (part of the key)
    from stixlab.pipeline.inputs import state_of

    return state_of(spice)


@lru_cache(maxsize=4)
def _ephemerides(spice: Path | None, newest: tuple[int, ...], aux: tuple[Path, ...]) -> Ephemerides:  # noqa: ARG001  (part of the key)
    from stixlab.ephemeris.provider import load_ephemerides

    return load_ephemerides(spice, aux)
