"""Declarations of datasets as plain types: for the HTTP service and for the reference page."""

from __future__ import annotations

from typing import Any

import numpy as np

from stixlab.datasets.energy_calibration import ENERGY_CALIBRATION
from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.datasets.registry import SPECS
from stixlab.errors import SchemaError
from stixlab.vocabulary import CONTEXT_TYPES, PRODUCT_TYPES, DatasetSpec, Field, known_type

__all__ = ["describe_product", "described_types", "spec_of"]

_CONTEXT = {"aux-ephemeris": EPHEMERIS, "asp-ephemeris": EPHEMERIS, "cal-energy": ENERGY_CALIBRATION}


def described_types() -> tuple[str, ...]:
    """Product types that have a declaration, those of data first."""
    return tuple(t for t in dict.fromkeys((*PRODUCT_TYPES, *CONTEXT_TYPES)) if t in SPECS or t in _CONTEXT)


def spec_of(product: str) -> DatasetSpec:
    """Declaration of a product type, of data (level 1) or of context.

    Raises
    ------
    SchemaError
        If there is no such type; the message lists the names.
    """
    known_type(product)
    found = SPECS.get(product) or _CONTEXT.get(product)
    if found is None:
        raise SchemaError(f"product type: expected one of {', '.join(described_types())}; found {product!r}")
    return found


def describe_product(product: str) -> dict[str, Any]:
    """What stands in the dataset of a product type.

    Returns
    -------
    dict
        ``product``, ``title``, ``group``, ``packet`` (service, subservice, structure; None for context), ``dims`` in the
        order of their first use, and ``fields``: ``name``, ``dims``, ``dtype``, ``units`` (None for times), ``meaning``,
        ``coordinate``, ``uncertainty`` (names of the variables that hold it), ``fits_column``, ``telemetry_parameter``,
        ``flags`` (meaning by value).

    Raises
    ------
    SchemaError
        If there is no such type.
    """
    spec, kind = spec_of(product), known_type(product)
    return {
        "product": product,
        "title": spec.title,
        "group": kind.group,
        "packet": list(kind.packet) if product in PRODUCT_TYPES else None,
        "dims": list(dict.fromkeys(d for f in spec.fields for d in f.dims)),
        "fields": [_describe(f) for f in spec.fields],
    }


def _describe(field: Field) -> dict[str, Any]:
    flags: dict[str, str] = {}
    if "flag_values" in field.attrs:
        values = np.asarray(field.attrs["flag_values"]).tolist()
        flags = {str(v): m for v, m in zip(values, str(field.attrs["flag_meanings"]).split(), strict=True)}
    return {
        "name": field.name,
        "dims": list(field.dims),
        "dtype": field.dtype,
        "units": field.units or None,
        "meaning": field.long_name,
        "coordinate": field.coordinate,
        "uncertainty": field.ancillary.split(),
        "fits_column": field.fits_name or None,
        "telemetry_parameter": field.source_parameter or None,
        "flags": flags,
    }
