"""Which requests make which product: one line for each structure of bulk science."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets import aspect, pixel_data, spectrogram, visibility
from stixlab.datasets.report import BuildReport
from stixlab.datasets.requests import is_synchronised
from stixlab.errors import SchemaError
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.schemes import SchemeProblem, scheme_problems
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["REQUEST_BUILDERS", "RequestBuilder", "build_request"]


@dataclass(frozen=True)
class RequestBuilder:
    """How a request of one structure becomes a dataset."""

    product: str
    """Archive name of the product type."""
    spec: DatasetSpec
    """Declaration of the level 0 dataset."""
    build: Callable[[Assembled, ClockTable, BuildReport], xr.Dataset | None]


REQUEST_BUILDERS: Mapping[int, RequestBuilder] = MappingProxyType(
    {
        20: RequestBuilder("sci-xray-rpd", pixel_data.RAW_L0, pixel_data.build_raw_pixel_data),
        21: RequestBuilder("sci-xray-cpd", pixel_data.COMPRESSED_L0, pixel_data.build_pixel_data),
        22: RequestBuilder("sci-xray-scpd", pixel_data.SUMMED_L0, pixel_data.build_pixel_data),
        23: RequestBuilder("sci-xray-vis", visibility.VISIBILITY_L0, visibility.build_visibility),
        24: RequestBuilder("sci-xray-spec", spectrogram.SPECTROGRAM_L0, spectrogram.build_spectrogram),
        42: RequestBuilder("sci-aspect-burst", aspect.ASPECT_L0, aspect.build_aspect),
    }
)
"""Builders by structure (SSID)."""
_ASPECT = 42


def build_request(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 dataset of a request: integers and codes as sent, bins in the order of time.

    Parameters
    ----------
    assembled
        All packets of one request, as `stixlab.telemetry.assembly.assemble` gives them; some may be missing.
    clock
        On-board time to UTC.
    report
        Gets the packets of which something is left out.

    Returns
    -------
    xarray.Dataset or None
        None if the request holds no data. ``attrs["complete"]`` is 0 and ``attrs["incomplete_because"]`` says why
        where packets are missing.

    Raises
    ------
    SchemaError
        If no builder is known for the structure.
    """
    if assembled.ssid not in REQUEST_BUILDERS:
        raise SchemaError(
            f"request: expected a structure (SSID) of {', '.join(map(str, REQUEST_BUILDERS))}; found {assembled.ssid}"
        )
    columns = assembled.columns
    if assembled.ssid != _ASPECT and not is_synchronised(assembled):
        every = np.ones(len(columns), dtype=bool)
        report.leave_out(every, columns.block.source_offset, "on-board time is not synchronised")
        return None
    impossible = (scheme_problems(columns) & SchemeProblem.IMPOSSIBLE) != 0
    if impossible.any():
        report.leave_out(impossible, columns.block.source_offset, "compression scheme is wider than 8 bits")
        assembled = _without(assembled, ~impossible)
    return REQUEST_BUILDERS[assembled.ssid].build(assembled, clock, report) if len(assembled) else None


def _without(assembled: Assembled, kept: NDArray[np.bool_]) -> Assembled:
    """A request with some of its packets only."""
    return replace(assembled, columns=assembled.columns.select(kept))
