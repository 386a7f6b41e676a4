"""Times of packets: of all bins of quicklook packets, one behind the other, or one of each packet. Nothing is looped over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import step_ticks
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import Field

__all__ = [
    "INTEGRATION_TIME",
    "Bins",
    "impossible_scheme",
    "not_synchronised",
    "pack_scheme",
    "start_ticks",
    "times_of_bins",
    "times_of_packets",
    "unpack_scheme",
    "usable_bins",
]

COARSE, FINE, DURATION = "NIX00445", "NIX00446", "NIX00405"
"""On-board time of the first bin of a packet, and the length of its bins in 0.1 s, less one."""
INTEGRATION_TIME = Field(
    "integration_time", ("time",), "float32", "s", "duration of the bin", source_parameter=DURATION
)
_NOT_SYNCHRONISED = "on-board time is not synchronised"
_NS_PER_TENTH = 100_000_000


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of some packets, in the order of the packets."""

    columns: Columns
    packets: NDArray[np.intp]
    """(k,) packets, by their place in the columns."""
    n_bins: NDArray[np.int64]
    """(k,) bins of each of them."""

    @classmethod
    def of(cls, columns: Columns, packets: NDArray[np.intp], n_bins: NDArray[np.int64]) -> Bins:
        """Bins of some packets.

        Parameters
        ----------
        columns
        packets : (k,)
        n_bins : (n,)
            Of all packets of the columns.
        """
        return cls(columns, packets, n_bins[packets].astype(np.int64))

    def __len__(self) -> int:
        return int(self.n_bins.sum())

    @cached_property
    def packet(self) -> NDArray[np.intp]:
        """(n,) packet of each bin."""
        return np.repeat(self.packets, self.n_bins)

    @cached_property
    def step(self) -> NDArray[np.int64]:
        """(n,) number of the bin in its packet, from 0."""
        return np.arange(len(self)) - np.repeat(np.cumsum(self.n_bins) - self.n_bins, self.n_bins)

    @cached_property
    def _all_in_order(self) -> bool:
        return len(self.packets) == len(self.columns) and bool((np.diff(self.packets) == 1).all())

    def values(self, name: str) -> NDArray[Any]:
        """(n,) a parameter that stands once for each bin."""
        found = self.columns[name]
        if self._all_in_order and len(found) == len(self):
            return found
        return np.asarray(found[self.columns.splits[name][:-1][self.packet] + self.step])

    def rows(self, name: str, n_columns: int) -> NDArray[Any]:
        """(n, n_columns) a parameter of which a packet has all bins of the first column, then of the next."""
        if not self._all_in_order or (self.n_bins != self.n_bins[:1]).any():
            first = self.columns.splits[name][:-1][self.packet] + self.step
            length = np.repeat(self.n_bins, self.n_bins)
            place = first[:, None] + length[:, None] * np.arange(n_columns)
            return np.asarray(self.columns[name][place])
        # Packets of equal length are one rectangular array: almost always there is one length only.
        blocks = self.columns[name].reshape(len(self.packets), n_columns, -1)
        return np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(len(self), n_columns)

    def spread(self, name: str, dtype: str) -> NDArray[Any]:
        """(n,) a parameter that stands once in each packet."""
        return np.repeat(self.columns[name][self.packets].astype(dtype), self.n_bins)

    def scheme(self, names: tuple[str, str, str]) -> NDArray[np.uint8]:
        """(n,) compression scheme of the packet, packed."""
        s, k, m = (self.columns[name][self.packets] for name in names)
        return np.repeat(pack_scheme(s, k, m), self.n_bins)

    def times(self, clock: ClockTable) -> dict[str, NDArray[Any]]:
        """Variables of the time axis, and the duration of each bin."""
        tenths = self.columns[DURATION][self.packets].astype(np.int64) + 1
        each = np.repeat(tenths, self.n_bins)
        start = np.repeat(start_ticks(self.columns)[self.packets], self.n_bins)
        return times_of_bins(start + step_ticks(self.step, each), each, clock)


