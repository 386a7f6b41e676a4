"""Science requests, level 0 to level 1: counts and triggers with errors, live time, energies; known faults told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import pack_scheme, unpack_scheme
from stixlab.datasets.construction import clock_attrs, coverage, make_dataset
from stixlab.datasets.registry import get_spec
from stixlab.errors import SchemaError
from stixlab.idb import Versions
from stixlab.instrument.detectors import TRIGGER_GROUPS, active_trigger_groups, without_unrecorded
from stixlab.products.counts import to_counts
from stixlab.products.energy import by_channel_table, channel_energies
from stixlab.products.livetime import Livetime, detector_livetime, livetime
from stixlab.products.merging import time_arrays
from stixlab.telemetry.compression import SCALING, SCALING_FACTOR, decompress, unscale_triggers
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import SIMULATED, DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SHIFTED_UNTIL", "livetime_arrays", "make_science_level1", "shift_time_bins"]

_Arrays = dict[str, NDArray[Any]]
SHIFTED_UNTIL = np.datetime64("2021-12-09T14:00:00", "ns")
"""UTC until which flight software gave spectrograms the times of the bin before."""
_SHIFTED_PRODUCT = "sci-xray-spec"
_AXIS = ("time", "time_bounds", "scet_coarse", "scet_fine", "integration_time")
"""What stays where it is when counts are moved by one bin."""
_LARGEST = np.iinfo(np.uint32).max
_LARGEST_PART = np.iinfo(np.int32).max


def make_science_level1(
    ds: xr.Dataset, versions: Versions, clock: ClockTable, *, trigger_factor: int = SCALING_FACTOR
) -> list[xr.Dataset]:
    """Level 1 of a science request.

    Bins stand as they were sent, so that the files are those that the programs of others expect.

    Parameters
    ----------
    ds
        Level 0, of `stixlab.datasets.science.build_request`.
    versions
        The flight database, for the version in force when the packets were made.
    clock
        The clock that level 0 was made with.
    trigger_factor
        By which triggers were scaled where they are not compressed; configured on board, not transmitted.

    Returns
    -------
    list of xarray.Dataset
        One for each table of energy channels: nearly always one, two where the table was changed during the request.
        ``attrs["known_faults"]`` names what flight software did wrong; where ``attrs["time_bin_shift"]`` is 1, counts
        belong to the times of the bin before: `shift_time_bins` moves them. Exposure and live time know it already.

    Raises
    ------
    SchemaError
        If the dataset is not level 0 of a science request.
    """
    product = str(ds.attrs.get("product"))
    if product not in _CONVERSIONS or ds.attrs.get("level") != "L0":
        raise SchemaError(
            f"level 1 of science: expected level L0 of one of {', '.join(_CONVERSIONS)}; found level "
            f"{ds.attrs.get('level')} of {product}"
        )
    along, others = time_arrays(ds)
    faults: list[str] = []
    if "detector_mask" in along:
        mask = along["detector_mask"]
        along["detector_mask"] = without_unrecorded(mask, int(ds.attrs.get("time_stamp_scet", 0)))
        if (along["detector_mask"] != mask).any():
            faults.append("detectors 9 and 10 were not recorded")
    shifted = _is_shifted(ds)
    if shifted:
        faults.append("counts belong to the times of the bin before")
    if ds.attrs.get("without_sign"):
        faults.append("visibilities were compressed without their sign")
    spec = get_spec(product)
    if "exposure_time" in {f.name for f in spec.fields}:
        along["exposure_time"] = _exposure(along["integration_time"], shifted=shifted)
    along = _CONVERSIONS[product](along, trigger_factor)
    attrs = {k: v for k, v in ds.attrs.items() if k not in ("title", "level", "without_sign")} | {
        "idb_version": versions.at(int(ds.attrs.get("sent_scet", 0))).version,
        **clock_attrs(clock, along),
        "source_level": "telemetry",
        "time_bin_shift": int(shifted),
        "known_faults": "; ".join(faults),
    }
    return _with_energies(spec, along, others, attrs)


def _is_shifted(ds: xr.Dataset) -> bool:
    """Whether the times of a dataset are those of the bins before; the simulator does not do that."""
    if ds.attrs["product"] != _SHIFTED_PRODUCT or ds.attrs.get("origin") == SIMULATED or ds.sizes["time"] < 2:
        return False
    return bool(ds["time"].to_numpy()[0] < SHIFTED_UNTIL)


def _with_energies(
    spec: DatasetSpec, along: _Arrays, others: _Arrays, attrs: dict[str, Any]
) -> list[xr.Dataset]:
    """Datasets of the parts that share a table of channels."""
    if "channel_low" not in others:
        return [_dataset(spec, along | others, attrs)]
    made = []
    n_times = len(along["time"])
    for table, rows in by_channel_table(along["time"]):
        part = along if len(rows) == n_times else {name: values[rows] for name, values in along.items()}
        energies = channel_energies(others["channel_low"], others["channel_high"], table.edges)
        arrays = {**part, **others, **energies}
        made.append(_dataset(spec, arrays, attrs | {"energy_channels": table.name}))
    return made


def _dataset(spec: DatasetSpec, arrays: _Arrays, attrs: dict[str, Any]) -> xr.Dataset:
    own = {
        "Conventions",
        "institution",
        "software_version",
        "product",
        "time_coverage_start",
        "time_coverage_end",
    }
    return make_dataset(spec, arrays, level="L1", attrs={k: v for k, v in attrs.items() if k not in own})


def _exposure(integration_time: NDArray[np.float32], *, shifted: bool) -> NDArray[np.float32]:
    """Time over which the counts of each bin were collected; 0 where it is not known."""
    if not shifted:
        return integration_time.copy()
    return np.concatenate([np.zeros(1, np.float32), integration_time[:-1]])


def shift_time_bins(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with counts at the times that they belong to.

    Flight software until 2021-12-09T14:00 gave each bin of a spectrogram the start and length of the next: the counts,
    triggers and settings of bin i + 1 belong to the times of bin i. The first counts, whose times were not sent, and
    the last times are dropped.

    Parameters
    ----------
    ds
        Level 1 spectrogram.

    Returns
    -------
    xarray.Dataset
        The same if its attribute ``time_bin_shift`` is not 1.

    Notes
    -----
    In packets of that time the rate of triggers is steady when divided by the time since the bin before, and jumps by
    a factor of twenty when divided by the time to the next. Pixel data of that time state the length of each
    bin themselves, and their rates are steady as they stand; they are not shifted. The IDL software pairs counts and
    lengths as here, but leaves counts at the times that were sent, one bin later; its bins overlap and have gaps.
    """
    if not ds.attrs.get("time_bin_shift"):
        return ds
    behind = ds.isel(time=slice(1, None)).variables
    moved = ds.isel(time=slice(None, -1)).assign(
        {n: v for n, v in behind.items() if "time" in v.dims and n not in _AXIS}
    )
    bounds = moved["time_bounds"].to_numpy()
    return moved.assign_attrs(ds.attrs | {"time_bin_shift": 0} | coverage({"time_bounds": bounds}))


