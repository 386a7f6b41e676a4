"""The light curves over HTTP: the numbers behind the plot, with units and where they come from."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse

from stixlab import __version__
from stixlab.api.archive import FITS_MEDIA_TYPE
from stixlab.api.source import Source, TheSource
from stixlab.datasets.energy_axis import energy_table, with_one_table
from stixlab.timing import to_datetime
from stixlab.timing.intervals import Interval, as_text, read_interval
from stixlab.vocabulary import FLIGHT, ORIGINS, REENCODED, SIMULATED

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["LONGEST_DAYS", "router"]

router = APIRouter(prefix="/api/v1", tags=["light curves"])

PRODUCT = "ql-lightcurve"
LONGEST_DAYS = 31.0
"""Longest interval of one answer."""
_ROWS = 20_000
_WARNINGS = {
    SIMULATED: "SIMULATED DATA, not a measurement of the Sun",
    REENCODED: "RE-ENCODED DATA, from telemetry that was made from a product",
}
"""Rows made at a time."""


class Kind(StrEnum):
    """File kinds of the answer."""

    JSON = "json"
    CSV = "csv"
    FITS = "fits"


@router.get("/lightcurve", summary="Quicklook light curves: counts in five energy bands")
def lightcurve(
    source: TheSource,
    start: Annotated[str, Query(description="UTC, such as 2021-06-06")],
    end: Annotated[str, Query(description="UTC; empty: one day after the start")] = "",
    format: Annotated[Kind, Query(description="Kind of file")] = Kind.JSON,
    origin: Annotated[str | None, Query(pattern=f"^({'|'.join(ORIGINS)})$")] = None,
) -> Response:
    """Every bin whose middle lies in the interval, of 31 days at most; the same bins as in Python's `lab.open`."""
    interval = read_interval(start, end, longest_days=LONGEST_DAYS)
    ds = with_one_table(source.lab.open(PRODUCT, interval.start, interval.end, origin=origin))
    name = _file_name(interval, ds, format)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "max-age=60"}
    if format is Kind.CSV:
        return StreamingResponse(_csv(ds, interval), media_type="text/csv; charset=utf-8", headers=headers)
    if format is Kind.FITS:
        path = _fits(source, ds, name)
        remove = BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True)
        return FileResponse(path, media_type=FITS_MEDIA_TYPE, headers=headers, background=remove)
    return StreamingResponse(
        _json(ds, interval), media_type="application/json", headers={"Cache-Control": "max-age=60"}
    )


def _file_name(interval: Interval, ds: xr.Dataset, kind: Kind) -> str:
    first, last = (as_text(t).replace("-", "").replace(":", "") for t in (interval.start, interval.end))
    origin = str(ds.attrs.get("origin"))
    mark = "" if origin == FLIGHT else f"_{origin}"
    return f"solo_stix_{PRODUCT}_{first}-{last}{mark}.{kind}"


def _columns(ds: xr.Dataset) -> dict[str, tuple[str, str]]:
    """Columns of the table: name -> (unit, meaning)."""
    columns = {
        "time": ("UTC", "middle of the bin, at the spacecraft"),
        "integration_time": ("s", "length of the bin"),
    }
    for band in _bands(ds):
        columns[f"counts_{band}keV"] = ("ct", f"counts in {band} keV")
        columns[f"counts_error_{band}keV"] = (
            "ct",
            f"standard deviation of them, compression and Poisson, {band} keV",
        )
    for name in ("triggers", "triggers_error", "rate_control_state"):
        if name in ds:
            columns[name] = (
                str(ds[name].attrs.get("units", "1")),
                str(ds[name].attrs.get("long_name", name)),
            )
    return columns


def _bands(ds: xr.Dataset) -> list[str]:
    return [f"{low:g}-{high:g}" for low, high in energy_table(ds)]


