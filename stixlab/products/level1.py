"""Level 1: counts with errors, physical values, UTC; in the order of time, each on-board time once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import clock_attrs, make_dataset
from stixlab.datasets.registry import BUILDERS, get_spec
from stixlab.datasets.report import BuildReport
from stixlab.engineering.calibration import to_physical
from stixlab.errors import SchemaError
from stixlab.idb import Definitions, Versions
from stixlab.products.calibration_runs import calibration_runs
from stixlab.products.merging import content_sha256, merge, split_days, time_arrays, unique_order
from stixlab.products.quicklooks import QUICKLOOK_CONVERSIONS
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import FLIGHT, ORIGINS, DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["content_sha256", "make_level1", "merge", "split_days", "to_level1"]

_Arrays = dict[str, NDArray[Any]]


def make_level1(
    columns: Columns,
    clock: ClockTable,
    versions: Versions,
    *,
    origin: str = FLIGHT,
    report: BuildReport | None = None,
) -> list[xr.Dataset]:
    """Level 1 datasets of decoded packets of one structure.

    Parameters
    ----------
    columns
        Decoded packets, in any order, repeated or not: the result is the same.
    clock
        On-board time to UTC.
    versions
        The flight database: curves of the housekeeping, as in force at the time of each packet.
    origin
        ``flight`` or ``simulated``; it must be what the packets say.
    report
        Gets the packets that are left out.

    Returns
    -------
    list of xarray.Dataset
        One for each set of energies, in the order of time; none if no packet is left.

    Raises
    ------
    SchemaError
        If the structure has no builder, or the packets are of another origin.
    """
    if not len(columns.block):
        return []
    _check_origin(columns, origin)
    block = columns.block
    structure = (int(block.service[0]), int(block.subtype[0]), int(block.ssid[0]))
    if structure not in BUILDERS:
        raise SchemaError(f"level 1: expected packets of one of {sorted(BUILDERS)}; found {structure}")
    report = BuildReport() if report is None else report
    build = BUILDERS[structure].build
    made = []
    for definitions, eras in versions.distinct.items():
        chosen = np.isin(block.era, eras)
        if chosen.any():
            part = columns if chosen.all() else columns.select(chosen)
            made += [
                to_level1(ds, definitions, origin=origin, clock=clock) for ds in build(part, clock, report)
            ]
    return made


def _check_origin(columns: Columns, origin: str) -> None:
    if origin not in ORIGINS:
        raise SchemaError(f"origin: expected one of {', '.join(ORIGINS)}; found {origin!r}")
    other = columns.block.origin != ORIGINS.index(origin)
    if other.any():
        raise SchemaError(
            f"level 1: expected packets of origin {origin}; {int(other.sum())} of {len(other)} are marked as of"
            " another; make the datasets of each origin apart"
        )


def to_level1(ds: xr.Dataset, definitions: Definitions, *, origin: str, clock: ClockTable) -> xr.Dataset:
    """Level 1 of a level 0 dataset.

    Parameters
    ----------
    ds
        Level 0, bins in any order.
    definitions
        The flight database.
    origin
        ``flight`` or ``simulated``.
    clock
        That the times were made with.

    Raises
    ------
    SchemaError
        If no level 1 of the product is declared.
    """
    product = str(ds.attrs["product"])
    spec = get_spec(product)
    along, others = time_arrays(ds)
    order = unique_order(along)
    if order is not None:
        along = {name: values[order] for name, values in along.items()}
    along = _CONVERSIONS[product](along, spec, definitions)
    attrs = {
        "origin": origin,
        "idb_version": definitions.version,
        "source_level": "telemetry",
        **clock_attrs(clock, along),
    }
    return make_dataset(spec, along | others, level="L1", attrs=attrs)


def _housekeeping(arrays: _Arrays, spec: DatasetSpec, definitions: Definitions) -> _Arrays:
    converted = dict(arrays)
    for field in spec.fields:
        if field.dtype == "float32":
            values, _ = to_physical(field.source_parameter, arrays[field.name], definitions)
            converted[field.name] = np.asarray(values, dtype=np.float32)
    return converted


_CONVERSIONS: Mapping[str, Callable[[_Arrays, DatasetSpec, Definitions], _Arrays]] = MappingProxyType(
    {
        "hk-mini": _housekeeping,
        "hk-maxi": _housekeeping,
        "cal-spectra": calibration_runs,
        **QUICKLOOK_CONVERSIONS,
    }
)
