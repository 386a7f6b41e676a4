"""Colours and words that all figures share."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stixlab.errors import SchemaError
from stixlab.vocabulary import SIMULATED

__all__ = ["BAND_COLOURS", "FLARE_COLOUR", "INK", "SIMULATED_LABEL", "band_labels", "is_simulated"]

BAND_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00")
"""One for each energy band, from low to high; told apart with any colour vision (Okabe and Ito 2008; the last darkened)."""
FLARE_COLOUR = "#F0B429"
INK = "#1F2933"
SIMULATED_LABEL = "SIMULATED DATA"


def band_labels(ds: xr.Dataset) -> list[str]:
    """Energy range of each band, such as ``4-10 keV``.

    Raises
    ------
    SchemaError
        If the dataset has no ``energy_bounds (energy, bound)``.
    """
    if "energy_bounds" not in ds or ds["energy_bounds"].ndim != 2:
        raise SchemaError("figure: expected energy_bounds (energy, bound) in the dataset; found none")
    bounds: NDArray[np.float64] = np.asarray(ds["energy_bounds"].values, dtype=float)
    return [f"{low:g}\N{EN DASH}{high:g} keV" for low, high in bounds]


def is_simulated(ds: xr.Dataset) -> bool:
    """Whether a dataset says that it was simulated."""
    return bool(ds.attrs.get("origin") == SIMULATED)
