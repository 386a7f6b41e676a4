"""Makes products again from stored packets: those of which an input has changed, and no others."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack

from stixlab.archive.tables import update_tables
from stixlab.errors import FormatError
from stixlab.ingest.assemble import DayTask, commit, inputs_of_day, plan_day, product_id
from stixlab.ingest.headers import DayPlaces
from stixlab.ingest.imported_requests import changed_import, iter_imports, make_import, request_maker
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.provenance import changed_inputs
from stixlab.ingest.receive import DayKey
from stixlab.ingest.request_products import (
    RequestProducts,
    products_up_to_date,
    request_inputs,
    request_place,
)
from stixlab.ingest.requests import RequestKeeper
from stixlab.ingest.workforce import Tools, Workforce
from stixlab.model import Product, ScienceRequest
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["Plan", "PlannedItem", "ReprocessReport", "Scope", "add_requests", "plan_stale", "reprocess"]

log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Days, or requests, that are made while the archive is held: what arrives meanwhile waits for them."""
_WORTH_DAYS = 100
"""Days of a product type from which on further processes pay: each costs about a second of CPU to start."""
_MARGIN = timedelta(days=1)

Item = TypeVar("Item")


class Scope(TypedDict, total=False):
    """Of which products an input is looked at; of all where nothing is said."""

    type: str | None
    """Only products of this type."""
    origin: str | None
    """Only products of this origin."""
    start: datetime | None
    """UTC with a zone: days that touch ``[start, end)`` and requests whose data do. Open where None."""
    end: datetime | None
    again: bool
    """Whether to make also what all inputs are as they were; files that were damaged are written anew then."""


@dataclass
class ReprocessReport:
    """What was looked at and what was made again."""

    days: int = 0
    """Days of a product type, made again."""
    requests: int = 0
    """Data requests, made again."""
    up_to_date: int = 0
    """Days and requests all of whose inputs are what they were."""
    why: Counter[str] = field(default_factory=Counter)
    """How many were made again because of which input: ``data``, ``definitions``, ``clock``, ``code``, ``place``; ``missing``
    where there was no product, ``asked`` where all was to be made."""
    changed: list[str] = field(default_factory=list)
    """Ids of products that came out otherwise, or are new: they have a new version."""
    unchanged: int = 0
    """Products that came out the same."""
    problems: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Pipeline runs that followed."""
    seconds: float = 0.0

    def add(self, products: RequestProducts) -> None:
        """Note what became of some data requests."""
        self.changed += [p.product_id for p in products.made]
        self.unchanged += products.unchanged
        self.problems += products.problems

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "type": "reprocess",
            **self.__dict__,
            "why": dict(self.why),
            "seconds": round(self.seconds, 3),
        }


def reprocess(
    ingestor: Ingestor,
    *,
    dry_run: bool = False,
    **scope: Unpack[Scope],
) -> ReprocessReport:
    """Make products of a range of time again from the stored packets.

    Parameters
    ----------
    ingestor
        Catalogue and archive, definitions and clock in force, pipelines that follow.
    dry_run
        Only tell what would be made.
    **scope
        Of what: see `Scope`.

    Returns
    -------
    ReprocessReport
        From the same inputs the arrays come out the same, bit by bit.

    Raises
    ------
    CatalogError
        If the database does not answer; the same call again goes on from there.
    ArchiveError
        If stored packets are missing or damaged, or the archive cannot be written.
    """
    began = time.monotonic()
    plan, again = plan_stale(ingestor, **scope), scope.get("again", False)
    report, tasks, requests = plan.report, plan.days, plan.requests
    if not dry_run:
        touched = _make_days(ingestor, tasks, report)
        _make_requests(ingestor, requests, report, again=again)
        _make_imports(ingestor, plan.imports, report, again=again)
        if ingestor.trigger is not None and touched:
            report.runs = ingestor.trigger(sorted(touched))
    report.seconds = time.monotonic() - began
    log.info("reprocessed", extra={"n_days": report.days, "n_requests": report.requests})
    return report


@dataclass(frozen=True)
class PlannedItem:
    """A day or a data request that is to be made."""

    type: str
    origin: str
    what: str
    """UTC day, or id of the request."""
    why: tuple[str, ...]
    """Which inputs have changed; ``missing`` where there is no product, ``asked`` where all is to be made."""


@dataclass
class Plan:
    """What is to be made."""

    days: list[DayTask] = field(default_factory=list)
    requests: list[ScienceRequest] = field(default_factory=list)
    imports: list[Product] = field(default_factory=list)
    """Products of data requests that came as files of others."""
    items: list[PlannedItem] = field(default_factory=list)
    looked_at: list[DayKey] = field(default_factory=list)
    """Days, up to date or not."""
    report: ReprocessReport = field(default_factory=ReprocessReport)

    def note(self, type_: str, origin: str, what: str, why: Sequence[str]) -> bool:
        """Note why something is to be made; whether it is."""
        self.report.why.update(why)
        self.report.up_to_date += not why
        if why:
            self.items.append(PlannedItem(type_, origin, what, tuple(why)))
        return bool(why)


def plan_stale(
    ingestor: Ingestor,
    *,
    days: bool = True,
    requests: bool = True,
    **scope: Unpack[Scope],
) -> Plan:
    """What an input of has changed, or all.

    Parameters
    ----------
    days, requests
        Whether to look at products of days, at those of data requests.
    **scope
        Of what: see `Scope`.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    plan, again = Plan(), scope.get("again", False)
    type, origin = scope.get("type"), scope.get("origin")  # noqa: A001  (as the keyword has it)
    start, end = scope.get("start"), scope.get("end")
    found = _days(ingestor, start, end) if days else []
    plan.looked_at = [k for k in found if type in (None, k[0]) and origin in (None, k[1])]
    places = DayPlaces(ingestor.catalog, ingestor.spice)
    for key in plan.looked_at:
        task = plan_day(ingestor.catalog, key, [], "", places)
        # Products of the days beside it may reach into this one.
        own = product_id("L1", key[0], key[2], key[1])
        known = [p for i, p in task.known.items() if i == own or i.startswith(f"{own}-")]
        inputs = inputs_of_day(task, ingestor.versions, ingestor.clock)
        if plan.note(*key, _reasons(known, inputs, again=again)):
            plan.days.append(replace(task, again=again))
    if requests:
        add_requests(
            ingestor,
            plan,
            ingestor.catalog.requests.find(type=type, start=start, end=end, origin=origin),
            again=again,
        )
        for product in iter_imports(ingestor.catalog, type=type, start=start, end=end, origin=origin):
            why = ["asked"] if again else changed_import(product, ingestor)
            if plan.note(product.type, product.origin, product.request, why):
                plan.imports.append(product)
    plan.report.days = len(plan.days)
    plan.report.requests = len(plan.requests) + len(plan.imports)
    return plan


