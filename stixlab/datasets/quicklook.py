"""Quicklook packets: the light curve (TM(21,6) SSID 30). All by columns: packets of the same layout at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stixlab.datasets.bands import BandedPacket, banded_arrays
from stixlab.datasets.bins import INTEGRATION_TIME, pack_scheme, unpack_scheme
from stixlab.datasets.construction import ENERGY_FIELDS, TIME_FIELDS, make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LIGHTCURVE", "LIGHTCURVE_L0", "build_lightcurve", "pack_scheme", "unpack_scheme"]

_SETTING_FIELDS = (
    Field(
        "rate_control_state",
        ("time",),
        "uint8",
        "1",
        "rate control state: 0 attenuator out, 1 attenuator in, higher: fewer pixels as well",
        source_parameter="NIX00276",
        fits_name="rcr",
    ),
    INTEGRATION_TIME,
    Field(
        "detector_mask",
        ("time",),
        "uint32",
        "1",
        "detectors summed, lowest bit: detector 1",
        source_parameter="NIX00407",
    ),
    Field(
        "pixel_mask",
        ("time",),
        "uint16",
        "1",
        "pixels summed, lowest bit: pixel 0",
        source_parameter="NIXD0407",
    ),
    Field(
        "energy_edge_mask",
        ("time",),
        "uint64",
        "1",
        "science channel edges that border the bands, lowest bit: edge 0",
        source_parameter="NIX00266 NIXD0107",
    ),
    Field(
        "counts_scheme",
        ("time",),
        "uint8",
        "1",
        "compression of the counts as 100 s + 10 k + m",
        source_parameter="NIXD0101 NIXD0102 NIXD0103",
    ),
    Field(
        "triggers_scheme",
        ("time",),
        "uint8",
        "1",
        "compression of the triggers as 100 s + 10 k + m; 7: scaled",
        source_parameter="NIXD0104 NIXD0105 NIXD0106",
    ),
)

LIGHTCURVE_L0 = DatasetSpec(
    "ql-lightcurve",
    "STIX quicklook light curve, codes as transmitted",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        Field(
            "counts_code",
            ("time", "energy"),
            "uint8",
            "1",
            "counts, compressed on board",
            source_parameter="NIX00272",
        ),
        Field(
            "triggers_code",
            ("time",),
            "uint8",
            "1",
            "triggers, compressed on board",
            source_parameter="NIX00274",
        ),
        *_SETTING_FIELDS,
    ),
)
"""Level 0 of the light curve."""

LIGHTCURVE = DatasetSpec(
    "ql-lightcurve",
    "STIX quicklook light curve",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        Field(
            "counts",
            ("time", "energy"),
            "uint32",
            "count",
            "counts summed over detectors and pixels",
            source_parameter="NIX00272",
            ancillary="counts_error counts_compression_error",
            fits_name="counts",
        ),
        Field(
            "counts_error",
            ("time", "energy"),
            "float32",
            "count",
            "standard deviation of the counts, compression and Poisson",
        ),
        Field(
            "counts_compression_error",
            ("time", "energy"),
            "float32",
            "count",
            "standard deviation of the counts, compression only",
            fits_name="counts_comp_err",
        ),
        Field(
            "triggers",
            ("time",),
            "uint32",
            "1",
            "triggers summed over the accumulators",
            source_parameter="NIX00274",
            ancillary="triggers_error",
            fits_name="triggers",
        ),
        Field(
            "triggers_error",
            ("time",),
            "float32",
            "1",
            "standard deviation of the triggers, compression only",
            fits_name="triggers_comp_err",
        ),
        *_SETTING_FIELDS,
    ),
)
"""Level 1 of the light curve."""


_PACKET = BandedPacket(
    points="NIX00271",
    counts="NIX00272",
    per_bin=("NIX00274", "NIX00276"),
    per_bin_text="triggers or rate control states",
    upper_edge="NIXD0107",
    counts_scheme=("NIXD0101", "NIXD0102", "NIXD0103"),
    triggers_scheme=("NIXD0104", "NIXD0105", "NIXD0106"),
)


def build_lightcurve(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 light curves of packets, one for each set of energies.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 30.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out: their curves differ in length, or their mask and bands do not fit.

    Returns
    -------
    list of xarray.Dataset
        Bins in the order of the packets.
    """
    datasets = []
    for bins, arrays in banded_arrays(columns, _PACKET, clock, report):
        arrays |= {
            "triggers_code": bins.values("NIX00274"),
            "rate_control_state": bins.values("NIX00276"),
            "detector_mask": bins.spread("NIX00407", "uint32"),
            "pixel_mask": bins.spread("NIXD0407", "uint16"),
        }
        datasets.append(make_dataset(LIGHTCURVE_L0, arrays, level="L0", attrs={}))
    return datasets
