"""One body of tests for the stores, run on memory and on a real server alike."""

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stixlab.catalog import MemoryCatalog, connect_database, worker_is_dead, worker_name
from stixlab.catalog.runs import MAX_ATTEMPTS
from stixlab.catalog.stores import Catalog, MongoCatalog
from stixlab.errors import AccessError, CatalogError, ConflictError, SchemaError, SettingsError
from stixlab.model import RunStatus
from tests.support.records import DAY, HOUR, T0, flare, product, raw_file, run

ME = worker_name()


@pytest.fixture(params=["memory", "mongo"])
def catalog(request) -> Catalog:
    return MemoryCatalog() if request.param == "memory" else request.getfixturevalue("mongo_catalog")


class TestRecords:
    def test_each_record_comes_back_as_it_was_saved(self, catalog):
        for store, record, identity in (
            (catalog.raw_files, raw_file(), "a1"),
            (catalog.products, product(), "L1_ql-lightcurve_20210606_flight"),
            (catalog.flares, flare(), "2106060000"),
            (catalog.runs, run(), "r1"),
        ):
            assert store.get(identity) is None
            store.save(record)
            assert store.get(identity) == record
            assert store.delete(identity)
            assert not store.delete(identity)
            assert store.get(identity) is None

    def test_saving_again_replaces_the_whole_record(self, catalog):
        catalog.raw_files.save(raw_file())
        catalog.raw_files.save(raw_file(report={}, processed=True))
        assert catalog.raw_files.get("a1") == raw_file(report={}, processed=True)
        assert len(catalog.raw_files.find()) == 1

    def test_times_are_cut_to_the_millisecond_and_come_back_in_utc(self, catalog):
        """Documents keep milliseconds; a record must still be found by its own times."""
        late = T0 + timedelta(microseconds=999_999)
        catalog.flares.save(flare(peak=late.astimezone(timezone(timedelta(hours=2)))))
        found = catalog.flares.get("2106060000")
        assert found.peak == T0 + timedelta(milliseconds=999)
        assert found.peak.tzinfo == UTC
        assert catalog.flares.find(start=late, end=late + HOUR) == [found]

    def test_a_time_without_a_zone_is_refused(self, catalog):
        with pytest.raises(SchemaError, match="time zone"):
            catalog.flares.save(flare(peak=datetime(2021, 6, 6)))  # noqa: DTZ001

    def test_a_value_no_document_can_hold_is_named(self, catalog):
        with pytest.raises(SchemaError, match=r"report\.x\[1\].*set"):
            catalog.raw_files.save(raw_file(report={"x": [1, {2}]}))
        with pytest.raises(SchemaError, match="64 bits"):
            catalog.raw_files.save(raw_file(size_bytes=2**63))
        assert catalog.raw_files.get("a1") is None


