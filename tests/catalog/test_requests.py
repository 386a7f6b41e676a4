"""Requests of science data, on MongoDB and in memory alike."""

from datetime import timedelta
from typing import Any

import pytest

from stixlab.catalog import Catalog, MemoryCatalog
from stixlab.model import ScienceRequest
from tests.support.records import DAY, HOUR, T0, raw_file


@pytest.fixture(params=["memory", "mongo"])
def catalog(request) -> Catalog:
    return MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")


def science_request(number: int = 1, **given: Any) -> ScienceRequest:
    values: dict[str, Any] = {
        "id": f"sci-xray-cpd_{number:010d}-00002_flight",
        "type": "sci-xray-cpd",
        "request_id": number,
        "tc_packet_id": 91,
        "tc_sequence": 2,
        "ssid": 21,
        "origin": "flight",
        "n_packets": 5,
        "n_missing": 0,
        "n_damaged": 0,
        "n_conflicts": 0,
        "complete": True,
        "start": T0 + number * DAY,
        "end": T0 + number * DAY + HOUR,
        "sent_start": T0 + (number + 2) * DAY,
        "sent_end": T0 + (number + 2) * DAY + HOUR,
        "keys": (f"flight/21/{number}/2",),
        "sources": ("a1", "b2"),
        "gaps": ("1 packet between sequence counts 4 and 6",),
    }
    return ScienceRequest(**(values | given))


def test_a_record_comes_back_as_it_was_saved(catalog):
    record = science_request(request_id=2**32 - 1, start=None, end=None, updated=T0)
    assert catalog.requests.get(record.id) is None
    catalog.requests.save(record)
    assert catalog.requests.get(record.id) == record
    assert catalog.requests.delete(record.id)
    assert not catalog.requests.delete(record.id)


def test_requests_are_found_by_time_type_number_key_and_state(catalog):
    first, second = science_request(1), science_request(2, complete=False)
    burst = science_request(
        0,
        id="burst",
        type="sci-aspect-burst",
        keys=("flight/42/day1/0", "flight/42/day2/0"),
        origin="simulated",
    )
    unknown = science_request(7, start=None, end=None)
    for each in (unknown, second, burst, first):
        catalog.requests.save(each)
    assert catalog.requests.find() == [burst, first, second, unknown]
    assert catalog.requests.find(start=T0 + DAY, end=T0 + 2 * DAY) == [first]
    assert catalog.requests.find(end=first.start) == [burst]
    assert catalog.requests.find(start=first.end) == [second]
    assert catalog.requests.find(type="sci-aspect-burst") == [burst]
    assert catalog.requests.find(origin="flight", complete=True) == [first, unknown]
    assert catalog.requests.find(request_id=2) == [second]
    for key in burst.keys:
        assert catalog.requests.find(key=key) == [burst]
    assert catalog.requests.find(key="flight/42/day3/0") == []


def test_incomplete_requests_are_found_by_the_time_of_their_packets(catalog):
    for number in range(4):
        catalog.requests.save(science_request(number, complete=number == 1))
    catalog.requests.save(science_request(9, complete=False, sent_start=None, sent_end=None))
    begin = T0 + 2 * DAY

    def found(a: timedelta, b: timedelta) -> list[int]:
        return [
            r.request_id for r in catalog.requests.find_incomplete(sent_from=begin + a, sent_until=begin + b)
        ]

    assert found(HOUR, 2 * DAY) == [0, 2]
    assert found(2 * HOUR, DAY) == []
    assert found(timedelta(), 9 * DAY) == [0, 2, 3]


def test_files_are_found_by_the_requests_in_them(catalog):
    first = raw_file("a1", requests=("flight/21/1/2", "flight/21/2/2"), report={})
    second = raw_file("b2", requests=("flight/21/2/2",), report={})
    for each in (second, first, raw_file("c3", requests=())):
        catalog.raw_files.save(each)
    assert catalog.raw_files.with_requests(["flight/21/2/2", "flight/21/9/9"]) == [first, second]
    assert catalog.raw_files.with_requests(["flight/21/1/2"]) == [first]
    assert catalog.raw_files.with_requests([]) == []