def _triggers(along: _Arrays, n_groups: NDArray[Any], factor: int) -> _Arrays:
    """Triggers with their error, decompressed or scaled.

    Parameters
    ----------
    n_groups : of the shape of the codes
        Accumulators with a detector in use that each number is a sum of.
    """
    codes, scheme = along.pop("triggers_code"), along["triggers_scheme"]
    decompressed = to_counts(codes, scheme)
    values, error = decompressed.values, decompressed.compression_error
    scaled = np.flatnonzero(scheme == pack_scheme(*(np.array(n) for n in SCALING)))
    if len(scaled):
        exposure = along["exposure_time"][scaled]
        seconds = np.where(exposure > 0, exposure, along["integration_time"][scaled])
        tenths = np.rint(seconds.astype(np.float64) * 10).reshape(-1, *[1] * (codes.ndim - 1))
        exact, variance = unscale_triggers(
            codes[scaled], np.broadcast_to(tenths, codes[scaled].shape), n_groups[scaled], factor=factor
        )
        values[scaled] = np.minimum(exact, _LARGEST).astype(np.uint32)
        error[scaled] = np.sqrt(variance).astype(np.float32)
    return {"triggers": values, "triggers_error": error}


def _groups_in_use(detector_mask: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(time, 16) 1 where an accumulator has a detector in use."""
    words = np.array([sum(1 << (d - 1) for d in group) for group in TRIGGER_GROUPS], dtype=np.uint32)
    return np.asarray((detector_mask[:, None] & words) != 0, dtype=np.int64)


def _live(found: Livetime) -> _Arrays:
    return {
        "livetime_fraction": found.fraction,
        "livetime_fraction_error": found.error,
        "livetime_valid": found.valid,
    }


def _detector_live(along: _Arrays) -> _Arrays:
    error = along.get("triggers_error", np.zeros(along["triggers"].shape, dtype=np.float32))
    return _live(detector_livetime(along["triggers"], error, along["exposure_time"], along["detector_mask"]))


def livetime_arrays(along: _Arrays, *, may_be_shifted: bool) -> tuple[_Arrays, bool]:
    """Exposure and live time of counts that have been decompressed already, such as those of the files of others.

    Parameters
    ----------
    along
        Arrays along time: triggers with their error, masks of detectors, times.
    may_be_shifted
        Whether flight software gave counts of this kind the times of the bin before; it did until `SHIFTED_UNTIL`.

    Returns
    -------
    dict
        With exposure and live time.
    bool
        Whether counts belong to the times of the bin before.
    """
    time = along["time"]
    shifted = may_be_shifted and len(time) > 1 and bool(time[0] < SHIFTED_UNTIL)
    along = along | {"exposure_time": _exposure(along["integration_time"], shifted=shifted)}
    if along["triggers"].ndim > 1:
        return along | _detector_live(along), shifted
    groups = active_trigger_groups(along["detector_mask"]).astype(np.int64)
    found = livetime(along["triggers"], along["triggers_error"], along["exposure_time"], groups)
    return along | _live(found), shifted


def _counts(along: _Arrays) -> _Arrays:
    counts = to_counts(along.pop("counts_code"), along["counts_scheme"])
    return {
        "counts": counts.values,
        "counts_error": counts.error,
        "counts_compression_error": counts.compression_error,
    }


def _pixel_data(along: _Arrays, factor: int) -> _Arrays:
    along |= _counts(along)
    along |= _triggers(along, _groups_in_use(along["detector_mask"]), factor)
    return along | _detector_live(along)


def _raw_pixel_data(along: _Arrays, _factor: int) -> _Arrays:
    along["counts_error"] = np.sqrt(along["counts"], dtype=np.float32)
    return along | _detector_live(along)


def _spectrogram(along: _Arrays, factor: int) -> _Arrays:
    groups = active_trigger_groups(along["detector_mask"]).astype(np.int64)
    along |= _counts(along)
    along |= _triggers(along, groups, factor)
    return along | _live(livetime(along["triggers"], along["triggers_error"], along["exposure_time"], groups))


def _visibility(along: _Arrays, factor: int) -> _Arrays:
    for part in ("real", "imaginary"):
        values, error = _signed(along.pop(f"{part}_code"), along["counts_scheme"])
        along |= {f"visibility_{part}": values, f"visibility_{part}_error": error}
    flux = to_counts(along.pop("flux_code"), along["flux_scheme"])
    along |= {"flux": flux.values, "flux_error": flux.error, "flux_compression_error": flux.compression_error}
    along |= _triggers(along, _groups_in_use(along["detector_mask"]), factor)
    return along | _detector_live(along)


def _signed(
    codes: NDArray[np.uint8], scheme: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Values of codes that may be negative, and their compression error."""
    values, error = np.zeros(codes.shape, dtype=np.int32), np.zeros(codes.shape, dtype=np.float32)
    for each in np.unique(scheme).tolist():
        rows = scheme == each
        found, variance = decompress(codes[rows].ravel(), *unpack_scheme(each), strict=False)
        shape = codes[rows].shape
        values[rows] = np.clip(found, -_LARGEST_PART, _LARGEST_PART).astype(np.int32).reshape(shape)
        error[rows] = np.sqrt(np.nan_to_num(variance)).astype(np.float32).reshape(shape)
    return values, error


_CONVERSIONS: Mapping[str, Callable[[_Arrays, int], _Arrays]] = MappingProxyType(
    {
        "sci-xray-rpd": _raw_pixel_data,
        "sci-xray-cpd": _pixel_data,
        "sci-xray-scpd": _pixel_data,
        "sci-xray-vis": _visibility,
        "sci-xray-spec": _spectrogram,
        "sci-aspect-burst": lambda along, _factor: along,
    }
)
