"""Codes to counts: decompression and trigger scaling through tables of 256 entries, with their errors."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.quicklook import pack_scheme, unpack_scheme
from stixlab.errors import CompressionError
from stixlab.instrument.detectors import active_trigger_groups
from stixlab.telemetry.compression import SCALING, decompress, unscale_triggers

__all__ = ["Counts", "to_counts", "to_triggers", "total_error"]

_LARGEST = np.iinfo(np.uint32).max
_PIECE = 65_536


class Counts(NamedTuple):
    """Counts with both errors, of the shape of the codes."""

    values: NDArray[np.uint32]
    error: NDArray[np.float32]
    """Standard deviation, compression and Poisson."""
    compression_error: NDArray[np.float32]
    """Standard deviation, compression only."""


@cache
def _table(scheme: int) -> Counts:
    """Values and errors of all 256 codes of a packed scheme."""
    s, k, m = unpack_scheme(scheme)
    possible = np.arange(256, dtype=np.uint8)
    while True:
        try:
            values, variance = decompress(possible, s, k, m)
            break
        except CompressionError:
            # Wide exponents have codes for numbers beyond 63 bits; a scheme that is none at all has no code.
            possible = possible[:-1]
            if not len(possible):
                raise
    # The accumulators on board have 32 bits and no sign: codes beyond are damaged data, and stay the nearest there is.
    counts = np.full(256, _LARGEST, dtype=np.uint32)
    counts[: len(values)] = np.clip(values, 0, _LARGEST)
    compression_error = np.full(256, np.sqrt(variance[-1]), dtype=np.float32)
    compression_error[: len(variance)] = np.sqrt(variance)
    return Counts(counts, total_error(counts, compression_error), compression_error)


def total_error(counts: NDArray[np.uint32], compression_error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of counts from compression and Poisson noise: sqrt(compression_error^2 + counts)."""
    return np.sqrt(compression_error.astype(np.float64) ** 2 + counts).astype(np.float32)


def to_counts(codes: NDArray[np.uint8], scheme: NDArray[np.uint8]) -> Counts:
    """Counts of compressed codes.

    Parameters
    ----------
    codes : (time, ...)
    scheme : (time,)
        Compression of each row as 100 s + 10 k + m.

    Returns
    -------
    Counts
        Of the shape of the codes. error = sqrt(compression variance + counts).

    Raises
    ------
    CompressionError
        If a scheme needs more than 8 bits.
    """
    if len(scheme) and scheme.min() == scheme.max():
        return _look_up(_table(int(scheme[0])), codes)
    shape = codes.shape
    found = Counts(np.zeros(shape, np.uint32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    for each in np.unique(scheme):
        rows = scheme == each
        for target, values in zip(found, _look_up(_table(int(each)), codes[rows]), strict=True):
            target[rows] = values
    return found


def _look_up(table: Counts, codes: NDArray[np.uint8]) -> Counts:
    """Entries of a table, piece by piece: the wide indices that numpy needs stay in the cache."""
    flat, shape = codes.reshape(-1), codes.shape
    found = Counts(np.empty(shape, np.uint32), np.empty(shape, np.float32), np.empty(shape, np.float32))
    for start in range(0, len(flat), _PIECE):
        index = flat[start : start + _PIECE].astype(np.intp)
        for target, column in zip(found, table, strict=True):
            np.take(column, index, out=target.reshape(-1)[start : start + _PIECE], mode="clip")
    return found


def to_triggers(
    codes: NDArray[np.uint8],
    scheme: NDArray[np.uint8],
    *,
    integration_time: NDArray[np.float32],
    detector_mask: NDArray[np.uint32],
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Triggers summed over the accumulators, decompressed or scaled as the scheme says.

    Parameters
    ----------
    codes : (time,)
    scheme : (time,)
        100 s + 10 k + m; 7 means scaled.
    integration_time : (time,), s
    detector_mask : (time,)
        Says how many accumulators are in the sum.

    Returns
    -------
    (time,), (time,)
        Triggers, and their standard deviation from compression or scaling alone.

    """
    decompressed = to_counts(codes, scheme)
    values, error = decompressed.values, decompressed.compression_error
    scaled = scheme == pack_scheme(*(np.array(n) for n in SCALING))
    if scaled.any():
        tenths = np.round(integration_time[scaled].astype(np.float64) * 10)
        exact, variance = unscale_triggers(
            codes[scaled], tenths, active_trigger_groups(detector_mask[scaled])
        )
        values[scaled] = np.minimum(exact, _LARGEST).astype(np.uint32)
        error[scaled] = np.sqrt(variance)
    return values, error
