"""Structures of a request as bins, and the energies in them as cells: the same for all science packets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.report import BuildReport
from stixlab.datasets.requests import structure_of
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.data_times import start_offsets

__all__ = ["Cells", "Grid", "Rows", "find_rows", "grid_of"]

_N_CHANNELS = 32


@dataclass(frozen=True, eq=False)
class Rows:
    """Bins of a request, in the order of time, and the structures that they were sent in."""

    start: NDArray[np.int64]
    """(time,) after the time stamp, 0.1 s."""
    duration: NDArray[np.int64]
    """(time,) 0.1 s."""
    head: NDArray[np.int64]
    """(time,) first structure of each bin: settings are taken from it."""
    of_structure: NDArray[np.int64]
    """(n_structures,) bin of each structure; -1 for those without."""
    packet_of_structure: NDArray[np.int64]
    """(n_structures,) packet of each structure."""

    @property
    def packet(self) -> NDArray[np.int64]:
        """(time,) packet of the first structure of each bin."""
        return self.packet_of_structure[self.head]

    def beside_gaps(self, assembled: Assembled) -> NDArray[np.int64]:
        """Bins of which a missing packet may have held a part: those at the ends of the packets beside it."""
        count = assembled.columns.block.sequence_count.astype(np.int64)
        n_structures = np.bincount(self.packet_of_structure, minlength=len(count))
        last = np.cumsum(n_structures) - 1
        after = np.isin(count, [g.after for g in assembled.gaps if g.after is not None]) & (n_structures > 0)
        before = np.isin(count, [g.before for g in assembled.gaps if g.before is not None]) & (
            n_structures > 0
        )
        structures = np.concatenate([last[after], (last - n_structures + 1)[before]])
        found = self.of_structure[structures]
        return np.unique(found[found >= 0])


def find_rows(assembled: Assembled, used: NDArray[np.int64]) -> Rows:
    """Bins of a request.

    Parameters
    ----------
    assembled
        Its structures have a start, and a length of their own (NIX00405).
    used
        Structures that have data; those without belong to no bin, unless others with the same times have.

    Returns
    -------
    Rows
        Structures of the same start and length are one bin.
    """
    columns = assembled.columns
    start, splits = start_offsets(columns)
    duration = columns["NIX00405"].astype(np.int64)
    packet = np.repeat(np.arange(len(columns)), np.diff(splits))
    key = start << 32 | duration
    bins = np.unique(key[used])
    if not len(bins):
        nothing = np.zeros(0, dtype=np.int64)
        return Rows(nothing, nothing, nothing, np.full(len(start), -1), packet)
    at = np.minimum(np.searchsorted(bins, key), len(bins) - 1)
    of_structure = np.where(bins[at] == key, at, -1)
    structures = np.flatnonzero(of_structure >= 0)
    head = structures[np.unique(of_structure[structures], return_index=True)[1]]
    return Rows(bins >> 32, bins & 0xFFFFFFFF, head, of_structure, packet)


@dataclass(frozen=True, eq=False)
class Cells:
    """Energies of the structures of a request, one behind the other."""

    columns: Columns
    structure: NDArray[np.int64]
    """(n_cells,) structure of each."""
    packet: NDArray[np.int64]
    """(n_cells,) packet of each."""
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    """(n_cells,) lowest and highest channel."""

    @classmethod
    def of(
        cls,
        assembled: Assembled,
        n_cells: NDArray[np.integer],
        low: NDArray[np.integer],
        high: NDArray[np.integer],
    ) -> Cells:
        """Cells of structures.

        Parameters
        ----------
        n_cells : (n_structures,)
        low, high : (n_cells,)
        """
        columns = assembled.columns
        structure = structure_of(n_cells)
        packet = np.repeat(np.arange(len(columns)), np.diff(start_offsets(columns)[1]))
        return cls(columns, structure, packet[structure], low.astype(np.int64), high.astype(np.int64))

    def leave_out(self, faulty: NDArray[np.bool_], report: BuildReport, reason: str) -> None:
        """Note the packets that have a faulty cell."""
        packets = np.zeros(len(self.columns), dtype=bool)
        packets[self.packet[faulty]] = True
        report.leave_out(packets, self.columns.block.source_offset, reason)

    def check_bands(self, report: BuildReport) -> NDArray[np.bool_]:
        """(n_cells,) whether the channels of a cell are a band."""
        good = self.high >= self.low
        self.leave_out(~good, report, "the highest energy channel is below the lowest")
        return good


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a request among its bins and energies."""

    rows: Rows
    low: NDArray[np.uint8]
    high: NDArray[np.uint8]
    """(energy,) lowest and highest channel."""
    place: NDArray[np.int64]
    """(n_cells,) place on the grid, by bin and then by energy; of cells that are not kept any."""
    kept: NDArray[np.bool_]
    """(n_cells,) whether a cell stands on the grid."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of bins and energies."""
        return len(self.rows.start), len(self.low)

    @property
    def size(self) -> int:
        """Places on the grid."""
        return len(self.rows.start) * len(self.low)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(time, energy) whether there is a cell."""
        there = np.zeros(self.size, dtype=bool)
        there[self.place[self.kept]] = True
        return there.reshape(self.shape)


def grid_of(assembled: Assembled, cells: Cells, fits: NDArray[np.bool_], report: BuildReport) -> Grid | None:
    """Bins and energies of a request, and where its cells stand among them; None if there are none.

    Parameters
    ----------
    assembled, cells
    fits : (n_cells,)
        Cells that make sense.
    report
        Gets packets with an energy that came twice for its bin: the first stays.
    """
    rows = find_rows(assembled, cells.structure[fits])
    if not len(rows.start):
        return None
    low, high, band = _kept_bands(cells, fits)
    place = rows.of_structure[cells.structure] * len(low) + band
    return Grid(rows, low, high, place, _keep_first(cells, place, fits, report))


def _kept_bands(
    cells: Cells, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Bands that occur, ascending, and which each cell has.

    Returns
    -------
    low, high : (energy,)
    band : (n_cells,)
        Of cells that are not kept any.
    """
    code = cells.low * _N_CHANNELS + cells.high
    bands = np.unique(code[kept])
    at = np.minimum(np.searchsorted(bands, code), len(bands) - 1)
    return (bands // _N_CHANNELS).astype(np.uint8), (bands % _N_CHANNELS).astype(np.uint8), at


def _keep_first(
    cells: Cells, place: NDArray[np.int64], kept: NDArray[np.bool_], report: BuildReport
) -> NDArray[np.bool_]:
    """(n_cells,) which cells are the first of their bin and energy; the others are noted.

    Parameters
    ----------
    place : (n_cells,)
        Equal for cells of the same bin and energy.
    kept : (n_cells,)
        Cells that count.
    """
    chosen = np.flatnonzero(kept)
    first = np.zeros(len(place), dtype=bool)
    first[chosen[np.unique(place[chosen], return_index=True)[1]]] = True
    cells.leave_out(kept & ~first, report, "an energy of a bin was sent twice")
    return first