def _frame(ds: xr.Dataset) -> pd.DataFrame:
    """The columns of a piece of the dataset, in the order of `_columns`."""
    import pandas as pd

    counts, errors = (
        np.asarray(ds[name].transpose("time", "energy").values) for name in ("counts", "counts_error")
    )
    times = np.asarray(ds["time"].values).astype("datetime64[ms]")
    columns: dict[str, Any] = {
        "time": np.char.add(np.datetime_as_string(times, unit="ms"), "Z"),
        "integration_time": np.asarray(ds["integration_time"].values),
    }
    for i, band in enumerate(_bands(ds)):
        columns[f"counts_{band}keV"] = counts[:, i]
        columns[f"counts_error_{band}keV"] = np.round(errors[:, i].astype(float), 3)
    for name in ("triggers", "triggers_error", "rate_control_state"):
        if name in ds:
            values = np.asarray(ds[name].values)
            columns[name] = np.round(values.astype(float), 3) if values.dtype.kind == "f" else values
    return pd.DataFrame(columns)


def _pieces(ds: xr.Dataset) -> Iterator[xr.Dataset]:
    for begin in range(0, ds.sizes["time"], _ROWS):
        yield ds.isel(time=slice(begin, begin + _ROWS)).load()


def _about(ds: xr.Dataset, interval: Interval) -> dict[str, str]:
    """What a reader of the file must know, in order."""
    about = {
        "product": f"{PRODUCT}, level {ds.attrs.get('level', 'L1')}",
        "origin": str(ds.attrs.get("origin", "")),
        "start": as_text(interval.start),
        "end": as_text(interval.end),
        "software": str(ds.attrs.get("software_version") or f"stixlab {__version__}"),
        "definitions": str(ds.attrs.get("idb_version", "")),
        "source_sha256": _joined(ds.attrs.get("source_sha256", "")),
        "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    if about["origin"] in _WARNINGS:
        about = {"warning": _WARNINGS[about["origin"]]} | about
    return {name: value for name, value in about.items() if value}


def _joined(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(map(str, np.ravel(value)))


def _csv(ds: xr.Dataset, interval: Interval) -> Iterator[str]:
    yield "".join(f"# {name}: {value}\n" for name, value in _about(ds, interval).items())
    columns = _columns(ds)
    yield "".join(f"# column {name} [{unit}]: {text}\n" for name, (unit, text) in columns.items())
    yield ",".join(columns) + "\n"
    for piece in _pieces(ds):
        yield _frame(piece).to_csv(index=False, header=False, lineterminator="\n")


def _json(ds: xr.Dataset, interval: Interval) -> Iterator[str]:
    columns = _columns(ds)
    facts = {"about": _about(ds, interval), "units": {name: unit for name, (unit, _) in columns.items()}}
    yield json.dumps(facts)[:-1] + ', "data": {'
    frames = [_frame(piece) for piece in _pieces(ds)]
    for i, name in enumerate(columns):
        values = [value for frame in frames for value in frame[name].tolist()]
        yield f"{', ' if i else ''}{json.dumps(name)}: {json.dumps(values, separators=(',', ':'))}"
    yield "}}\n"


def _fits(source: Source, ds: xr.Dataset, name: str) -> Path:
    """A FITS file of the dataset in a folder of its own, with the header of the archive; removed after it was sent."""
    from stixlab.ingest.headers import place_keywords, place_sources
    from stixlab.products.formats.fits import write_fits

    folder = Path(tempfile.mkdtemp(prefix="stixlab-"))
    try:
        start, end = (to_datetime(f(ds["time"].to_numpy())) for f in (np.min, np.max))
        place = place_sources(source.lab.catalog, source.settings.spice, start, end)
        keywords = place_keywords(ds, place, source.lab.archive)
        write_fits(
            ds,
            folder / name,
            version=1,
            created=datetime.now(UTC),
            keywords=keywords,
            **_made_from(source, ds),
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / name


def _made_from(source: Source, ds: xr.Dataset) -> dict[str, Any]:
    """What the header tells of the days that the data are from: their files, and whether they are complete."""
    from stixlab.ingest.completeness import names_of_sources

    start, end = (to_datetime(f(ds["time_bounds"].to_numpy())) for f in (np.min, np.max))
    days = source.lab.products(type=PRODUCT, start=start, end=end, origin=ds.attrs["origin"])
    files = source.lab.catalog.raw_files.get_many(sha256 for day in days for sha256 in day.sources)
    return {
        **names_of_sources(files[sha256] for sha256 in sorted(files)),
        "complete": all(day.complete for day in days),
        "why": "; ".join(day.why for day in days if day.why),
    }
