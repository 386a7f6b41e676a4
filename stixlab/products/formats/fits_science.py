"""Science requests of other makers' FITS files: pixel data and spectrograms, of L1 (stixcore) and L1A (STIX-SWF)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import pack_scheme
from stixlab.datasets.requests import N_ACCUMULATORS, edge_mask
from stixlab.errors import FormatError
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_word
from stixlab.instrument.energy_channels import band_centres
from stixlab.products.counts import total_error
from stixlab.products.energy import by_channel_table
from stixlab.products.formats.fits_bins import (
    begin_of,
    bin_times,
    control_rows,
    energy_bounds,
    on_board,
    whole_numbers,
)
from stixlab.products.formats.fits_lightcurve import COUNTS_ERRORS, TRIGGERS_ERRORS
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.products.science import livetime_arrays
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable
from stixlab.vocabulary import DatasetSpec

__all__ = ["read_request"]

_Arrays = dict[str, NDArray[Any]]
_LARGEST = np.iinfo(np.uint32).max
_N_CHANNELS = 32
_TRIGGER_SCHEMES = ("compression_scheme_triggers_skm", "compression_scheme_trig_skm")
_DETECTOR_MASKS, _PIXEL_MASKS = ("detector_masks", "detector_mask"), ("pixel_masks", "pixel_mask")
_ALONG_SUMS = 3
"""Dimensions of a column of masks with a row of pixels for each sum."""


def read_request(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> tuple[_Arrays, dict[str, Any]]:
    """Arrays of pixel data or a spectrogram by variable, bins as in the file, and attributes.

    Parameters
    ----------
    spec
        Of the product.
    file
        With CONTROL, DATA and ENERGIES.
    clock
        For files whose begin is an on-board time.

    Raises
    ------
    FormatError
        Naming the table, column or keyword that is missing or does not fit.
    """
    control, data = file.control, file.data
    declared = {f.name for f in spec.fields}
    time, bounds, length = bin_times(data, begin_of(file, clock))
    row = control_rows(file)
    picked: tuple[Any, ...]
    arrays: _Arrays = {"time": time, "time_bounds": bounds}
    arrays["integration_time"] = (np.rint(length.astype(np.int64) / 1e8) / 10).astype(np.float32)
    stamp = int(np.rint(float(control["time_stamp"].reshape(-1)[0]) * FINE_PER_SECOND))
    arrays |= _on_board(file, stamp, bounds[:, 0])
    energies, bands = _energies(file)
    n_energies = len(energies["energy"])
    arrays["counts_valid"] = np.ones((len(time), n_energies), dtype=bool)
    arrays["energy_edge_mask"] = np.full(
        len(time), edge_mask(energies["channel_low"], energies["channel_high"]), dtype=np.uint64
    )
    arrays["rate_control_state"] = _along(file, ("rcr",), row).reshape(-1).astype(np.uint8)
    arrays["detector_mask"] = mask_word(_masks(file, _DETECTOR_MASKS, row, N_DETECTORS)).astype(np.uint32)
    pixels = _masks(file, _PIXEL_MASKS, row, N_PIXELS)
    if "pixel" in declared:
        axes, sets, slots = _pixel_axis(pixels, data["counts"].shape, file.name)
        arrays["pixel_sets"] = sets
        arrays["pixel_mask"] = np.bitwise_or.reduce(sets, axis=1).astype(np.uint16)
        energies |= axes
        picked = (*slots, bands)
    else:
        picked = (slice(None), bands)
        arrays["pixel_mask"] = mask_word(pixels).astype(np.uint16)
    arrays |= _counts(spec, data, picked)
    arrays |= _schemes(declared, control, row)
    shifted = spec.product == "sci-xray-spec"
    arrays, is_shifted = livetime_arrays(arrays, may_be_shifted=shifted)
    arrays = {n: v for n, v in arrays.items() if n in declared}
    return arrays | energies, _attrs(file, arrays, stamp, shifted=is_shifted)


def _attrs(file: FitsFile, arrays: _Arrays, stamp: int, *, shifted: bool) -> dict[str, Any]:
    control = file.control
    table, _ = next(by_channel_table(arrays["time"][:1]))
    numbers = {
        "request_id": "request_id",
        "tc_packet_id": "tc_packet_id_ref",
        "tc_sequence": "tc_packet_seq_control",
    }
    attrs: dict[str, Any] = {
        name: int(control[column].reshape(-1)[0]) for name, column in numbers.items() if column in control
    }
    # Incomplete files of others have a U behind their version.
    version = str(file.header.get("FILENAME", "")).split("_V")[-1].split("_")[0]
    return attrs | {
        "complete": int("U" not in version.upper().removesuffix(".FITS")),
        "time_stamp_scet": stamp / FINE_PER_SECOND,
        "time_bin_shift": int(shifted),
        "known_faults": "counts belong to the times of the bin before" if shifted else "",
        "energy_channels": table.name,
    }


def _on_board(file: FitsFile, stamp: int, start: NDArray[np.datetime64]) -> _Arrays:
    """On-board times of the bins: they follow the time stamp in whole tenths of a second."""
    text = str(file.header.get("OBT_BEG", ""))
    coarse, _, fine = text.partition(":")
    try:
        first = int(coarse) + int(fine) / FINE_PER_SECOND if fine else float(text)
    except ValueError:
        raise FormatError(
            f"{file.name}: expected OBT_BEG in seconds or as coarse:fine; found {text!r}"
        ) from None
    since = (start - start.min()).astype(np.int64) / 1e8
    tenths = np.rint((first - stamp / FINE_PER_SECOND) * 10 + since).astype(np.int64)
    ticks = stamp + (tenths * FINE_PER_SECOND + 5) // 10
    if (ticks < 0).any() or (ticks >= 1 << 48).any():
        raise FormatError(f"{file.name}: expected OBT_BEG near CONTROL.time_stamp; found {text!r}")
    return on_board(ticks)


def _energies(file: FitsFile) -> tuple[_Arrays, NDArray[np.intp]]:
    """Energy axis, and which energies of the columns are on it: those that were asked for."""
    table = file.table("ENERGIES")
    bounds = energy_bounds(table)
    low, top = _channels(file.control, len(bounds))
    chosen = np.arange(len(bounds))
    if len(low) != len(bounds):
        if len(bounds) != _N_CHANNELS or (low != top).any():
            raise FormatError(
                f"{file.name}: expected as many rows in ENERGIES as the energy mask of CONTROL has bands, {len(low)}; found"
                f" {len(bounds)}"
            )
        chosen = low
    bounds = bounds[chosen]
    return {
        "channel_low": low.astype(np.uint8),
        "channel_high": top.astype(np.uint8),
        "energy": band_centres(bounds),
        "energy_bounds": bounds,
    }, chosen


def _channels(control: FitsTable, n_energies: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Lowest and highest channel of each band, by the mask of edges or of channels."""
    column = control.one_of(("energy_bin_edge_mask", "energy_bin_mask"))
    mask = control[column].reshape(len(control), -1)
    if (mask != mask[0]).any() or not mask.any():
        raise FormatError(
            f"{control.file_name}: expected one energy mask in CONTROL.{column}, not empty; found others"
        )
    set_bits = np.flatnonzero(mask[0])
    if column == "energy_bin_mask":
        return set_bits, set_bits
    low, high = set_bits[:-1], set_bits[1:] - 1
    if len(low) != n_energies and n_energies == _N_CHANNELS:
        # All channels are in the file, whatever was asked for: single ones between the outermost edges.
        low = high = np.arange(set_bits[0], set_bits[-1])
    return low, high


