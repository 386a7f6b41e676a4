"""Compression of counts to eight bits, as done on board: code to value and variance, and back.

A scheme is (s, k, m): bits of sign, exponent and mantissa (STIX-TN-0117). What a code stands for
is tabulated once for all 128 schemes. Triggers with (0, 0, 7) are not compressed but scaled
by an integration time: `unscale_triggers`, `scale_triggers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from stixlab.compiled import get_kernel, is_worth_calling
from stixlab.errors import CompressionError
from stixlab.telemetry.kernels import look_up_codes

__all__ = ["SCALING", "compress", "decompress", "largest_value", "scale_triggers", "unscale_triggers"]

SCALING = (0, 0, 7)
"""The scheme that means scaling where it is given for triggers."""
SCALING_FACTOR = 30
"""Counts of a trigger in 0.1 s of one trigger group that make one step; configured on board, not transmitted."""
_N_SCHEMES = 128
_LARGEST = 2**63 - 1
_IMPOSSIBLE = -(2**63)
_PIECE = 1 << 15


def _check_scheme(s: int, k: int, m: int) -> None:
    if not (0 <= s <= 1 and 0 <= k <= 7 and 0 <= m <= 7 and s + k + m <= 8):
        raise CompressionError(
            f"compression scheme: expected s in 0..1, k and m in 0..7 and at most 8 bits together; found ({s}, {k}, {m})",
            scheme=(s, k, m),
        )


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(128, 256) value and variance, by ``s * 64 + k * 8 + m`` and code; value -2**63 where none is possible.

    Values are integers in the middle of what the code stands for; half a count below the mean, so
    that the variance is ((2**e)**2 + 2) / 12 for inputs that are uniform over the 2**e integers.
    """
    code = np.arange(256, dtype=np.int64)
    scheme = np.arange(_N_SCHEMES, dtype=np.int64)[:, None]
    s, k, m = scheme >> 6, scheme >> 3 & 7, scheme & 7
    magnitude = np.where(s == 1, code & 0x7F, code)
    direct = magnitude < 2 << m
    shift = np.where(direct, 0, (magnitude >> m) - 1)
    fits = shift + m + 1 <= 62
    safe = np.where(fits, shift, 0)
    lowest = (magnitude & ((1 << m) - 1) | 1 << m) << safe
    value = np.where(direct, magnitude, lowest + (1 << np.maximum(safe - 1, 0)) - 1)
    value = np.where((s == 1) & (code >= 0x80), -value, value)
    possible = fits & (s + k + m <= 8)
    variance = np.where(direct, 0.0, (np.exp2(2.0 * safe) + 2) / 12)
    value = np.where(possible, value, _IMPOSSIBLE)
    return value.astype(np.int64), np.where(possible, variance, np.nan)


def _scheme_index(
    s: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64], *, strict: bool
) -> NDArray[np.int64]:
    """Row of each scheme in the tables; one that is impossible is an error, or row 127, which has no values."""
    wrong = (s < 0) | (s > 1) | (k < 0) | (k > 7) | (m < 0) | (m > 7) | (s + k + m > 8)
    if not wrong.any():
        return s * 64 + k * 8 + m
    if strict:
        i = int(np.flatnonzero(wrong)[0])
        _check_scheme(int(s[i]), int(k[i]), int(m[i]))
    return np.where(wrong, _N_SCHEMES - 1, s * 64 + k * 8 + m)


