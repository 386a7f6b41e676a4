"""Imported ahead by the process of which those that make products side by side are copies: all that a day needs."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from stixlab.compiled import get_kernel
from stixlab.telemetry.headers import copy_ranges

__all__: list[str] = []

for _name in (
    "numba",
    "dask.array",
    "numcodecs.zstd",
    "astropy.units",
    "stixlab.ingest.workforce",
    "stixlab.products.level1",
    "stixlab.products.formats.fits",
    "stixlab.products.formats.zarr",
):
    import_module(_name)

# The first call of a compiled loop sets numba up, which takes longer than its import.
_kernel = get_kernel(copy_ranges)
if _kernel is not None:
    _data, _edge = np.zeros(1, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    _data.flags.writeable = False
    _kernel(_data, _edge, _edge + 1, np.empty(1, dtype=np.uint8))
