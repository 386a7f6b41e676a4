"""The ancillary ephemeris of a day as a product: dataset, FITS file, record."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.errors import PipelineError, TimeError
from stixlab.ingest.formal import Made
from stixlab.ingest.headers import PlaceSources, place_sources
from stixlab.ingest.provenance import changed_inputs, clock_digest
from stixlab.ingest.repair import drop_damaged, is_fits_sound
from stixlab.model import Product
from stixlab.pipeline.ranges import range_of
from stixlab.products.completeness import completeness_of_day, span_of_bins
from stixlab.products.ephemeris import LEVEL, make_ephemeris
from stixlab.products.program import code_sha256
from stixlab.timing import ClockTable, to_datetime, to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, FLIGHT

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.ephemeris.provider import Ephemerides
    from stixlab.pipeline.session import RunSession

__all__ = ["ephemeris_id", "make_ephemerides", "store_ephemeris"]

TYPE = EPHEMERIS.product
_ONE = threading.Lock()
_TOLD = ("software_version", "clock", "orbit_source", "orbit_kind", "attitude_source", "remark")
_DAY = timedelta(days=1)


def ephemeris_id(day: np.datetime64) -> str:
    """Id of the product that this package makes of a day; those of others, which are imported, have other ids."""
    return f"{LEVEL}_{TYPE}_{str(day.astype('datetime64[D]')).replace('-', '')}_{FLIGHT}-made"


@dataclass(frozen=True)
class _Task:
    day: np.datetime64
    known: Product | None
    place: PlaceSources
    again: bool = False


@dataclass(frozen=True)
class _Maker:
    """Makes days in whatever process it is sent to."""

    archive: Archive
    clock: ClockTable

    def __call__(self, task: _Task) -> tuple[Product | None, str]:
        """The product; the reason if there is none."""
        with _ONE:
            sources = _sources(self.archive, task.place)
            inputs = _inputs(self.clock, task)
            if task.known is not None and not task.again and not changed_inputs(task.known, inputs):
                return task.known, ""
            try:
                ds = make_ephemeris(task.day, sources, self.clock)
            except TimeError as error:
                return None, f"{task.day}: {error.message}"
            return _write(ds, task, self.archive, sources, inputs), ""


def make_ephemerides(run: RunSession) -> Made:
    """The ephemeris of each UTC day that the range of a run touches, made unless it is up to date.

    Parameters
    ----------
    run
        With ``start`` and ``end``; ``again`` makes also what is up to date.

    Returns
    -------
    Made
        Deliver it with ``run.save_products()``. Days that no source covers stand among its problems.

    Raises
    ------
    TimeError
        If no source covers any of the days.
    CatalogError
        If the database does not answer.
    """
    lab, stage = run.lab, run.stage
    start, end = range_of(run.parameters)
    first, last = to_datetime64(start).astype("datetime64[D]"), to_datetime64(end - timedelta(microseconds=1))
    days = np.arange(first, last.astype("datetime64[D]") + 1)
    known = stage.catalog.products.get_many([ephemeris_id(d) for d in days])
    again = bool(run.parameters.get("again"))
    tasks = [_Task(d, known.get(ephemeris_id(d)), _place(run, d), again) for d in days]
    maker = _Maker(stage.archive, lab.clock)
    made = Made()
    for task, (product, problem) in zip(tasks, run.client().each(maker, tasks), strict=True):
        if product is None:
            made.problems.append(problem)
            continue
        stage.days.add((TYPE, FLIGHT, str(task.day)))
        if product == task.known:
            made.up_to_date += 1
            continue
        stage.catalog.products.save(product)
        before = task.known
        same = before is not None and before.content_sha256 == product.content_sha256
        made.add([product], [] if same else [product])
    if len(made.problems) == len(days):
        raise TimeError(f"ephemeris: {len(days)} days, none of which is covered: {made.problems[0]}")
    return made


def store_ephemeris(run: RunSession, ds: xr.Dataset) -> None:
    """Write a dataset of `stixlab.products.ephemeris.make_ephemeris` as the product of its day.

    Raises
    ------
    SchemaError
        If it departs from its declaration.
    PipelineError
        If it is not of one UTC day.
    """
    from stixlab.vocabulary import check

    check(ds, EPHEMERIS)
    days = np.unique(ds["time"].to_numpy().astype("datetime64[D]"))
    if len(days) != 1:
        raise PipelineError(f"save of {TYPE}: expected the times of one UTC day; found {len(days)} days")
    lab, stage = run.lab, run.stage
    day: np.datetime64 = days[0]
    task = _Task(day, stage.catalog.products.get(ephemeris_id(day)), _place(run, day))
    sources = _sources(stage.archive, task.place)
    stage.catalog.products.save(_write(ds, task, stage.archive, sources, _inputs(lab.clock, task)))
    stage.days.add((TYPE, FLIGHT, str(day)))


def _place(run: RunSession, day: np.datetime64) -> PlaceSources:
    start = to_datetime(day)
    return place_sources(run.stage.catalog, run.lab.settings.spice, start, start + _DAY)


def _sources(archive: Archive, place: PlaceSources) -> Ephemerides:
    from stixlab.ephemeris.provider import load_ephemerides

    return load_ephemerides(place.spice, place.paths(archive))


def _inputs(clock: ClockTable, task: _Task) -> dict[str, str]:
    """Hashes of all that decides about the ephemeris of a day."""
    start = task.day.astype("datetime64[ns]")
    low, high = (int(clock.to_scet(start + np.timedelta64(n, "D"))[0]) for n in (0, 1))
    return {
        "orbit": task.place.digest(),
        "clock": clock_digest(clock, low, high + 1),
        "code": code_sha256("ephemeris"),
    }


def _write(
    ds: xr.Dataset, task: _Task, archive: Archive, sources: Ephemerides, inputs: dict[str, str]
) -> Product:
    """Both forms of the product of a day; as far as they are the same as before, those there are."""
    from stixlab.products.formats.fits_ephemeris import ephemeris_fits_name, write_ephemeris_fits
    from stixlab.products.merging import content_sha256

    known, day = task.known, task.day.astype("datetime64[D]")
    content = content_sha256(ds)
    same = known is not None and known.content_sha256 == content
    if known is not None and task.again:
        drop_damaged(archive, known)
    version = 1 if known is None else known.version + (not same)
    created = datetime.now(UTC).replace(microsecond=0)
    if known is not None and same:
        created = known.created or created
    start, end = span_of_bins(ds["time_bounds"].to_numpy())
    covered = completeness_of_day([ds], day)
    fits: tuple[str, str, int]
    alike = (
        known is not None and same and not changed_inputs(known, inputs)
    )  # the header depends on them, too
    if known is not None and alike and (not task.again or is_fits_sound(archive, known)):
        fits = (known.fits, known.fits_sha256, known.fits_bytes)
    else:
        year, month, date = str(day).split("-")
        name = ephemeris_fits_name(day, version, complete=covered.complete is not False)
        key = f"fits/{LEVEL}/{year}/{month}/{date}/{CONTEXT_TYPES[TYPE].group}/{name}"
        fits = (
            key,
            *write_ephemeris_fits(
                ds, archive.target(key), ephemerides=sources, version=version, created=created
            ),
        )
    told: dict[str, Any] = {k: ds.attrs[k] for k in _TOLD if ds.attrs.get(k)}
    return Product(
        product_id=ephemeris_id(day),
        type=TYPE,
        level=LEVEL,
        origin=FLIGHT,
        start=start,
        end=end,
        version=version,
        content_sha256=content,
        n_times=ds.sizes["time"],
        zarr=archive.store_dataset(ds, day, content),
        fits=fits[0],
        fits_sha256=fits[1],
        fits_bytes=fits[2],
        provenance=told | {"inputs": inputs},
        created=created,
        hidden=known.hidden if known is not None else "",
        complete=covered.complete is not False,
        why=covered.why,
    )
