"""FITS products of all makers, read into our datasets. Which is which is told by columns, keywords and units, never by versions.

Read now: light curves (our own, official L1 with times in cs or s, the old L1 that holds codes, L1A, L0) and our own
housekeeping. Others are recognised and named.
"""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import make_dataset
from stixlab.datasets.registry import get_spec
from stixlab.errors import FormatError, StixlabError
from stixlab.instrument.energy_channels import band_centres
from stixlab.products.counts import total_error
from stixlab.products.formats.fits import CREATOR
from stixlab.products.formats.fits_layout import FITS_UNITS, control_columns
from stixlab.products.formats.fits_lightcurve import read_lightcurve
from stixlab.products.formats.fits_table import FitsTable
from stixlab.products.merging import unique_order
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import FLIGHT, PRODUCT_TYPES, REENCODED, SIMULATED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_fits"]

_PACKETS = {t.packet: t.name for t in PRODUCT_TYPES.values()}
_READ_NOW = ("ql-lightcurve",)
_ASTROPY_ERRORS = (OSError, TypeError, ValueError, LookupError, NameError, AttributeError, AssertionError)
"""What astropy raises on files that are damaged; the last three where it did not think of it."""


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
    header, tables = _load(path, content)
    name = path.name
    _check_instrument(header, name)
    level = str(header.get("LEVEL", "")).strip()
    product = _product(header, name)
    own = str(header.get("CREATOR", "")).strip() == CREATOR
    if level == "LB":
        raise FormatError(
            f"{name}: expected a product; found packets (level LB of {product}); use `stixlab ingest`"
        )
    if not own and (product not in _READ_NOW or level not in ("L0", "L1", "L1A")):
        raise FormatError(
            f"{name}: recognised {product or 'an unknown product'}, level {level or 'not given'}, made by"
            f" {header.get('CREATOR', 'an unknown program')}; this is not read yet; read now:"
            f" {', '.join(_READ_NOW)} of levels L0, L1, L1A, and products of {CREATOR}"
        )
    for needed in ("CONTROL", "DATA"):
        if needed not in tables:
            raise FormatError(
                f"{name}: expected a table {needed}; found {', '.join(tables) or 'no table'}; is it complete?"
            )
    try:
        if own:
            arrays, dialect = _own(product, header, tables, name), CREATOR
        else:
            arrays, dialect = read_lightcurve(header, tables, clock, name)
        order = unique_order({k: v for k, v in arrays.items() if k not in ("energy", "energy_bounds")})
        if order is not None:
            arrays = {k: v if k in ("energy", "energy_bounds") else v[order] for k, v in arrays.items()}
        return make_dataset(
            get_spec(product), arrays, level="L1", attrs=_attrs(header, tables, clock, name, dialect)
        )
    except FormatError:
        raise
    except (StixlabError, ValueError, IndexError) as error:
        raise FormatError(f"{name}: {product} of level {level} cannot be read: {error}", path=path) from error


def _load(path: Path, content: bytes | None) -> tuple[dict[str, Any], dict[str, FitsTable]]:
    """Keywords of the primary header and tables by name, in memory; checksums verified."""
    from astropy.io import fits

    try:
        # The file is opened here: astropy leaves it open when it fails.
        stream: IO[bytes] = path.open("rb") if content is None else BytesIO(content)
        with warnings.catch_warnings(record=True) as caught, stream:
            warnings.simplefilter("always")
            with fits.open(stream, memmap=False, checksum=True) as hdus:
                cards = hdus[0].header.items()
                header = {k: v for k, v in cards if k not in ("COMMENT", "HISTORY", "")}
                tables = {
                    str(hdu.name).upper(): FitsTable(hdu, path.name)
                    for hdu in hdus[1:]
                    if isinstance(hdu, fits.BinTableHDU)
                }
    except (*_ASTROPY_ERRORS, fits.VerifyError) as error:
        raise FormatError(
            f"{path.name}: expected a FITS file; {error or type(error).__name__}", path=path
        ) from error
    for each in caught:
        text = str(each.message)
        if (
            "hecksum verification failed" in text
            or "atasum verification failed" in text
            or "truncated" in text
        ):
            raise FormatError(
                f"{path.name}: expected the content that its checksums were made of; {text.strip()}; the file is damaged:"
                " fetch it again",
                path=path,
            )
    return header, tables