def _along(file: FitsFile, columns: tuple[str, ...], row: NDArray[np.int64]) -> NDArray[Any]:
    """A column of DATA, or one of CONTROL for each row of DATA."""
    for table, rows in ((file.data, slice(None)), (file.control, row)):
        column = table.first_of(columns)
        if column is not None:
            return np.asarray(table[column][rows])
    raise FormatError(
        f"{file.name}: expected a column {' or '.join(columns)} in DATA or CONTROL; found neither"
    )


def _masks(file: FitsFile, columns: tuple[str, ...], row: NDArray[np.int64], n_bits: int) -> NDArray[Any]:
    found = _along(file, columns, row)
    if found.ndim < 2 or found.shape[-1] != n_bits:
        raise FormatError(
            f"{file.name}: expected {n_bits} numbers in a row of {columns[0]}; found shape {found.shape}"
        )
    return found


def _pixel_axis(
    masks: NDArray[Any], shape: tuple[int, ...], name: str
) -> tuple[_Arrays, NDArray[np.uint16], tuple[slice, slice, NDArray[np.intp]]]:
    """Pixels or sums of pixels of the counts; their masks at each time; their places in the column."""
    if len(shape) != 4 or shape[1] != N_DETECTORS:
        raise FormatError(f"{name}: expected DATA.counts of (time, 32, pixel, energy); found shape {shape}")
    axes: _Arrays = {
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "accumulator": np.arange(N_ACCUMULATORS, dtype=np.uint8),
    }
    if masks.ndim == _ALONG_SUMS:
        sets = mask_word(masks).astype(np.uint16)
        first = masks[0]
        single = (masks.sum(axis=2) <= 1).all() and (masks == first).all()
        number = first.argmax(axis=1) if single else np.arange(sets.shape[1])
        used = np.flatnonzero((sets > 0).any(axis=0))
        place, sets = used, sets[:, used]
        number = number[used]
    else:
        number = np.flatnonzero(masks.any(axis=0))
        # Columns of 12 have all pixels, shorter ones those of the mask.
        place = number if shape[2] == N_PIXELS else np.arange(len(number))
        sets = np.where(masks[:, number] != 0, 1 << number, 0).astype(np.uint16)
    if not len(place) or place.max() >= shape[2]:
        raise FormatError(
            f"{name}: expected the pixels that DATA.pixel_masks names, {len(place)}, in DATA.counts; found shape {shape}"
        )
    return axes | {"pixel": number.astype(np.uint8)}, sets, (slice(None), slice(None), place)


