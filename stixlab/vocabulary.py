"""The names: dimensions, product types, levels, origins, and how a dataset is declared.

A dataset is declared once, as data (`DatasetSpec` of `Field`s, in `stixlab.datasets`); the check
here, the FITS writer, the Zarr writer and the reference page all read that one declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from stixlab.errors import SchemaError

__all__ = [
    "CONTEXT_TYPES",
    "DIMS",
    "FLIGHT",
    "ORIGINS",
    "ORIGIN_LABELS",
    "PRODUCT_TYPES",
    "REENCODED",
    "SIMULATED",
    "DatasetSpec",
    "Field",
    "ProductType",
    "check",
    "known_type",
    "product_type",
]

DIMS = (
    *("time", "detector", "accumulator", "pixel", "energy", "channel"),
    *("direction", "sub_collimator", "flare", "bound"),
)
"""Dimensions, singular, in the order in which they stand on a variable."""

FLIGHT = "flight"
"""Origin of what the instrument measured."""
SIMULATED = "simulated"
"""Origin of what the simulator made; shown as such wherever it appears."""
REENCODED = "reencoded"
"""Origin of packets that were made from the counts of a product: measured once, encoded anew."""
ORIGINS = (FLIGHT, SIMULATED, REENCODED)
ORIGIN_LABELS: Mapping[str, str] = MappingProxyType(
    {FLIGHT: "", SIMULATED: "simulated", REENCODED: "re-encoded"}
)
"""What stands beside data of an origin; nothing beside what was measured."""


@dataclass(frozen=True)
class ProductType:
    """One type of product, by its archive name."""

    name: str
    """Archive name, such as ``ql-lightcurve``."""
    title: str
    """What it is called in a heading."""
    group: str
    """Folder of the FITS archive: ``QL``, ``HK``, ``SCI``, ``CAL``."""
    packet: tuple[int, int, int]
    """Service, subservice and structure (SSID or SID) of the packets it is made from."""


_TYPES = (
    ProductType("hk-mini", "Housekeeping, short report", "HK", (3, 25, 1)),
    ProductType("hk-maxi", "Housekeeping, long report", "HK", (3, 25, 2)),
    ProductType("sci-xray-rpd", "X-ray raw pixel data", "SCI", (21, 6, 20)),
    ProductType("sci-xray-cpd", "X-ray compressed pixel data", "SCI", (21, 6, 21)),
    ProductType("sci-xray-scpd", "X-ray summed pixel data", "SCI", (21, 6, 22)),
    ProductType("sci-xray-vis", "X-ray visibilities", "SCI", (21, 6, 23)),
    ProductType("sci-xray-spec", "X-ray spectrogram", "SCI", (21, 6, 24)),
    ProductType("ql-lightcurve", "Quicklook light curve", "QL", (21, 6, 30)),
    ProductType("ql-background", "Quicklook background monitor", "QL", (21, 6, 31)),
    ProductType("ql-spectra", "Quicklook spectra", "QL", (21, 6, 32)),
    ProductType("ql-variance", "Quicklook variance", "QL", (21, 6, 33)),
    ProductType("ql-flareflag", "Quicklook flare flag and location", "QL", (21, 6, 34)),
    ProductType("cal-spectra", "Energy calibration spectra", "CAL", (21, 6, 41)),
    ProductType("sci-aspect-burst", "Aspect burst", "SCI", (21, 6, 42)),
    ProductType("ql-tmstatusflarelist", "On-board flare list", "QL", (21, 6, 43)),
)
PRODUCT_TYPES: Mapping[str, ProductType] = MappingProxyType({t.name: t for t in _TYPES})
"""All product types of the archive, by name."""

_NO_PACKET = (0, 0, 0)
CONTEXT_TYPES: Mapping[str, ProductType] = MappingProxyType(
    {
        t.name: t
        for t in (
            ProductType("aux-ephemeris", "Orbit, attitude and aspect (L2)", "AUX", _NO_PACKET),
            ProductType("asp-ephemeris", "Orbit, attitude and aspect (ANC)", "ASP", _NO_PACKET),
            ProductType("cal-energy", "Energy calibration of the pixels", "CAL", _NO_PACKET),
        )
    }
)
"""Types of products that say what was around the measurements: no packets are theirs."""


def product_type(name: str) -> ProductType:
    """Product type of that archive name.

    Raises
    ------
    SchemaError
        If there is no such type; the message lists the names.
    """
    try:
        return PRODUCT_TYPES[name]
    except KeyError:
        raise SchemaError(
            f"product type: expected one of {', '.join(PRODUCT_TYPES)}; found {name!r}"
        ) from None


def known_type(name: str) -> ProductType:
    """Product type of that archive name, of data or of context.

    Raises
    ------
    SchemaError
        If there is no such type; the message lists the names.
    """
    return CONTEXT_TYPES[name] if name in CONTEXT_TYPES else product_type(name)


@dataclass(frozen=True)
class Field:
    """One variable or coordinate of a dataset."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    """Numpy dtype the variable has in memory, such as ``uint32`` or ``datetime64[ns]``."""
    units: str
    """What `astropy.units.Unit` accepts; ``1`` for none, empty for times and texts."""
    long_name: str
    coordinate: bool = False
    source_parameter: str = ""
    """Telemetry parameter it comes from, such as ``NIX00272``."""
    ancillary: str = ""
    """Name of the variable that holds its uncertainty."""
    fits_name: str = ""
    """Column of the FITS form; empty if it has none."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes (flag meanings, valid range)."""


@dataclass(frozen=True)
class DatasetSpec:
    """Declaration of a dataset: what stands in it, in order."""

    product: str
    title: str
    fields: tuple[Field, ...]

    def __getitem__(self, name: str) -> Field:
        for each in self.fields:
            if each.name == name:
                return each
        raise KeyError(name)


def check(ds: Any, spec: DatasetSpec) -> None:
    """Compare a dataset with its declaration, naming every departure at once.

    Parameters
    ----------
    ds : xarray.Dataset
    spec
        The declaration of its product.

    Raises
    ------
    SchemaError
        With one line for each departure: missing or undeclared names, dims, dtype, units.
    """
    wrong: list[str] = []
    declared, variables, coordinates = {f.name for f in spec.fields}, ds.variables, {*ds.coords}
    for f in spec.fields:
        if f.name not in variables:
            wrong.append(f"{f.name}: declared, not there")
            continue
        found = variables[f.name]
        if tuple(found.dims) != f.dims:
            wrong.append(f"{f.name}: dims {f.dims} expected, {tuple(found.dims)} found")
        if str(found.dtype) != f.dtype:
            wrong.append(f"{f.name}: dtype {f.dtype} expected, {found.dtype} found")
        if f.units and found.attrs.get("units", f.units) != f.units:
            wrong.append(f"{f.name}: units {f.units!r} expected, {found.attrs['units']!r} found")
        if (f.name in coordinates) != f.coordinate:
            wrong.append(f"{f.name}: is {'not ' if f.coordinate else ''}a coordinate")
    wrong += [f"{n}: there, not declared" for n in variables if n not in declared]
    if wrong:
        raise SchemaError(
            f"{spec.product} dataset departs from its declaration: " + "; ".join(map(str, wrong)),
            departures=tuple(wrong),
        )
