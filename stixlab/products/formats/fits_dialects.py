"""FITS products of all makers, read into our datasets. Which is which is told by columns, keywords and units, never by versions.

Our own files are read through the declarations (`fits_own`); of others (stixcore: L1, L2, CAL; STIX-SWF: L0, L1, L1A)
quicklooks, housekeeping, calibration spectra and results, science requests and the ephemeris. Visibilities of 2020 are
not: their files hold zeros, times of another day and no errors; their packets are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from stixlab.datasets.construction import make_dataset
from stixlab.datasets.energy_calibration import ENERGY_CALIBRATION
from stixlab.datasets.registry import SPECS, get_spec
from stixlab.ephemeris.aux_products import is_aux_product
from stixlab.errors import FormatError, StixlabError
from stixlab.products.formats.fits import CREATOR, NOTES
from stixlab.products.formats.fits_bins import begin_of
from stixlab.products.formats.fits_campaign import campaign_attrs
from stixlab.products.formats.fits_checks import check_keywords, check_rows, check_tables, load_file
from stixlab.products.formats.fits_context import read_calibration_result, read_ephemeris
from stixlab.products.formats.fits_housekeeping import read_calibration, read_housekeeping
from stixlab.products.formats.fits_layout import is_request
from stixlab.products.formats.fits_lightcurve import read_lightcurve
from stixlab.products.formats.fits_own import read_own, request_attrs
from stixlab.products.formats.fits_quicklooks import (
    read_flare_flag,
    read_flare_list,
    read_spectra,
    read_variance,
)
from stixlab.products.formats.fits_science import read_request
from stixlab.products.formats.fits_table import FitsFile
from stixlab.products.merging import unique_order
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import FLIGHT, PRODUCT_TYPES, REENCODED, SIMULATED, DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_fits"]

_Reader = Callable[[DatasetSpec, FitsFile, ClockTable], tuple[dict[str, NDArray[Any]], dict[str, Any]]]

_PACKETS = {t.packet: t.name for t in PRODUCT_TYPES.values()}
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "sci-spectrogram": "sci-xray-spec",
        "sci-xray-l0": "sci-xray-rpd",
        "sci-xray-l1": "sci-xray-cpd",
        "sci-xray-l2": "sci-xray-scpd",
        "sci-xray-l3": "sci-xray-vis",
        "sci-xray-l4": "sci-xray-spec",
    }
)
"""Names that files of others give to products in place of those of the archive."""
_NOT_READ: Mapping[str, str] = MappingProxyType(
    {
        "sci-xray-vis": (
            "expected visibilities with values, errors and times of their day; files of others hold zeros, no errors and"
            " times of another day; ingest the packets of the request (`stixlab ingest`)"
        )
    }
)
"""Products of others that are refused, and why."""
_LEVELS = ("L0", "L1", "L1A")


def read_fits(path: Path, clock: ClockTable, *, content: bytes | None = None) -> xr.Dataset:
    """Level 1 dataset of a FITS product.

    Parameters
    ----------
    path
        Any name: what it is, is read from the file.
    clock
        For files that hold on-board times only, and to find the on-board time of bins in the others. The UTC of
        a file that has one is kept.
    content
        The bytes of the file, where they have been read already; the path is then a name for messages.

    Returns
    -------
    xarray.Dataset
        In the order of time, each on-board time once. ``attrs["dialect"]`` says what it was read as,
        ``attrs["source_level"]`` the level that the file gives itself.

    Raises
    ------
    FormatError
        If it is no FITS file, is damaged, is of another instrument, lacks something, or is of a product that is
        not read yet. The message says which.
    """
    file = load_file(path, content)
    header, name = file.header, file.name
    level, product = str(header.get("LEVEL", "")).strip(), _product(header, name)
    if product in PRODUCT_TYPES:
        check_keywords(file)
    attrs = _attrs(file, clock)
    is_aux = is_aux_product(Path(str(header.get("FILENAME", "") or name)))
    if is_aux or (level == "CAL" and product == ENERGY_CALIBRATION.product):
        check_tables(file, level, product, None)
    if is_aux:
        return read_ephemeris(path, clock, attrs, content=content)
    if level == "CAL" and product == ENERGY_CALIBRATION.product:
        return read_calibration_result(path, clock, attrs, content=content)
    own = attrs["dialect"] == CREATOR
    _check_read(header, level, product, name, own=own)
    spec = get_spec(product)
    check_tables(file, level, product, spec)
    try:
        check_rows(file.data, begin_of(file, clock), product, own=own)
        if own:
            arrays = read_own(spec, file, clock)
            more = request_attrs(header) if is_request(product) else {}
        else:
            arrays, more = _READERS[product](spec, file, clock)
        if not is_request(product):
            arrays = _in_order(spec, arrays)
        return make_dataset(spec, arrays, level="L1", attrs=attrs | more)
    except FormatError:
        raise
    except (StixlabError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise FormatError(f"{name}: {product} of level {level} cannot be read: {error}", path=path) from error


def _check_read(header: Mapping[str, Any], level: str, product: str, name: str, *, own: bool) -> None:
    """That a file is of a kind that is read."""
    if level == "LB":
        raise FormatError(
            f"{name}: expected a product; found packets (level LB of {product}); use `stixlab ingest`"
        )
    if own and product in SPECS:
        return
    if product in _NOT_READ:
        raise FormatError(f"{name}: found {product}, level {level}: {_NOT_READ[product]}")
    if product not in _READERS or level not in _LEVELS:
        raise FormatError(
            f"{name}: expected {', '.join(_READERS)} of levels {', '.join(_LEVELS)}, an auxiliary ephemeris (L2, ANC), an"
            f" energy calibration (CAL), or a product of {CREATOR}; found {product or 'an unknown product'}, level"
            f" {level or 'not given'}, made by {header.get('CREATOR', 'an unknown program')}; keywords STYPE, SSTYPE and SSID,"
            " or FILENAME, tell the product, LEVEL and CREATOR the rest"
        )


def _product(header: dict[str, Any], name: str) -> str:
    """Archive name of the product type; empty if it cannot be told."""
    packet = tuple(header.get(k) for k in ("STYPE", "SSTYPE", "SSID"))
    if packet in _PACKETS and str(header.get("LEVEL", "")).strip() not in ("L2", "CAL", "ANC"):
        return _PACKETS[packet]
    match = re.search(r"stix-([a-z0-9-]+)", str(header.get("FILENAME", "") or name).lower())
    text = match.group(1) if match else ""
    known = [*PRODUCT_TYPES, *_OTHER_NAMES]
    found = next((t for t in sorted(known, key=len, reverse=True) if text.startswith(t)), text)
    return _OTHER_NAMES.get(found, found)


def _in_order(spec: DatasetSpec, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rows in the order of time, each on-board time once."""
    along = {f.name for f in spec.fields if f.dims[0] == "time"}
    order = unique_order({k: v for k, v in arrays.items() if k in along})
    return arrays if order is None else {k: v[order] if k in along else v for k, v in arrays.items()}


