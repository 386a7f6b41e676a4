"""Level 1 FITS files in the form of the Solar Orbiter archive, written from the declaration of the dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import scet_key
from stixlab.datasets.energy_axis import with_one_table
from stixlab.datasets.registry import get_spec
from stixlab.errors import SchemaError
from stixlab.files import write_bytes
from stixlab.instrument.detectors import mask_bits
from stixlab.instrument.energy_channels import energy_edges
from stixlab.products.formats.fits_campaign import campaign_cards, without_campaign
from stixlab.products.formats.fits_cards import Cards, name_list
from stixlab.products.formats.fits_columns import Hdu, column, primary, table
from stixlab.products.formats.fits_control import control_table, request_cards
from stixlab.products.formats.fits_layout import (
    FITS_UNITS,
    MASK_BITS,
    can_write,
    fits_folder,
    fits_name,
    is_request,
    request_fits_name,
)
from stixlab.products.formats.fits_supplement import supplement_tables
from stixlab.products.merging import time_arrays
from stixlab.products.pixel_masks import mask_columns
from stixlab.products.quicklooks import flare_rows
from stixlab.vocabulary import FLIGHT, REENCODED, SIMULATED, DatasetSpec, check, product_type

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CREATOR",
    "NOTES",
    "can_write",
    "fits_folder",
    "fits_name",
    "request_fits_name",
    "to_hdus",
    "write_fits",
]

CREATOR = "stixlab"
"""Keyword CREATOR of our files."""
_RAW = "sci-xray-rpd"
"""Its numbers were not compressed; clients ask for the error of the compression as of all pixel data: it is 0."""
_PACKET_COMMENTS = ("service type", "service subtype", "structure of the packets")
_MADE_BY = {FLIGHT: "stixlab", SIMULATED: "stixlab SIMULATOR", REENCODED: "stixlab RE-ENCODED"}
NOTES = {
    SIMULATED: "SIMULATED DATA: made by the stixlab simulator, not measured by the instrument.",
    REENCODED: "RE-ENCODED DATA: from telemetry that was made from the counts of a product.",
}
"""COMMENT of files that hold no measurements as they were sent, by origin."""


def write_fits(
    ds: xr.Dataset,
    path: Path,
    *,
    version: int,
    created: datetime,
    parents: Sequence[str] = (),
    raw_files: Sequence[str] = (),
    complete: bool | None = None,
    why: str | None = None,
    keywords: Mapping[str, Any] | None = None,
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
        Names of the products of others that it was made from.
    raw_files
        Names of the telemetry files that it was made from.
    complete
        Whether everything that belongs to it has arrived; by default what the dataset says of itself. Where nothing
        is known of it the header says nothing.
    why
        What is missing, in words; by default what the dataset says.
    keywords
        Further keywords: value, or value and comment; those of `stixlab.ephemeris.keywords` belong here.

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
        ds, filename=path.name, version=version, created=created, parents=parents, raw_files=raw_files,
        complete=complete, why=why, keywords=keywords,
    )  # fmt: skip
    content = b"".join(hdu.encode(created) for hdu in hdus)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest(), len(content)


def to_hdus(
    ds: xr.Dataset,
    *,
    filename: str,
    version: int,
    created: datetime,
    parents: Sequence[str] = (),
    raw_files: Sequence[str] = (),
    complete: bool | None = None,
    why: str | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> list[Hdu]:
    """HDUs of a level 1 dataset: PRIMARY, CONTROL, DATA, IDB_VERSIONS and, with energies, ENERGIES.

    See `write_fits` for the parameters.

    Raises
    ------
    SchemaError
        If the dataset departs from its declaration, or is empty.
    """
    product = str(ds.attrs["product"])
    spec = get_spec(product)
    ds = with_one_table(ds)
    check(ds, spec)
    if not ds.sizes["time"]:
        raise SchemaError(
            f"FITS of {product}: expected at least one time; found none; there is nothing to write"
        )
    along, others = time_arrays(ds)
    begin = _floor_ms(along["time_bounds"].min())
    first = primary()
    _fill_header(
        first.cards,
        ds,
        spec,
        along,
        begin,
        filename=filename,
        version=version,
        created=created,
        made_from={"RAW_FILE": raw_files, "PARENT": parents},
    )
    _add_cards(first.cards, _completeness_cards(ds.attrs, complete=complete, why=why))
    further = without_campaign(keywords or {}, ds.attrs)
    _add_cards(first.cards, [(k, *(v if isinstance(v, tuple) else (v, ""))) for k, v in further.items()])
    control, control_index = control_table(spec, along, others, ds.attrs)
    if "flare_valid" in along:
        row, along = flare_rows(along)
        control_index = control_index[row]
    hdus = [first, control, _data(ds, spec, along, begin, control_index), _idb_versions(ds, along)]
    hdus += _energy_tables(along, others)
    # Behind the tables that others look for by their number.
    return hdus + supplement_tables(spec, along, others)


def _completeness_cards(
    attrs: Mapping[Any, Any], *, complete: bool | None, why: str | None
) -> list[tuple[str, Any, str]]:
    """Whether all has arrived and why not, as far as it is known."""
    cards: list[tuple[str, Any, str]] = []
    told = attrs.get("complete") if complete is None else complete
    if told is not None:
        cards.append(("COMPLETE", bool(told), "whether all of its telemetry has arrived"))
    if why:
        cards.append(("INCOMPL", why, "why it is not complete"))
    return cards


def _energy_tables(along: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> list[Hdu]:
    """Table ENERGIES, if the product has energies."""
    if "energy_mask" in along:
        # Readers look up the band of a mask of channels among all channels.
        edges = energy_edges(along["time"][0])
        return [_energies(np.column_stack([edges[:-1], edges[1:]]))]
    return [_energies(others["energy_bounds"])] if "energy_bounds" in others else []


def _energies(bounds: NDArray[np.float64]) -> Hdu:
    channel = np.arange(len(bounds), dtype=np.uint8)
    columns = [
        column("channel", channel),
        column("e_low", bounds[:, 0], "keV"),
        column("e_high", bounds[:, 1], "keV"),
    ]
    return table("ENERGIES", columns)


def _floor_ms(time: np.datetime64) -> np.datetime64:
    return np.datetime64(time.astype("datetime64[ms]").astype("datetime64[ns]"))


def _iso(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="ms"))


def _fill_header(
    header: Cards,
    ds: xr.Dataset,
    spec: DatasetSpec,
    along: Mapping[str, NDArray[Any]],
    begin: np.datetime64,
    *,
    filename: str,
    version: int,
    created: datetime,
    made_from: Mapping[str, Sequence[str]],
) -> None:
    origin = str(ds.attrs["origin"])
    bounds = along["time_bounds"]
    obt = scet_key(along) / 65536
    length_s = (bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e9
    exposure = float(along["integration_time"].min()) if "integration_time" in along else 0.0
    cards: list[tuple[str, Any, str]] = [
        ("FILENAME", filename, "name of this file"),
        *((k, name_list(names), "files it was made from") for k, names in made_from.items() if any(names)),
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
        ("OBT_END", float((obt + length_s).max()), "[s] on-board time of the last bin's end"),
        ("TIMESYS", "UTC", "system of the times"),
        ("DATE-OBS", _iso(begin), "start of the observation"),
        ("DATE-BEG", _iso(begin), "start; column time counts from it"),
        ("DATE-AVG", _iso(begin + (bounds.max() - begin) // 2), "middle of the observation"),
        ("DATEREF", _iso(begin), "column time counts from it"),
        ("DATE-END", _iso(bounds.max() + np.timedelta64(999_999, "ns")), "end of the observation"),
        ("CLOCK", str(ds.attrs.get("clock", "")), "source of UTC"),
        ("SRCLEVEL", str(ds.attrs.get("source_level", "")), "what the data were read from"),
    ]
    campaign, comments = campaign_cards(ds.attrs)
    if "clock_accuracy_s" in ds.attrs:
        cards.append(
            ("CLKACC", float(ds.attrs["clock_accuracy_s"]), "[s] how far UTC may be off by that clock")
        )
    _add_cards(header, cards + campaign + request_cards(ds.attrs))
    if "counts" in along:
        header.set("DATAMIN", float(along["counts"].min()), "smallest value")
        header.set("DATAMAX", float(along["counts"].max()), "largest value")
        header.set("BUNIT", "count", "unit of the values")
    source, software = (ds.attrs.get(n) for n in ("source_level", "software_version"))
    header.note("HISTORY", f"made from {source or 'telemetry'} by {software or CREATOR}")
    for comment in comments:
        header.note("COMMENT", comment)
    if origin in NOTES:
        header.note("COMMENT", NOTES[origin])


def _add_cards(header: Cards, cards: Sequence[tuple[str, Any, str]]) -> None:
    for keyword, value, comment in cards:
        # A comment that does not fit beside its value is left out, not cut.
        fits_in = len(comment) + max(len(str(value).replace("'", "''")) + 2, 20) <= 67
        header.set(keyword, value, comment if fits_in else "")


def _data(
    ds: xr.Dataset,
    spec: DatasetSpec,
    along: Mapping[str, NDArray[Any]],
    begin: np.datetime64,
    control_index: NDArray[np.int32],
) -> Hdu:
    bounds = along["time_bounds"]
    masks = mask_columns(ds) if is_request(spec.product) and "pixel_mask" in along else {}
    columns = [
        column("control_index", control_index),
        column("time", (along["time"] - begin).astype(np.int64) / 1e9, "s"),
        column("timedel", (bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e9, "s"),
    ]
    notes = []
    for field in spec.fields:
        if not field.fits_name:
            continue
        unit, offset = FITS_UNITS.get(field.units, (field.units, 0.0))
        values = along[field.name]
        if field.name in MASK_BITS:
            values = masks.get(field.fits_name, mask_bits(values, MASK_BITS[field.name]))
        columns.append(
            column(field.fits_name, values.astype(np.float64) + offset if offset else values, unit)
        )
        if "flag_values" in field.attrs:
            meanings = zip(
                field.attrs["flag_values"].tolist(), field.attrs["flag_meanings"].split(), strict=True
            )
            notes.append(f"{field.fits_name}: " + ", ".join(f"{value} {text}" for value, text in meanings))
    for name in ("counts", "triggers") if spec.product == _RAW else ():
        unit = "count" if name == "counts" else ""
        columns.append(column(f"{name}_comp_err", np.zeros(along[name].shape, dtype=np.float32), unit))
    columns += [column(n, masks[n]) for n in ("num_pixel_sets", "num_energy_groups") if n in masks]
    found = table("DATA", columns)
    for note in notes:
        found.cards.note("COMMENT", note)
    return found


def _idb_versions(ds: xr.Dataset, along: Mapping[str, NDArray[Any]]) -> Hdu:
    versions = [v for v in str(ds.attrs.get("idb_version", "")).split(", ") if v] or ["unknown"]
    obt = scet_key(along) / 65536
    return table(
        "IDB_VERSIONS",
        [
            column("version", np.array(versions)),
            column("obt_start", np.full(len(versions), obt.min()), "s"),
            column("obt_end", np.full(len(versions), obt.max()), "s"),
        ],
    )