def _check_instrument(header: dict[str, Any], name: str) -> None:
    words = f"{header.get('INSTRUME', '')} {header.get('TELESCOP', '')}"
    if "STIX" not in words.upper():
        raise FormatError(
            f"{name}: expected INSTRUME or TELESCOP of STIX; found {words.strip() or 'neither keyword'!r}"
        )


def _product(header: dict[str, Any], name: str) -> str:
    """Archive name of the product type; empty if it cannot be told."""
    packet = tuple(header.get(k) for k in ("STYPE", "SSTYPE", "SSID"))
    if packet in _PACKETS and str(header.get("LEVEL", "")).strip() not in ("L2", "CAL", "ANC"):
        return _PACKETS[packet]
    found = re.search(r"stix-([a-z0-9-]+)", str(header.get("FILENAME", "") or name).lower())
    text = found.group(1) if found else ""
    return next((t for t in sorted(PRODUCT_TYPES, key=len, reverse=True) if text.startswith(t)), text)


def _attrs(
    header: dict[str, Any], tables: dict[str, FitsTable], clock: ClockTable, name: str, dialect: str
) -> dict[str, str]:
    versions: list[str] = []
    if "IDB_VERSIONS" in tables and "version" in tables["IDB_VERSIONS"]:
        versions = sorted({str(v).strip() for v in tables["IDB_VERSIONS"]["version"].tolist()})
    maker = str(header.get("ORIGIN", "")).upper()
    simulated = bool(header.get("SIMULATD", False)) or "SIMULAT" in maker
    if dialect == CREATOR:
        source = str(header.get("CLOCK", ""))
    else:
        source = clock.source if header.get("TIMESYS") == "OBT" else "UTC of the product"
    return {
        "origin": SIMULATED if simulated else REENCODED if "RE-ENCODED" in maker else FLIGHT,
        "idb_version": ", ".join(v for v in versions if v != "unknown"),
        "clock": source,
        "source_level": str(header.get("LEVEL", "")).strip(),
        "source_files": name,
        "dialect": dialect,
    }


def _own(
    product: str, header: dict[str, Any], tables: dict[str, FitsTable], name: str
) -> dict[str, NDArray[Any]]:
    """Arrays of a file that we wrote: the declaration, read backwards."""
    from stixlab.products.formats.fits_lightcurve import bin_times, read_date, scet_of_bins

    spec = get_spec(product)
    control, data = tables["CONTROL"], tables["DATA"]
    begin = read_date(str(header.get("DATE-BEG", "")), name)
    time, bounds, length = bin_times(data, begin)
    row = data["control_index"].astype(np.int64)
    arrays: dict[str, NDArray[Any]] = {"time": time, "time_bounds": bounds}
    for field in spec.fields:
        if field.fits_name:
            _, offset = FITS_UNITS.get(field.units, ("", 0.0))
            # A column of one number in each row has lost its second dimension.
            values = data[field.fits_name].reshape(len(row), *[-1] * (len(field.dims) - 1))
            arrays[field.name] = (values - offset if offset else values).astype(field.dtype)
    declared = {f.name: f for f in spec.fields}
    for each in control_columns(spec):
        arrays[each.field] = each.from_rows(control[each.column], declared[each.field].dtype)[row]
    if "integration_time" in declared:
        tenths = np.round(length.astype(np.int64) / 1e8).astype(np.int64)
        arrays["integration_time"] = (tenths / 10).astype(np.float32)
        ticks = scet_of_bins(control, row, bounds[:, 0], tenths, clock=None, name=name)
        arrays["scet_coarse"], arrays["scet_fine"] = (
            (ticks >> 16).astype(np.uint32),
            (ticks & 0xFFFF).astype(np.uint16),
        )
    else:
        arrays["scet_coarse"] = control["scet_coarse"].astype(np.uint32)[row]
        arrays["scet_fine"] = control["scet_fine"].astype(np.uint16)[row]
    if "counts_error" in declared:
        arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
    if "ENERGIES" in tables:
        energies = tables["ENERGIES"]
        bounds_kev = np.column_stack([energies["e_low"], energies["e_high"]]).astype(np.float64)
        arrays |= {"energy": band_centres(bounds_kev), "energy_bounds": bounds_kev}
    return arrays
