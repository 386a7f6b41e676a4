"""Level 1 of energy calibration runs: counts of each pixel with their errors, times in seconds, the temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.engineering.calibration import to_physical
from stixlab.idb import Definitions
from stixlab.products.counts import to_counts
from stixlab.vocabulary import DatasetSpec

__all__ = ["calibration_runs"]

_QUIET_TICK_S, _MS = 1 / 65536, 1e-3


def calibration_runs(
    arrays: dict[str, NDArray[Any]], spec: DatasetSpec, definitions: Definitions
) -> dict[str, NDArray[Any]]:
    """Arrays of level 1.

    Parameters
    ----------
    arrays
        Of level 0, along time.
    spec
        Of level 1.
    definitions
        With the curve of the temperature.

    Returns
    -------
    dict
        Counts are 0 where they were not received.

    Raises
    ------
    CompressionError
        If a scheme needs more than 8 bits.
    """
    arrays = dict(arrays)
    counts = to_counts(arrays.pop("counts_code"), arrays["counts_scheme"])
    temperature, _ = to_physical(spec["temperature"].source_parameter, arrays["temperature"], definitions)
    return arrays | {
        "counts": counts.values,
        "counts_error": counts.error,
        "counts_compression_error": counts.compression_error,
        "quiet_time": arrays["quiet_time"] * _QUIET_TICK_S,
        "live_time": arrays["live_time"] * _MS,
        "temperature": np.asarray(temperature, dtype=np.float32),
    }
