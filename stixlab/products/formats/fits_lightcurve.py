"""Quicklook light curves and background of other makers' FITS files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.instrument.energy_channels import band_bounds, band_centres, energy_edges
from stixlab.products.counts import to_counts, to_triggers, total_error
from stixlab.products.formats.fits_bins import binned, energy_bounds, whole_numbers
from stixlab.products.formats.fits_layout import control_columns
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.timing import ClockTable
from stixlab.vocabulary import DatasetSpec

__all__ = ["COUNTS_ERRORS", "TRIGGERS_ERRORS", "read_lightcurve", "settings_of_rows"]

COUNTS_ERRORS = ("counts_comp_err", "counts_err")
"""Both names stand for the compression error alone."""
TRIGGERS_ERRORS = ("triggers_comp_err", "triggers_err")
_LARGEST = np.iinfo(np.uint32).max


def read_lightcurve(
    spec: DatasetSpec, file: FitsFile, clock: ClockTable
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays of a light curve or the background by variable, bins as in the file, and attributes.

    Parameters
    ----------
    spec
        Which of the two.
    file
        With CONTROL and DATA at least.
    clock
        For the on-board times of packets that are cut, and for files that have no UTC.

    Raises
    ------
    FormatError
        Naming the table, column or keyword that is missing or does not fit.
    """
    header, data = file.header, file.data
    arrays, row = binned(file, clock)
    arrays |= settings_of_rows(spec, file.control, row)
    if str(header.get("TIMESYS", "UTC")).strip() == "OBT":
        # The file has no UTC: that of each bin follows from its on-board time.
        length = np.diff(arrays["time_bounds"], axis=1)[:, 0]
        start = np.asarray(clock.to_utc(arrays["scet_coarse"], arrays["scet_fine"]), dtype="datetime64[ns]")
        arrays["time"], arrays["time_bounds"] = start + length // 2, np.stack([start, start + length], axis=1)
    codes = _read_counts(data, arrays)
    if "rcr" in {f.fits_name for f in spec.fields}:
        arrays["rate_control_state"] = (
            whole_numbers(data, "rcr", np.iinfo(np.uint8).max).reshape(-1).astype(np.uint8)
        )
    bands = _energy_bounds(file, arrays)
    if len(bands) != arrays["counts"].shape[1]:
        raise FormatError(
            f"{file.name}: expected as many energies as DATA.counts has, {arrays['counts'].shape[1]}; found {len(bands)}"
        )
    arrays |= {"energy": band_centres(bands), "energy_bounds": bands}
    kind = f"{str(header.get('LEVEL', '')).strip()} of {str(header.get('CREATOR', 'unknown')).strip()}"
    return arrays, {"dialect": f"{kind} (codes)"} if codes else {}


def settings_of_rows(
    spec: DatasetSpec, control: FitsTable, row: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Settings that stand in CONTROL as rows of small integers, for each row of DATA.

    Raises
    ------
    FormatError
        If a column is missing, or its rows have another length.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for each in control_columns(spec):
        values = control[each.column]
        if values.ndim != 2 or values.shape[1] != each.length:
            raise FormatError(
                f"{control.file_name}: expected {each.length} numbers in a row of CONTROL.{each.column}; found shape {values.shape}"
            )
        arrays[each.field] = each.from_rows(values, spec[each.field].dtype)[row]
    return arrays


def _read_counts(data: FitsTable, arrays: dict[str, NDArray[Any]]) -> bool:
    """Counts and triggers with their errors, into `arrays`; whether the file holds codes."""
    counts = whole_numbers(data, "counts", _LARGEST)
    counts = counts.reshape(len(counts), -1)
    triggers = whole_numbers(data, "triggers", _LARGEST).reshape(-1)
    counts_error, triggers_error = data.first_of(COUNTS_ERRORS), data.first_of(TRIGGERS_ERRORS)
    scheme = arrays["counts_scheme"]
    if counts_error is not None and triggers_error is not None:
        arrays["counts"], arrays["triggers"] = counts.astype(np.uint32), triggers.astype(np.uint32)
        arrays["counts_compression_error"] = data[counts_error].reshape(counts.shape).astype(np.float32)
        arrays["triggers_error"] = data[triggers_error].reshape(-1).astype(np.float32)
        arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
        return False
    compressed = counts.max(initial=0) <= 255 and triggers.max(initial=0) <= 255 and (scheme > 0).all()
    if not compressed or counts_error is not None or triggers_error is not None:
        raise FormatError(
            f"{data.file_name}: expected an error column for counts ({' or '.join(COUNTS_ERRORS)}) and for triggers"
            f" ({' or '.join(TRIGGERS_ERRORS)}), or 8-bit codes with their compression scheme; found neither"
        )
    found = to_counts(counts.astype(np.uint8), scheme)
    arrays["counts"], arrays["counts_error"], arrays["counts_compression_error"] = found
    arrays["triggers"], arrays["triggers_error"] = to_triggers(
        triggers.astype(np.uint8),
        arrays["triggers_scheme"],
        integration_time=arrays["integration_time"],
        # The background is of one detector, which has one accumulator.
        detector_mask=arrays.get("detector_mask", np.ones(len(counts), dtype=np.uint32)),
    )
    return True


def _energy_bounds(file: FitsFile, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Bounds of the bands, keV: of the table ENERGIES, else of the edge mask."""
    if "ENERGIES" in file.tables:
        return energy_bounds(file.tables["ENERGIES"])
    masks = np.unique(arrays["energy_edge_mask"])
    if len(masks) != 1:
        raise FormatError(
            f"{file.name}: expected one CONTROL.energy_bin_edge_mask or a table ENERGIES; found {len(masks)} masks"
        )
    return band_bounds(int(masks[0]), energy_edges(arrays["time"][0]))