def add_requests(
    ingestor: Ingestor, plan: Plan, records: Sequence[ScienceRequest], *, again: bool = False
) -> None:
    """Add those of some data requests to a plan of which an input has changed, or all."""
    for record in records:
        known = {p.product_id: p for p in ingestor.catalog.products.find(request=record.id, hidden=None)}
        place = request_place(ingestor.catalog, record, ingestor.spice)
        inputs = request_inputs(record, ingestor.versions, ingestor.clock, place)
        why = _reasons(list(known.values()), inputs, again=again) or ["missing"]
        if not again and products_up_to_date(known, inputs):
            why = []
        if plan.note(record.type, record.origin, record.id, why):
            plan.requests.append(record)


def _days(ingestor: Ingestor, start: datetime | None, end: datetime | None) -> list[DayKey]:
    """Days that raw files have data of, within the range."""
    files = ingestor.catalog.raw_files.find(
        start=None if start is None else start - _MARGIN, end=None if end is None else end + _MARGIN
    )
    found = set()
    for text in {day for file in files for day in file.days}:
        product_type, origin, day = text.split("/")
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        within = (start is None or begin + _MARGIN > start) and (end is None or begin < end)
        if within and product_type in PRODUCT_TYPES and PRODUCT_TYPES[product_type].group != "SCI":
            found.add((product_type, origin, day))
    return sorted(found)


def _reasons(products: Sequence[Product], inputs: dict[str, str], *, again: bool) -> list[str]:
    if again:
        return ["asked"]
    if not products:
        return ["missing"]
    return sorted({name for p in products for name in changed_inputs(p, inputs)})


def _make_days(ingestor: Ingestor, tasks: list[DayTask], report: ReprocessReport) -> set[DayKey]:
    """Make days, a bunch at a time; those whose data are other than before."""
    touched: set[DayKey] = set()
    tools = Tools(ingestor.archive, ingestor.versions, ingestor.clock)
    processes = ingestor.processes
    if processes is None:
        processes = len(os.sched_getaffinity(0)) if len(tasks) >= _WORTH_DAYS else 1
    with Workforce.assemble(tools, [], processes) as workforce:
        done = 0
        for bunch in _bunches(tasks):
            with ingestor.archive.writing():
                for made in workforce.make(iter(bunch)):
                    commit(ingestor.catalog, ingestor.archive, made)
                    report.unchanged += made.unchanged
                    report.changed += [p.product_id for p in made.changed]
                    touched |= {made.key} if made.changed else set()
                    done += 1
                    ingestor.progress("making products", done, len(tasks))
                update_tables(ingestor.catalog, ingestor.archive, [t.key for t in bunch])
    return touched


def _make_requests(
    ingestor: Ingestor, requests: list[ScienceRequest], report: ReprocessReport, *, again: bool
) -> None:
    keeper = RequestKeeper(ingestor.catalog, ingestor.archive, ingestor.versions, ingestor.clock)
    done = 0
    for bunch in _bunches(requests):
        products = request_maker(ingestor, again=again)
        with ingestor.archive.writing():
            keeper.make({key for r in bunch for key in r.keys}, then=products.take)
        report.add(products)
        done += len(bunch)
        ingestor.progress("making requests", done, len(requests))


def _make_imports(
    ingestor: Ingestor, imports: list[Product], report: ReprocessReport, *, again: bool
) -> None:
    done = 0
    for bunch in _bunches(imports):
        products = request_maker(ingestor, again=again)
        with ingestor.archive.writing():
            for product in bunch:
                try:
                    make_import(products, product)
                except FormatError as error:
                    report.problems.append(f"{product.product_id}: {error.message}")
        report.add(products)
        done += len(bunch)
        ingestor.progress("making imported requests", done, len(imports))


def _bunches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), _AT_ONCE):
        yield items[first : first + _AT_ONCE]