def times_of_bins(
    ticks: NDArray[np.int64], tenths: NDArray[np.int64], clock: ClockTable
) -> dict[str, NDArray[Any]]:
    """Variables of the time axis of bins, and their duration.

    Parameters
    ----------
    ticks : (n,), 1/65536 s
        On-board time of their start.
    tenths : (n,), 0.1 s
        Their length.
    clock
    """
    bounds = np.empty((len(ticks), 2), dtype="datetime64[ns]")
    bounds[:, 0] = clock.ticks_to_utc(ticks)
    length = (tenths * _NS_PER_TENTH).astype("timedelta64[ns]")
    np.add(bounds[:, 0], length, out=bounds[:, 1])
    return {
        "time": bounds[:, 0] + length // 2,
        "time_bounds": bounds,
        "scet_coarse": (ticks >> 16).astype(np.uint32),
        "scet_fine": (ticks & 0xFFFF).astype(np.uint16),
        "integration_time": (tenths / 10).astype(np.float32),
    }


def times_of_packets(
    columns: Columns, clock: ClockTable, report: BuildReport
) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]]]:
    """Packets that are one time each, and variables of the time axis that they make; a bin has no length.

    Parameters
    ----------
    columns
    clock
    report
        Gets the packets that are left out: those whose time is not synchronised.

    Returns
    -------
    packets : (k,)
        Places of those that are kept.
    dict of (k, ...)
    """
    block = columns.block
    report.leave_out(~block.synchronised, block.source_offset, _NOT_SYNCHRONISED)
    packets = np.flatnonzero(block.synchronised)
    coarse, fine = block.scet_coarse[packets].astype(np.uint32), block.scet_fine[packets].astype(np.uint16)
    time = np.asarray(clock.to_utc(coarse, fine), dtype="datetime64[ns]")
    return packets, {
        "time": time,
        "time_bounds": np.repeat(time[:, None], 2, axis=1),
        "scet_coarse": coarse,
        "scet_fine": fine,
    }


def start_ticks(columns: Columns) -> NDArray[np.int64]:
    """(n,) on-board time at which the first bin of each packet starts, 1/65536 s."""
    return columns[COARSE].astype(np.int64) << 16 | columns[FINE].astype(np.int64)


def not_synchronised(columns: Columns) -> NDArray[np.bool_]:
    """(n,) whether the time of a packet, or that of its data, has the mark of an unsynchronised clock."""
    return np.asarray(~columns.block.synchronised | (columns[COARSE].astype(np.int64) >= 1 << 31))


def impossible_scheme(
    columns: Columns, names: tuple[str, str, str], *, signed: bool = False
) -> NDArray[np.bool_]:
    """(n,) whether the compression scheme of a packet is wider than 8 bits, or signed where nothing is negative."""
    s, k, m = (columns[name].astype(np.int64) for name in names)
    return np.asarray((s + k + m > 8) | ((s != 0) & (not signed)))


def usable_bins(
    columns: Columns,
    n_bins: NDArray[np.int64],
    report: BuildReport,
    *,
    schemes: tuple[tuple[str, str, str], ...] = (),
) -> NDArray[np.int64]:
    """Bins of each packet; 0 for those whose time or compression makes no sense, which are noted in the report.

    Parameters
    ----------
    columns
    n_bins : (n,)
        Packets without a bin are left out silently.
    report
    schemes
        Names of the parameters that hold s, k and m.
    """
    offset, filled = columns.block.source_offset, n_bins > 0
    unsynchronised = not_synchronised(columns) & filled
    unclear = np.zeros(len(columns), dtype=bool)
    for names in schemes:
        unclear |= impossible_scheme(columns, names)
    report.leave_out(unsynchronised, offset, _NOT_SYNCHRONISED)
    report.leave_out(
        unclear & filled & ~unsynchronised, offset, "compression scheme is signed or wider than 8 bits"
    )
    return np.where(unsynchronised | unclear, 0, n_bins)


def pack_scheme(s: NDArray[Any], k: NDArray[Any], m: NDArray[Any]) -> NDArray[np.uint8]:
    """Compression scheme as one readable number, 100 s + 10 k + m."""
    return np.asarray(100 * s.astype(np.int64) + 10 * k.astype(np.int64) + m, dtype=np.uint8)


def unpack_scheme(packed: int) -> tuple[int, int, int]:
    """The (s, k, m) of `pack_scheme`."""
    return packed // 100, packed // 10 % 10, packed % 10
