"""What the cache of the pipelines asks of the stores: in memory and on a real server alike."""

import dataclasses
from datetime import timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.catalog.products import mark_long
from stixlab.model import RunStatus
from tests.support.records import DAY, T0, flare, product, run

HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "mongo"])
def catalog(request):
    return MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")


def test_contents_are_those_of_the_types_and_the_range(catalog):
    for day in range(-2, 4):
        for kind in ("ql-lightcurve", "hk-mini", "hk-maxi"):
            catalog.products.save(product(day, type=kind, content_sha256=f"c{day}"))
    catalog.products.save(product(1, origin="simulated"))
    catalog.products.save(dataclasses.replace(product(2), hidden="damaged"))
    found = catalog.products.contents(
        ["ql-lightcurve", "hk-maxi"], start=T0 + DAY, end=T0 + 3 * DAY, origin="flight"
    )
    assert [(c.product_id, c.content_sha256) for c in found] == [
        ("L1_hk-maxi_20210607_flight", "c1"),
        ("L1_ql-lightcurve_20210607_flight", "c1"),
        ("L1_hk-maxi_20210608_flight", "c2"),
    ]
    assert (found[0].start, found[0].end, found[0].level) == (T0 + DAY, T0 + 2 * DAY, "L1")
    both = catalog.products.contents(["ql-lightcurve"], start=T0 + DAY, end=T0 + DAY + HOUR)
    assert len(both) == 2
    assert catalog.products.contents(["ql-spectra"], start=T0, end=T0 + DAY) == []


@pytest.mark.parametrize("days", [2, 30])
def test_a_product_of_many_days_is_found_on_its_last(catalog, days):
    catalog.products.save(product(0, end=T0 + days * DAY))
    last = {"start": T0 + days * DAY - HOUR, "end": T0 + days * DAY}
    assert len(catalog.products.contents(["ql-lightcurve"], **last)) == 1
    later = {"start": T0 + days * DAY, "end": T0 + days * DAY + HOUR}
    assert catalog.products.contents(["ql-lightcurve"], **later) == []


def test_a_product_of_many_days_of_an_older_catalogue_is_found(catalog):
    catalog.products.save(product(0, end=T0 + 9 * DAY))
    products = catalog.collections["products"]
    old = products.get(product(0).product_id)
    products.replace({name: value for name, value in old.items() if name != "long"})
    last = {"start": T0 + 8 * DAY, "end": T0 + 9 * DAY}
    assert catalog.products.contents(["ql-lightcurve"], **last) == []
    mark_long(products)
    assert len(catalog.products.contents(["ql-lightcurve"], **last)) == 1


def test_who_found_the_flares_of_a_range_is_told(catalog):
    for minute, finder in ((0, "a"), (10, "b"), (20, "")):
        catalog.flares.save(flare(minute, run_id=finder))
    catalog.flares.save(flare(0, origin="simulated", run_id="c"))
    assert sorted(catalog.flares.run_ids(T0, T0 + timedelta(minutes=15), "flight")) == ["a", "b"]
    assert sorted(catalog.flares.run_ids(T0, T0 + HOUR, "flight")) == ["", "a", "b"]


def test_runs_that_wait_for_others_are_found(catalog):
    for number, after in enumerate(((), ("r0",), ("r0", "r1"), ("r1",))):
        catalog.runs.enqueue(dataclasses.replace(run(f"r{number}", number), after=after))
    catalog.runs.save(dataclasses.replace(run("r4", 4), after=("r0",), status=RunStatus.FAILED))
    assert sorted(r.run_id for r in catalog.runs.waiting_for(["r0"])) == ["r1", "r2"]
    assert sorted(r.run_id for r in catalog.runs.waiting_for(["r0", "r1"])) == ["r1", "r2", "r3"]
    assert catalog.runs.waiting_for(["r9"]) == []


def test_only_what_has_not_begun_is_withdrawn(catalog):
    for number in range(2):
        catalog.runs.enqueue(run(f"r{number}", number))
    catalog.runs.claim("elsewhere:1:1", 60, run_id="r0")
    assert not catalog.runs.withdraw("r0")
    assert catalog.runs.withdraw("r1")
    assert not catalog.runs.withdraw("r1")
    assert [r.run_id for r in catalog.runs.find()] == ["r0"]


def test_runs_are_found_by_what_asked_for_them(catalog):
    for number, trigger in enumerate(("manual", "schedule", "schedule")):
        catalog.runs.enqueue(dataclasses.replace(run(f"r{number}", number), trigger=trigger))
    assert [r.run_id for r in catalog.runs.find(trigger="schedule")] == ["r2", "r1"]