class TestFind:
    def test_raw_files_that_span_much_are_found_by_any_time_in_between(self, catalog):
        """They are searched apart from those that are found by where they start."""
        spans = [(0, 1), (0, 14), (0, 15), (2, 400), (300, 301)]
        for first, last in spans:
            catalog.raw_files.save(
                raw_file(f"{first}-{last}", start=T0 + first * DAY, end=T0 + last * DAY, days=("x",))
            )
        for low, high in ((0, 1), (10, 11), (14, 15), (15, 16), (16, 17), (300, 301), (399, 401), (401, 402)):
            expected = sorted(f"{a}-{b}" for a, b in spans if a < high and b >= low)
            for end in (T0 + high * DAY, None):
                found = catalog.raw_files.find(start=T0 + low * DAY, end=end, brief=True)
                wanted = expected if end else sorted(f"{a}-{b}" for a, b in spans if b >= low)
                assert sorted(f.sha256 for f in found) == wanted
        assert all(f.report == {} and f.days == () for f in found)

    def test_raw_files_by_time_kind_and_origin(self, catalog):
        early, late = raw_file("a1"), raw_file("b2", kind="hex", start=T0 + DAY, end=T0 + DAY, processed=True)
        empty = raw_file("c3", start=None, end=None, received=T0 + 2 * DAY, origin="simulated")
        for each in (late, empty, early):
            catalog.raw_files.save(each)
        assert catalog.raw_files.find() == [early, late, empty]
        assert catalog.raw_files.find(start=T0, end=T0 + 2 * DAY) == [early, late]
        assert catalog.raw_files.find(start=T0 + DAY, end=T0 + 2 * DAY) == [late]
        assert catalog.raw_files.find(kind="hex") == [late]
        assert catalog.raw_files.find(origin="simulated") == [empty]
        assert catalog.raw_files.find(processed=False, end=T0 + 2 * DAY) == [early]

    def test_products_that_touch_a_range_in_order(self, catalog):
        days = [product(d) for d in range(5)]
        other = product(2, type="hk-maxi")
        for each in (*reversed(days), other):
            catalog.products.save(each)
        assert catalog.products.find(type="ql-lightcurve") == days
        assert catalog.products.find(start=T0 + DAY, end=T0 + 2 * DAY) == [days[1]]
        middle = T0 + 2.5 * DAY
        assert catalog.products.find(start=middle, end=middle) == [other, days[2]]
        assert catalog.products.find(type="hk-maxi", level="L1", origin="flight") == [other]
        assert catalog.products.find(level="L0") == []
        assert catalog.products.get_many([days[0].product_id, "none"]) == {days[0].product_id: days[0]}

    def test_the_latest_product_also_after_one_was_deleted(self, catalog):
        assert catalog.products.latest(type="ql-lightcurve") is None
        for each in (product(400), product(3), product(401, origin="simulated"), product(2, type="hk-maxi")):
            catalog.products.save(each)
        assert catalog.products.latest(type="ql-lightcurve") == product(401, origin="simulated")
        assert catalog.products.latest(type="ql-lightcurve", origin="flight") == product(400)
        assert catalog.products.latest(type="hk-maxi") == product(2, type="hk-maxi")
        catalog.products.delete(product(400).product_id)
        assert catalog.products.latest(type="ql-lightcurve", origin="flight") == product(3)

    def test_the_nearest_product(self, catalog):
        assert catalog.products.nearest(time=T0) is None
        for day in (0, 10):
            catalog.products.save(product(day))
        assert catalog.products.nearest(time=T0 + 3 * DAY) == product(0)
        assert catalog.products.nearest(time=T0 + 9 * DAY) == product(10)
        assert catalog.products.nearest(time=T0 - 900 * DAY, type="ql-lightcurve", level="L1") == product(0)

    def test_a_product_of_absurd_length_is_refused(self, catalog):
        with pytest.raises(SchemaError, match="31 days"):
            catalog.products.save(product(0, end=T0 + 40 * DAY))

    def test_flares_by_peak_size_and_origin(self, catalog):
        flares = [flare(m) for m in (1, 5, 9)]
        simulated = flare(5, origin="simulated")
        for each in (*reversed(flares), simulated):
            catalog.flares.save(each)
        assert catalog.flares.find(origin="flight") == flares
        assert catalog.flares.find() == [flares[0], flares[1], simulated, flares[2]]
        assert catalog.flares.find(start=flares[1].peak, end=flares[2].peak, origin="flight") == [flares[1]]
        assert catalog.flares.find(min_counts=1006) == [flares[2]]
        assert catalog.flares.get("2106060005", "simulated") == simulated


class TestReplaceFlares:
    def test_only_those_given_remain_in_the_range_and_origin(self, catalog):
        outside, foreign = flare(60), flare(3, origin="simulated")
        for each in (flare(1), flare(2), outside, foreign):
            catalog.flares.save(each)
        new = [flare(2, peak_counts=7.0), flare(4)]
        for _ in range(2):
            catalog.flares.replace(T0, T0 + HOUR, "flight", new)
            assert catalog.flares.find(origin="flight") == [*new, outside]
        assert catalog.flares.find(origin="simulated") == [foreign]
        catalog.flares.replace(T0, T0 + HOUR, "flight", [])
        assert catalog.flares.find(origin="flight") == [outside]

    @pytest.mark.parametrize("wrong", [[flare(61)], [flare(1, origin="simulated")], [flare(1), flare(1)]])
    def test_wrong_flares_change_nothing(self, catalog, wrong):
        catalog.flares.save(flare(2))
        with pytest.raises(SchemaError):
            catalog.flares.replace(T0, T0 + HOUR, "flight", wrong)
        assert catalog.flares.find() == [flare(2)]


