"""Columns and tables of FITS files from arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.io.fits import BinTableHDU, Column

__all__ = ["column", "table"]

_UNSIGNED = {"uint16": ("I", 1 << 15), "uint32": ("J", 1 << 31), "uint64": ("K", 1 << 63)}
_PLAIN = {"bool": "L", "uint8": "B", "int16": "I", "int32": "J", "int64": "K", "float32": "E", "float64": "D"}


def column(name: str, values: NDArray[Any], unit: str = "") -> Column:
    """One column; unsigned integers by an offset, as FITS has them.

    Parameters
    ----------
    name
    values : (row, ...)
        A second dimension of length 1 is left out. Times are written as nanoseconds since 1970.
    unit
        As FITS has it.
    """
    from astropy.io.fits import Column

    if values.dtype.kind == "M":
        values, unit = values.astype("datetime64[ns]").astype("int64"), "ns"
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    width = str(math.prod(values.shape[1:])) if values.ndim > 1 else ""
    # A cell of several dimensions has its fastest first.
    shape = f"({','.join(map(str, values.shape[:0:-1]))})" if values.ndim > 2 else None
    if values.dtype.kind in "SU":
        return Column(
            name, f"{max(values.dtype.itemsize // (4 if values.dtype.kind == 'U' else 1), 1)}A", array=values
        )
    if values.dtype.name in _UNSIGNED:
        code, offset = _UNSIGNED[values.dtype.name]
        return Column(name, width + code, unit=unit or None, bzero=offset, array=values, dim=shape)
    return Column(name, width + _PLAIN[values.dtype.name], unit=unit or None, array=values, dim=shape)


def table(name: str, columns: list[Column]) -> BinTableHDU:
    """A table of columns of equal length."""
    from astropy.io.fits import BinTableHDU

    return BinTableHDU.from_columns(columns, name=name, uint=True)
