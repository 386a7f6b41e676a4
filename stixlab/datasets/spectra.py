"""Spectra of single detectors (TM(21,6) SSID 32): all 32 at the same time, once in many integrations.

A packet ends where it is full, in the midst of the detectors; the next goes on with them at the same time. So the
samples of all packets are put in order by time and detector, and a row is one time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import (
    DURATION,
    INTEGRATION_TIME,
    pack_scheme,
    start_ticks,
    times_of_bins,
    usable_bins,
)
from stixlab.datasets.construction import ENERGY_FIELDS, TIME_FIELDS, make_dataset, step_ticks
from stixlab.datasets.quicklook import LIGHTCURVE, LIGHTCURVE_L0
from stixlab.datasets.report import BuildReport
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.instrument.energy_channels import N_EDGES, band_centres, channel_tables, table_index
from stixlab.telemetry.decode import Columns
from stixlab.telemetry.duplicates import content_hashes
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DETECTOR_FIELD", "SPECTRA", "SPECTRA_L0", "build_spectra"]

_DETECTOR, _PASSED, _TRIGGERS = "NIX00100", "NIX00485", "NIX00484"
_CHANNELS = tuple(f"NIX00{452 + i}" for i in range(N_EDGES - 1))
_SCHEME, _TRIGGERS_SCHEME = ("NIXD0115", "NIXD0116", "NIXD0117"), ("NIXD0112", "NIXD0113", "NIXD0114")
_ALONG = ("time", "detector", "energy")

DETECTOR_FIELD = Field(
    "detector", ("detector",), "uint8", "1", "detector, 1 to 32 as on the hardware", coordinate=True
)
"""The axis of detectors."""
_VALID = Field(
    "counts_valid", ("time", "detector"), "bool", "1", "whether the spectrum of the detector was received"
)
_SETTING_FIELDS = (
    INTEGRATION_TIME,
    LIGHTCURVE["pixel_mask"],
    replace(LIGHTCURVE["counts_scheme"], source_parameter=" ".join(_SCHEME)),
    replace(LIGHTCURVE["triggers_scheme"], source_parameter=" ".join(_TRIGGERS_SCHEME)),
)
_SOURCE = f"{_CHANNELS[0]} to {_CHANNELS[-1]}"

SPECTRA_L0 = DatasetSpec(
    "ql-spectra",
    "STIX quicklook detector spectra, codes as transmitted",
    (
        *TIME_FIELDS,
        DETECTOR_FIELD,
        *ENERGY_FIELDS,
        replace(LIGHTCURVE_L0["counts_code"], dims=_ALONG, source_parameter=_SOURCE),
        replace(LIGHTCURVE_L0["triggers_code"], dims=_ALONG[:2], source_parameter=_TRIGGERS),
        _VALID,
        *_SETTING_FIELDS,
    ),
)
"""Level 0 of the spectra."""

SPECTRA = DatasetSpec(
    "ql-spectra",
    "STIX quicklook detector spectra",
    (
        *TIME_FIELDS,
        DETECTOR_FIELD,
        *ENERGY_FIELDS,
        replace(
            LIGHTCURVE["counts"],
            dims=_ALONG,
            long_name="counts of each detector summed over its pixels",
            source_parameter=_SOURCE,
            fits_name="spectra",
        ),
        replace(LIGHTCURVE["counts_error"], dims=_ALONG),
        replace(LIGHTCURVE["counts_compression_error"], dims=_ALONG, fits_name="spectra_comp_err"),
        replace(
            LIGHTCURVE["triggers"],
            dims=_ALONG[:2],
            long_name="triggers of the accumulator of each detector, which it shares with another",
            source_parameter=_TRIGGERS,
        ),
        replace(LIGHTCURVE["triggers_error"], dims=_ALONG[:2]),
        _VALID,
        *_SETTING_FIELDS,
    ),
)
"""Level 1 of the spectra."""


def build_spectra(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 spectra of packets, one dataset for each set of energies.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 32, in any order.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out; packets without a sample are dropped silently.

    Returns
    -------
    list of xarray.Dataset
        Rows in the order of time. Where a detector was not received, its codes are 0 and not valid.
    """
    n_samples = usable_bins(columns, columns.counts(_DETECTOR), report, schemes=(_SCHEME, _TRIGGERS_SCHEME))
    sample, packet = _samples(columns, _existing_detectors(columns, n_samples, report))
    if not sample.size:
        return []
    tenths = columns[DURATION][packet].astype(np.int64) + 1
    ticks = start_ticks(columns)[packet] + step_ticks(columns[_PASSED][sample], tenths)
    settings = np.stack([tenths, *_settings(columns)[:, packet]])
    order, row = _rows(ticks, settings)
    sample, packet = sample[order], packet[order]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    arrays = times_of_bins(ticks[order][first], tenths[order][first], clock)
    arrays |= _settings_of_rows(columns, packet[first])
    detector = columns[_DETECTOR][sample].astype(np.intp)
    # Of several samples for one place the first stays: what is written last is what stands.
    back = slice(None, None, -1)
    row, detector, sample = row[back], detector[back], sample[back]
    shape = (len(first), N_DETECTORS)
    arrays["counts_valid"] = np.zeros(shape, dtype=bool)
    arrays["counts_valid"][row, detector] = True
    arrays["triggers_code"] = np.zeros(shape, dtype=np.uint8)
    arrays["triggers_code"][row, detector] = columns[_TRIGGERS][sample]
    arrays["counts_code"] = np.zeros((*shape, len(_CHANNELS)), dtype=np.uint8)
    arrays["counts_code"][row, detector] = np.stack([columns[name][sample] for name in _CHANNELS], axis=1)
    return _by_channels(arrays)


