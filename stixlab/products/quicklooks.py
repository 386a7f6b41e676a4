"""Level 1 of the quicklook data: codes to counts with their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Definitions
from stixlab.products.counts import to_counts, to_triggers
from stixlab.vocabulary import DatasetSpec

__all__ = [
    "QUICKLOOK_CONVERSIONS",
    "background",
    "flare_rows",
    "lightcurve",
    "spectra",
    "unchanged",
    "variance",
]

Arrays = dict[str, NDArray[Any]]
_ONE_GROUP = 1
"""Mask of one detector: it has one trigger accumulator, whichever it is."""


def lightcurve(arrays: Arrays, _spec: DatasetSpec, _definitions: Definitions) -> Arrays:
    """Counts and triggers of the light curve. See `background`."""
    return _summed(arrays, arrays["detector_mask"])


def background(arrays: Arrays, _spec: DatasetSpec, _definitions: Definitions) -> Arrays:
    """Counts and triggers of the background monitor.

    Parameters
    ----------
    arrays
        Of level 0, along time.

    Returns
    -------
    dict
        Of level 1.

    Raises
    ------
    CompressionError
        If a scheme needs more than 8 bits.
    """
    return _summed(arrays, np.full(len(arrays["time"]), _ONE_GROUP, dtype=np.uint32))


def _summed(arrays: Arrays, detector_mask: NDArray[np.uint32]) -> Arrays:
    """Codes of sums over detectors, (n,) masks of these, as counts and triggers with their errors."""
    arrays = dict(arrays)
    counts = to_counts(arrays.pop("counts_code"), arrays["counts_scheme"])
    triggers, triggers_error = to_triggers(
        arrays.pop("triggers_code"),
        arrays["triggers_scheme"],
        integration_time=arrays["integration_time"],
        detector_mask=detector_mask,
    )
    return arrays | {
        "counts": counts.values,
        "counts_error": counts.error,
        "counts_compression_error": counts.compression_error,
        "triggers": triggers,
        "triggers_error": triggers_error,
    }


def spectra(arrays: Arrays, _spec: DatasetSpec, _definitions: Definitions) -> Arrays:
    """Counts and triggers of the detectors; 0 where a detector was not received. See `background`."""
    arrays = dict(arrays)
    counts = to_counts(arrays.pop("counts_code"), arrays["counts_scheme"])
    codes, valid = arrays.pop("triggers_code"), arrays["counts_valid"]
    n = codes.shape[1]
    triggers, triggers_error = to_triggers(
        codes.reshape(-1),
        np.repeat(arrays["triggers_scheme"], n),
        integration_time=np.repeat(arrays["integration_time"], n),
        detector_mask=np.full(codes.size, _ONE_GROUP, dtype=np.uint32),
    )
    return arrays | {
        "counts": counts.values,
        "counts_error": counts.error,
        "counts_compression_error": counts.compression_error,
        # Scaled triggers of code 0 are not 0.
        "triggers": np.where(valid, triggers.reshape(codes.shape), np.uint32(0)),
        "triggers_error": np.where(valid, triggers_error.reshape(codes.shape), np.float32(0)),
    }


def variance(arrays: Arrays, _spec: DatasetSpec, _definitions: Definitions) -> Arrays:
    """Variance with the error of its compression. See `background`."""
    arrays = dict(arrays)
    found = to_counts(arrays.pop("variance_code"), arrays["variance_scheme"])
    return arrays | {"variance": found.values, "variance_error": found.compression_error}


def unchanged(arrays: Arrays, _spec: DatasetSpec, _definitions: Definitions) -> Arrays:
    """What is a plain number in the packet is one in level 1."""
    return arrays


def flare_rows(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.intp], Arrays]:
    """Lists of flares as rows, one for each flare: the form of the FITS files. An empty list is one row of zeros.

    Parameters
    ----------
    arrays
        Of the flare list, along time.

    Returns
    -------
    (n,)
        Time of each row.
    dict
        Arrays along the rows.
    """
    shown = arrays["flare_valid"].copy()
    shown[~shown.any(axis=1), 0] = True
    row, place = np.nonzero(shown)
    size = shown.shape
    return row, {
        name: values[row, place] if values.shape == size else values[row] for name, values in arrays.items()
    }


QUICKLOOK_CONVERSIONS: Mapping[str, Callable[[Arrays, DatasetSpec, Definitions], Arrays]] = MappingProxyType(
    {
        "ql-lightcurve": lightcurve,
        "ql-background": background,
        "ql-spectra": spectra,
        "ql-variance": variance,
        "ql-flareflag": unchanged,
        "ql-tmstatusflarelist": unchanged,
    }
)
"""By product type."""
