"""The audit trail: added to and searched, never changed."""

from datetime import timedelta

import pytest

from stixlab.archive.trash import make_entry
from stixlab.catalog import MemoryCatalog
from stixlab.catalog.dump import dump_collection, load_collection
from stixlab.catalog.stores import COLLECTIONS, SCHEMA_VERSION, Catalog, MongoCatalog
from stixlab.errors import AccessError, CatalogError, ConflictError, FormatError
from stixlab.model import Action
from tests.support.records import flare, product, raw_file, run


@pytest.fixture(params=["memory", "mongo"])
def catalog(request) -> Catalog:
    return MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")


def entry(action=Action.HIDE, subject="p1", **details):
    return make_entry(action, subject, who="keeper", reason="a test", details=details)


def test_entries_come_back_newest_first(catalog):
    made = [entry(), entry(Action.DELETE, product=vars(product())), entry(subject="p2")]
    for each in made:
        catalog.audit.add(each)
    found = catalog.audit.find()
    assert [e.entry_id for e in found] == [e.entry_id for e in reversed(made)]
    assert catalog.audit.get(made[0].entry_id).reason == "a test"
    assert catalog.audit.get("none") is None
    assert [e.subject for e in catalog.audit.find(subject="p1", action=Action.DELETE)] == ["p1"]
    late = made[-1].time + timedelta(seconds=1)
    assert catalog.audit.find(start=late) == []
    assert len(catalog.audit.find(end=late)) == 3


def test_a_record_in_an_entry_comes_back_whole(catalog):
    catalog.audit.add(entry(Action.DELETE, product=vars(product())))
    document = catalog.audit.find()[0].details["product"]
    assert type(product())(**document | {"sources": tuple(document["sources"])}) == product()


def test_an_entry_is_never_replaced(catalog):
    one = entry()
    catalog.audit.add(one)
    with pytest.raises(ConflictError, match="new id"):
        catalog.audit.add(one)
    assert not {"save", "delete", "replace"} & set(dir(catalog.audit))


def test_a_catalogue_goes_through_text_unchanged(catalog):
    for store, record in (
        (catalog.raw_files, raw_file()),
        (catalog.products, product()),
        (catalog.flares, flare()),
        (catalog.runs, run()),
        (catalog.audit, entry()),
    ):
        getattr(store, "save", getattr(store, "add", None))(record)
    other = MemoryCatalog()
    for name in COLLECTIONS:
        lines = list(dump_collection(catalog, name))
        for _ in range(2):
            assert load_collection(other, name, lines) == len(lines)
        documents = [sorted(c.collections[name].each(), key=lambda d: d["_id"]) for c in (catalog, other)]
        assert documents[0] == documents[1]
    assert other.products.find() == catalog.products.find()
    assert other.raw_files.get("a1") == raw_file()


def test_more_records_than_a_server_sends_at_once(catalog):
    for number in range(350):
        catalog.flares.save(flare(number))
    assert len({d["_id"] for d in catalog.collections["flares"].each()}) == 350


def test_lines_that_are_no_records_are_told():
    with pytest.raises(FormatError, match="flares, line 2"):
        load_collection(MemoryCatalog(), "flares", [b'{"_id": "a"}\n', b"{\n"])
    with pytest.raises(FormatError, match="'inventions'"):
        load_collection(MemoryCatalog(), "inventions", [])
    with pytest.raises(AccessError):
        load_collection(MemoryCatalog(writable=False), "flares", [b'{"_id": "a"}\n'])


def test_a_new_catalogue_is_of_this_version(catalog):
    assert catalog.schema_version == SCHEMA_VERSION


class TestVersions:
    def reopened(self, catalog):
        return MongoCatalog(catalog.database, writable=True)

    def test_a_catalogue_that_does_not_tell_is_of_version_1(self, mongo_catalog):
        mongo_catalog.meta.delete({"_id": "schema"})
        assert self.reopened(mongo_catalog).schema_version == 1
        mongo_catalog.set_schema_version(SCHEMA_VERSION)
        assert self.reopened(mongo_catalog).schema_version == SCHEMA_VERSION

    def test_a_catalogue_of_a_newer_version_is_left_alone(self, mongo_catalog):
        mongo_catalog.set_schema_version(SCHEMA_VERSION + 1)
        try:
            with pytest.raises(CatalogError, match="newer version"):
                self.reopened(mongo_catalog)
        finally:
            mongo_catalog.set_schema_version(SCHEMA_VERSION)
