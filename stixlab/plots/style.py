"""Colours and words that all figures share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stixlab.errors import SchemaError
from stixlab.vocabulary import FLIGHT, ORIGIN_LABELS, SIMULATED

__all__ = ["BAND_COLOURS", "FLARE_COLOUR", "INK", "band_labels", "origin_banner", "origin_title"]

BAND_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00")
"""One for each energy band, from low to high; told apart with any colour vision (Okabe and Ito 2008; the last darkened)."""
FLARE_COLOUR = "#F0B429"
INK = "#1F2933"


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


def origin_banner(origins: Iterable[str]) -> str:
    """What a figure of data of these origins says in capitals; empty if all was measured."""
    others = [origin for origin in origins if origin != FLIGHT and origin in ORIGIN_LABELS]
    if not others:
        return ""
    return f"{ORIGIN_LABELS[SIMULATED if SIMULATED in others else others[0]].upper()} DATA"


def origin_title(banner: str) -> str:
    """The banner with what it means."""
    what = "telemetry made from a product" if "ENCODED" in banner else "not measured by the instrument"
    return f"{banner}: {what}"
