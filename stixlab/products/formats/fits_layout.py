"""What the FITS form adds to the declaration of a dataset: names of files and folders, units, the CONTROL table.

Columns of the DATA table stand in the declaration itself (`Field.fits_name`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import scet_key, step_ticks
from stixlab.datasets.quicklook import pack_scheme
from stixlab.instrument.detectors import mask_bits, mask_word
from stixlab.vocabulary import FLIGHT, PRODUCT_TYPES, DatasetSpec, product_type

__all__ = [
    "CONTROL_COLUMNS",
    "FITS_UNITS",
    "MASK_BITS",
    "REQUEST_KEYWORDS",
    "ControlColumn",
    "RequestKeyword",
    "can_write",
    "control_columns",
    "control_runs",
    "fits_folder",
    "fits_name",
    "is_request",
    "request_fits_name",
    "subspectrum_columns",
]

FITS_UNITS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {"deg_C": ("K", 273.15), "percent": ("10**-2", 0.0), "1": ("", 0.0)}
)
"""Units of a dataset that the FITS standard does not have: the unit used instead, and what is added to the value."""


@dataclass(frozen=True)
class ControlColumn:
    """A setting that the CONTROL table holds as a row of small integers."""

    field: str
    """Variable of the dataset."""
    column: str
    """Column of the table."""
    length: int
    """Numbers in a row: bits of a mask, or 3 for a compression scheme."""

    truth: bool = False
    """Bits are true and false, not 1 and 0."""

    def to_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Rows of the table, (n, length)."""
        if self.length == 3:
            packed = values.astype(np.int64)
            return np.stack([packed // 100, packed // 10 % 10, packed % 10], axis=1).astype(np.uint8)
        bits = mask_bits(values, self.length)
        return bits.astype(bool) if self.truth else bits

    def from_rows(self, rows: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Values of the variable, (n,)."""
        if self.length == 3:
            return pack_scheme(rows[:, 0], rows[:, 1], rows[:, 2]).astype(dtype)
        return mask_word(rows).astype(dtype)


CONTROL_COLUMNS = (
    ControlColumn("detector_mask", "detector_mask", 32),
    ControlColumn("pixel_mask", "pixel_mask", 12),
    ControlColumn("energy_edge_mask", "energy_bin_edge_mask", 33),
    ControlColumn("counts_scheme", "compression_scheme_counts_skm", 3),
    ControlColumn("triggers_scheme", "compression_scheme_triggers_skm", 3),
    ControlColumn("variance_scheme", "compression_scheme_variance_skm", 3),
    ControlColumn("flux_scheme", "compression_scheme_flux_skm", 3),
    ControlColumn("energy_mask", "energy_bin_mask", 32, truth=True),
    ControlColumn("subspectrum_mask", "subspectrum_mask", 8),
)
"""Settings of a run of bins; a dataset has those of them that are declared for it."""
_N_SUBSPECTRA = 8
_OTHER_NAMES = {("ql-spectra", "counts_scheme"): "compression_scheme_spectra_skm"}


def control_columns(spec: DatasetSpec) -> tuple[ControlColumn, ...]:
    """Those of `CONTROL_COLUMNS` that are declared for a dataset, under the names that they have for its product.

    What a dataset has in DATA, as requests have their masks, is not among them.
    """
    declared = {f.name for f in spec.fields if not f.fits_name}
    return tuple(
        replace(each, column=_OTHER_NAMES.get((spec.product, each.field), each.column))
        for each in CONTROL_COLUMNS
        if each.field in declared
    )


@dataclass(frozen=True)
class RequestKeyword:
    """An attribute of the dataset of a request that stands in the header."""

    attribute: str
    keyword: str
    text: str


REQUEST_KEYWORDS = (
    RequestKeyword("request_id", "REQUEST", "number of the data request"),
    RequestKeyword("tc_packet_id", "TCPACKET", "packet identification of its telecommand"),
    RequestKeyword("tc_sequence", "TCSEQ", "sequence control of its telecommand"),
    RequestKeyword("incomplete_because", "INCOMPL", "why it is not complete"),
    RequestKeyword("n_packets", "NPACKETS", "packets it was made from"),
    RequestKeyword("n_packets_missing", "NMISSING", "packets that did not arrive"),
    RequestKeyword("n_conflicts", "NCONFLCT", "packets that came with different content"),
    RequestKeyword("sent_scet", "SENTSCET", "[s] on-board time when it was sent"),
    RequestKeyword("time_stamp_scet", "STAMP", "[s] on-board time the bins count from"),
    RequestKeyword("asw_version", "ASWVERS", "version of the flight software"),
    RequestKeyword("time_bin_shift", "BINSHIFT", "bins by which counts are late"),
    RequestKeyword("known_faults", "FAULTS", "what flight software did wrong"),
    RequestKeyword("energy_channels", "CHANNELS", "table of the energy channels"),
)
"""Attributes of requests in the header."""
MASK_BITS: Mapping[str, int] = MappingProxyType(
    {"detector_mask": 32, "pixel_mask": 12, **{f"pixel_mask_{i}": 12 for i in range(1, 6)}}
)
"""Masks that are written to DATA as rows of 0 and 1, and their lengths."""


def is_request(product: str) -> bool:
    """Whether a product is of a data request, not of a day."""
    return product.startswith("sci-")


def can_write(product: str) -> bool:
    """Whether products of this type are written as FITS by `stixlab.products.formats.fits.write_fits`."""
    return product in PRODUCT_TYPES


def request_fits_name(
    type: str,
    start: np.datetime64,
    end: np.datetime64,
    version: int,
    *,
    request_id: int,
    tc_sequence: int,
    complete: bool = True,
    origin: str = FLIGHT,
    part: int = 0,
) -> str:
    """File name of the level 1 product of a data request.

    Parameters
    ----------
    type
        Archive name of the product type.
    start, end
        UTC of the first bin's start and the last bin's end; seconds are cut off.
    version
        Counts from 1.
    request_id
        Number of the request, attribute ``request_id`` of the dataset.
    tc_sequence
        Sequence control of its telecommand, attribute ``tc_sequence``.
    complete
        Otherwise the version ends in U.
    origin
        As in `fits_name`.
    part
        As in `fits_name`.

    Returns
    -------
    str
        Such as ``solo_L1_stix-sci-xray-cpd_20221109T004455-20221109T005311_V01_2211090305-54678.fits``.

    Raises
    ------
    SchemaError
        If there is no such type.
    """
    first, last = (
        str(np.datetime_as_string(t, unit="s")).replace("-", "").replace(":", "") for t in (start, end)
    )
    return (
        f"solo_L1_stix-{_descriptor(type, origin, part)}_{first}-{last}_{_version(version, complete=complete)}"
        f"_{request_id:010d}-{tc_sequence:05d}.fits"
    )


def _descriptor(type: str, origin: str, part: int) -> str:
    name = product_type(type).name
    if origin != FLIGHT:
        name += f"-{origin}"
    return f"{name}-sup{part}" if part else name


def _version(number: int, *, complete: bool) -> str:
    return f"V{number:02d}{'' if complete else 'U'}"


def fits_name(
    type: str,
    day: np.datetime64,
    version: int,
    *,
    complete: bool = True,
    origin: str = FLIGHT,
    part: int = 0,
) -> str:
    """File name of the level 1 product of a day.

    Parameters
    ----------
    type
        Archive name of the product type.
    day
        UTC day.
    version
        Counts from 1.
    complete
        Otherwise the version ends in U.
    origin
        Simulated products have it in their name: they are not taken for others when they leave the archive.
    part
        Further products of the same day (of other energies) count from 1.

    Returns
    -------
    str
        Such as ``solo_L1_stix-ql-lightcurve_20210606_V01.fits``.

    Raises
    ------
    SchemaError
        If there is no such type.
    """
    date = str(day.astype("datetime64[D]")).replace("-", "")
    return (
        f"solo_L1_stix-{_descriptor(type, origin, part)}_{date}_{_version(version, complete=complete)}.fits"
    )


def fits_folder(level: str, day: np.datetime64, type: str) -> str:
    """Folder of a product in the archive, such as ``fits/L1/2021/06/06/QL``.

    Raises
    ------
    SchemaError
        If there is no such type.
    """
    year, month, date = str(day.astype("datetime64[D]")).split("-")
    return f"fits/{level}/{year}/{month}/{date}/{product_type(type).group}"


def control_runs(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """First bins of the runs that the CONTROL table has one row for.

    Within a run the settings are the same and the on-board time of bin i is that of the first and i times the
    length of a bin, exactly: what is read back is what was written.

    Parameters
    ----------
    arrays
        Arrays along time of a dataset with bins: on-board time, integration time, settings.

    Returns
    -------
    (n_runs,)
    """
    key = scet_key(arrays)
    if not len(key):
        return np.zeros(0, dtype=np.int64)
    tenths = np.round(arrays["integration_time"].astype(np.float64) * 10).astype(np.int64)
    differs = np.abs(np.diff(key) - tenths[:-1] * 65536 / 10) > 1
    for name in ("integration_time", *(c.field for c in CONTROL_COLUMNS)):
        if name in arrays:
            differs |= arrays[name][1:] != arrays[name][:-1]
    starts = np.flatnonzero(np.concatenate([[True], differs]))
    run = np.cumsum(np.concatenate([[False], differs]))
    exact = key == key[starts][run] + step_ticks(np.arange(len(key)) - starts[run], tenths)
    if exact.all():
        return starts
    # A run in which the clock slips below a tick is given up: each of its bins gets its own row.
    slipped = np.isin(run, np.unique(run[~exact]))
    return np.flatnonzero(np.concatenate([[True], differs]) | slipped)


def subspectrum_columns(axes: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.uint16]]:
    """Columns of CONTROL that tell the channels of calibration spectra.

    Parameters
    ----------
    axes
        With ``subspectrum`` and ``channel_bounds`` of each point.

    Returns
    -------
    dict of (8,)
        Points, channels in a point and lowest channel of each sub-spectrum; 1, 1 and 0 of those that are not sent.
    """
    part = axes["subspectrum"].astype(np.intp) - 1
    sent, first, points = np.unique(part, return_index=True, return_counts=True)
    low, high = axes["channel_bounds"][first].T.astype(np.uint16)
    found = {
        "subspec_num_points": (points, 1),
        "subspec_num_summed_channel": (high - low, 1),
        "subspec_lowest_channel": (low, 0),
    }
    columns = {}
    for name, (values, unsent) in found.items():
        columns[name] = np.full(_N_SUBSPECTRA, unsent, dtype=np.uint16)
        columns[name][sent] = values
    return columns
