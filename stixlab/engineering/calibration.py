"""Calibration of parameters: straight lines between points, polynomials, states, and our own rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Definitions, Parameter, State

__all__ = ["is_calibrated", "state_table", "to_physical", "to_state", "unit_of"]

_UNITS = {"": "1", "S": "s", "degC": "deg_C"}
"""Units of the database that astropy writes otherwise (``S`` is a slip for seconds)."""
_WIDEST_TABLE_BITS = 16


@dataclass(frozen=True)
class _Rule:
    """value = factor * (raw + offset); for what no database describes, or describes wrongly."""

    factor: float
    unit: str
    offset: float = 0.0


_RULES = {
    "NIXD0002": _Rule(4.0, "percent"),  # processor load in steps of 4 %
    "NIXD0003": _Rule(1 / 2.5, "percent"),  # filling of the archive memory
    "NIX00122": _Rule(
        1.0, "s"
    ),  # the curve of some copies says 0.1 s, which would be a tenth of the live time beside it
    "NIX00123": _Rule(1 / 65536, "s"),
    "NIX00124": _Rule(0.001, "s"),
    "NIX00269": _Rule(0.1, "s"),
    "NIX00404": _Rule(0.1, "s"),
    "NIX00441": _Rule(0.1, "s"),
    "NIX00405": _Rule(0.1, "s", 1.0),
}
"""By parameter; they come before the curves of the database, which differ between its copies."""
_PLAIN_INTEGRATION = _Rule(0.1, "s")
_BULK_SCIENCE = frozenset({54110, 54111, 54112, 54113, 54142, 54114, 54115, 54116, 54117, 54143})
"""Structures in which the integration time NIX00405 is not counted from one."""
_LEFT_RAW = frozenset({"NIX00102"})
"""Standard deviation of a temperature: the temperature curve of the database makes no sense of it."""


def _rule(name: str, spid: int | None) -> _Rule | None:
    if name == "NIX00405" and spid in _BULK_SCIENCE:
        return _PLAIN_INTEGRATION
    return _RULES.get(name)


def is_calibrated(name: str, definitions: Definitions) -> bool:
    """Whether a parameter has a physical value other than its number."""
    parameter = definitions.parameters[name]
    numeric = parameter.curve in definitions.point_pairs or parameter.curve in definitions.polynomials
    return name in _RULES or (numeric and name not in _LEFT_RAW)


def unit_of(name: str, definitions: Definitions, *, spid: int | None = None) -> str:
    """Unit of the physical value, as astropy writes it; ``1`` for a plain number."""
    rule = _rule(name, spid)
    if rule is not None:
        return rule.unit
    if not is_calibrated(name, definitions):
        return "1"
    unit = definitions.parameters[name].unit
    return _UNITS.get(unit, unit)


def to_physical(
    name: str, raw: NDArray[np.integer], definitions: Definitions, *, spid: int | None = None
) -> tuple[NDArray[np.generic], str]:
    """Physical values of a parameter.

    Parameters
    ----------
    name
    raw : any shape
    definitions
    spid
        Structure that the values come from; the integration time NIX00405 depends on it.

    Returns
    -------
    values : same shape
        float32 where the parameter is calibrated, else the raw integers.
    unit
        As astropy writes it; ``1`` for a plain number.
    """
    unit = unit_of(name, definitions, spid=spid)
    rule = _rule(name, spid)
    if rule is None and not is_calibrated(name, definitions):
        return raw, unit
    parameter = definitions.parameters[name]
    bits = parameter.width_bits
    if bits <= _WIDEST_TABLE_BITS and raw.size > 1 << bits and not parameter.signed:
        # every possible value once, then a look-up for each element
        table = _calibrate(parameter, np.arange(1 << bits), definitions, rule)
        return table[raw], unit
    return _calibrate(parameter, raw, definitions, rule), unit


def _calibrate(
    parameter: Parameter, raw: NDArray[np.integer], definitions: Definitions, rule: _Rule | None
) -> NDArray[np.float32]:
    x = raw.astype(np.float64)
    if rule is not None:
        return (rule.factor * (x + rule.offset)).astype(np.float32)
    points = definitions.point_pairs.get(parameter.curve)
    if points is None:
        coefficients = definitions.polynomials[parameter.curve]
        return np.polynomial.polynomial.polyval(x, coefficients).astype(np.float32)
    return _between_points(x, *points).astype(np.float32)


def _between_points(
    x: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Straight lines between points, the outer ones continued (SCOS-2000 database, table CAP)."""
    if len(xs) == 1:
        return np.full(x.shape, ys[0])
    piece = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, len(xs) - 2)
    slope = (ys[1:] - ys[:-1]) / (xs[1:] - xs[:-1])
    return ys[piece] + slope[piece] * (x - xs[piece])


def state_table(name: str, definitions: Definitions) -> tuple[State, ...]:
    """Words of a parameter that is a state; empty if it is none."""
    return definitions.states.get(definitions.parameters[name].curve, ())


def to_state(name: str, raw: NDArray[np.integer], definitions: Definitions) -> NDArray[np.str_]:
    """Words of a parameter that is a state.

    Parameters
    ----------
    name
    raw : any shape
    definitions

    Returns
    -------
    same shape
        The number itself, as text, where the database has no word for it.
    """
    words = np.asarray(raw).astype(np.str_)
    table = state_table(name, definitions)
    if table:
        words = words.astype(f"<U{max(words.dtype.itemsize // 4, *(len(s.word) for s in table))}")
    for state in table:
        words[(raw >= state.first) & (raw <= state.last)] = state.word
    return words