def _attrs(file: FitsFile, clock: ClockTable) -> dict[str, Any]:
    header, tables = file.header, file.tables
    versions: list[str] = []
    if "IDB_VERSIONS" in tables and "version" in tables["IDB_VERSIONS"]:
        versions = sorted({str(v).strip() for v in tables["IDB_VERSIONS"]["version"].tolist()})
    maker = str(header.get("ORIGIN", "")).upper()
    simulated = bool(header.get("SIMULATD", False)) or "SIMULAT" in maker
    creator = str(header.get("CREATOR", "unknown")).strip()
    own = creator == CREATOR
    if own:
        source = str(header.get("CLOCK", ""))
    else:
        source = clock.source if header.get("TIMESYS") == "OBT" else "UTC of the product"
    campaign = campaign_attrs(header, file.comments, own=own, notes=tuple(NOTES.values()) if own else ())
    known = {"clock_accuracy_s": header["CLKACC"]} if own and isinstance(header.get("CLKACC"), float) else {}
    attrs = {
        "origin": SIMULATED if simulated else REENCODED if "RE-ENCODED" in maker else FLIGHT,
        "idb_version": ", ".join(v for v in versions if v != "unknown"),
        "clock": source,
        "source_level": str(header.get("LEVEL", "")).strip(),
        "source_files": file.name,
        "dialect": CREATOR if own else f"{str(header.get('LEVEL', '')).strip()} of {creator}",
    }
    return attrs | known | campaign


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "ql-lightcurve": read_lightcurve,
        "ql-background": read_lightcurve,
        "ql-spectra": read_spectra,
        "ql-variance": read_variance,
        "ql-flareflag": read_flare_flag,
        "ql-tmstatusflarelist": read_flare_list,
        "hk-mini": read_housekeeping,
        "hk-maxi": read_housekeeping,
        "cal-spectra": read_calibration,
        "sci-xray-rpd": read_request,
        "sci-xray-cpd": read_request,
        "sci-xray-scpd": read_request,
        "sci-xray-spec": read_request,
    }
)
"""Readers of the files of others, by product type."""
