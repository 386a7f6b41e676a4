"""Science energy channels: their edges in keV and when they held, and the bands that an edge mask makes of them.

The edges of single pixels (the look-up table on board) are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import SchemaError

__all__ = [
    "NOMINAL",
    "ChannelTable",
    "band_bounds",
    "band_centres",
    "channel_tables",
    "energy_edges",
    "table_index",
]

N_EDGES = 33
"""Edges of the 32 channels: bit i of an edge mask stands for edge i."""


@dataclass(frozen=True)
class ChannelTable:
    """Edges of the science channels for a span of time."""

    name: str
    """Date of the table, ``yyyymmdd``, or ``nominal``."""
    start: np.datetime64
    """UTC from which it held."""
    inner_edges: tuple[float, ...]
    """Edges 1 to 31 in keV. Edge 0 is 0 keV, edge 32 the end of the converter's range."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """All 33 edges, keV; the last is infinite: the last channel is open."""
        return np.array([0.0, *self.inner_edges, np.inf])


# Source of all four lists and of the spans: the STIX configuration files of the instrument team,
# ScienceEnergyChannels_{1000,20221216,20230201,20230519}.csv and science_echan_index.csv.
NOMINAL = (
    *(4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 18.0, 20.0, 22.0, 25.0),
    *(28.0, 32.0, 36.0, 40.0, 45.0, 50.0, 56.0, 63.0, 70.0, 76.0, 84.0, 100.0, 120.0, 150.0),
)
"""Edges 1 to 31 of the nominal channels, keV."""
_FINE_TEST = (
    *(4.0, 4.45, 4.95, 5.45, 5.95, 6.45, 6.95, 7.35, 7.75, 8.25, 8.75, 9.25, 10.0, 10.5, 11.0, 12.0, 13.0),
    *(15.0, 18.0, 21.0, 25.0, 28.0, 32.0, 36.0, 43.0, 50.0, 59.0, 70.0, 84.0, 110.0, 150.0),
)
_FINE_LINES = (
    *(4.0, 5.5, 6.3, 6.56, 6.8, 7.3, 8.0, 9.0, 10.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0, 23.0, 25.0),
    *(28.0, 32.0, 36.0, 40.0, 45.0, 50.0, 56.0, 63.0, 70.0, 76.0, 84.0, 100.0, 120.0, 150.0),
)
_HISTORY = (
    ("nominal", "2019-06-15T00:00:00", NOMINAL),
    ("20221216", "2023-01-30T00:04:35", _FINE_TEST),
    # The edges stayed, the masks on board were reset.
    ("20230201", "2023-01-31T00:12:00", _FINE_TEST),
    ("nominal", "2023-02-02T16:06:12", NOMINAL),
    ("20230519", "2023-07-31T00:05:58", _FINE_LINES),
    ("nominal", "2023-11-05T00:01:00", NOMINAL),
)


@cache
def channel_tables() -> tuple[ChannelTable, ...]:
    """Tables in the order of time; each holds until the next begins."""
    return tuple(ChannelTable(name, np.datetime64(start, "ns"), edges) for name, start, edges in _HISTORY)


def table_index(times: ArrayLike) -> NDArray[np.intp]:
    """Index in `channel_tables` of the table that held at each time.

    Parameters
    ----------
    times : (n,), datetime64, UTC
        Before the first table the first is taken.
    """
    starts = np.array([t.start for t in channel_tables()], dtype="datetime64[ns]")
    found = np.searchsorted(starts, np.asarray(times, dtype="datetime64[ns]"), side="right") - 1
    return np.maximum(found, 0)


def energy_edges(time: np.datetime64) -> NDArray[np.float64]:
    """Edges of the 32 science channels at a time.

    Returns
    -------
    (33,), keV
        From 0 to infinity.
    """
    return channel_tables()[int(table_index(time))].edges


def band_bounds(edge_mask: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bands that an edge mask makes.

    Parameters
    ----------
    edge_mask
        Bit i (the lowest first) set: edge i is the border of a band.
    edges : (33,), keV

    Returns
    -------
    (n, 2), keV
        Lower and upper bound of each band.

    Raises
    ------
    SchemaError
        If fewer than two edges are set: there is no band.
    """
    chosen = edges[[i for i in range(N_EDGES) if edge_mask >> i & 1]]
    if len(chosen) < 2:
        raise SchemaError(
            f"energy edge mask {edge_mask:#x}: expected at least 2 of {N_EDGES} edges; found {len(chosen)}",
            edge_mask=edge_mask,
        )
    return np.column_stack([chosen[:-1], chosen[1:]])


def band_centres(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle of each band, keV; of an open band its lower bound, so that it has a place on an axis.

    Parameters
    ----------
    bounds : (n, 2), keV
    """
    low, high = bounds[:, 0], bounds[:, 1]
    return np.where(np.isfinite(high), (low + np.where(np.isfinite(high), high, 0.0)) / 2, low)
