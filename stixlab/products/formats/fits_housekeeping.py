"""Housekeeping and calibration spectra of other makers' FITS files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.calibration_fields import N_CHANNELS
from stixlab.datasets.construction import scet_key
from stixlab.errors import FormatError
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_bits
from stixlab.products.counts import total_error
from stixlab.products.formats.fits_bins import begin_of, bin_times, control_rows, whole_numbers
from stixlab.products.formats.fits_layout import FITS_UNITS
from stixlab.products.formats.fits_lightcurve import COUNTS_ERRORS, settings_of_rows
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["read_calibration", "read_housekeeping"]

_Arrays = dict[str, NDArray[Any]]
_OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {"asw": "application", "susw": "start_up", "ssw": "start_up"}
)
"""Words of files of others for states that the dataset calls otherwise."""
_SUBSPECTRA = ("subspec_num_points", "subspec_num_summed_channel", "subspec_lowest_channel")
_TENTHS = 10


def read_housekeeping(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> tuple[_Arrays, dict[str, Any]]:
    """Arrays of a housekeeping report, a time for each packet; states are numbers again.

    Raises
    ------
    FormatError
        Naming the column that is missing, or the state that is not known.
    """
    control, data = file.control, file.data
    time, _, _ = bin_times(data, begin_of(file, clock))
    row = control_rows(file)
    arrays: _Arrays = {
        "time": time,
        "time_bounds": np.repeat(time[:, None], 2, axis=1),
        "scet_coarse": control["scet_coarse"].astype(np.uint32)[row],
        "scet_fine": control["scet_fine"].astype(np.uint16)[row],
    }
    for field in spec.fields:
        if field.fits_name:
            arrays[field.name] = _values(field, data)
    return arrays, {}


def _values(field: Field, data: FitsTable) -> NDArray[Any]:
    values = data[field.fits_name].reshape(-1)
    if "flag_values" in field.attrs and values.dtype.kind in "SUb":
        return _states(field, values, data.file_name)
    try:
        _, offset = FITS_UNITS.get(field.units, ("", 0.0))
        return np.asarray(values.astype(np.float64) - offset).astype(field.dtype)
    except ValueError as error:
        raise FormatError(f"{data.file_name}: expected numbers in DATA.{field.fits_name}; {error}") from None


def _states(field: Field, values: NDArray[Any], name: str) -> NDArray[Any]:
    """Numbers of states given as words or as true and false."""
    known = dict(zip(field.attrs["flag_meanings"].split(), field.attrs["flag_values"].tolist(), strict=True))
    texts, index = np.unique(values, return_inverse=True)
    words = [re.sub(r"[^a-z0-9]+", "_", str(t).lower()).strip("_") for t in texts.tolist()]
    words = [_OTHER_WORDS.get(w, w) for w in words]
    unknown = [w for w in words if w not in known]
    if unknown:
        raise FormatError(
            f"{name}: expected in DATA.{field.fits_name} one of {', '.join(known)}; found {', '.join(unknown)}"
        )
    return np.array([known[w] for w in words], dtype=field.dtype)[index.reshape(-1)]


def read_calibration(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> tuple[_Arrays, dict[str, Any]]:
    """Arrays of energy calibration spectra of level 1, of which counts stand on all 1024 channels.

    Raises
    ------
    FormatError
        Naming the column that is missing or does not fit.

    Notes
    -----
    The duration is that of CONTROL: DATA has it in whole units. In early files it is a tenth of what it was: the live
    time is longer; it is put right. A run that was sent in several reports stands once, with the shortest of their
    durations: see `stixlab.datasets.calibration_spectra`.
    """
    control, data = file.control, file.data
    counts = whole_numbers(data, "counts", np.iinfo(np.uint32).max)
    if counts.shape[1:] != (N_DETECTORS, N_PIXELS, N_CHANNELS):
        raise FormatError(
            f"{file.name}: expected DATA.counts of (time, 32, 12, {N_CHANNELS}); found shape {counts.shape}"
        )
    column = data.one_of(COUNTS_ERRORS)
    row = control_rows(file)
    _, bounds, _ = bin_times(data, begin_of(file, clock))
    live = control.nanoseconds("live_time").reshape(-1)[row]
    length = control.nanoseconds("integration_time").reshape(-1)[row]
    seconds = np.rint(length / 1e9 * np.where(live > length, _TENTHS, 1))
    stop = bounds[:, 0] + (seconds * 1e9).astype("timedelta64[ns]")
    arrays = settings_of_rows(spec, control, row)
    middle = bounds[:, 0] + (stop - bounds[:, 0]) // 2
    part = _subspectra(control)
    valid = (part > 0) & mask_bits(arrays["detector_mask"], N_DETECTORS).astype(bool)[:, :, None, None]
    valid = valid & mask_bits(arrays["pixel_mask"], N_PIXELS).astype(bool)[:, None, :, None]
    edges = np.arange(N_CHANNELS + 1, dtype=np.float64)
    arrays |= {
        "time": middle,
        "time_bounds": np.stack([bounds[:, 0], stop], axis=1),
        "scet_coarse": control["scet_coarse"].astype(np.uint32)[row],
        "scet_fine": control["scet_fine"].astype(np.uint16)[row],
        "integration_time": seconds.astype(np.float32),
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "pixel": np.arange(N_PIXELS, dtype=np.uint8),
        "channel": edges[:-1] + 0.5,
        "channel_bounds": np.column_stack([edges[:-1], edges[1:]]),
        "subspectrum": np.maximum(part, 1).astype(np.uint8),
        "counts": counts.astype(np.uint32),
        "counts_compression_error": data[column].astype(np.float32),
        "counts_valid": valid,
        "quiet_time": control.nanoseconds("quiet_time").reshape(-1)[row] / 1e9,
        "live_time": live / 1e9,
        "temperature": (control["average_temperature"].reshape(-1)[row] - FITS_UNITS["deg_C"][1]).astype(
            np.float32
        ),
    }
    arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
    return _shortest(spec, arrays), {}


def _shortest(spec: DatasetSpec, arrays: _Arrays) -> _Arrays:
    """Runs each once: of those with the same on-board time the shortest."""
    key = scet_key(arrays)
    order = np.lexsort((arrays["integration_time"], key))
    order = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
    along = {f.name for f in spec.fields if f.dims[0] == "time"}
    return {n: v[order] if n in along else v for n, v in arrays.items()}


def _subspectra(control: FitsTable) -> NDArray[np.int64]:
    """(channel,) number of the sub-spectrum that each channel belongs to, from 1; 0: none was sent."""
    points, summed, lowest = (control[c].astype(np.int64) for c in _SUBSPECTRA)
    sent = control["subspectrum_mask"].astype(bool)
    if any((v != v[0]).any() for v in (points, summed, lowest, sent)):
        raise FormatError(
            f"{control.file_name}: expected the same sub-spectra in all rows of CONTROL; found several"
        )
    channel = np.arange(N_CHANNELS)[:, None]
    inside = sent[0] & (channel >= lowest[0]) & (channel < lowest[0] + points[0] * summed[0])
    return np.where(inside.any(axis=1), inside.argmax(axis=1) + 1, 0)
