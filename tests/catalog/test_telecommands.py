"""Telecommands: reports in any order lead to the same records."""

import dataclasses
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.catalog import MemoryCatalog
from stixlab.catalog.stores import Catalog
from stixlab.catalog.telecommands import merge
from stixlab.model import Telecommand
from tests.support.examples import examples

T0 = datetime(2022, 3, 1, 12, 0, 0, 123456, UTC)


@pytest.fixture(params=["memory", "mongo"])
def catalog(request) -> Catalog:
    return MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")


def telecommand(count: int = 1, **fields) -> Telecommand:
    values = {
        "name": "ZIX38001",
        "description": "Select data",
        "release": T0 + timedelta(seconds=count),
        "service": 238,
        "subtype": 1,
        "apid": 1452,
        "sequence_count": count,
        "unique_id": f"SSTX{count}",
        "states": {"ReleaseState": "PASSED", "ExecCompState": "UNKNOWN"},
        "parameters": ({"name": "PIX00076", "value": "2203010001", "radix": "Dec"},),
        "custom": {"no.such$key": "1"},
        "raw": "1DAC",
    } | fields
    return Telecommand(identity=f"{values['name']}.{count}", **values)


def stored(catalog) -> list[Telecommand]:
    return catalog.telecommands.find()


def test_a_command_comes_back_as_it_was_reported(catalog):
    exact = telecommand(release=T0.replace(microsecond=123000))
    assert catalog.telecommands.take([exact], "f1") == (1, 0)
    assert catalog.telecommands.get(exact.identity) == dataclasses.replace(exact, sources=("f1",))
    assert catalog.telecommands.take([exact], "f1") == (0, 0)
    assert catalog.telecommands.take([exact], "f2") == (0, 1)
    assert catalog.telecommands.get(exact.identity).sources == ("f1", "f2")
    assert catalog.telecommands.delete(exact.identity)
    assert catalog.telecommands.get(exact.identity) is None


def test_a_later_report_brings_what_was_not_known(catalog):
    early = telecommand(raw="")
    late = telecommand(
        execution=T0 + timedelta(hours=1), states={"ReleaseState": "PASSED", "ExecCompState": "PASSED"}
    )
    for reports in ((early, late), (late, early)):
        for each in reports:
            catalog.telecommands.take([each])
        (found,) = stored(catalog)
        assert found.outcome == "executed"
        assert found.raw == "1DAC"
        assert found.execution == (T0 + timedelta(hours=1)).replace(microsecond=123000)
        catalog.telecommands.delete(found.identity)


def test_one_reported_before_its_release_gives_way_to_the_one_released(catalog):
    early = dataclasses.replace(telecommand(1, release=None, sequence_count=0), identity="unreleased")
    released = telecommand(1)
    other = dataclasses.replace(telecommand(2, release=None), identity="other order")
    for reports in ((early, released, other), (other, released, early), (released, early, other)):
        for each in reports:
            catalog.telecommands.take([each])
        assert [c.identity for c in stored(catalog)] == [released.identity, "other order"]
        for each in reports:
            catalog.telecommands.delete(each.identity)


def test_long_reports_are_taken_in_parts(catalog):
    given = (telecommand(n) for n in range(1203))
    assert catalog.telecommands.take(given, "f") == (1203, 0)
    assert len(catalog.telecommands.find(brief=True)) == 1203


def test_the_same_command_twice_in_a_report_is_one(catalog):
    assert catalog.telecommands.take([telecommand(), telecommand()]) == (1, 0)


