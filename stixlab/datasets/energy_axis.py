"""Energy bands of datasets whose bands may have changed: ``energy_bounds`` then lie along time as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import SchemaError
from stixlab.instrument.energy_channels import band_centres

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ENERGY_SPANS", "band_ranges", "energy_table", "has_changing_energies", "with_one_table"]

ENERGY_SPANS = "energy_spans"
"""Attribute of datasets whose bands change: which ranges of time have which, one after the other."""


def has_changing_energies(ds: xr.Dataset) -> bool:
    """Whether the bounds of the bands lie along time."""
    return "energy_bounds" in ds.variables and "time" in ds["energy_bounds"].dims


def energy_table(ds: xr.Dataset) -> NDArray[np.float64]:
    """The one table of bands of a dataset.

    Parameters
    ----------
    ds
        With ``energy_bounds (energy, bound)``, or ``(time, energy, bound)`` if they are the same at all its times, as
        after a selection.

    Returns
    -------
    (energy, 2), keV

    Raises
    ------
    SchemaError
        If it has none, or they change; the message names the ranges of time.
    """
    runs = _runs(ds)
    if (runs != runs[:1]).any():
        spans = ds.attrs.get(ENERGY_SPANS, "")
        raise SchemaError(
            f"{ds.attrs.get('product', 'dataset')}: expected the same energy bands at all times; found {len(runs)} stretches"
            f" of time with others{f' ({spans})' if spans else ''}; open them apart, or select one with ds.sel(time=slice(...))"
        )
    return np.asarray(runs[0], dtype=np.float64)


def with_one_table(ds: xr.Dataset) -> xr.Dataset:
    """The same dataset with ``energy_bounds (energy, bound)``; itself if it has that, or no energies.

    Raises
    ------
    SchemaError
        If the bands change; the message names the ranges of time.
    """
    if not has_changing_energies(ds):
        return ds
    table = energy_table(ds)
    made = {
        "energy": ("energy", band_centres(table), ds["energy"].attrs),
        "energy_bounds": (("energy", "bound"), table, ds["energy_bounds"].attrs),
    }
    one = ds.drop_vars("energy_bounds").assign_coords(made)
    one.attrs.pop(ENERGY_SPANS, None)
    return one


def band_ranges(ds: xr.Dataset) -> list[list[tuple[float, float]]]:
    """Lower and upper bound of each band, keV; several, in the order of time, of bands that change.

    Raises
    ------
    SchemaError
        If the dataset has no ``energy_bounds``.
    """
    runs = _runs(ds)
    bands = np.moveaxis(runs, 1, 0).tolist()
    return [list(dict.fromkeys((low, high) for low, high in band)) for band in bands]


def _runs(ds: xr.Dataset) -> NDArray[np.float64]:
    """(run, energy, 2) tables of stretches of time with the same bands, one after the other."""
    if "energy_bounds" not in ds.variables:
        raise SchemaError(
            f"{ds.attrs.get('product', 'dataset')}: expected energy_bounds (energy, bound); found none in the dataset"
        )
    bounds = ds["energy_bounds"]
    if "time" not in bounds.dims:
        return np.asarray(bounds.values, dtype=np.float64)[None]
    values = np.asarray(bounds.transpose("time", ...).values, dtype=np.float64)
    if not len(values):
        raise SchemaError(f"{ds.attrs.get('product', 'dataset')}: expected bins; found a dataset without any")
    changed = np.flatnonzero((values[1:] != values[:-1]).any(axis=(1, 2))) + 1
    runs: NDArray[np.float64] = values[np.concatenate([[0], changed])]
    return runs