def decompress(
    codes: NDArray[np.uint8],
    s: ArrayLike,
    k: ArrayLike,
    m: ArrayLike,
    *,
    splits: NDArray[np.int64] | None = None,
    value_dtype: DTypeLike = np.int64,
    variance_dtype: DTypeLike = np.float64,
    strict: bool = True,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Value and variance of compressed counts.

    Parameters
    ----------
    codes : any shape; (n_codes,) with `splits`
    s, k, m : scalar or (n,)
        Scheme of all codes, or of each packet.
    splits : (n + 1,)
        Part of each packet in `codes`; needed when the scheme is given for each packet.
    value_dtype, variance_dtype
        Smaller ones save time and memory; a value that does not fit is an error.
    strict
        Whether what makes no sense is an error; if not, such codes have value 0 and variance NaN.

    Returns
    -------
    value : shape of codes, count
    variance : shape of codes, count**2
        Mean square error of the value for uniform inputs; 0 where the code is exact.

    Raises
    ------
    CompressionError
        If `strict`, and a scheme is impossible or a code stands for a number that does not fit.
    """
    parts = [np.atleast_1d(np.asarray(x)).astype(np.int64) for x in (s, k, m)]
    s, k, m = np.broadcast_arrays(*parts)
    scheme = np.atleast_1d(_scheme_index(s, k, m, strict=strict))
    used, which = np.unique(scheme, return_inverse=True)
    shape = np.shape(codes)
    flat = np.ascontiguousarray(codes, dtype=np.uint8).ravel()
    if len(used) == 0:
        used, which = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    if len(used) == 1:
        which, splits = np.zeros(1, dtype=np.int64), np.array([0, flat.size], dtype=np.int64)
    elif splits is None and scheme.shape != shape:
        raise CompressionError(
            f"decompress: expected one scheme, one for each code, or splits; found {len(scheme)} schemes for "
            f"{flat.size} codes"
        )
    parcels = _Parcels(flat, which.ravel().astype(np.int64), splits)
    values, variances = _tables_in_use(parcels, used, np.dtype(value_dtype), strict=strict)
    value, variance = _look_up(parcels, values, variances.astype(variance_dtype))
    return value.reshape(shape), variance.reshape(shape)


def _tables_in_use(
    parcels: _Parcels, used: NDArray[np.int64], dtype: np.dtype[Any], *, strict: bool
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values and variances of all codes of the schemes in use; what does not fit is an error, or 0 and NaN."""
    all_values, all_variances = _tables()
    values, variances = all_values[used].ravel(), all_variances[used].ravel()
    fits = _fits(values, dtype)
    if not fits.all() and strict:
        _check_occurring(parcels, fits, dtype, used)
    if not fits.all():
        values, variances = np.where(fits, values, 0), np.where(fits, variances, np.nan)
    return values.astype(dtype), variances


@dataclass(frozen=True)
class _Parcels:
    """Codes, each with the row of the table that holds for it."""

    codes: NDArray[np.uint8]
    rows: NDArray[np.int64]
    """For each part that the splits tell; for each code where there are none."""
    splits: NDArray[np.int64] | None

    def places(self) -> NDArray[np.integer[Any]]:
        """Index of each code in the rows of 256 entries, one behind the other."""
        if len(self.rows) == 1:
            return self.codes
        rows = self.rows if self.splits is None else np.repeat(self.rows, np.diff(self.splits))
        return rows * 256 + self.codes


def _fits(values: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.iinfo(np.int64)
    fits: NDArray[np.bool_] = (
        (values != _IMPOSSIBLE) & (values >= limits.min) & (values <= min(limits.max, _LARGEST))
    )
    return fits


def _check_occurring(
    parcels: _Parcels, fits: NDArray[np.bool_], dtype: np.dtype[Any], used: NDArray[np.int64]
) -> None:
    """Look whether a value that does not fit occurs."""
    occurs = np.bincount(parcels.places(), minlength=len(fits))[: len(fits)] > 0
    wrong = np.flatnonzero(occurs & ~fits)
    if len(wrong):
        u, code = int(used[wrong[0] // 256]), int(wrong[0] % 256)
        raise CompressionError(
            f"decompress: expected values that fit {dtype}; found code {code} under the scheme ({u >> 6}, {u >> 3 & 7}, "
            f"{u & 7}); is the scheme read from the same packet?",
            code=code,
            scheme=(u >> 6, u >> 3 & 7, u & 7),
        )


def _look_up(
    parcels: _Parcels, values: NDArray[Any], variances: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both tables looked up in one go: compiled, or piece by piece, so that indices stay in the cache."""
    n = parcels.codes.size
    value, variance = np.empty(n, dtype=values.dtype), np.empty(n, dtype=variances.dtype)
    kernel = get_kernel(look_up_codes) if is_worth_calling(n) else None
    if kernel is not None:
        rows, splits = parcels.rows, parcels.splits
        if splits is None:
            splits = np.arange(n + 1, dtype=np.int64)
        codes = parcels.codes.view()
        codes.flags.writeable = False  # one form of the argument, one compilation
        kernel(codes, np.ascontiguousarray(splits, dtype=np.int64), rows, values, variances, value, variance)
        return value, variance
    places = parcels.places()
    for start in range(0, n, _PIECE):
        part = slice(start, start + _PIECE)
        index = places[part].astype(np.intp)
        np.take(values, index, out=value[part], mode="clip")
        np.take(variances, index, out=variance[part], mode="clip")
    return value, variance


def largest_value(s: int, k: int, m: int) -> int:
    """Largest count that a scheme can carry.

    Raises
    ------
    CompressionError
        If the scheme is impossible.
    """
    _check_scheme(s, k, m)
    if k == 0:
        return int(2**m - 1)
    return ((2 << m) << ((1 << k) - 2)) - 1


def compress(
    values: ArrayLike, s: ArrayLike, k: ArrayLike, m: ArrayLike, *, splits: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Codes of counts, as the instrument computes them.

    Parameters
    ----------
    values : any shape, integers; (n_values,) with `splits`
    s, k, m : scalar or (n,)
        Bits of sign, exponent and mantissa for all values, or for each packet.
    splits : (n + 1,)
        Part of each packet in `values`; needed when the scheme is given for each packet.

    Raises
    ------
    CompressionError
        If a scheme is impossible, or a value is too large or negative without a sign bit.
    """
    value = np.asarray(values)
    if value.size and not np.issubdtype(value.dtype, np.integer):
        raise CompressionError(f"compress: expected integers; found {value.dtype}; round them first")
    value = value.astype(np.int64)
    schemes = np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(x)) for x in (s, k, m))), axis=-1)
    used, which = np.unique(schemes.reshape(-1, 3), axis=0, return_inverse=True)
    if len(used) == 0:
        return np.zeros(value.shape, dtype=np.uint8)
    if len(used) == 1:
        return _compress(value, *used[0].tolist())
    if splits is None or len(schemes) != len(splits) - 1:
        raise CompressionError(
            f"compress: expected one scheme, or one for each packet and splits; found {len(schemes)} schemes for "
            f"{0 if splits is None else len(splits) - 1} packets"
        )
    each = np.repeat(which.ravel(), np.diff(splits))
    codes = np.zeros(value.shape, dtype=np.uint8)
    for row, scheme in enumerate(used.tolist()):
        codes[each == row] = _compress(value[each == row], *scheme)
    return codes


def _compress(value: NDArray[np.int64], s: int, k: int, m: int) -> NDArray[np.uint8]:
    largest = largest_value(s, k, m)
    magnitude = np.abs(value)
    too_large = magnitude > min(largest, _LARGEST)
    negative = (value < 0) & (s == 0)
    if too_large.any() or negative.any():
        i = int(np.flatnonzero((too_large | negative).ravel())[0])
        raise CompressionError(
            f"compress: expected {'-' if s else ''}{largest if s else 0}..{largest} for the scheme ({s}, {k}, {m}); "
            f"found {int(value.ravel()[i])} at index {i}; use a scheme with a wider exponent{'' if s else ' or a sign'}",
            value=int(value.ravel()[i]),
            index=i,
        )
    shift = np.maximum(_bit_length(magnitude) - (m + 1), 0)
    mantissa = magnitude >> shift & ((1 << m) - 1)
    code = np.where(magnitude < 2 << m, magnitude, (shift + 1) << m | mantissa)
    codes: NDArray[np.uint8] = np.where(value < 0, code | 0x80, code).astype(np.uint8)
    return codes


def _bit_length(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of the highest bit, exact where logarithms of floats are not."""
    length = np.zeros(values.shape, dtype=np.int64)
    rest = values.copy()
    for step in (32, 16, 8, 4, 2, 1):
        high = rest >> step > 0
        length += np.where(high, step, 0)
        rest = np.where(high, rest >> step, rest)
    return length + (rest > 0)


def unscale_triggers(
    codes: NDArray[np.uint8],
    integration_tenths: ArrayLike,
    n_groups: ArrayLike,
    *,
    factor: int = SCALING_FACTOR,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Triggers that were scaled by the integration time instead of compressed.

    Parameters
    ----------
    codes : (n,)
    integration_tenths : scalar or (n,), 0.1 s
    n_groups : scalar or (n,)
        Trigger groups with at least one active detector; 1 where each group has its own number.
    factor
        Configured on board.

    Returns
    -------
    triggers : (n,), middle of the step
    variance : (n,), count**2
    """
    step = factor * np.asarray(integration_tenths, dtype=np.float64) * np.asarray(n_groups, dtype=np.float64)
    value = (codes.astype(np.float64) + 0.5) * step
    return value, np.broadcast_to((0.5 * step) ** 2, value.shape).copy()


def scale_triggers(
    triggers: ArrayLike,
    integration_tenths: ArrayLike,
    n_groups: ArrayLike,
    *,
    factor: int = SCALING_FACTOR,
) -> NDArray[np.uint8]:
    """Codes of triggers scaled by the integration time, as the instrument computes them.

    Parameters
    ----------
    triggers : (n,)
    integration_tenths : scalar or (n,), 0.1 s
    n_groups : scalar or (n,)
        As for `unscale_triggers`.
    factor
        Configured on board.

    Raises
    ------
    CompressionError
        If a trigger is negative or beyond 255 steps.
    """
    step = factor * np.asarray(integration_tenths).astype(np.int64) * np.asarray(n_groups).astype(np.int64)
    value = np.asarray(triggers).astype(np.int64)
    code = value // np.maximum(step, 1)
    wrong = (code < 0) | (code > 255)
    if wrong.any():
        i = int(np.flatnonzero(wrong.ravel())[0])
        raise CompressionError(
            f"scale triggers: expected 0 to 255 steps; found {int(code.ravel()[i])} at index {i}; is the integration "
            "time in 0.1 s?",
            index=i,
        )
    return code.astype(np.uint8)
