"""Datasets that a pipeline notebook saves, as products on the stage of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stixlab.errors import PipelineError, SchemaError
from stixlab.ingest.assemble import commit, make_day, plan_day
from stixlab.ingest.daily_ephemeris import store_ephemeris
from stixlab.ingest.headers import DayPlaces
from stixlab.ingest.receive import DayKey
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, check, product_type

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.pipeline.session import RunSession

__all__ = ["write_datasets"]


def write_datasets(run: RunSession, name: str, datasets: Sequence[xr.Dataset]) -> None:
    """Make a product of each UTC day of some datasets, in place of those there are.

    Parameters
    ----------
    run
        On whose stage they are written.
    name
        Product type.
    datasets
        As the type is declared, of one or several origins; where two have a bin of the same time the first gives it.

    Raises
    ------
    SchemaError
        If a dataset departs from the declaration of its type, or says that it is of another one.
    PipelineError
        If products of the type are not made day by day, or a dataset is empty.
    ArchiveError
        If the disk is full.
    """
    from stixlab.datasets.registry import get_spec
    from stixlab.products.level1 import split_days

    context = name in CONTEXT_TYPES
    if not context and product_type(name).group == "SCI":
        raise PipelineError(
            f"save: {name} is made of data requests, not of datasets; plan_requests() and make_planned() of"
            " stixlab.ingest.formal make them, run.save_products() delivers them"
        )
    days: dict[DayKey, list[xr.Dataset]] = {}
    for ds in datasets:
        _check_attrs(ds, name)
        if context:
            store_ephemeris(run, ds)
            continue
        check(ds, get_spec(name))
        if not ds.sizes["time"]:
            raise PipelineError(f"save: expected at least one time in a dataset of {name}; found none")
        for day, part in split_days(ds.load()):
            days.setdefault((name, str(ds.attrs["origin"]), str(day)), []).append(part)
    lab = run.lab
    places = DayPlaces(run.stage.catalog, lab.settings.spice)
    for key, parts in sorted(days.items(), key=lambda item: item[0]):
        task = plan_day(run.stage.catalog, key, [], "", places)
        task = replace(task, fresh=parts)
        commit(
            run.stage.catalog, run.stage.archive, make_day(task, run.stage.archive, lab.versions, lab.clock)
        )
        run.stage.days.add(key)


def _check_attrs(ds: xr.Dataset, name: str) -> None:
    found = {key: str(ds.attrs.get(key, "")) for key in ("product", "origin", "level")}
    wanted = "ANC" if name in CONTEXT_TYPES else "L1"
    if found["product"] != name or found["origin"] not in ORIGINS or found["level"] != wanted:
        raise SchemaError(
            f"save of {name}: expected attributes product {name!r}, level {wanted!r} and an origin of {', '.join(ORIGINS)};"
            f" found {found}"
        )
