"""Flares as a table with units and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable
from astropy.time import Time

from stixlab.model.flare import Flare

__all__ = ["flares_to_table", "table_to_flares"]

_UNITS = {
    "duration": u.s,
    "peak_counts": u.ct,
    "background_counts": u.ct,
    "total_counts": u.ct,
    "signal_counts": u.ct,
    "peak_counts_by_band": u.ct,
}
_TIMES = ("start", "peak", "end")
_DTYPES: dict[str, Any] = {"significance": float, "upper_band": int, "attenuator": bool}
_N_BANDS = 5


def flares_to_table(flares: Sequence[Flare]) -> QTable:
    """One row for each flare: times as UTC `~astropy.time.Time`, counts with units.

    Parameters
    ----------
    flares
        In any order, which is kept; may be empty.

    Returns
    -------
    astropy.table.QTable
        Columns are the fields of `Flare`; ``products`` are joined by blanks.
    """
    table = QTable()
    for field in fields(Flare):
        values = [getattr(f, field.name) for f in flares]
        if field.name in _TIMES:
            stamps = np.array([v.astimezone(UTC).replace(tzinfo=None) for v in values], "datetime64[us]")
            table[field.name] = Time(stamps, format="datetime64", scale="utc", precision=3)
            table[field.name].format = "isot"
        elif field.name == "peak_counts_by_band":
            table[field.name] = (
                np.array(values, dtype=float).reshape(len(values), -1 if values else _N_BANDS) << u.ct
            )
        elif field.name in _UNITS:
            table[field.name] = np.array(values, dtype=float) << _UNITS[field.name]
        elif field.name in _DTYPES:
            table[field.name] = Column(np.array(values, dtype=_DTYPES[field.name]))
        else:
            texts = [v if isinstance(v, str) else " ".join(v) for v in values]
            table[field.name] = Column(np.array(texts, dtype=str))
    return table


def table_to_flares(table: QTable) -> list[Flare]:
    """The records of a table made by `flares_to_table`."""
    flares = []
    for row in table:
        values: dict[str, Any] = {}
        for field in fields(Flare):
            value = row[field.name]
            if field.name in _TIMES:
                values[field.name] = value.to_datetime(timezone=UTC)
            elif field.name == "peak_counts_by_band":
                values[field.name] = tuple(float(v) for v in value.value)
            elif field.name in _UNITS:
                values[field.name] = float(value.value)
            elif field.name == "products":
                values[field.name] = tuple(str(value).split())
            else:
                values[field.name] = _DTYPES.get(field.name, str)(value)
        flares.append(Flare(**values))
    return flares
