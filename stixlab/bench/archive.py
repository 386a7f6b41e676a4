"""A year of quicklook in the archive: how soon a span is open, what is read of the disk for it.

The year is one simulated day, taken through encoder, decoder and level 1, and repeated with its times moved and its bins
turned around, so that every day is another. Datasets, records, tables of contents and reduced levels are written by the
functions with which an ingest writes them, on all cores; there are no FITS files, which nothing here reads.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab import factory
from stixlab.archive import Archive, contents, stored_arrays
from stixlab.archive.layout import contents_key, day_of
from stixlab.archive.levels import choose_width, open_levels
from stixlab.archive.tables import update_tables
from stixlab.bench.measurement import Measurement, bytes_read
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest.receive import decode_once, level1_by_day
from stixlab.model import Product
from stixlab.products.merging import content_sha256
from stixlab.settings import Settings, read_settings
from stixlab.simulation import simulate
from stixlab.telemetry.sources import read_packets
from stixlab.timing import to_datetime

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.client import Lab

__all__ = ["FIRST", "fill", "measure", "measure_small"]

GOAL_OPEN_MS, GOAL_DAY_MS, GOAL_OVERVIEW_MS = 200.0, 50.0, 300.0
GOAL_EXCESS = 1.1
"""Bytes read of many days, in bytes of as many days read alone."""
ORIGIN = "simulated"
_TYPES = (
    "ql-lightcurve",
    "ql-background",
    "ql-spectra",
    "ql-variance",
    "ql-flareflag",
    "ql-tmstatusflarelist",
)
FIRST = np.datetime64("2025-01-01", "D")
"""The first day that is written."""
_OVERVIEW_BINS = 5_000
_REPEATS = 5
_NAME = "archive"
_DAY_NS = np.timedelta64(86_400_000_000_000, "ns")


def measure() -> Iterator[Measurement]:
    """A year; it takes some minutes to make, and half a gigabyte of disk."""
    yield from _measure(365)


def measure_small() -> Iterator[Measurement]:
    """A month."""
    yield from _measure(30)


def _measure(n_days: int) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(home=Path(folder), mongo_uri="", access="operator")
        began = time.perf_counter()
        fill(settings, n_days)
        yield Measurement(
            _NAME, f"{n_days} days written, catalogued, reduced", time.perf_counter() - began, "s"
        )
        with factory.open_lab(settings) as lab:
            yield from _opening(lab, n_days)
            yield from _reading(lab, n_days)


def fill(
    settings: Settings, n_days: int, *, processes: int | None = None, types: Sequence[str] = _TYPES
) -> None:
    """Write that many days of quicklook.

    Parameters
    ----------
    settings
        Whose home gets them.
    n_days
    processes
        None: as many as there are cores.
    types
        Of the products; none given: all of them.
    """
    template = _template(settings.home / "made", types)
    root = factory.archive_folder(settings)
    size = processes or len(os.sched_getaffinity(0))
    pieces = [p for p in np.array_split(np.arange(n_days), size) if len(p)]
    with ProcessPoolExecutor(size, get_context("spawn")) as pool:
        stored = pool.map(_store, [root] * len(pieces), [template] * len(pieces), pieces)
        products = [product for found in stored for product in found]
    archive = Archive(root, writable=True)
    with factory.open_catalog(settings) as catalog, archive.writing():
        for product in products:
            catalog.products.save(product)
        update_tables(catalog, archive, {(p.type, p.origin, day_of(p.zarr)) for p in products})


def _template(folder: Path, types: Sequence[str]) -> list[xr.Dataset]:
    """Level 1 of a simulated day, a dataset of each of these types."""
    versions = load_versions()
    made = simulate(str(FIRST), str(FIRST + 1), out=folder, seed=1, kinds=("bin",), what=("quicklook",))
    path = Path(made.files[0])
    block, _ = read_packets(path.read_bytes(), path.name, versions)
    decoded, _ = decode_once(block, versions)
    days = level1_by_day(decoded, load_clock(), versions, BuildReport())
    largest: dict[str, xr.Dataset] = {}
    for parts in days.values():
        for ds in parts:
            name = ds.attrs["product"]
            if name not in largest or ds.sizes["time"] > largest[name].sizes["time"]:
                largest[name] = ds
    return [largest[name] for name in types]


def _store(root: Path, template: list[xr.Dataset], numbers: np.ndarray[Any, Any]) -> list[Product]:
    archive = Archive(root, writable=True)
    return [_store_one(archive, _moved(ds, int(number))) for number in numbers for ds in template]


def _moved(ds: xr.Dataset, n_days: int) -> xr.Dataset:
    """The same so many days after the first, its bins in another order."""
    own = ds["time"].to_numpy()[0].astype("datetime64[D]")
    n_days += int((FIRST - own).astype(int))
    changed: dict[str, Any] = {}
    for name, variable in ds.variables.items():
        values = variable.to_numpy()
        if values.dtype.kind == "M":
            changed[str(name)] = values + n_days * _DAY_NS
        elif name == "scet_coarse":
            changed[str(name)] = (values.astype(np.int64) + n_days * 86_400).astype(values.dtype)
        elif variable.dims[:1] == ("time",) and name != "scet_fine":
            changed[str(name)] = np.roll(values, 37 * n_days, axis=0)
        else:
            changed[str(name)] = values
    rebuilt = {n: (ds[n].dims, v, ds[n].attrs) for n, v in changed.items()}
    coords = {n: v for n, v in rebuilt.items() if n in ds.coords}
    return type(ds)({n: v for n, v in rebuilt.items() if n not in coords}, coords, ds.attrs)


def _store_one(archive: Archive, ds: xr.Dataset) -> Product:
    bounds = ds["time_bounds"].to_numpy()
    day = ds["time"].to_numpy()[0].astype("datetime64[D]")
    name, content = ds.attrs["product"], content_sha256(ds)
    return Product(
        product_id=f"L1_{name}_{str(day).replace('-', '')}_{ORIGIN}",
        type=name,
        level="L1",
        origin=ORIGIN,
        start=to_datetime(bounds.min()),
        end=to_datetime(bounds.max()),
        version=1,
        content_sha256=content,
        n_times=ds.sizes["time"],
        zarr=archive.store_dataset(ds, day, content),
    )


def _forget() -> None:
    """As in a session that has not opened anything yet."""
    contents._KNOWN.clear()  # noqa: SLF001  (there is no other reason to empty them)
    stored_arrays._open.cache_clear()  # noqa: SLF001


def _opening(lab: Lab, n_days: int) -> Iterator[Measurement]:
    """Spans of all lengths, tables of contents read anew each time."""
    for title, days in ((f"{n_days} days", n_days), ("a day", 1)):
        slowest, most, what = 0.0, 0, ""
        for name in _TYPES:
            taken, n_bytes = _best(lambda name=name, days=days: lab.open(name, *_span(0, days)))  # type: ignore[misc]  # bound now
            most = max(most, n_bytes)
            slowest, what = max((slowest, what), (taken, name))
        yield Measurement(
            _NAME,
            f"open {title}, the slowest type ({what})",
            slowest,
            "ms",
            GOAL_OPEN_MS,
            smaller_is_better=True,
        )
        yield Measurement(_NAME, f"open {title}, the most that is read", most / 1000, "kB")
    size = lab.archive.path(contents_key("L1", "ql-lightcurve", ORIGIN)).stat().st_size
    yield Measurement(_NAME, f"table of contents of {n_days} days of light curves", size / 1000, "kB")


def _reading(lab: Lab, n_days: int) -> Iterator[Measurement]:
    def day(number: int, last: int = 0) -> Any:
        return lab.open("ql-lightcurve", *_span(number, last or number + 1))["counts"].load()

    first, _ = _best(lambda: day(n_days // 2))
    yield Measurement(
        _NAME, "a day's light curve, first in the session", first, "ms", GOAL_DAY_MS, smaller_is_better=True
    )
    further = [_once(lambda n=n: day(n)) for n in range(1, min(20, n_days))]  # type: ignore[misc]  # bound now
    yield Measurement(
        _NAME, "a day's light curve, further ones", statistics.median(t for t, _ in further), "ms"
    )

    begin, end = _span(0, n_days)
    width = choose_width("ql-lightcurve", n_days * 86_400.0, _OVERVIEW_BINS)
    wanted: Any = {"width_s": width, "names": ["counts"], "origin": ORIGIN}
    taken, n_bytes = _best(lambda: open_levels(lab.archive, "ql-lightcurve", begin, end, **wanted))
    yield Measurement(
        _NAME,
        f"overview of {n_days} days, bins of {width} s",
        taken,
        "ms",
        GOAL_OVERVIEW_MS,
        smaller_is_better=True,
    )
    yield Measurement(_NAME, f"overview of {n_days} days, read", n_bytes / 1000, "kB")
    # What is read of the data alone: the span is open already, as of a plot in which somebody moves about.
    whole = lab.open("ql-lightcurve", begin, end)["counts"]

    def read(days: int) -> int:
        stored_arrays._open.cache_clear()  # noqa: SLF001
        low, high = _span(0, days)
        return _once(lambda: whole.sel(time=slice(low, high - np.timedelta64(1, "ns"))).load())[1]

    read(1)
    alone, many = read(1), n_days // 3
    yield Measurement(_NAME, "counts of a day out of the whole, read", alone / 1000, "kB")
    yield Measurement(
        _NAME,
        f"counts of {many} days, bytes read, in bytes of as many single days",
        read(many) / alone / many,
        "",
        GOAL_EXCESS,
        smaller_is_better=True,
    )


def _span(first: int, last: int) -> tuple[np.datetime64, np.datetime64]:
    return (FIRST + first).astype("datetime64[ns]"), (FIRST + last).astype("datetime64[ns]")


def _once(function: Callable[[], object]) -> tuple[float, int]:
    """Milliseconds and bytes read."""
    before, began = bytes_read(), time.perf_counter()
    function()
    taken = (time.perf_counter() - began) * 1000
    return taken, bytes_read() - before


def _best(function: Callable[[], object]) -> tuple[float, int]:
    """Milliseconds of the quickest of several calls that know nothing of one another, and the bytes one reads."""
    found = []
    for _ in range(_REPEATS):
        _forget()
        found.append(_once(function))
    return min(t for t, _ in found), min(b for _, b in found)