def _existing_detectors(
    columns: Columns, n_samples: NDArray[np.int64], report: BuildReport
) -> NDArray[np.int64]:
    """(n,) samples of each packet; 0 for those that name a detector that there is not."""
    none = np.concatenate([[0], np.cumsum(columns[_DETECTOR] >= N_DETECTORS)])
    splits = columns.splits[_DETECTOR]
    wrong = (none[splits[1:]] > none[splits[:-1]]) & (n_samples > 0)
    report.leave_out(wrong, columns.block.source_offset, "detector number is above 31")
    return np.where(wrong, 0, n_samples)


def _samples(columns: Columns, n_samples: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Place of each sample in the columns, and its packet; packets in an order that their content alone gives."""
    block = columns.block
    packets = np.lexsort((content_hashes(block), block.sequence_count, block.scet_fine, block.scet_coarse))
    packets = packets[n_samples[packets] > 0]
    length = n_samples[packets]
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return np.repeat(columns.splits[_DETECTOR][:-1][packets], length) + step, np.repeat(packets, length)


def _settings(columns: Columns) -> NDArray[np.int64]:
    """(3, n) what all samples of a row share, by packet: pixels and compression."""
    schemes = (pack_scheme(*(columns[n] for n in names)) for names in (_SCHEME, _TRIGGERS_SCHEME))
    return np.stack([columns["NIXD0407"].astype(np.int64), *(s.astype(np.int64) for s in schemes)])


def _settings_of_rows(columns: Columns, packet: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    pixels, counts, triggers = _settings(columns)[:, packet]
    return {
        "pixel_mask": pixels.astype(np.uint16),
        "counts_scheme": counts.astype(np.uint8),
        "triggers_scheme": triggers.astype(np.uint8),
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
    }


def _rows(
    ticks: NDArray[np.int64], settings: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Order of the samples by time, and the row of each in that order.

    On-board times of packets that follow each other differ by some ticks from whole numbers of integrations: what is
    less than half an integration apart, with the same settings, is one row.
    """
    order = np.argsort(ticks, kind="stable")
    tenths = settings[0, order]
    apart = np.diff(ticks[order]) > np.minimum(tenths[1:], tenths[:-1]) * (65536 // 20)
    keys = np.concatenate([np.cumsum(np.append(0, apart))[None], settings[:, order]])
    again = np.lexsort(keys[::-1])
    changed = (np.diff(keys[:, again], axis=1) != 0).any(axis=0)
    return order[again], np.cumsum(np.append(0, changed))


def _by_channels(arrays: dict[str, NDArray[Any]]) -> list[xr.Dataset]:
    """One dataset for each table of channels."""
    tables = table_index(arrays["time_bounds"][:, 0])
    edges = np.stack([t.edges for t in channel_tables()])
    _, which = np.unique(edges, axis=0, return_inverse=True)
    kind = which.ravel()[tables]
    datasets = []
    for each in sorted(set(kind.tolist()), key=lambda k: int(np.argmax(kind == k))):
        chosen = kind == each
        mine = edges[tables[np.argmax(chosen)]]
        bounds = np.column_stack([mine[:-1], mine[1:]])
        part = {n: v if n == "detector" else v[chosen] for n, v in arrays.items()}
        part |= {"energy": band_centres(bounds), "energy_bounds": bounds}
        datasets.append(make_dataset(SPECTRA_L0, part, level="L0", attrs={}))
    return datasets
