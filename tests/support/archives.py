"""Small archives with days of light curves, and the catalogue that names them."""

import copy
import functools
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np

from stixlab.archive import Archive
from stixlab.archive.bookkeeping import update_contents
from stixlab.catalog import MemoryCatalog
from stixlab.files import sha256_of
from stixlab.model import Product, RawFile
from stixlab.products.merging import content_sha256
from stixlab.timing import to_datetime
from tests.support.light_curves import light_curve_dataset

TABLE = {"level": "L1", "product_type": "ql-lightcurve", "origin": "flight"}


def day_dataset(day, *, n_bins=90, seed=0):
    """A dataset of one UTC day, from its first minute on."""
    return light_curve_dataset(seed=seed, n_packets=3, n_bins=n_bins // 3, start=f"{day}T00:01:00")


def store_day(archive, catalog, ds):
    """Store a day with a raw file and a stand-in for its FITS file; returns its product."""
    bounds = ds["time_bounds"].to_numpy()
    day = bounds[0, 0].astype("datetime64[D]")
    content = content_sha256(ds)
    text = str(day).replace("-", "")
    raw, _ = archive.store_raw(f"telemetry of {day} {content}".encode())
    fits = f"fits/L1/{str(day).replace('-', '/')}/QL/{text}_V01.fits"
    path = archive.path(fits)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    start, end = to_datetime(bounds.min()), to_datetime(bounds.max())
    product = Product(
        product_id=f"L1_ql-lightcurve_{text}_flight",
        type="ql-lightcurve",
        level="L1",
        origin="flight",
        start=start,
        end=end,
        version=1,
        content_sha256=content,
        n_times=ds.sizes["time"],
        zarr=archive.store_dataset(ds, day, content),
        fits=fits,
        fits_sha256=sha256_of(path),
        fits_bytes=path.stat().st_size,
        sources=(raw,),
    )
    catalog.products.save(product)
    catalog.raw_files.save(
        RawFile(raw, (f"{text}.bin",), "binary", 3, "flight", start, start, end, processed=True)
    )
    return product


def update(archive, catalog, days):
    """Bring the table of contents up to date for some days."""
    return update_contents(archive, catalog.products.find(), days=[str(d) for d in days], **TABLE)


def filled(folder, *days, **fields):
    """An archive and its catalogue with some days in both, and their datasets.

    A copy of one that was written once in this process; `fill` writes anew, into what is there or with what a
    test has changed.
    """
    files, documents, parts = _written_once(days, tuple(sorted(fields.items())))
    for name, content in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    catalog = MemoryCatalog()
    for name, each in documents.items():
        for document in each:
            catalog.collections[name].replace(copy.deepcopy(document))
    return Archive(folder, writable=True), catalog, [ds.copy(deep=True) for ds in parts]


@functools.cache
def _written_once(days, fields):
    """The contents of all files, the documents of the catalogue, and the datasets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, catalog, parts = fill(folder, *days, **dict(fields))
        files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return files, {name: list(c.each()) for name, c in catalog.collections.items()}, parts


def fill(folder, *days, **fields):
    """The same, written to a folder in which something may be already."""
    archive, catalog = Archive(folder, writable=True), MemoryCatalog()
    parts = [day_dataset(day, seed=i, **fields) for i, day in enumerate(days)]
    with archive.writing():
        for ds in parts:
            store_day(archive, catalog, ds)
        update(archive, catalog, days)
    return archive, catalog, parts


def dates(first, n):
    """Days one after the other, as texts."""
    return [str(np.datetime64(first, "D") + i) for i in range(n)]


def age(path, **how_long):
    """Let a file or folder look as if it had been written so long ago."""
    import os

    then = path.stat().st_mtime - timedelta(**how_long).total_seconds()
    os.utime(path, (then, then))
