"""What is known beside the counts, from FITS files: ephemeris (L2 aux, ANC) and energy calibration (CAL)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.datasets.construction import make_dataset
from stixlab.datasets.energy_calibration import ENERGY_CALIBRATION
from stixlab.ephemeris import load_ephemerides
from stixlab.ephemeris.aux_products import read_aux
from stixlab.ephemeris.provider import Ephemerides
from stixlab.products.energy_calibration import calibration_arrays, read_energy_calibration
from stixlab.products.ephemeris import ephemeris_at
from stixlab.timing.scet import ClockTable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_calibration_result", "read_ephemeris"]


def read_ephemeris(
    path: Path, clock: ClockTable, attrs: Mapping[str, Any], *, content: bytes | None = None
) -> xr.Dataset:
    """Ephemeris dataset of an auxiliary product, at its own times.

    Parameters
    ----------
    path
    clock
        For the on-board times.
    attrs
        What else is known.
    content
        The bytes of the file, where they have been read already.

    Raises
    ------
    FormatError
        If it is damaged or lacks something.
    """
    product = read_aux(path, content=content)
    bounds = np.repeat(product.time[:, None], 2, axis=1)
    only = Ephemerides(products=(product,), table=load_ephemerides().table)
    found = ephemeris_at(bounds, only, clock)
    return found.assign_attrs({**attrs, "clock": found.attrs["clock"]})


def read_calibration_result(
    path: Path, clock: ClockTable, attrs: Mapping[str, Any], *, content: bytes | None = None
) -> xr.Dataset:
    """Offset and gain of every pixel; see `read_ephemeris`. ``attrs["elut"]`` is the table in force during the run."""
    found = read_energy_calibration(path, content=content)
    arrays = calibration_arrays(found, clock)
    return make_dataset(ENERGY_CALIBRATION, arrays, level="CAL", attrs={**attrs, "elut": found.elut})
