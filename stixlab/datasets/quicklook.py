"""Quicklook packets: the light curve (TM(21,6) SSID 30). All by columns: packets of the same layout at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import TIME_FIELDS, make_dataset, step_ticks
from stixlab.datasets.report import BuildReport
from stixlab.instrument.energy_channels import band_bounds, band_centres, channel_tables, table_index
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ENERGY_FIELDS", "LIGHTCURVE", "LIGHTCURVE_L0", "build_lightcurve", "pack_scheme", "unpack_scheme"]

ENERGY_FIELDS = (
    Field(
        "energy",
        ("energy",),
        "float64",
        "keV",
        "middle of the energy band; lower bound of an open band",
        coordinate=True,
        attrs={"bounds": "energy_bounds"},
    ),
    Field(
        "energy_bounds",
        ("energy", "bound"),
        "float64",
        "keV",
        "lower and upper bound of the energy band",
        coordinate=True,
    ),
)
"""The energy axis of summed data."""

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
    Field("integration_time", ("time",), "float32", "s", "duration of the bin", source_parameter="NIX00405"),
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


def pack_scheme(s: NDArray[Any], k: NDArray[Any], m: NDArray[Any]) -> NDArray[np.uint8]:
    """Compression scheme as one readable number, 100 s + 10 k + m."""
    return np.asarray(100 * s.astype(np.int64) + 10 * k.astype(np.int64) + m, dtype=np.uint8)


def unpack_scheme(packed: int) -> tuple[int, int, int]:
    """The (s, k, m) of `pack_scheme`."""
    return packed // 100, packed // 10 % 10, packed % 10


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
    n_bins = _checked_lengths(columns, report)
    bands = _bands_by_packet(columns, clock, n_bins, report)
    datasets = []
    for bounds, packets in bands:
        # Packets of equal length are one rectangular array: almost always there is one length only.
        lengths = np.unique(n_bins[packets])
        groups = [
            _rectangle(columns, clock, packets[n_bins[packets] == n], int(n), len(bounds)) for n in lengths
        ]
        arrays = {
            name: np.concatenate([g[name] for g in groups]) if len(groups) > 1 else groups[0][name]
            for name in groups[0]
        }
        arrays |= {"energy": band_centres(bounds), "energy_bounds": bounds}
        datasets.append(make_dataset(LIGHTCURVE_L0, arrays, level="L0", attrs={}))
    return datasets


def _checked_lengths(columns: Columns, report: BuildReport) -> NDArray[np.int64]:
    """Bins of each packet; 0 for those left out.

    Returns
    -------
    (n,)
    """
    values, offset = columns.values, columns.block.source_offset
    n_bands = values["NIX00270"].astype(np.int64)
    n_counts = np.diff(columns.splits["NIX00272"])
    n_bins = n_counts // np.maximum(n_bands, 1)
    per_band, first = values["NIX00271"].astype(np.int64), columns.splits["NIX00271"][:-1]
    same = np.ones(len(n_bands), dtype=bool)
    if len(per_band):
        departs = np.concatenate(
            [[0], np.cumsum(per_band != np.repeat(n_bins, np.diff(columns.splits["NIX00271"])))]
        )
        same = departs[columns.splits["NIX00271"][1:]] == departs[first]
    uneven = ~same | (n_counts != n_bins * n_bands)
    other = (np.diff(columns.splits["NIX00274"]) != n_bins) | (np.diff(columns.splits["NIX00276"]) != n_bins)
    unsynchronised = ~columns.block.synchronised | (values["NIX00445"].astype(np.int64) >= 1 << 31)
    empty = n_bins == 0
    report.leave_out(uneven, offset, "light curves of the bands differ in length")
    report.leave_out(
        other & ~uneven, offset, "triggers or rate control states differ in number from the counts"
    )
    report.leave_out(unsynchronised & ~uneven & ~other, offset, "on-board time is not synchronised")
    signed = ((values["NIXD0101"] != 0) | (values["NIXD0104"] != 0)) & ~empty
    too_wide = _bits(values, "NIXD0101", "NIXD0102", "NIXD0103") | _bits(
        values, "NIXD0104", "NIXD0105", "NIXD0106"
    )
    left = ~(uneven | other | unsynchronised)
    report.leave_out(
        (signed | too_wide) & left & ~empty, offset, "compression scheme is signed or wider than 8 bits"
    )
    return np.where(left & ~(signed | too_wide), n_bins, 0)


def _bits(values: dict[str, NDArray[Any]], s: str, k: str, m: str) -> NDArray[np.bool_]:
    return np.asarray(values[s].astype(np.int64) + values[k] + values[m] > 8)


def _bands_by_packet(
    columns: Columns, clock: ClockTable, n_bins: NDArray[np.int64], report: BuildReport
) -> list[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """Energy bounds, each with the packets that have them, in the order of first appearance in time."""
    values = columns.values
    mask = _edge_mask(values)
    n_edges = sum(((mask >> np.uint64(bit)) & np.uint64(1)).astype(np.int64) for bit in range(33))
    unfit = (n_edges != values["NIX00270"].astype(np.int64) + 1) & (n_bins > 0)
    report.leave_out(unfit, columns.block.source_offset, "energy edge mask does not fit the number of bands")
    usable = np.flatnonzero((n_bins > 0) & ~unfit)
    if not usable.size:
        return []
    start = clock.to_utc(values["NIX00445"][usable], values["NIX00446"][usable])
    table = table_index(start)
    layouts: dict[bytes, tuple[NDArray[np.float64], list[NDArray[np.intp]]]] = {}
    pairs = np.stack([mask[usable], table.astype(np.uint64)])
    for pair in np.unique(pairs, axis=1).T:
        bounds = band_bounds(int(pair[0]), channel_tables()[int(pair[1])].edges)
        packets = usable[(pairs == pair[:, None]).all(axis=0)]
        layouts.setdefault(bounds.tobytes(), (bounds, []))[1].append(packets)
    found = [(bounds, np.sort(np.concatenate(parts))) for bounds, parts in layouts.values()]
    first_time: Callable[[NDArray[np.intp]], Any] = lambda p: values["NIX00445"][p].min()  # noqa: E731
    return sorted(found, key=lambda f: (first_time(f[1]), f[0].tobytes()))


def _edge_mask(values: dict[str, NDArray[Any]]) -> NDArray[np.uint64]:
    return np.asarray(
        values["NIX00266"].astype(np.uint64) | (values["NIXD0107"].astype(np.uint64) << np.uint64(32))
    )


def _rectangle(
    columns: Columns, clock: ClockTable, packets: NDArray[np.intp], n_bins: int, n_bands: int
) -> dict[str, NDArray[Any]]:
    """Arrays along time of packets that have the same number of bins and bands."""
    values = columns.values
    n_all = len(packets) * n_bins
    codes = _take(columns, "NIX00272", packets, n_bins * n_bands).reshape(len(packets), n_bands, n_bins)
    tenths = values["NIX00405"][packets].astype(np.int64) + 1
    step = np.arange(n_bins, dtype=np.int64)
    ticks = step_ticks(step, tenths[:, None])
    start = values["NIX00445"][packets].astype(np.int64) << 16 | values["NIX00446"][packets].astype(np.int64)
    ticks = (ticks + start[:, None]).reshape(-1)
    coarse, fine = (ticks >> 16).astype(np.uint32), (ticks & 0xFFFF).astype(np.uint16)

    def spread(per_packet: NDArray[Any], dtype: str) -> NDArray[Any]:
        return np.repeat(per_packet[packets].astype(dtype), n_bins)

    bounds = np.empty((n_all, 2), dtype="datetime64[ns]")
    bounds[:, 0] = clock.to_utc(coarse, fine)
    length = np.repeat(tenths * 100_000_000, n_bins).astype("timedelta64[ns]")
    np.add(bounds[:, 0], length, out=bounds[:, 1])
    return {
        "time": bounds[:, 0] + length // 2,
        "time_bounds": bounds,
        "scet_coarse": coarse,
        "scet_fine": fine,
        "counts_code": np.ascontiguousarray(codes.transpose(0, 2, 1)).reshape(n_all, n_bands),
        "triggers_code": _take(columns, "NIX00274", packets, n_bins),
        "rate_control_state": _take(columns, "NIX00276", packets, n_bins),
        "integration_time": np.repeat((tenths / 10).astype(np.float32), n_bins),
        "detector_mask": spread(values["NIX00407"], "uint32"),
        "pixel_mask": spread(values["NIXD0407"], "uint16"),
        "energy_edge_mask": spread(_edge_mask(values), "uint64"),
        "counts_scheme": spread(
            pack_scheme(values["NIXD0101"], values["NIXD0102"], values["NIXD0103"]), "uint8"
        ),
        "triggers_scheme": spread(
            pack_scheme(values["NIXD0104"], values["NIXD0105"], values["NIXD0106"]), "uint8"
        ),
    }


def _take(columns: Columns, name: str, packets: NDArray[np.intp], length: int) -> NDArray[np.uint8]:
    """Values of some packets that all have `length` of them, one behind the other; without a copy if these are all."""
    values = columns.values[name]
    if len(packets) * length == len(values):
        return np.asarray(values, dtype=np.uint8)
    first = columns.splits[name][:-1][packets]
    return np.asarray(values[(first[:, None] + np.arange(length)).reshape(-1)], dtype=np.uint8)
