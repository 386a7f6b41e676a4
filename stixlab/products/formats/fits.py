"""Level 1 FITS files in the form of the Solar Orbiter archive, written from the declaration of the dataset."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import scet_key
from stixlab.datasets.registry import get_spec
from stixlab.files import new_file
from stixlab.instrument.energy_channels import energy_edges
from stixlab.products.formats.fits_layout import (
    FITS_UNITS,
    control_columns,
    control_runs,
    fits_folder,
    fits_name,
    subspectrum_columns,
)
from stixlab.products.merging import time_arrays
from stixlab.products.quicklooks import flare_rows
from stixlab.vocabulary import FLIGHT, REENCODED, SIMULATED, DatasetSpec, check, product_type

if TYPE_CHECKING:
    import xarray as xr
    from astropy.io.fits import BinTableHDU, Column, HDUList, Header

__all__ = ["CREATOR", "fits_folder", "fits_name", "to_hdus", "write_fits"]

CREATOR = "stixlab"
"""Keyword CREATOR of our files."""
_UNSIGNED = {"uint16": ("I", 1 << 15), "uint32": ("J", 1 << 31), "uint64": ("K", 1 << 63)}
_PLAIN = {"bool": "L", "uint8": "B", "int16": "I", "int32": "J", "int64": "K", "float32": "E", "float64": "D"}
_PACKET_COMMENTS = ("service type", "service subtype", "structure of the packets")
_MADE_BY = {FLIGHT: "stixlab", SIMULATED: "stixlab SIMULATOR", REENCODED: "stixlab RE-ENCODED"}
_NOTES = {
    SIMULATED: "SIMULATED DATA: made by the stixlab simulator, not measured by the instrument.",
    REENCODED: "RE-ENCODED DATA: from telemetry that was made from the counts of a product.",
}


def write_fits(
    ds: xr.Dataset,
    path: Path,
    *,
    version: int,
    created: datetime,
    parents: Sequence[str] = (),
    complete: bool = True,
) -> tuple[str, int]:
    """Write a level 1 dataset as FITS: the whole file or nothing.

    Parameters
    ----------
    ds
        Level 1, in the order of time.
    path
        Its name is the FILENAME of the header.
    version
        Version of the product, from 1.
    created
        UTC, the DATE of the header.
    parents
        Files it was made from.
    complete
        Whether everything that belongs to it has arrived.

    Returns
    -------
    str, int
        SHA-256 of the file, and its size in bytes.

    Raises
    ------
    SchemaError
        If the dataset departs from its declaration, or is empty.
    ArchiveError
        If the file cannot be written.
    """
    hdus = to_hdus(
        ds, filename=path.name, version=version, created=created, parents=parents, complete=complete
    )
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    content = buffer.getbuffer()
    with new_file(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), len(content)


def to_hdus(
    ds: xr.Dataset,
    *,
    filename: str,
    version: int,
    created: datetime,
    parents: Sequence[str] = (),
    complete: bool = True,
) -> HDUList:
    """HDUs of a level 1 dataset: PRIMARY, CONTROL, DATA, IDB_VERSIONS and, with energies, ENERGIES.

    See `write_fits` for the parameters.

    Raises
    ------
    SchemaError
        If the dataset departs from its declaration, or is empty.
    """
    from astropy.io.fits import HDUList, PrimaryHDU

    from stixlab.errors import SchemaError

    product = str(ds.attrs["product"])
    spec = get_spec(product)
    check(ds, spec)
    if not ds.sizes["time"]:
        raise SchemaError(
            f"FITS of {product}: expected at least one time; found none; there is nothing to write"
        )
    along, others = time_arrays(ds)
    begin = _floor_ms(along["time_bounds"].min())
    header = _primary_header(
        ds, spec, along, begin, filename=filename, version=version, created=created, parents=parents
    )
    header["COMPLETE"] = (complete, "whether all of its telemetry has arrived")
    control, control_index = _control(spec, along, others)
    if "flare_valid" in along:
        row, along = flare_rows(along)
        control_index = control_index[row]
    hdus = [
        PrimaryHDU(header=header),
        control,
        _data(spec, along, begin, control_index),
        _idb_versions(ds, along),
    ]
    if "energy_mask" in along:
        # Readers look up the band of a mask of channels among all channels.
        edges = energy_edges(along["time"][0])
        hdus.append(_energies(np.column_stack([edges[:-1], edges[1:]])))
    elif "energy_bounds" in others:
        hdus.append(_energies(others["energy_bounds"]))
    found = HDUList(hdus)
    # What astropy would still change while writing is changed before the checksums are made.
    found.update_extend()
    for hdu in found:
        hdu.add_checksum(when=f"as of {created:%Y-%m-%dT%H:%M:%S}")
    return found


def _energies(bounds: NDArray[np.float64]) -> BinTableHDU:
    channel = np.arange(len(bounds), dtype=np.uint8)
    columns = [
        _column("channel", channel),
        _column("e_low", bounds[:, 0], "keV"),
        _column("e_high", bounds[:, 1], "keV"),
    ]
    return _table("ENERGIES", columns)


def _floor_ms(time: np.datetime64) -> np.datetime64:
    return np.datetime64(time.astype("datetime64[ms]").astype("datetime64[ns]"))


def _iso(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="ms"))


def _primary_header(
    ds: xr.Dataset,
    spec: DatasetSpec,
    along: Mapping[str, NDArray[Any]],
    begin: np.datetime64,
    *,
    filename: str,
    version: int,
    created: datetime,
    parents: Sequence[str],
) -> Header:
    from astropy.io.fits import Header

    origin = str(ds.attrs["origin"])
    bounds = along["time_bounds"]
    obt = scet_key(along) / 65536
    exposure = float(along["integration_time"].min()) if "integration_time" in along else 0.0
    cards: list[tuple[str, Any, str]] = [
        ("FILENAME", filename, "name of this file"),
        ("PARENT", ";".join(parents), "files it was made from"),
        ("DATE", created.strftime("%Y-%m-%dT%H:%M:%S"), "UTC when this file was made"),
        ("LEVEL", str(ds.attrs["level"]), "processing level"),
        ("ORIGIN", _MADE_BY[origin], "where this file was made"),
        ("SIMULATD", origin == SIMULATED, "data are simulated, not measured"),
        ("CREATOR", CREATOR, "software that made this file"),
        ("VERS_SW", str(ds.attrs.get("software_version", "")), "version of that software"),
        ("VERSION", f"{version:02d}", "version of the product"),
        ("OBSRVTRY", "Solar Orbiter", "satellite"),
        ("TELESCOP", "SOLO/STIX", "telescope"),
        ("INSTRUME", "STIX", "instrument"),
        *zip(("STYPE", "SSTYPE", "SSID"), product_type(spec.product).packet, _PACKET_COMMENTS, strict=True),
        ("STIXTYPE", spec.product, "product type"),
        ("XPOSURE", round(exposure, 6), "[s] shortest exposure"),
        ("OBT_BEG", float(obt.min()), "[s] on-board time of the first bin's start"),
        ("OBT_END", float(obt[-1] + exposure), "[s] on-board time of the last bin's end"),
        ("TIMESYS", "UTC", "system of the times"),
        ("DATE-OBS", _iso(begin), "start of the observation"),
        ("DATE-BEG", _iso(begin), "start; column time counts from it"),
        ("DATE-AVG", _iso(begin + (bounds.max() - begin) // 2), "middle of the observation"),
        ("DATE-END", _iso(bounds.max() + np.timedelta64(999_999, "ns")), "end of the observation"),
        ("CLOCK", str(ds.attrs.get("clock", "")), "source of UTC"),
        ("SRCLEVEL", str(ds.attrs.get("source_level", "")), "what the data were read from"),
    ]
    header = Header()
    for keyword, value, comment in cards:
        # A comment that does not fit beside its value is left out, not cut.
        fits_in = len(comment) + max(len(str(value).replace("'", "''")) + 2, 20) <= 67
        header[keyword] = (value, comment if fits_in else "")
    if "counts" in along:
        header["DATAMIN"] = (float(along["counts"].min()), "smallest value")
        header["DATAMAX"] = (float(along["counts"].max()), "largest value")
        header["BUNIT"] = ("count", "unit of the values")
    header.add_history(
        f"made from {ds.attrs.get('source_level') or 'telemetry'} by {ds.attrs.get('software_version', CREATOR)}"
    )
    if origin in _NOTES:
        header.add_comment(_NOTES[origin])
    return header


def _column(name: str, values: NDArray[Any], unit: str = "") -> Column:
    """One column; unsigned integers by an offset, as FITS has them."""
    from astropy.io.fits import Column

    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    width = str(math.prod(values.shape[1:])) if values.ndim > 1 else ""
    # A cell of several dimensions has its fastest first.
    shape = f"({','.join(map(str, values.shape[:0:-1]))})" if values.ndim > 2 else None
    if values.dtype.kind in "SU":
        return Column(
            name, f"{max(values.dtype.itemsize // (4 if values.dtype.kind == 'U' else 1), 1)}A", array=values
        )
    if values.dtype.name in _UNSIGNED:
        code, offset = _UNSIGNED[values.dtype.name]
        return Column(name, width + code, unit=unit or None, bzero=offset, array=values, dim=shape)
    return Column(name, width + _PLAIN[values.dtype.name], unit=unit or None, array=values, dim=shape)


def _table(name: str, columns: list[Column]) -> BinTableHDU:
    from astropy.io.fits import BinTableHDU

    return BinTableHDU.from_columns(columns, name=name, uint=True)


def _control(
    spec: DatasetSpec, along: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]
) -> tuple[BinTableHDU, NDArray[np.int32]]:
    """The CONTROL table, and for each time the row in it."""
    n_times = len(along["time"])
    has_bins = "integration_time" in along
    starts = control_runs(along) if has_bins else np.arange(n_times)
    length = np.diff([*starts, n_times])
    duration = along["integration_time"][starts].astype(np.float64) if has_bins else np.zeros(n_times)
    columns = [
        _column("scet_coarse", along["scet_coarse"][starts], "s"),
        _column("scet_fine", along["scet_fine"][starts]),
        _column("integration_time", np.round(duration, 1), "s"),
        _column("index", np.arange(len(starts), dtype=np.int32)),
    ]
    columns += [
        _column(each.column, each.to_rows(along[each.field][starts])) for each in control_columns(spec)
    ]
    if "subspectrum" in others:
        columns += [_column(n, np.tile(v, (len(starts), 1))) for n, v in subspectrum_columns(others).items()]
    if "energy" in others and "counts" in along:
        columns.append(
            _column("num_energies", np.full(len(starts), along["counts"].shape[-1], dtype=np.int32))
        )
    if has_bins:
        columns.append(_column("num_samples", length.astype(np.int32)))
    return _table("CONTROL", columns), np.repeat(np.arange(len(starts), dtype=np.int32), length)


def _data(
    spec: DatasetSpec,
    along: Mapping[str, NDArray[Any]],
    begin: np.datetime64,
    control_index: NDArray[np.int32],
) -> BinTableHDU:
    bounds = along["time_bounds"]
    columns = [
        _column("control_index", control_index),
        _column("time", (along["time"] - begin).astype(np.int64) / 1e9, "s"),
        _column("timedel", (bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e9, "s"),
    ]
    notes = []
    for field in spec.fields:
        if not field.fits_name:
            continue
        unit, offset = FITS_UNITS.get(field.units, (field.units, 0.0))
        values = along[field.name]
        columns.append(
            _column(field.fits_name, values.astype(np.float64) + offset if offset else values, unit)
        )
        if "flag_values" in field.attrs:
            meanings = zip(
                field.attrs["flag_values"].tolist(), field.attrs["flag_meanings"].split(), strict=True
            )
            notes.append(f"{field.fits_name}: " + ", ".join(f"{value} {text}" for value, text in meanings))
    table = _table("DATA", columns)
    for note in notes:
        table.header.add_comment(note)
    return table


def _idb_versions(ds: xr.Dataset, along: Mapping[str, NDArray[Any]]) -> BinTableHDU:
    versions = [v for v in str(ds.attrs.get("idb_version", "")).split(", ") if v] or ["unknown"]
    obt = scet_key(along) / 65536
    return _table(
        "IDB_VERSIONS",
        [
            _column("version", np.array(versions)),
            _column("obt_start", np.full(len(versions), obt.min()), "s"),
            _column("obt_end", np.full(len(versions), obt.max()), "s"),
        ],
    )
