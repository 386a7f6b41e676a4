"""The energy look-up table in force at a time, as a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab import __version__
from stixlab.datasets.construction import CONVENTIONS
from stixlab.errors import NotInCatalogError
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.instrument.elut import Elut, EnergyCalibration, elut_at
from stixlab.timing import to_datetime64

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["elut_dataset", "get_elut", "imported_calibrations"]

Time = str | datetime | np.datetime64


def get_elut(
    time: Time, *, home: Path | None = None, calibration: Path | str | Iterable[Path | str] | None = None
) -> xr.Dataset:
    """Energy look-up table in force at a time, and the energies at which each pixel's channels really begin.

    Parameters
    ----------
    time
        UTC.
    home
        Of the installation, for imported tables.
    calibration
        CAL product, or several of which the nearest in time with this table is taken. Without it the true edges are
        those of the calibration that the table was made from.

    Returns
    -------
    xarray.Dataset
        See `elut_dataset`.

    Raises
    ------
    NotInCatalogError
        If no table, or no calibration, covers the time.
    FormatError
        If a file is damaged.
    TimeError
        If the time cannot be read.
    """
    moment = to_datetime64(time)
    elut = elut_at(moment, home)
    if calibration is None:
        return elut_dataset(elut)
    from stixlab.products.energy_calibration import nearest_calibration, read_energy_calibration

    paths = [calibration] if isinstance(calibration, Path | str) else list(calibration)
    runs = [read_energy_calibration(Path(p)) for p in paths]
    return elut_dataset(elut, nearest_calibration(runs, moment, elut=elut.name))


def imported_calibrations(time: Time, catalog: Any, archive: Any, *, home: Path | None = None) -> list[Path]:
    """The imported calibration that fits the table in force at a time best: none or one file.

    Raises
    ------
    NotInCatalogError
        If no table covers the time.
    FormatError
        If a file is damaged.
    CatalogError
        If the database does not answer.
    """
    from stixlab.products.energy_calibration import nearest_calibration, read_energy_calibration

    found = [p for p in catalog.products.find(type="cal-energy") if p.provenance.get("imported")]
    moment = to_datetime64(time)
    name = elut_at(moment, home).name
    paths = [archive.path(p.fits) for p in found if _is_of(p.provenance.get("elut", ""), name)]
    runs = {c.source: (c, path) for path in paths for c in [read_energy_calibration(path)]}
    if not runs:
        return []
    try:
        nearest = nearest_calibration([c for c, _ in runs.values()], moment, elut=name)
    except NotInCatalogError:  # those there are, are too short
        return []
    return [runs[nearest.source][1]]


def _is_of(table: str, name: str) -> bool:
    return table in {"", name}


def elut_dataset(elut: Elut, calibration: EnergyCalibration | None = None) -> xr.Dataset:
    """A look-up table as a dataset.

    Parameters
    ----------
    calibration
        Of a run with this table; None: the one that the table was made from.

    Returns
    -------
    xarray.Dataset
        Dims detector (1 to 32), pixel (0 to 11), edge (1 to 31: edge i is where science channel i begins). ``adc_edge``
        is what the instrument goes by, ``energy_edge`` what it was meant to be, ``true_energy_edge`` what it is.
        ``attrs["valid_from"]``, ``attrs["valid_to"]`` and ``attrs["note"]`` say when it held and what is not certain.

    Raises
    ------
    SchemaError
        If the calibration is of another table.
    """
    import xarray as xr

    def variable(dims: tuple[str, ...], values: np.ndarray, units: str, long_name: str) -> xr.Variable:
        return xr.Variable(dims, values, {"units": units, "long_name": long_name})

    pixels = ("detector", "pixel")
    edges = np.arange(1, len(elut.nominal_edges) + 1, dtype=np.uint8)
    return xr.Dataset(
        {
            "adc_edge": variable(
                (*pixels, "edge"), elut.adc_edges, "adu", "lower edge of the channel, 4096 steps"
            ),
            "true_energy_edge": variable(
                (*pixels, "edge"),
                elut.true_edges(calibration),
                "keV",
                "energy at the edge, by the calibration",
            ),
            "offset": variable(
                pixels, elut.offset, "adu", "pulse height at 0 keV that the table was made from"
            ),
            "gain": variable(pixels, elut.gain, "keV / adu", "gain that the table was made from"),
        },
        coords={
            "detector": ("detector", np.arange(1, N_DETECTORS + 1, dtype=np.uint8)),
            "pixel": ("pixel", np.arange(N_PIXELS, dtype=np.uint8)),
            "edge": ("edge", edges, {"long_name": "science channel that begins here"}),
            "energy_edge": variable(("edge",), elut.nominal_edges, "keV", "nominal energy of the edge"),
        },
        attrs=_attributes(elut, calibration),
    )


def _attributes(elut: Elut, calibration: EnergyCalibration | None) -> dict[str, str]:
    started, ended = (
        "" if t is None else np.datetime_as_string(t, "s") + "Z" for t in (elut.start, elut.end)
    )
    return {
        "Conventions": CONVENTIONS,
        "title": f"STIX energy look-up table {elut.name}",
        "elut": elut.name,
        "source": elut.source,
        "comment": elut.comment,
        "valid_from": started,
        "valid_to": ended,
        "note": elut.note,
        "calibration": "that of the table" if calibration is None else calibration.source,
        "software_version": __version__,
    }
