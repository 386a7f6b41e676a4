"""Colours and words that all figures share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stixlab.datasets.energy_axis import band_ranges
from stixlab.vocabulary import FLIGHT, ORIGIN_LABELS, SIMULATED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BAND_COLOURS", "FLARE_COLOUR", "INK", "band_labels", "origin_banner", "origin_title"]

BAND_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00")
"""One for each energy band, from low to high; told apart with any colour vision (Okabe and Ito 2008; the last darkened)."""
FLARE_COLOUR = "#F0B429"
INK = "#1F2933"


def band_labels(ds: xr.Dataset) -> list[str]:
    """Energy range of each band, such as ``4-10 keV``; ``50-84 or 50-150 keV`` of one that changes.

    Raises
    ------
    SchemaError
        If the dataset has no ``energy_bounds``.
    """
    ranges = [[f"{low:g}\N{EN DASH}{high:g}" for low, high in band] for band in band_ranges(ds)]
    return [f"{' or '.join(names)} keV" for names in ranges]


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
