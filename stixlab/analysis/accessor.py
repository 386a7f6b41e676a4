"""What datasets offer under ``ds.stix`` once this module is imported, as `lab.open` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from sunpy.timeseries import GenericTimeSeries

__all__ = ["StixAccessor"]


@xr.register_dataset_accessor("stix")  # type: ignore[no-untyped-call]
class StixAccessor:
    """Conversions of a dataset.

    Parameters
    ----------
    ds
        The dataset.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def to_timeseries(self, variables: str | Sequence[str] | None = None) -> GenericTimeSeries:
        """The dataset as a sunpy time series; see `stixlab.analysis.timeseries.to_timeseries`.

        Raises
        ------
        ParameterError
            If a variable is not there, or has more dimensions than time and one more.
        """
        from stixlab.analysis.timeseries import to_timeseries

        return to_timeseries(self._ds, variables)