class TestQueue:
    def test_the_same_run_is_queued_once_and_again_only_when_it_failed(self, catalog):
        assert catalog.runs.enqueue(run())
        assert not catalog.runs.enqueue(run(minute=5))
        claimed = catalog.runs.claim(ME, 60)
        assert not catalog.runs.enqueue(run())
        catalog.runs.finish(dataclasses.replace(claimed, status=RunStatus.FAILED, error="why"))
        assert catalog.runs.enqueue(run(minute=7))
        assert catalog.runs.get("r1") == run(minute=7, failures=("why",))

    def test_runs_are_claimed_in_the_order_of_asking(self, catalog):
        for number, minute in ((1, 30), (2, 10), (3, 20)):
            catalog.runs.enqueue(run(f"r{number}", minute))
        before = datetime.now(UTC)
        first = catalog.runs.claim(ME, 60)
        assert (first.run_id, first.status, first.worker, first.attempts) == ("r2", "running", ME, 1)
        assert first.lease_until - before > timedelta(seconds=59)
        assert [catalog.runs.claim(ME, 60).run_id for _ in range(2)] == ["r3", "r1"]
        assert catalog.runs.claim(ME, 60) is None
        catalog.runs.enqueue(run("late"))
        assert catalog.runs.claim(ME, 60).run_id == "late"

    def test_a_named_run_is_claimed(self, catalog):
        for name in ("r1", "r2"):
            catalog.runs.enqueue(run(name))
        assert catalog.runs.claim(ME, 60, run_id="r2").run_id == "r2"
        assert catalog.runs.claim(ME, 60, run_id="r2") is None

    def test_no_run_is_claimed_twice_by_many_workers(self, catalog):
        for number in range(30):
            catalog.runs.enqueue(run(f"r{number:02}", number))

        def work(_):
            got = []
            while (claimed := catalog.runs.claim(ME, 60)) is not None:
                got.append(claimed.run_id)
            return got

        with ThreadPoolExecutor(4) as pool:
            got = sorted(name for names in pool.map(work, range(4)) for name in names)
        assert got == [f"r{number:02}" for number in range(30)]

    def test_a_run_out_of_its_lease_is_taken_over_and_its_former_worker_refused(self, catalog):
        catalog.runs.enqueue(run())
        first = catalog.runs.claim("elsewhere:1:2", -1)
        second = catalog.runs.claim(ME, 60)
        assert (second.run_id, second.attempts, second.worker) == ("r1", 2, ME)
        assert not catalog.runs.heartbeat(first, 60)
        assert not catalog.runs.release(first)
        with pytest.raises(ConflictError, match="taken over"):
            catalog.runs.finish(dataclasses.replace(first, status=RunStatus.SUCCEEDED))
        assert catalog.runs.get("r1") == second

    def test_a_heartbeat_keeps_a_run(self, catalog):
        catalog.runs.enqueue(run())
        first = catalog.runs.claim(ME, -1)
        assert catalog.runs.heartbeat(first, 60)
        assert catalog.runs.claim("elsewhere:1:2", 60) is None
        done = dataclasses.replace(first, status=RunStatus.SUCCEEDED, outputs={"flares": 3})
        for _ in range(2):  # told twice, as after an answer that was lost
            catalog.runs.finish(done)
        assert catalog.runs.get("r1") == dataclasses.replace(done, lease_until=None)
        assert not catalog.runs.heartbeat(first, 60)

    def test_a_released_run_is_free_at_once_and_no_attempt_counts(self, catalog):
        catalog.runs.enqueue(run())
        assert catalog.runs.release(catalog.runs.claim(ME, 60))
        assert catalog.runs.claim("elsewhere:1:2", 60).attempts == 1

    def test_the_run_of_a_killed_worker_of_this_host_is_taken_over_before_its_lease_ends(self, catalog):
        """Ingest after kill -9 must not wait for a lease."""
        catalog.runs.enqueue(run())
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            worker = worker_name(process.pid)
            catalog.runs.claim(worker, 3600)
            assert not worker_is_dead(worker)
            assert catalog.runs.claim(ME, 60) is None
            process.kill()
            process.wait()
        assert worker_is_dead(worker)
        assert catalog.runs.claim(ME, 60).attempts == 2

    def test_a_run_that_takes_its_workers_down_fails_in_the_end(self, catalog):
        catalog.runs.enqueue(run())
        for attempt in range(MAX_ATTEMPTS):
            assert catalog.runs.claim(f"elsewhere:{attempt}:0", -1).attempts == attempt + 1
        assert catalog.runs.claim(ME, 60) is None
        failed = catalog.runs.get("r1")
        assert failed.status == RunStatus.FAILED
        assert "died or fell silent" in failed.error
        assert len(failed.failures) == MAX_ATTEMPTS

    def test_runs_are_found_newest_first(self, catalog):
        now = datetime.now(UTC).replace(microsecond=0)
        recent = run("r9", created=now, status=RunStatus.FAILED)
        for each in (run("r1", 1), recent, run("r2", 2, pipeline="other")):
            catalog.runs.save(each)
        assert [r.run_id for r in catalog.runs.find()] == ["r9", "r2", "r1"]
        assert catalog.runs.find(limit=1) == [recent]
        assert [r.run_id for r in catalog.runs.find(limit=2)] == ["r9", "r2"]
        assert [r.run_id for r in catalog.runs.find(pipeline="flare_list", status="queued")] == ["r1"]
        assert [r.run_id for r in catalog.runs.find(start=T0, end=now)] == ["r2", "r1"]


