"""What the official tables have no column for: the rest of a dataset, so that a file gives it back unchanged.

Table SUPPLEMENT has a row for each row of DATA, table AXES one row with all that does not lie along time. Columns have
the names of the variables. Files of products that need neither have neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.products.formats.fits_columns import Hdu, column, table
from stixlab.products.formats.fits_layout import CONTROL_COLUMNS, FITS_UNITS, is_request
from stixlab.products.formats.fits_table import FitsFile
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["AXES", "SUPPLEMENT", "read_axes", "read_supplement", "supplement_fields", "supplement_tables"]

SUPPLEMENT, AXES = "SUPPLEMENT", "AXES"
_ELSEWHERE = {"time", "time_bounds", "energy", "energy_bounds"}
"""In DATA and ENERGIES."""
_ON_BOARD = {"scet_coarse", "scet_fine", "integration_time"}
"""In CONTROL, if packets are written there."""


def supplement_fields(spec: DatasetSpec) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """Fields of a dataset that have no column elsewhere: those along time, and the others."""
    declared = {f.name for f in spec.fields}
    placed = _ELSEWHERE | {c.field for c in CONTROL_COLUMNS}
    if not is_request(spec.product):
        placed |= _ON_BOARD
    # The total error of counts follows from counts and the error of their compression.
    placed |= {f"{n}_error" for n in ("counts", "flux") if f"{n}_compression_error" in declared}
    left = [f for f in spec.fields if f.name not in placed and not f.fits_name]
    return tuple(f for f in left if f.dims[0] == "time"), tuple(f for f in left if f.dims[0] != "time")


def supplement_tables(
    spec: DatasetSpec, along: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]
) -> list[Hdu]:
    """Tables SUPPLEMENT and AXES of a dataset, as far as it needs them.

    Parameters
    ----------
    spec
    along
        Arrays along the rows of DATA.
    others
        All other arrays.
    """
    rows, axes = supplement_fields(spec)
    found = []
    if rows:
        columns = [column(f.name, along[f.name], FITS_UNITS.get(f.units, (f.units, 0.0))[0]) for f in rows]
        found.append(table(SUPPLEMENT, columns))
    if axes:
        columns = [
            column(f.name, others[f.name][None], FITS_UNITS.get(f.units, (f.units, 0.0))[0]) for f in axes
        ]
        found.append(table(AXES, columns))
    return found


def read_supplement(spec: DatasetSpec, file: FitsFile, shape: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Arrays along the rows of DATA that stand in SUPPLEMENT.

    Parameters
    ----------
    spec, file
    shape
        Lengths of the dimensions other than time.

    Raises
    ------
    FormatError
        If the table is missing or has other rows than DATA.
    """
    fields, _ = supplement_fields(spec)
    if not fields:
        return {}
    found = file.table(SUPPLEMENT)
    columns = {f.name: found[f.name] for f in fields}
    if len(found) != len(file.data):
        raise FormatError(
            f"{file.name}: expected as many rows in {SUPPLEMENT} as in DATA, {len(file.data)}; found {len(found)}"
        )
    return {f.name: as_declared(columns[f.name], f, len(found), shape) for f in fields}


def read_axes(spec: DatasetSpec, file: FitsFile) -> dict[str, NDArray[Any]]:
    """Arrays that do not lie along time.

    Raises
    ------
    FormatError
        If the table AXES is missing.
    """
    _, fields = supplement_fields(spec)
    if not fields:
        return {}
    found = file.table(AXES)
    columns = {f.name: found[f.name] for f in fields}
    if len(found) != 1:
        raise FormatError(f"{file.name}: expected one row in {AXES}; found {len(found)}")
    # Bounds have two numbers each, all others one.
    return {f.name: columns[f.name][0].reshape(-1, *[2][: len(f.dims) - 1]).astype(f.dtype) for f in fields}


def as_declared(values: NDArray[Any], field: Field, n_rows: int, shape: Mapping[str, int]) -> NDArray[Any]:
    """A column in the dimensions and type of its field: of dimensions of length 1 some are lost in the file."""
    values = values.reshape(n_rows, *(shape[d] for d in field.dims[1:]))
    return np.ascontiguousarray(values.astype(field.dtype))
