"""Whole days, complete requests and ephemerides as pipelines make them: by the functions of the ingest, on a stage.

A run reads the data center as it is and writes beside it; what it made is checked and taken over when the whole
notebook has succeeded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.idb import Versions
from stixlab.ingest.assemble import DayMade, DayTask, commit, make_day
from stixlab.ingest.imported_requests import make_import, request_maker
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.reprocess import Plan, add_requests, plan_stale
from stixlab.ingest.requests import FoundRequest, RequestKeeper
from stixlab.model import Product, ScienceRequest
from stixlab.pipeline.ranges import span_of
from stixlab.timing import ClockTable
from stixlab.vocabulary import product_type

if TYPE_CHECKING:
    from astropy.table import QTable

    from stixlab.pipeline.session import RunSession

__all__ = [
    "DayMaker",
    "Made",
    "make_planned",
    "plan_daily",
    "plan_reprocess",
    "plan_requests",
    "plan_table",
    "staged_ingestor",
]

_ONE = threading.Lock()
"""A day is much; within a process one at a time is made."""


@dataclass
class Made:
    """What a run has made."""

    products: list[tuple[Product, str]] = field(default_factory=list)
    """Each with what became of it: ``new``, ``changed`` or ``unchanged``."""
    problems: list[str] = field(default_factory=list)
    """What could not be made, and why."""
    up_to_date: int = 0
    """Days and requests that needed nothing."""

    def add(self, products: Sequence[Product], changed: Sequence[Product]) -> None:
        """Note products; those that came out otherwise, and new ones, stand among `changed`."""
        ids = {p.product_id for p in changed}
        for p in products:
            became = "unchanged" if p.product_id not in ids else "new" if p.version == 1 else "changed"
            self.products.append((p, became))


@dataclass(frozen=True)
class DayMaker:
    """Makes a day in whatever process it is sent to."""

    archive: Archive
    versions: Versions
    clock: ClockTable

    def __call__(self, task: DayTask) -> DayMade:
        """Make the products of a day.

        Raises
        ------
        ArchiveError
            If something cannot be read or written.
        """
        with _ONE:
            return make_day(task, self.archive, self.versions, self.clock)


def staged_ingestor(run: RunSession) -> Ingestor:
    """What makes products, reading the data center and writing to the stage of a run."""
    lab = run.lab
    return Ingestor(
        catalog=run.stage.catalog,
        archive=run.stage.archive,
        versions=lab.versions,
        clock=lab.clock,
        spice=lab.settings.spice,
    )


def plan_daily(run: RunSession) -> Plan:
    """Days of quicklook, housekeeping and calibration in the range of a run that are missing or out of date.

    Parameters
    ----------
    run
        With the parameters ``start`` and ``end``; if they are not empty, ``origin`` and ``type`` narrow it down.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    return _plan(run, requests=False)


def plan_reprocess(run: RunSession) -> Plan:
    """Days and data requests in the range of a run of which an input has changed; all with the parameter ``again``.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    return _plan(run, again=bool(run.parameters.get("again")))


def _plan(run: RunSession, *, days: bool = True, requests: bool = True, again: bool = False) -> Plan:
    start, end = span_of(run.parameters)
    return plan_stale(
        staged_ingestor(run),
        type=_type_of(run),
        start=start,
        end=end,
        origin=run.parameters.get("origin") or None,
        again=again,
        days=days,
        requests=requests,
    )


def _type_of(run: RunSession) -> str | None:
    name = run.parameters.get("type") or None
    return None if name is None else product_type(name).name


def plan_requests(run: RunSession) -> Plan:
    """Data requests whose products are missing or out of date.

    Parameters
    ----------
    run
        With the parameters ``start`` and ``end``, or ``request``: a number or an id. ``origin`` and ``type`` narrow it
        down.

    Raises
    ------
    ParameterError
        If neither range nor request is given.
    NotInCatalogError
        If there is no such request.
    CatalogError
        If the database does not answer.
    """
    name = str(run.parameters.get("request") or "").strip()
    if not name:
        if None in span_of(run.parameters):
            raise ParameterError(
                "l1_science: expected start and end, or a request; found neither; give one of them"
            )
        return _plan(run, days=False)
    ingestor, plan = staged_ingestor(run), Plan()
    one = ingestor.catalog.requests.get(name)
    found = [one] if one is not None else _numbered(ingestor.catalog, name)
    origin, kind = run.parameters.get("origin") or None, _type_of(run)
    found = [r for r in found if origin in (None, r.origin) and kind in (None, r.type)]
    if not found:
        raise NotInCatalogError(
            f"request {name!r}: expected its number or id; there is none of it; `stixlab requests` lists them",
            request=name,
        )
    add_requests(ingestor, plan, found)
    plan.report.requests = len(plan.requests)
    return plan


def _numbered(catalog: Any, name: str) -> list[ScienceRequest]:
    return list(catalog.requests.find(request_id=int(name))) if name.isdigit() and int(name) else []


def plan_table(plan: Plan) -> QTable:
    """A plan as a table: one row for each day or request, with the reason."""
    from astropy.table import QTable

    rows = [(i.type, i.origin, i.what, ", ".join(i.why)) for i in plan.items]
    columns = [np.array([r[n] for r in rows], dtype=str) for n in range(4)]
    return QTable(columns, names=("type", "origin", "day or request", "why"))


def make_planned(run: RunSession, plan: Plan) -> Made:
    """Make what is planned, on the stage of a run: days side by side, requests one after the other.

    Parameters
    ----------
    run
    plan
        Of the same run.

    Returns
    -------
    Made
        Deliver it with ``run.save_products()``.

    Raises
    ------
    ArchiveError
        If stored packets are missing or damaged, or something cannot be written.
    PipelineError
        If the dask cluster goes away.
    """
    made = Made(up_to_date=plan.report.up_to_date)
    ingestor = staged_ingestor(run)
    run.stage.days |= set(plan.looked_at)
    if plan.days:
        maker = DayMaker(ingestor.archive, ingestor.versions, ingestor.clock)
        for day in run.client().each(maker, plan.days):
            commit(ingestor.catalog, ingestor.archive, day)
            made.add(day.touched, day.changed)
    for record in plan.requests:
        _make_request(run, ingestor, record, made, again=bool(run.parameters.get("again")))
    for product in plan.imports:
        products = request_maker(ingestor, again=bool(run.parameters.get("again")))
        make_import(products, product)
        made.add(ingestor.catalog.products.find(request=product.request, hidden=None), products.made)
        made.problems += products.problems
    return made


def _make_request(
    run: RunSession, ingestor: Ingestor, record: ScienceRequest, made: Made, *, again: bool
) -> None:
    products = request_maker(ingestor, again=again)
    keeper = RequestKeeper(ingestor.catalog, ingestor.archive, ingestor.versions, ingestor.clock)

    def take(found: list[FoundRequest], gone: list[str]) -> None:
        """Of requests that are assembled together, only those of the range."""
        ours = [f for f in found if f.record.id == record.id or _in_range(run, f.record)]
        products.take(ours, [i for i in gone if i == record.id])
        for each in ours:
            known = ingestor.catalog.products.find(request=each.record.id, hidden=None)
            made.add(known, products.made)

    keeper.make(record.keys, then=take)
    made.problems += products.problems


def _in_range(run: RunSession, record: ScienceRequest) -> bool:
    """Whether the data of a request touch the range of a run, if it has one."""
    start, end = span_of(run.parameters)
    if start is None or end is None or record.start is None or record.end is None:
        return False
    return record.start < end and record.end > start
