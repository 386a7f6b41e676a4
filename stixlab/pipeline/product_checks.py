"""Whether a product is what its record says, and what a run may make."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stixlab.archive.staged import StagedArchive
from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.datasets.registry import get_spec
from stixlab.errors import PipelineError, StixlabError
from stixlab.files import sha256_of
from stixlab.model import Product
from stixlab.pipeline.ranges import span_of
from stixlab.products.completeness import span_of_bins
from stixlab.products.merging import content_sha256
from stixlab.vocabulary import FLIGHT, ORIGINS, DatasetSpec, check

__all__ = ["check_product", "is_same_dataset", "level_of", "spec_of"]

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, UserWarning)
"""What reading something damaged can raise."""
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


def spec_of(product_type: str) -> DatasetSpec:
    """Declaration of the dataset of a product type.

    Raises
    ------
    SchemaError
        If there is none.
    """
    return EPHEMERIS if product_type == EPHEMERIS.product else get_spec(product_type)


def level_of(product_type: str) -> str:
    """Level of the products that pipelines make of a type."""
    return "ANC" if product_type == EPHEMERIS.product else "L1"


def check_product(product: Product, name: str, archive: StagedArchive, parameters: Mapping[str, Any]) -> None:
    """Refuse a product that cannot be taken into the catalogue.

    Parameters
    ----------
    product
        Its record.
    name
        The type under which it was delivered.
    archive
        With its files.
    parameters
        Of the run: its range, and if they narrow it down, ``origin``, ``type`` and ``request``.

    Raises
    ------
    PipelineError
        Naming everything that is wrong.
    """
    wrong = _record_problems(product, name, parameters)
    if not wrong:
        wrong = _dataset_problems(product, archive) + _fits_problems(product, archive)
    if wrong:
        raise PipelineError(f"result {name}: {product.product_id}: " + "; ".join(wrong), output=name)


def _record_problems(product: Product, name: str, parameters: Mapping[str, Any]) -> list[str]:
    wrong = []
    level = level_of(name)
    if product.type != name:
        wrong.append(f"its type is {product.type!r}")
    if product.level != level:
        wrong.append(f"expected level {level}; found {product.level!r}")
    if not product.product_id.startswith(f"{level}_{name}_"):
        wrong.append(f"expected an id of {level}_{name}_...")
    if product.origin not in ORIGINS:
        wrong.append(f"origin {product.origin!r} is none of {', '.join(ORIGINS)}")
    wanted = parameters.get("origin")
    if wanted and product.origin != wanted:
        wrong.append(f"expected origin {wanted}; found {product.origin!r}")
    if product.version < 1 or not product.n_times:
        wrong.append(f"version {product.version} with {product.n_times} times")
    if not _in_range(product, parameters):
        wrong.append(
            f"its data are of {product.start.isoformat()} to {product.end.isoformat()}, outside of the range asked for"
        )
    ours = "" if product.origin == FLIGHT else f"{product.origin}/"
    if not product.zarr.startswith(f"zarr/{level}/{name}/"):
        wrong.append(f"expected its dataset below zarr/{level}/{name}; found {product.zarr!r}")
    if not product.fits.startswith(f"{ours}fits/{level}/"):
        wrong.append(f"expected its FITS file below {ours}fits/{level}; found {product.fits!r}")
    return wrong


def _in_range(product: Product, parameters: Mapping[str, Any]) -> bool:
    """Whether a data request touches the range, or the day of a product does."""
    start, end = span_of(parameters)
    if product.request:
        return (start is None or product.end > start) and (end is None or product.start < end)
    middle = product.start + (product.end - product.start) / 2
    day = middle.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (start is None or day + _DAY > start) and (end is None or day < end)


def _dataset_problems(product: Product, archive: StagedArchive) -> list[str]:
    from stixlab.products.formats.zarr import open_zarr

    path = archive.path(product.zarr)
    if not path.exists():
        return [f"its dataset {product.zarr} is missing"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ds = open_zarr(path)
            check(ds, spec_of(product.type))
            found = content_sha256(ds)
            bounds = ds["time_bounds"].to_numpy()
    except (StixlabError, *_BROKEN) as error:
        return [f"its dataset cannot be used: {type(error).__name__}: {error}"]
    wrong = []
    if found != product.content_sha256:
        wrong.append(f"expected content {product.content_sha256[:16]} of its dataset; found {found[:16]}")
    told = {"product": product.type, "level": product.level, "origin": product.origin}
    wrong += [f"its dataset says {k} {ds.attrs.get(k)!r}" for k, v in told.items() if ds.attrs.get(k) != v]
    if ds.sizes["time"] != product.n_times:
        wrong.append(f"expected {product.n_times} times; found {ds.sizes['time']}")
    start, end = span_of_bins(bounds)
    if not (_near(start, product.start) and _near(end, product.end)):
        wrong.append(f"its dataset holds {bounds.min()} to {bounds.max()}")
    return wrong


def _near(first: datetime, second: datetime) -> bool:
    """Whether two times are the same in a catalogue, which keeps milliseconds."""
    return abs(first - second) <= _MILLISECOND


def _fits_problems(product: Product, archive: StagedArchive) -> list[str]:
    from astropy.io import fits

    path = archive.path(product.fits)
    if not path.exists():
        return [f"its file {product.fits} is missing"]
    size, found = path.stat().st_size, sha256_of(path)
    if (size, found) != (product.fits_bytes, product.fits_sha256):
        told = f"expected {product.fits_bytes} bytes with hash {product.fits_sha256[:16]} in its FITS file"
        return [f"{told}; found {size} with {found[:16]}"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path, checksum=True, memmap=True) as hdus:
                rows = len(hdus["DATA"].data)
                named = hdus[0].header["STIXTYPE"]
    except _BROKEN as error:
        return [f"its FITS file cannot be read: {type(error).__name__}: {error}"]
    wrong = [] if rows else ["its FITS file has no rows"]
    return wrong if named == product.type else [*wrong, f"its FITS file says type {named!r}"]


def is_same_dataset(first: Path, second: Path) -> bool:
    """Whether the second of two datasets can be read and holds the same as the first."""
    from stixlab.products.formats.zarr import open_zarr

    try:
        return content_sha256(open_zarr(first)) == content_sha256(open_zarr(second))
    except (StixlabError, *_BROKEN):
        return False
