"""Variance, detector spectra, flare flags and flare lists of other makers' FITS files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.instrument.energy_channels import band_centres, energy_edges
from stixlab.products.counts import total_error
from stixlab.products.formats.fits_bins import (
    begin_of,
    bin_times,
    binned,
    control_rows,
    on_board,
    whole_numbers,
)
from stixlab.products.formats.fits_lightcurve import TRIGGERS_ERRORS, settings_of_rows
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable
from stixlab.vocabulary import DatasetSpec

__all__ = ["read_flare_flag", "read_flare_list", "read_spectra", "read_variance"]

_Arrays = dict[str, NDArray[Any]]
_Found = tuple[_Arrays, dict[str, Any]]
_LARGEST = np.iinfo(np.uint32).max
_VARIANCE_ERRORS, _SPECTRA_ERRORS = ("variance_comp_err", "variance_err"), ("spectra_comp_err", "spectra_err")


def _errors(data: FitsTable, columns: tuple[str, ...]) -> NDArray[np.float32]:
    return data[data.one_of(columns)].astype(np.float32)


def read_variance(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> _Found:
    """Arrays of the variance, bins as in the file.

    Raises
    ------
    FormatError
        Naming what is missing or does not fit; also if the band changes within the file.

    Notes
    -----
    Files of others have the mask of channels from its other end: channel 0 is the last; see
    `stixlab.datasets.variance`.
    """
    control, data = file.control, file.data
    arrays, row = binned(file, clock)
    arrays |= settings_of_rows(spec, control, row)
    masks = control["energy_bin_mask"].astype(bool)[:, ::-1]
    if not len(masks) or (masks != masks[0]).any() or not masks[0].any():
        raise FormatError(
            f"{file.name}: expected one energy mask in CONTROL.energy_bin_mask, not empty; found others"
        )
    channels = np.flatnonzero(masks[0])
    arrays["energy_mask"] = np.full(len(row), sum(1 << c for c in channels.tolist()), dtype=np.uint32)
    edges = energy_edges(arrays["time"][0])
    bounds = np.array([[edges[channels[0]], edges[channels[-1] + 1]]])
    in_data = "samples_per_variance" in data
    samples = data["samples_per_variance"] if in_data else control["samples_per_variance"][row]
    return arrays | {
        "samples_per_variance": samples.reshape(-1).astype(np.uint8),
        "variance": whole_numbers(data, "variance", _LARGEST).reshape(-1, 1).astype(np.uint32),
        "variance_error": _errors(data, _VARIANCE_ERRORS).reshape(-1, 1),
        "energy": band_centres(bounds),
        "energy_bounds": bounds,
    }, {}


def read_flare_flag(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> _Found:
    """Arrays of the flare flag, bins as in the file. See `read_variance`."""
    data = file.data
    arrays, row = binned(file, clock)
    sent = "flare_progress" in data
    for field in spec.fields:
        if field.fits_name and (sent or field.fits_name != "flare_progress"):
            arrays[field.name] = data[field.fits_name].reshape(-1).astype(field.dtype)
    if not sent:
        arrays["flare_in_progress"] = np.zeros(len(row), dtype=np.uint8)
    return arrays | {"flare_in_progress_valid": np.full(len(row), sent)}, {}


def read_flare_list(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> _Found:
    """Arrays of the list of flares: a row of the file for each flare, or one of zeros for none. See `read_variance`."""
    from stixlab.datasets.onboard_flares import N_LISTED

    control, data = file.control, file.data
    utc, _, _ = bin_times(data, begin_of(file, clock))
    row = control_rows(file)
    _, first, index = np.unique(row, return_index=True, return_inverse=True)
    # Rows of one list need not stand together: each takes the next place of its list.
    order = np.argsort(index, kind="stable")
    place = np.empty(len(row), dtype=np.int64)
    sorted_index = index[order]
    place[order] = np.arange(len(row)) - np.searchsorted(sorted_index, sorted_index)
    listed = data["start_scet_coarse"].reshape(-1) > 0
    if len(place) and place.max() >= N_LISTED:
        raise FormatError(
            f"{file.name}: expected at most {N_LISTED} flares in a list; found {place.max() + 1}"
        )
    time = utc[first]
    valid = np.zeros((len(time), N_LISTED), dtype=bool)
    valid[index[listed], place[listed]] = True
    arrays: _Arrays = {
        "time": time,
        "time_bounds": np.repeat(time[:, None], 2, axis=1),
        "scet_coarse": control["scet_coarse"].astype(np.uint32)[row[first]],
        "scet_fine": control["scet_fine"].astype(np.uint16)[row[first]],
        "flare": np.arange(1, N_LISTED + 1, dtype=np.uint8),
        "n_flares": valid.sum(axis=1).astype(np.uint8),
        "flare_valid": valid,
    }
    for field in spec.fields:
        if not field.fits_name:
            continue
        values = data[field.fits_name].reshape(-1)
        if "flare" in field.dims:
            arrays[field.name] = np.zeros(valid.shape, dtype=field.dtype)
            arrays[field.name][index[listed], place[listed]] = values[listed]
        else:
            arrays[field.name] = values[first].astype(field.dtype)
    for end in ("start", "end"):
        arrays[f"flare_{end}"] = np.asarray(clock.to_utc(arrays[f"flare_{end}_scet"]), dtype="datetime64[ns]")
    return arrays, {}


def read_spectra(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> _Found:
    """Arrays of the detector spectra, each at its detector and its own time. See `read_variance`.

    Notes
    -----
    A row of the file is 32 samples in the order of the packets, of detectors of one time and of the next; how far
    each is behind the first, ``num_integrations`` says. Where that runs back within a row, the row has samples of
    another packet, whose time the file does not tell: these rows are left out, ``rows_left_out`` counts them.
    """
    control, data = file.control, file.data
    begin = begin_of(file, clock)
    _, bounds, length = bin_times(data, begin)
    # Files of others have one row of settings, and numbers of rows that are not there.
    row = np.zeros(len(data), dtype=np.int64) if len(control) == 1 else control_rows(file)
    passed, detector, kept = _samples(data)
    later = (passed - passed[:, :1]) * length[:, None]
    start = (bounds[:, :1] + later)[kept]
    times, group = _groups(start, length[0])
    lasts, detector = np.repeat(length[kept], N_DETECTORS), detector[kept].ravel()
    first = np.unique(group, return_index=True)[1]
    settings = {
        n: v[kept].repeat(N_DETECTORS)[first] for n, v in settings_of_rows(spec, control, row).items()
    }
    tenths = np.rint(lasts[first].astype(np.int64) / 1e8)
    shape = (len(times), N_DETECTORS)

    def placed(values: NDArray[Any], dtype: str) -> NDArray[Any]:
        values = values[kept].reshape(len(detector), -1)
        found = np.zeros((*shape, values.shape[1]), dtype=dtype)
        found[group, detector] = values
        return found

    stop = times + lasts[first]
    edges = energy_edges(times[0])
    energy_bounds = np.column_stack([edges[:-1], edges[1:]])
    arrays = settings | {
        "time": times + (stop - times) // 2,
        "time_bounds": np.stack([times, stop], axis=1),
        **on_board(_ticks(file, begin, times)),
        "integration_time": (tenths / 10).astype(np.float32),
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "counts": placed(whole_numbers(data, "spectra", _LARGEST), "uint32"),
        "counts_compression_error": placed(_errors(data, _SPECTRA_ERRORS), "float32"),
        "triggers": placed(whole_numbers(data, "triggers", _LARGEST), "uint32")[..., 0],
        "triggers_error": placed(_errors(data, TRIGGERS_ERRORS), "float32")[..., 0],
        "counts_valid": placed(np.ones(passed.shape, dtype=bool), "bool")[..., 0],
        "energy": band_centres(energy_bounds),
        "energy_bounds": energy_bounds,
    }
    arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
    return arrays, {"rows_left_out": int((~kept).sum())}


def _samples(data: FitsTable) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Integrations passed and detector of each sample, (row, 32), and which rows are of one packet."""
    passed = data["num_integrations"].astype(np.int64)
    detector = data["detector_index"].astype(np.int64)
    if passed.shape != (len(data), N_DETECTORS) or detector.shape != passed.shape:
        raise FormatError(
            f"{data.file_name}: expected 32 numbers in a row of DATA.num_integrations; found {passed.shape}"
        )
    if (detector < 0).any() or (detector >= N_DETECTORS).any():
        raise FormatError(
            f"{data.file_name}: expected detectors from 0 to 31 in DATA.detector_index; others are there"
        )
    kept: NDArray[np.bool_] = np.asarray((np.diff(passed, axis=1) >= 0).all(axis=1))
    if not kept.any():
        raise FormatError(
            f"{data.file_name}: expected DATA.num_integrations that rise within a row; found none"
        )
    return passed, detector, kept


def _groups(
    start: NDArray[np.datetime64], length: np.timedelta64
) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    """Times that are apart by half a bin at least, and which of them each sample has."""
    flat = start.ravel()
    order = np.argsort(flat, kind="stable")
    number = np.concatenate([[0], np.cumsum(np.diff(flat[order]) > length // 2)])
    group = np.empty(len(flat), dtype=np.int64)
    group[order] = number
    return flat[order][np.unique(number, return_index=True)[1]], group


def _ticks(file: FitsFile, begin: np.datetime64, start: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """On-board times, from that of the begin of the file."""
    try:
        first = round(float(file.header["OBT_BEG"]) * FINE_PER_SECOND)
    except (KeyError, ValueError):
        raise FormatError(
            f"{file.name}: expected OBT_BEG in seconds; found {file.header.get('OBT_BEG')!r}"
        ) from None
    return first + np.rint((start - begin).astype(np.int64) / 1e9 * FINE_PER_SECOND).astype(np.int64)
