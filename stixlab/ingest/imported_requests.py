"""Products of data requests that came as FITS files of others: what of them is to be made again, and how.

No packets are catalogued for them; the file as it was received is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.provenance import changed_inputs
from stixlab.ingest.request_products import RequestProducts, import_inputs
from stixlab.model import Product
from stixlab.telemetry.streams import unpacked
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["changed_import", "iter_imports", "make_import", "request_maker"]

_GROUP = "SCI"


def iter_imports(
    catalog: Any,
    *,
    type: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    origin: str | None = None,
) -> Iterator[Product]:
    """Products of data requests within a range that were made from a file of others.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    for name in PRODUCT_TYPES:
        if PRODUCT_TYPES[name].group == _GROUP and type in (None, name):
            found = catalog.products.find(type=name, start=start, end=end, origin=origin, hidden=None)
            yield from (
                p for p in found if "source_level" in p.provenance and p.request and len(p.sources) == 1
            )


def changed_import(product: Product, ingestor: Ingestor) -> list[str]:
    """Names of the inputs of such a product that are not what they were.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    inputs, _ = import_inputs(
        ingestor.catalog,
        product.sources[0],
        (product.start, product.end),
        ingestor.versions,
        ingestor.clock,
        spice=ingestor.spice,
    )
    return changed_inputs(product, inputs)


def request_maker(ingestor: Ingestor, *, again: bool) -> RequestProducts:
    """What makes products of data requests, with all that this ingestor has."""
    return RequestProducts(
        ingestor.catalog,
        ingestor.archive,
        ingestor.versions,
        ingestor.clock,
        again=again,
        spice=ingestor.spice,
    )


def make_import(products: RequestProducts, product: Product) -> None:
    """Make such a product again from the file as it was received.

    Parameters
    ----------
    products
        Told of it.
    product
        As it is catalogued.

    Raises
    ------
    ArchiveError
        If the file is missing, or something cannot be written.
    FormatError
        If it can be read no more.
    CatalogError
        If the database does not answer.
    """
    from stixlab.products.formats.fits_dialects import read_fits

    sha256 = product.sources[0]
    raw_file = products.catalog.raw_files.get(sha256)
    name = raw_file.names[0] if raw_file is not None else sha256
    content = unpacked(products.archive.read_raw(sha256))
    request = products.take_import(read_fits(Path(name), products.clock, content=content), sha256)
    if request != product.request:  # an older version of this package called it otherwise
        products.take([], [product.request])
        named = products.catalog.products.find(request=request, hidden=None)
        products.archive.mark_named(p.zarr for p in named)  # the same data as before
