"""Quicklook packets whose counts stand in energy bands: what light curve and background have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import Bins, start_ticks, usable_bins
from stixlab.datasets.report import BuildReport
from stixlab.instrument.energy_channels import band_bounds, band_centres, channel_tables, table_index
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable

__all__ = ["BandedPacket", "banded_arrays", "bins_by_bounds"]

_N_BANDS, _EDGES = "NIX00270", "NIX00266"
BoundsOf = Callable[[int, NDArray[np.float64]], NDArray[np.float64]]
"""From a mask and the 33 edges of the science channels, keV, to the bounds of bands, (n, 2)."""


@dataclass(frozen=True)
class BandedPacket:
    """Which parameters of a structure hold what."""

    points: str
    """Number of counts of each band."""
    counts: str
    """Counts, band by band."""
    per_bin: tuple[str, ...]
    """What stands once for each bin."""
    per_bin_text: str
    """What these are called."""
    upper_edge: str
    """The highest bit of the mask of edges."""
    counts_scheme: tuple[str, str, str]
    triggers_scheme: tuple[str, str, str]

    def edge_mask(self, columns: Columns) -> NDArray[np.uint64]:
        """(n,) science channel edges that border the bands, lowest bit: edge 0."""
        upper = columns[self.upper_edge].astype(np.uint64) << np.uint64(32)
        return np.asarray(columns[_EDGES].astype(np.uint64) | upper)


def banded_arrays(
    columns: Columns, packet: BandedPacket, clock: ClockTable, report: BuildReport
) -> list[tuple[Bins, dict[str, NDArray[Any]]]]:
    """Arrays of what all such packets have, for each set of energies.

    Parameters
    ----------
    columns, packet, clock
    report
        Gets the packets that are left out: their bands differ in length, or their mask and bands do not fit.

    Returns
    -------
    list of (Bins, dict)
        Times, energies, codes of the counts, masks and schemes; the bins serve to add what else there is.
    """
    n_bins = _checked_lengths(columns, packet, report)
    mask = packet.edge_mask(columns)
    n_edges = sum(((mask >> np.uint64(bit)) & np.uint64(1)).astype(np.int64) for bit in range(33))
    unfit = (n_edges != columns[_N_BANDS].astype(np.int64) + 1) & (n_bins > 0)
    report.leave_out(unfit, columns.block.source_offset, "energy edge mask does not fit the number of bands")
    n_bins = np.where(unfit, 0, n_bins)
    found = []
    for bins, axes in bins_by_bounds(columns, clock, mask, n_bins, band_bounds):
        arrays = axes | {
            "counts_code": bins.rows(packet.counts, len(axes["energy"])),
            "energy_edge_mask": np.repeat(mask[bins.packets], bins.n_bins),
            "counts_scheme": bins.scheme(packet.counts_scheme),
            "triggers_scheme": bins.scheme(packet.triggers_scheme),
        }
        found.append((bins, arrays))
    return found


def _checked_lengths(columns: Columns, packet: BandedPacket, report: BuildReport) -> NDArray[np.int64]:
    """(n,) bins of each packet; 0 for those left out."""
    offset = columns.block.source_offset
    n_bands, n_counts = columns[_N_BANDS].astype(np.int64), columns.counts(packet.counts)
    n_bins = n_counts // np.maximum(n_bands, 1)
    per_band, splits = columns[packet.points].astype(np.int64), columns.splits[packet.points]
    departs = np.concatenate([[0], np.cumsum(per_band != np.repeat(n_bins, np.diff(splits)))])
    uneven = (departs[splits[1:]] != departs[splits[:-1]]) | (n_counts != n_bins * n_bands)
    other = np.zeros(len(columns), dtype=bool)
    for name in packet.per_bin:
        other |= columns.counts(name) != n_bins
    report.leave_out(uneven, offset, "light curves of the bands differ in length")
    report.leave_out(other & ~uneven, offset, f"{packet.per_bin_text} differ in number from the counts")
    n_bins = np.where(uneven | other, 0, n_bins)
    return usable_bins(columns, n_bins, report, schemes=(packet.counts_scheme, packet.triggers_scheme))


def bins_by_bounds(
    columns: Columns,
    clock: ClockTable,
    mask: NDArray[np.uint64],
    n_bins: NDArray[np.int64],
    bounds_of: BoundsOf,
) -> list[tuple[Bins, dict[str, NDArray[Any]]]]:
    """Bins that share their energy bounds, in the order of first appearance in time.

    Parameters
    ----------
    columns, clock
    mask : (n,)
        Of each packet.
    n_bins : (n,)
        Packets without a bin are left out.
    bounds_of
        What the masks mean; the channels are those in force at the time of the packet.

    Returns
    -------
    list of (Bins, dict)
        The bins, and their axes of time and energy.
    """
    found = []
    for bounds, packets in _packets_by_bounds(columns, clock, mask, n_bins, bounds_of):
        bins = Bins.of(columns, packets, n_bins)
        axes = {"energy": band_centres(bounds), "energy_bounds": bounds}
        found.append((bins, bins.times(clock) | axes))
    return found


def _packets_by_bounds(
    columns: Columns,
    clock: ClockTable,
    mask: NDArray[np.uint64],
    n_bins: NDArray[np.int64],
    bounds_of: BoundsOf,
) -> list[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """Energy bounds, keV, (n_bands, 2), each with the places of the packets that have them, (k,)."""
    usable = np.flatnonzero(n_bins > 0)
    if not usable.size:
        return []
    start = start_ticks(columns)[usable]
    pairs = np.stack([mask[usable], table_index(clock.ticks_to_utc(start)).astype(np.uint64)])
    layouts: dict[bytes, tuple[NDArray[np.float64], list[NDArray[np.intp]]]] = {}
    for pair in np.unique(pairs, axis=1).T:
        bounds = bounds_of(int(pair[0]), channel_tables()[int(pair[1])].edges)
        chosen = usable[(pairs == pair[:, None]).all(axis=0)]
        layouts.setdefault(bounds.tobytes(), (bounds, []))[1].append(chosen)
    found = [(bounds, np.sort(np.concatenate(parts))) for bounds, parts in layouts.values()]
    first_time: Callable[[NDArray[np.intp]], int] = lambda p: int(start_ticks(columns)[p].min())  # noqa: E731
    return sorted(found, key=lambda f: (first_time(f[1]), f[0].tobytes()))