class TestWorkers:
    def test_this_process_lives_and_its_number_at_another_time_does_not(self):
        assert not worker_is_dead(ME)
        assert worker_is_dead(ME + "1")
        assert not worker_is_dead(f"elsewhere:{os.getpid()}:1")
        assert not worker_is_dead("")


class TestReaders:
    def test_a_catalogue_for_reading_refuses_to_write_in_clear_words(self):
        catalog = MemoryCatalog(writable=False)
        with pytest.raises(AccessError, match="only read"):
            catalog.flares.save(flare())

    @pytest.mark.parametrize("access", ["public", "team"])
    def test_the_server_refuses_a_reader_that_says_it_may_write(
        self, embedded_database, mongo_catalog, access
    ):
        mongo_catalog.flares.save(flare())
        mongo_catalog.runs.enqueue(run())
        database = connect_database(embedded_database.uri(access))
        try:
            reader = MongoCatalog(database, writable=True)
            assert reader.flares.find() == [flare()]
            for change in (
                lambda: reader.flares.save(flare(9)),
                lambda: reader.flares.delete("2106060000"),
                lambda: reader.runs.enqueue(run()),
                lambda: reader.runs.claim(ME, 60, run_id="r1"),
                lambda: reader.flares.replace(T0, T0 + HOUR, "flight", []),
            ):
                with pytest.raises(AccessError, match="may not"):
                    change()
            with pytest.raises(AccessError):
                MongoCatalog(database, writable=False).flares.save(flare(9))
        finally:
            database.client.close()
        assert mongo_catalog.flares.find() == [flare()]


class TestConnect:
    def test_a_server_that_is_away_is_named_without_the_password(self):
        with pytest.raises(CatalogError, match=r"127\.0\.0\.1:9.*no answer") as caught:
            connect_database("mongodb://me:secret-word@127.0.0.1:9/stixlab", selection_ms=300)
        assert "secret-word" not in str(caught.value)

    def test_a_wrong_password_is_told_as_such(self, embedded_database):
        uri = embedded_database.uri("team").replace("team:", "team:wrong")
        with pytest.raises(CatalogError, match="refuses the login") as caught:
            connect_database(uri)
        assert "wrong" not in str(caught.value)

    @pytest.mark.parametrize("uri", ["http://x", "mongodb://me:se:cret@host/db", "mongodb://me:word@h:port/"])
    def test_an_illegible_uri_is_a_setting_to_correct(self, uri):
        with pytest.raises(SettingsError, match="mongodb://") as caught:
            connect_database(uri)
        assert "cret" not in str(caught.value)
        assert "word@" not in str(caught.value).replace("password@", "")
