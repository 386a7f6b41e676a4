"""Which parameters are compressed, where in the same packet their scheme stands, and what flight software changed.

The groups are those of the flight database; SSID 10 to 14 have those of SSID 20 to 24.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from stixlab.errors import CompressionError
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.compression import SCALING, compress, decompress, scale_triggers, unscale_triggers
from stixlab.telemetry.trigger_scales import Scale, scale_of

__all__ = [
    "SchemeProblem",
    "compress_column",
    "compressed_parameters",
    "decompress_column",
    "effective_scheme",
    "scheme_problems",
]


class SchemeProblem(IntFlag):
    """What is wrong with the compression of a packet."""

    IMPOSSIBLE = 1
    """A scheme of more than eight bits: its codes have value 0 and variance NaN."""
    NO_SIGN = 2
    """Visibilities under a scheme without sign: old software sent them signed all the same, so values of codes from
    128 on are those of the scheme and not what was meant."""


@dataclass(frozen=True)
class _Scheme:
    """Where a scheme stands."""

    names: tuple[str, str, str]
    """Parameters that hold s, k and m."""
    scale: Scale = Scale.NONE
    """For triggers: what the scheme (0, 0, 7) scales by."""
    group: int = 0
    """Trigger group that the parameter counts, from 0."""
    before: tuple[str, str, str] | None = None
    """The three parameters that hold for software older than `_OWN_TRIGGER_SCHEME`."""
    unsigned: bool = False
    """Positive by nature: compressed without the sign bit, the exponent one bit wider."""
    signed: bool = False
    """Negative numbers occur."""


_OWN_TRIGGER_SCHEME = 181
"""First application software (IDB 2.26.35) that compresses the triggers of SSID 21 by their own scheme."""
_OWN_FLUX_SCHEME = 180
"""First application software that sends the flux of visibilities without sign."""

_EACC = ("NIXD0007", "NIXD0008", "NIXD0009")
_ETRIG = ("NIXD0010", "NIXD0011", "NIXD0012")
_BACKGROUND = ("NIXD0108", "NIXD0109", "NIXD0110")
_TRIGGERS = ("NIXD0112", "NIXD0113", "NIXD0114")
_SPECTRA = ("NIXD0115", "NIXD0116", "NIXD0117")
_N_CHANNELS, _N_GROUPS = 32, 16


def _accumulators(before: tuple[str, str, str] | None = None) -> dict[str, _Scheme]:
    """The sixteen trigger accumulators of pixel data and visibilities."""
    return {
        f"NIX00{242 + i}": _Scheme(_ETRIG, Scale.ONE_GROUP, group=i, before=before) for i in range(_N_GROUPS)
    }


_PIXELS = {"NIX00260": _Scheme(_EACC)} | _accumulators()
_OLD_PIXELS = {"NIX00260": _Scheme(_EACC)} | _accumulators(before=_EACC)
_VISIBILITIES = {
    "NIX00261": _Scheme(_EACC, unsigned=True),
    "NIX00263": _Scheme(_EACC, signed=True),
    "NIX00264": _Scheme(_EACC, signed=True),
} | _accumulators()
_SPECTROGRAM = {"NIX00267": _Scheme(_ETRIG, Scale.SAMPLES), "NIX00268": _Scheme(_EACC)}

_SCHEMES: dict[int, dict[str, _Scheme]] = {
    54111: _PIXELS,
    54112: _PIXELS,
    54113: _VISIBILITIES,
    54142: _SPECTROGRAM,
    54115: _OLD_PIXELS,
    54116: _PIXELS,
    54117: _VISIBILITIES,
    54143: _SPECTROGRAM,
    54118: {
        "NIX00272": _Scheme(("NIXD0101", "NIXD0102", "NIXD0103")),
        "NIX00274": _Scheme(("NIXD0104", "NIXD0105", "NIXD0106"), Scale.SUMMED),
    },
    54119: {"NIX00278": _Scheme(_BACKGROUND), "NIX00274": _Scheme(_TRIGGERS, Scale.ONE_DETECTOR)},
    54120: {
        **{f"NIX00{452 + i}": _Scheme(_SPECTRA) for i in range(_N_CHANNELS)},
        "NIX00484": _Scheme(_TRIGGERS, Scale.ONE_DETECTOR),
    },
    54121: {"NIX00281": _Scheme(("NIXD0118", "NIXD0119", "NIXD0120"))},
    54124: {"NIX00158": _Scheme(("NIXD0126", "NIXD0127", "NIXD0128"))},
}
"""By structure and parameter."""


def compressed_parameters(spid: int) -> tuple[str, ...]:
    """Names of the parameters of a structure that hold compressed counts."""
    return tuple(_SCHEMES.get(spid, ()))


def effective_scheme(
    columns: Columns, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The s, k and m by which the software that made each packet compressed a parameter; (n,) each.

    Raises
    ------
    CompressionError
        If the parameter is not compressed.
    """
    return _scheme_of(columns, _known_scheme(columns, name))