class TestFind:
    @pytest.fixture
    def catalog(self, catalog) -> Catalog:
        hour = timedelta(hours=1)
        commands = [
            telecommand(1, execution=T0 + 5 * hour),
            telecommand(2, name="ZIX36001", description="Mode transition", service=236, parameters=()),
            telecommand(3, states={"ExecCompState": "FAILED"}),
            dataclasses.replace(telecommand(4, release=None), identity="never"),
        ]
        catalog.telecommands.take(commands)
        return catalog

    def counts(self, catalog, **query) -> list[int | None]:
        return [c.sequence_count for c in catalog.telecommands.find(**query)]

    def test_by_time_in_its_order(self, catalog):
        assert self.counts(catalog) == [2, 3, 1, 4]
        assert self.counts(catalog, start=T0) == [2, 3, 1]
        assert self.counts(catalog, start=T0 + timedelta(seconds=3), end=T0 + timedelta(hours=1)) == [3]

    def test_by_what_it_is(self, catalog):
        assert self.counts(catalog, name="zix36*") == [2]
        assert self.counts(catalog, name="ZIX3") == []
        assert self.counts(catalog, text="MODE") == [2]
        assert self.counts(catalog, service=238, start=T0) == [3, 1]
        assert self.counts(catalog, sequence_count=3, apid=1452) == [3]
        assert self.counts(catalog, unique_id="SSTX4") == [4]
        assert self.counts(catalog, outcome="failed") == [3]
        assert self.counts(catalog, parameters={"PIX00076": "2203010001"}) == [3, 1, 4]
        assert self.counts(catalog, parameters={"PIX00076": "1"}) == []

    def test_brief_ones_lack_only_what_is_large(self, catalog):
        whole, brief = (
            catalog.telecommands.find(sequence_count=1),
            catalog.telecommands.find(sequence_count=1, brief=True),
        )
        assert brief == [dataclasses.replace(c, parameters=(), custom={}, details={}, raw="") for c in whole]


STATES = st.dictionaries(
    st.sampled_from(["ReleaseState", "OnBoardState", "ExecCompState", "OtherState"]),
    st.sampled_from(["PASSED", "FAILED", "UNKNOWN", "PENDING", "UNCERTAIN_PASSED", "NOT_APPLICABLE", ""]),
)
TIMES = st.none() | st.integers(0, 5).map(lambda n: T0.replace(microsecond=0) + timedelta(seconds=n))
REPORTS = st.builds(
    telecommand,
    count=st.integers(1, 2),
    release=TIMES,
    execution=TIMES,
    unique_id=st.just("SSTX") | st.just("SSTY"),
    states=STATES,
    raw=st.sampled_from(["", "1DAC", "1DAD", "1DACFF"]),
    parameters=st.sampled_from([(), ({"name": "P", "value": "1"},), ({"name": "P", "value": "2"},)]),
    custom=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "1", "22"])),
    sources=st.lists(st.sampled_from("fgh"), unique=True).map(lambda names: tuple(sorted(names))),
)


def with_identity(report: Telecommand) -> Telecommand:
    """As the reader names them: released commands by their release, others by their parameters."""
    values = [p["value"] for p in report.parameters]
    key = f"{report.sequence_count}.{report.release}" if report.release else f"unreleased.{values}"
    return dataclasses.replace(report, identity=f"{report.name}.{key}.{report.unique_id}")


@settings(max_examples=examples(60), deadline=None)
@given(reports=st.lists(REPORTS.map(with_identity), max_size=6), seed=st.integers(0, 1000))
def test_the_order_of_reports_and_their_division_do_not_matter(reports, seed):
    first, second = MemoryCatalog(), MemoryCatalog()
    first.telecommands.take(reports)
    chance = random.Random(seed)
    chance.shuffle(reports)
    cut = chance.randint(0, len(reports))
    for part in (reports[cut:], reports[:cut], reports[cut:]):
        second.telecommands.take(part)
    assert stored(first) == stored(second)
    assert [c.initials for c in stored(first)] == [c.initials for c in stored(second)]


@given(REPORTS, REPORTS, REPORTS)
def test_merging_is_of_no_order(a, b, c):
    a, b, c = (dataclasses.replace(x, identity="i") for x in (a, b, c))
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a
    assert list(merge(merge(a, b), c).states) == list(merge(a, merge(b, c)).states)
