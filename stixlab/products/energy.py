"""Energies of science data in keV: bands of science channels, by the channel table that was in force."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import SchemaError
from stixlab.instrument.energy_channels import ChannelTable, band_centres, channel_tables, table_index

__all__ = ["by_channel_table", "channel_energies"]


def by_channel_table(time: NDArray[np.datetime64]) -> Iterator[tuple[ChannelTable, NDArray[np.intp]]]:
    """Rows that share the edges of the science channels.

    Parameters
    ----------
    time : (time,), UTC

    Yields
    ------
    ChannelTable, (n,)
        In the order of the first row of each; tables with the same edges are one.
    """
    tables = channel_tables()
    first_alike = np.array([[t.inner_edges for t in tables].index(t.inner_edges) for t in tables])
    number = first_alike[table_index(time)]
    found, first = np.unique(number, return_index=True)
    for each in found[np.argsort(first)].tolist():
        yield tables[each], np.flatnonzero(number == each)


def channel_energies(
    low: NDArray[np.integer], high: NDArray[np.integer], edges: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The energy axis of bands of science channels.

    Parameters
    ----------
    low, high : (energy,)
        Lowest and highest channel of each band, 0 to 31.
    edges : (33,), keV

    Returns
    -------
    energy : (energy,), keV
        Middle of each band; lower bound of an open one.
    energy_bounds : (energy, 2), keV

    Raises
    ------
    SchemaError
        If a channel is not one of 32, or the highest is below the lowest.
    """
    first, last = low.astype(np.intp), high.astype(np.intp)
    if ((first < 0) | (last < first) | (last >= len(edges) - 1)).any():
        raise SchemaError(
            f"energy bands: expected 0 <= channel_low <= channel_high <= {len(edges) - 2}; found channel_low "
            f"{first.tolist()} and channel_high {last.tolist()}"
        )
    bounds = np.column_stack([edges[first], edges[last + 1]])
    return {"energy": band_centres(bounds), "energy_bounds": bounds}
