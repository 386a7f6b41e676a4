"""Masks of detectors and pixels as the FITS files of the archive have them: rows of 0 and 1, lowest bit first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_bits

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["mask_columns"]


def mask_columns(ds: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Columns of the DATA table that say which detectors, pixels and energies there are in each bin.

    Parameters
    ----------
    ds
        Level 1 pixel data or spectrogram.

    Returns
    -------
    dict
        ``detector_masks`` (time, 32) and ``pixel_masks`` (time, 12), or (time, set, 12) where pixels are summed; of
        pixel data also ``num_pixel_sets`` and ``num_energy_groups`` (time,).
    """
    found: dict[str, NDArray[Any]] = {
        "detector_masks": mask_bits(ds["detector_mask"].to_numpy(), N_DETECTORS),
        "pixel_masks": mask_bits(ds["pixel_mask"].to_numpy(), N_PIXELS),
    }
    if "pixel_sets" in ds:
        sets = ds["pixel_sets"].to_numpy()
        bits = mask_bits(sets, N_PIXELS)
        if (bits.sum(axis=-1) > 1).any():
            found["pixel_masks"] = bits
        found["num_pixel_sets"] = (sets > 0).sum(axis=1).astype(np.uint8)
        found["num_energy_groups"] = ds["counts_valid"].to_numpy().sum(axis=1).astype(np.uint8)
    return found