def _known_scheme(columns: Columns, name: str) -> _Scheme:
    scheme = _SCHEMES.get(columns.spid, {}).get(name)
    if scheme is None:
        raise CompressionError(
            f"structure {columns.spid}: expected one of {', '.join(compressed_parameters(columns.spid)) or 'none'}; "
            f"found {name}, which is not compressed"
        )
    return scheme


def decompress_column(
    columns: Columns,
    name: str,
    *,
    value_dtype: DTypeLike = np.int64,
    variance_dtype: DTypeLike = np.float64,
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Value and variance of a compressed parameter, each packet by its own scheme.

    Nothing is raised for one bad packet: codes under an impossible scheme, and codes that stand for
    numbers that do not fit, have value 0 and variance NaN; see also `scheme_problems`.

    Parameters
    ----------
    columns
    name
        A parameter of the structure.
    value_dtype, variance_dtype
        Smaller ones save time and memory.

    Returns
    -------
    value, variance : (n_codes,), count and count**2
        None if the parameter is not compressed.
    """
    scheme = _SCHEMES.get(columns.spid, {}).get(name)
    if scheme is None:
        return None
    codes, splits = columns[name].astype(np.uint8, copy=False), columns.splits[name]
    s, k, m = _scheme_of(columns, scheme)
    value, variance = decompress(
        codes, s, k, m, splits=splits, value_dtype=value_dtype, variance_dtype=variance_dtype, strict=False
    )
    scaled = _scaled(scheme, s, k, m)
    if scaled.any():
        each = np.repeat(scaled, np.diff(splits))
        tenths, n_groups = scale_of(columns, name, scheme.scale, scheme.group)
        triggers, spread = unscale_triggers(codes[each], tenths[each], n_groups[each])
        value[each] = triggers.astype(value.dtype)
        variance[each] = spread
    return value, variance


def compress_column(columns: Columns, name: str, values: ArrayLike) -> NDArray[np.uint8]:
    """Codes of counts, each packet by the scheme in it: the inverse of `decompress_column`.

    Parameters
    ----------
    columns
        Hold the schemes, and how many codes each packet has; their codes of the parameter are not looked at.
    name
        A compressed parameter.
    values : (n_codes,), integers

    Raises
    ------
    CompressionError
        If the parameter is not compressed, a scheme is impossible, or a value does not fit it.
    """
    scheme = _known_scheme(columns, name)
    splits = columns.splits[name]
    s, k, m = _scheme_of(columns, scheme)
    given = np.asarray(values)
    scaled = _scaled(scheme, s, k, m)
    if not scaled.any():
        return compress(given, s, k, m, splits=splits)
    each = np.repeat(scaled, np.diff(splits))
    codes = compress(np.where(each, 0, given), s, k, m, splits=splits)
    tenths, n_groups = scale_of(columns, name, scheme.scale, scheme.group)
    codes[each] = scale_triggers(given[each], tenths[each], n_groups[each])
    return codes


def scheme_problems(columns: Columns) -> NDArray[np.uint8]:
    """(n,) `SchemeProblem` of each packet: 0 where its compression makes sense."""
    problems = np.zeros(len(columns), dtype=np.uint8)
    seen = set()
    for scheme in _SCHEMES.get(columns.spid, {}).values():
        if (scheme.names, scheme.unsigned, scheme.signed) in seen:
            continue
        seen.add((scheme.names, scheme.unsigned, scheme.signed))
        s, k, m = _scheme_of(columns, scheme)
        problems |= np.where((s + k + m > 8) | (k > 7), np.uint8(SchemeProblem.IMPOSSIBLE), np.uint8(0))
        if scheme.signed:
            problems |= np.where(s == 0, np.uint8(SchemeProblem.NO_SIGN), np.uint8(0))
    return problems


def _scaled(
    scheme: _Scheme, s: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(n,) whether the codes are scaled, not compressed."""
    if scheme.scale is Scale.NONE:
        return np.zeros(len(s), dtype=bool)
    given: NDArray[np.bool_] = (s == SCALING[0]) & (k == SCALING[1]) & (m == SCALING[2])
    return given


def _scheme_of(
    columns: Columns, scheme: _Scheme
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """s, k and m of each packet, as the software that made it used them."""
    s, k, m = (columns.single(name).astype(np.int64) for name in scheme.names)
    software = columns.asw_version
    if scheme.before is not None and software is not None:
        old = (software > 0) & (software < _OWN_TRIGGER_SCHEME)
        if old.any():
            s, k, m = (
                np.where(old, columns.single(name), part)
                for name, part in zip(scheme.before, (s, k, m), strict=True)
            )
    if scheme.unsigned:
        own = s == 1
        if software is not None:
            own &= (software == 0) | (software >= _OWN_FLUX_SCHEME)
        s, k = np.where(own, 0, s), np.where(own, k + 1, k)
    return s, k, m