def _counts(spec: DatasetSpec, data: FitsTable, place: tuple[Any, ...]) -> _Arrays:
    """Counts and triggers with their errors; `place`: where in a column the counts stand that were asked for."""

    def picked(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values[place[:-1]][..., place[-1]])

    declared = {f.name for f in spec.fields}
    arrays: _Arrays = {
        "counts": picked(whole_numbers(data, "counts", _LARGEST)).astype(np.uint32),
        "triggers": whole_numbers(data, "triggers", _LARGEST).astype(np.uint32),
    }
    errors = (("counts_compression_error", COUNTS_ERRORS), ("triggers_error", TRIGGERS_ERRORS))
    for field, columns in errors:
        if field not in declared:
            continue
        values = data[data.one_of(columns)]
        arrays[field] = (picked(values) if field.startswith("counts") else values).astype(np.float32)
    if "counts_compression_error" in arrays:
        arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
    else:
        arrays["counts_error"] = np.sqrt(arrays["counts"], dtype=np.float32)
    for each in ("triggers", "triggers_error"):
        if each in arrays:
            values = arrays[each]
            arrays[each] = values.reshape(len(values), *[N_ACCUMULATORS][: len(spec["triggers"].dims) - 1])
    return arrays


def _schemes(declared: set[str], control: FitsTable, row: NDArray[np.int64]) -> _Arrays:
    found: _Arrays = {}
    for field, columns in (
        ("counts_scheme", ("compression_scheme_counts_skm",)),
        ("triggers_scheme", _TRIGGER_SCHEMES),
    ):
        if field in declared:
            column = control.first_of(columns)
            if column is None:
                raise FormatError(
                    f"{control.file_name}: expected a column {columns[0]} in CONTROL; found none"
                )
            skm = control[column]
            found[field] = pack_scheme(skm[:, 0], skm[:, 1], skm[:, 2])[row].astype(np.uint8)
    return found
