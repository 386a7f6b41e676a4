"""Which parameters are compressed, and where in the same packet their scheme stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import CompressionError
from stixlab.instrument.detectors import active_trigger_groups
from stixlab.telemetry.compression import SCALING, decompress, unscale_triggers
from stixlab.telemetry.decode import Columns

__all__ = ["compressed_parameters", "decompress_column"]


@dataclass(frozen=True)
class _Scheme:
    """Names of the three parameters that hold s, k and m."""

    names: tuple[str, str, str]
    triggers: bool = False
    """(0, 0, 7) means scaling."""


_LIGHT_CURVE = _Scheme(("NIXD0101", "NIXD0102", "NIXD0103"))
_LIGHT_CURVE_TRIGGERS = _Scheme(("NIXD0104", "NIXD0105", "NIXD0106"), triggers=True)

_SCHEMES: dict[int, dict[str, _Scheme]] = {
    54118: {"NIX00272": _LIGHT_CURVE, "NIX00274": _LIGHT_CURVE_TRIGGERS},
}
"""By structure and parameter."""


def compressed_parameters(spid: int) -> tuple[str, ...]:
    """Names of the parameters of a structure that hold compressed counts."""
    return tuple(_SCHEMES.get(spid, ()))


def decompress_column(columns: Columns, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Value and variance of a compressed parameter, each packet by its own scheme.

    Parameters
    ----------
    columns
    name
        A parameter of the structure.

    Returns
    -------
    value, variance : (n_codes,), count and count**2
        None if the parameter is not compressed.

    Raises
    ------
    CompressionError
        If a packet names an impossible scheme.
    """
    scheme = _SCHEMES.get(columns.spid, {}).get(name)
    if scheme is None:
        return None
    codes, splits = columns[name].astype(np.uint8, copy=False), columns.splits[name]
    s, k, m = (columns.single(n).astype(np.int64) for n in scheme.names)
    scaled = (s == SCALING[0]) & (k == SCALING[1]) & (m == SCALING[2])
    if not (scheme.triggers and scaled.any()):
        return decompress(codes, s, k, m, splits=splits)
    value, variance = decompress(codes, s, k, m, splits=splits)
    tenths, n_groups = _trigger_scale(columns)
    counts = np.diff(splits)
    triggers, spread = unscale_triggers(codes, np.repeat(tenths, counts), np.repeat(n_groups, counts))
    by_scaling = np.repeat(scaled, counts)
    return (
        np.where(by_scaling, triggers.astype(np.int64), value),
        np.where(by_scaling, spread, variance),
    )


def _trigger_scale(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integration time (0.1 s) and number of trigger groups of each packet."""
    if "NIX00405" not in columns or "NIX00407" not in columns:
        raise CompressionError(
            f"structure {columns.spid}: its triggers are scaled, (0, 0, 7); expected NIX00405 and NIX00407 beside "
            "them to undo that; found a structure without them"
        )
    tenths = columns.single("NIX00405").astype(np.int64) + 1
    return tenths, active_trigger_groups(columns.single("NIX00407")).astype(np.int64)
