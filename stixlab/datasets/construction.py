"""A dataset from arrays and its declaration: attributes come from the declaration, departures are errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field, check

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ENERGY_FIELDS",
    "TIME_ENCODING",
    "TIME_FIELDS",
    "clock_attrs",
    "coverage",
    "encode_times",
    "field_attrs",
    "make_dataset",
    "scet_key",
    "software_version",
    "state_field",
    "step_ticks",
]

CONVENTIONS = "CF-1.11"
TIME_ENCODING = {"units": "nanoseconds since 1970-01-01", "dtype": "int64"}
"""How times are written to files: whole nanoseconds, so that nothing is rounded."""

TIME_FIELDS = (
    Field(
        "time",
        ("time",),
        "datetime64[ns]",
        "",
        "middle of the bin, UTC at the spacecraft",
        coordinate=True,
        attrs={"standard_name": "time", "bounds": "time_bounds"},
    ),
    Field(
        "time_bounds",
        ("time", "bound"),
        "datetime64[ns]",
        "",
        "start and end of the bin, UTC at the spacecraft",
        coordinate=True,
    ),
    Field(
        "scet_coarse",
        ("time",),
        "uint32",
        "s",
        "on-board time of the start of the bin, seconds",
        coordinate=True,
    ),
    Field(
        "scet_fine",
        ("time",),
        "uint16",
        "1",
        "on-board time of the start of the bin, further 1/65536 of a second",
        coordinate=True,
    ),
)
"""The time axis, the same in every dataset."""

ENERGY_FIELDS = (
    Field(
        "energy",
        ("energy",),
        "float64",
        "keV",
        "middle of the energy band; lower bound of an open band",
        coordinate=True,
        attrs={"bounds": "energy_bounds"},
    ),
    Field(
        "energy_bounds",
        ("energy", "bound"),
        "float64",
        "keV",
        "lower and upper bound of the energy band",
        coordinate=True,
    ),
)
"""The energy axis in keV."""


def state_field(
    name: str,
    source: str,
    meanings: Mapping[int, str],
    text: str,
    column: str,
    *,
    dims: tuple[str, ...] = ("time",),
) -> Field:
    """Declaration of a variable that holds a state as a small number.

    Parameters
    ----------
    name, source, text, column
        Of the variable, its parameter, its long name, its FITS column.
    meanings
        One word for each value.
    dims
    """
    flags = {
        "flag_values": np.array(list(meanings), dtype=np.uint8),
        "flag_meanings": " ".join(meanings.values()),
    }
    return Field(
        name,
        dims,
        "uint8",
        "1",
        text,
        source_parameter=source,
        fits_name=column,
        attrs=MappingProxyType(flags),
    )


@cache
def software_version() -> str:
    """Version of this package, as installed."""
    try:
        return f"stixlab {metadata.version('stixlab')}"
    except metadata.PackageNotFoundError:
        return "stixlab"


def field_attrs(field: Field) -> dict[str, Any]:
    """Attributes that a variable carries, in a fixed order."""
    attrs: dict[str, Any] = {"long_name": field.long_name}
    if field.units:
        attrs["units"] = field.units
    if field.source_parameter:
        attrs["source_parameter"] = field.source_parameter
    if field.ancillary:
        attrs["ancillary_variables"] = field.ancillary
    return attrs | dict(field.attrs)


def make_dataset(
    spec: DatasetSpec, arrays: Mapping[str, NDArray[Any]], *, level: str, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Dataset of that declaration.

    Parameters
    ----------
    spec
    arrays
        One for each declared field, by name; no others.
    level
        ``L0`` or ``L1``.
    attrs
        What is known besides: origin, definitions, clock, sources.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    SchemaError
        Naming each departure from the declaration.
    """
    import xarray as xr

    coords: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for field in spec.fields:
        if field.name in arrays:
            values = arrays[field.name]
            group = coords if field.coordinate else variables
            # The array is handed over as it is: a wrong number of dims is for the check to say.
            dims = (
                field.dims
                if values.ndim == len(field.dims)
                else tuple(f"dim_{i}" for i in range(values.ndim))
            )
            encoding = TIME_ENCODING if values.dtype.kind == "M" else None
            group[field.name] = xr.Variable(dims, values, field_attrs(field), encoding, fastpath=True)
    for name in arrays.keys() - {f.name for f in spec.fields}:
        variables[name] = xr.Variable(tuple(f"{name}_{i}" for i in range(arrays[name].ndim)), arrays[name])
    common = {
        "Conventions": CONVENTIONS,
        "title": spec.title,
        "product": spec.product,
        "level": level,
        "institution": "made with stixlab",
        "software_version": software_version(),
    }
    ds = xr.Dataset(variables, coords, common | dict(attrs) | coverage(arrays))
    check(ds, spec)
    return ds


def encode_times(ds: xr.Dataset) -> xr.Dataset:
    """The same dataset, told how its times are written to files: so that ``ds.to_netcdf(...)`` rounds nothing."""
    for variable in ds.variables.values():
        if variable.dtype.kind == "M":
            variable.encoding |= TIME_ENCODING
    return ds


def coverage(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Attributes that say from when to when a dataset reaches, UTC to the millisecond."""
    bounds = arrays.get("time_bounds")
    if bounds is None or not bounds.size:
        return {}
    first, last = bounds.min(), bounds.max()
    return {
        "time_coverage_start": np.datetime_as_string(first, unit="ms") + "Z",
        "time_coverage_end": np.datetime_as_string(last, unit="ms") + "Z",
    }


def clock_attrs(clock: ClockTable, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Attributes that say which clock the times of a dataset come from, and how far UTC may be off at most, seconds."""
    ticks = scet_key(arrays)
    accuracy = clock.accuracy_at(ticks).max(initial=0.0) if len(ticks) else clock.accuracy_s
    return {"clock": clock.source_at(ticks) or clock.source, "clock_accuracy_s": round(float(accuracy), 4)}


def scet_key(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """On-board time of each bin as one integer, in 1/65536 s: the identity of a bin."""
    return np.asarray(arrays["scet_coarse"], dtype=np.int64) << 16 | np.asarray(
        arrays["scet_fine"], dtype=np.int64
    )


def step_ticks(step: NDArray[Any], tenths: NDArray[Any]) -> NDArray[np.int64]:
    """On-board time from the start of a run to a bin, in 1/65536 s, rounded once as on board.

    Parameters
    ----------
    step : (n,)
        Number of the bin in its run.
    tenths : (n,)
        Length of a bin, 0.1 s.
    """
    return np.asarray((step.astype(np.int64) * tenths.astype(np.int64) * 65536 + 5) // 10)
