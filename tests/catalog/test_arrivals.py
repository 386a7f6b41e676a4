"""The store of arrivals, in memory and on a real server alike."""

import dataclasses
from datetime import timedelta

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.model import Arrival, ArrivalStatus, arrival_id
from tests.support.records import HOUR, T0


@pytest.fixture(params=["memory", "mongo"])
def arrivals(request):
    catalog = MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")
    return catalog.arrivals


def arrival(number: int = 0, **fields) -> Arrival:
    path = f"/in/{number}.xml"
    values = {
        "folder": "/in",
        "path": path,
        "name": f"{number}.xml",
        "sha256": f"{number:064x}",
        "size_bytes": 1000,
        "mtime_ns": 1_622_937_600_123_456_789,
        "ctime_ns": 1_622_937_600_123_456_789,
        "first_seen": T0 + number * HOUR,
        "status": ArrivalStatus.TAKEN,
        "complete": T0 + number * HOUR,
        "ingested": T0 + number * HOUR,
        "seconds": 1.5,
    }
    return Arrival(arrival_id(path, f"{number:064x}"), **(values | fields))


def test_a_record_comes_back_as_it_was_saved(arrivals):
    arrivals.save(
        [arrival(), arrival(1, status=ArrivalStatus.WAITING, complete=None, ingested=None, seconds=None)]
    )
    for number in (0, 1):
        found = arrivals.get(arrival(number).arrival_id)
        assert found.arrival_id == arrival(number).arrival_id
        assert isinstance(found.status, ArrivalStatus)
    assert arrivals.get(arrival().arrival_id) == arrival()
    assert arrivals.get(arrival().arrival_id).mtime == T0 + timedelta(microseconds=123_456)


def test_the_same_content_under_the_same_path_is_one_record(arrivals):
    arrivals.save([arrival(status=ArrivalStatus.WAITING)])
    arrivals.save([arrival(), arrival(1)])
    arrivals.save([])
    assert arrivals.find() == [arrival(1), arrival()]


def test_a_record_that_was_read_can_be_saved(arrivals):
    """What the database gives for large numbers is a kind of integer of its own."""
    arrivals.save([arrival()])
    (found,) = arrivals.find()
    arrivals.save([dataclasses.replace(found, attempts=2)])
    assert arrivals.find() == [arrival(attempts=2)]


def test_what_is_dropped_goes_with_what_is_saved(arrivals):
    unread = arrival(sha256="", status=ArrivalStatus.WAITING)
    arrivals.save([unread])
    arrivals.save([arrival(1)], drop=[unread.arrival_id])
    assert arrivals.find() == [arrival(1)]


def test_arrivals_by_status_time_and_folder_newest_first(arrivals):
    aside = arrival(3, status=ArrivalStatus.SET_ASIDE, reason="why")
    other = arrival(4, folder="/other", status=ArrivalStatus.WAITING)
    arrivals.save([arrival(), arrival(1), aside, other])
    assert arrivals.find() == [other, aside, arrival(1), arrival()]
    assert arrivals.find(limit=1) == [other]
    assert arrivals.find(status="set aside") == [aside]
    assert arrivals.find(status=("waiting", ArrivalStatus.SET_ASIDE)) == [other, aside]
    assert arrivals.find(start=T0 + HOUR, end=T0 + 3 * HOUR) == [arrival(1)]
    assert arrivals.find(folder="/in", status="taken") == [arrival(1), arrival()]
    assert arrivals.delete(aside.arrival_id)
    assert not arrivals.delete(aside.arrival_id)


def test_identities_differ_by_path_and_by_content():
    assert len({arrival_id(p, s) for p in ("/a", "/b") for s in ("", "0" * 64, "1" * 64)}) == 6
