"""What becomes of files that misbehave, that fail, and that were under way when the process died. No real time passes."""

import os
import stat

import pytest

from stixlab.archive.layout import raw_key
from stixlab.errors import NotInCatalogError
from stixlab.ingest import FileResult, IngestReport, taking
from stixlab.ingest.second_try import choose, take_again
from stixlab.ingest.spool import kept_path
from stixlab.model import arrival_id
from tests.support.watching import new_watch


@pytest.fixture
def watch(tmp_path):
    made = new_watch(tmp_path)
    yield made
    made.watcher.close()


class TestMisbehaviour:
    def test_a_file_that_is_replaced_while_it_is_read_gives_no_mixture(self, watch, monkeypatch):
        path = watch.write("a.xml", b"A" * 10)
        monkeypatch.setattr("stixlab.ingest.spool._CHUNK_BYTES", 4)
        real, reads = os.read, []

        def read(handle, n_bytes):
            reads.append(n_bytes)
            if len(reads) == 2:
                path.write_bytes(b"B" * 10)
            return real(handle, n_bytes)

        monkeypatch.setattr("stixlab.ingest.spool.os.read", read)
        watch.settle()
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"B" * 10)]

    def test_a_file_that_becomes_shorter_while_it_is_read_is_read_again(self, watch, monkeypatch):
        path = watch.write("a.xml", b"A" * 10)
        real = os.read
        reads = []

        def read(handle, n_bytes):
            reads.append(n_bytes)
            if len(reads) == 1:
                path.write_bytes(b"")
                path.write_bytes(b"short")
            return real(handle, n_bytes)

        monkeypatch.setattr("stixlab.ingest.spool.os.read", read)
        watch.settle()
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"short")]

    def test_a_file_that_is_replaced_by_a_rename_after_it_was_read_is_taken_twice(self, watch, tmp_path):
        watch.write("a.xml", b"old")
        new = tmp_path / "new"
        new.write_bytes(b"new")
        watch.ingestor.before = lambda _: new.exists() and new.rename(watch.folder / "a.xml")
        watch.settle()
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"old"), ("a.xml", b"new")]

    def test_a_file_that_vanishes_costs_nothing(self, watch, monkeypatch):
        watch.write("a.xml", b"one")
        watch.turn()
        (watch.folder / "a.xml").unlink()
        watch.settle()
        assert (watch.names, watch.said) == ([], [])
        path = watch.write("b.xml", b"two")
        real = taking.Taker._copy

        def copy(self, candidate, catalog):
            path.unlink(missing_ok=True)
            return real(self, candidate, catalog)

        monkeypatch.setattr(taking.Taker, "_copy", copy)
        watch.settle()
        assert watch.names == []
        assert "b.xml: was gone before it could be taken" in watch.said[0]

    def test_a_file_that_cannot_be_read_waits_is_told_once_and_taken_when_it_can_be(self, watch, monkeypatch):
        path = watch.write("a.xml", b"one")
        real = os.open
        locked = [True]

        def refuse(name, *arguments, **named):
            if str(name) == str(path) and locked[0]:
                raise PermissionError(13, "Permission denied")
            return real(name, *arguments, **named)

        monkeypatch.setattr("stixlab.ingest.spool.os.open", refuse)
        for _ in range(20):
            watch.turn(3.0)
        (record,) = watch.told
        assert (record.status, record.sha256, record.reason) == (
            "waiting",
            "",
            "cannot be read: Permission denied",
        )
        assert watch.catalog.arrivals.find(status="waiting") == [
            watch.catalog.arrivals.get(arrival_id(str(path), ""))
        ]
        locked[0] = False
        watch.turn(61.0)
        assert watch.statuses() == {"a.xml": ["taken"]}

    def test_a_file_that_was_never_readable_and_is_gone_waits_no_longer(self, watch, monkeypatch):
        path = watch.write("a.xml", b"one")

        def refuse(*_arguments, **_named):
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr("stixlab.ingest.spool.os.open", refuse)
            watch.settle()
        path.unlink()
        watch.turn(61.0)
        watch.turn(61.0)
        assert watch.statuses() == {"a.xml": ["gone"]}

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_a_folder_that_cannot_be_read_is_told_once_and_others_go_on(self, watch):
        watch.write("closed/a.xml", b"one")
        watch.write("b.xml", b"two")
        (watch.folder / "closed").chmod(0)
        watch.settle()
        assert watch.names == ["b.xml"]
        assert [s for s in watch.said if "Permission denied" in s] == watch.said
        assert len(watch.said) == 1
        (watch.folder / "closed").chmod(stat.S_IRWXU)
        watch.settle()
        assert sorted(watch.names) == ["a.xml", "b.xml"]

    def test_a_folder_that_is_away_is_told_waited_for_and_nothing_of_it_is_taken_twice(self, watch, tmp_path):
        watch.write("a.xml", b"one")
        watch.settle()
        watch.folder.rename(tmp_path / "away")
        watch.settle()
        watch.settle()
        assert watch.said == [f"{watch.folder}: No such file or directory; waiting for it"]
        (tmp_path / "away" / "b.xml").write_bytes(b"two")
        (tmp_path / "away").rename(watch.folder)
        watch.settle()
        assert watch.said[1:] == [f"{watch.folder}: is there again"]
        assert watch.names == ["a.xml", "b.xml"]

    def test_an_entry_that_the_share_does_not_answer_for_is_told_and_the_rest_goes_on(
        self, watch, monkeypatch
    ):
        from stixlab.ingest import lookout

        watch.write("d/a.xml", b"one")
        watch.write("b.xml", b"two")
        real = os.scandir

        def scandir(path):
            if str(path).endswith("/d"):
                raise OSError(5, "Input/output error")
            return real(path)

        monkeypatch.setattr(lookout.os, "scandir", scandir)
        watch.settle()
        assert watch.names == ["b.xml"]
        assert watch.said == [f"{watch.folder}/d: cannot be looked at: Input/output error"]


class TestSetAside:
    def test_a_file_that_fails_is_kept_with_its_reason_and_the_rest_goes_on(self, watch):
        path = watch.write("bad.xml", b"bad stuff")
        watch.write("good.xml", b"good")
        watch.settle()
        assert watch.statuses() == {"bad.xml": ["set aside"], "good.xml": ["taken"]}
        (record,) = watch.catalog.arrivals.find(status="set aside")
        assert record.reason == f"{path}: expected telemetry"
        assert kept_path(watch.ingestor.archive, record.sha256).read_bytes() == b"bad stuff"
        watch.restart()
        watch.settle()
        assert len(watch.ingestor.calls) == 1

    def test_it_is_taken_on_demand_after_it_was_deleted(self, watch, monkeypatch):
        path = watch.write("bad.xml", b"bad stuff")
        watch.write("twin.xml", b"bad stuff")
        watch.settle()
        path.unlink()
        aside = watch.catalog.arrivals.find(status="set aside")
        assert len(aside) == 2
        work = watch.home / "work" / "watch"
        tried = list(take_again(watch.ingestor, choose(aside, ["bad.xml"]), work))
        assert [(a.status, a.attempts) for a in tried] == [("set aside", 2)]
        monkeypatch.setattr(
            type(watch.ingestor),
            "ingest",
            lambda _, paths: IngestReport([FileResult(str(p), "new") for p in paths]),
        )
        tried = list(take_again(watch.ingestor, watch.catalog.arrivals.find(status="set aside"), work))
        assert sorted(a.status for a in tried) == ["repeated", "taken"]
        assert not kept_path(watch.ingestor.archive, tried[0].sha256).exists()
        assert watch.catalog.arrivals.find(status="set aside") == []

    def test_names_mean_names_patterns_ids_and_hashes(self, watch):
        for name in ("bad1.xml", "bad2.xml", "bad3.hex"):
            watch.write(name, name.encode())
        watch.settle()
        aside = watch.catalog.arrivals.find()
        assert len(choose(aside, ())) == 3
        assert {a.name for a in choose(aside, ("*.xml",))} == {"bad1.xml", "bad2.xml"}
        assert choose(aside, (aside[0].sha256[:8], aside[0].arrival_id)) == [aside[0]]
        with pytest.raises(NotInCatalogError, match="found 'nothing'"):
            choose(aside, ("nothing",))

    def test_the_beginning_of_a_file_that_went_on_growing_is_no_longer_set_aside(self, watch):
        """The writer paused for longer than a file is waited for."""
        watch.write("a.xml", b"bad begi")
        watch.settle()
        (first,) = watch.catalog.arrivals.find()
        watch.write("a.xml", b"bad beginning, and a bad end")
        watch.settle()
        assert watch.statuses() == {"a.xml": ["superseded", "set aside"]}
        assert not kept_path(watch.ingestor.archive, first.sha256).exists()
        watch.restart()
        watch.write("a.xml", b"another file")
        watch.settle()
        assert watch.statuses() == {"a.xml": ["superseded", "set aside", "taken"]}

    def test_a_file_that_breaks_the_ingest_costs_only_itself(self, watch):
        """An error that nobody expected: each file is tried alone, and the one that it is is set aside."""

        def explode(paths):
            if any(p.name == "poison.xml" for p in paths):
                raise ZeroDivisionError("division by zero")

        watch.ingestor.before = explode
        for name in ("a.xml", "poison.xml", "b.xml"):
            watch.write(name, name.encode())
        watch.settle()
        watch.settle()
        assert watch.statuses() == {"a.xml": ["taken"], "b.xml": ["taken"], "poison.xml": ["set aside"]}
        (record,) = watch.catalog.arrivals.find(status="set aside")
        assert record.reason == "ZeroDivisionError: division by zero"

    def test_a_file_that_kills_the_process_is_set_aside_in_the_end(self, watch):
        class Killed(BaseException):
            pass

        def die(paths):
            if any(p.name == "poison.xml" for p in paths):
                raise Killed

        watch.ingestor.before = die
        for name in ("a.xml", "poison.xml"):
            watch.write(name, name.encode())
        for _ in range(10):
            try:
                watch.settle()
            except Killed:
                watch.restart()
        assert watch.statuses() == {"a.xml": ["taken"], "poison.xml": ["set aside"]}
        (record,) = watch.catalog.arrivals.find(status="set aside")
        assert "died 5 times" in record.reason


class Killed(BaseException):
    """Stands for kill -9: nothing is tidied up that a process would have to do itself."""


class TestAfterADeath:
    def die(self, watch, name="a.xml", *, when="before"):
        def raise_it(*_):
            raise Killed

        watch.write(name, b"one")
        clear = taking.Spool.clear
        taking.Spool.clear = lambda _: None
        setattr(watch.ingestor, when, raise_it)
        try:
            with pytest.raises(Killed):
                watch.settle()
            watch.restart()
        finally:
            taking.Spool.clear = clear
        setattr(watch.ingestor, when, lambda *_: None)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_file_whose_ingest_was_cut_short_is_taken(self, watch, when):
        self.die(watch, when=when)
        watch.settle()
        assert watch.statuses() == {"a.xml": ["taken"]}
        assert watch.told[-1].attempts == 2
        assert list((watch.home / "work" / "watch").glob("*/*")) == []

    def test_a_file_that_was_read_and_then_deleted_is_taken_from_the_copy(self, watch):
        self.die(watch, when="before")
        (watch.folder / "a.xml").unlink()
        watch.settle()
        assert watch.ingestor.taken[-1] == ("a.xml", b"one")
        assert watch.statuses() == {"a.xml": ["taken"]}
        watch.settle()
        assert list((watch.home / "work" / "watch").glob("*/*")) == []

    def test_a_file_that_was_stored_and_then_deleted_is_taken_from_the_archive(self, watch):
        self.die(watch, when="after")
        (watch.folder / "a.xml").unlink()
        for copy in (watch.home / "work" / "watch").glob("*/*/*"):
            copy.unlink()
        (record,) = watch.catalog.arrivals.find()
        assert watch.ingestor.archive.path(raw_key(record.sha256)).exists()
        watch.settle()
        assert watch.ingestor.taken[-1] == ("a.xml", b"one")
        assert watch.statuses() == {"a.xml": ["taken"]}

    def test_a_file_of_which_nothing_is_left_is_told_to_be_gone(self, watch):
        self.die(watch, when="before")
        (watch.folder / "a.xml").unlink()
        for copy in (watch.home / "work" / "watch").glob("*/*/*"):
            copy.write_bytes(b"torn")
        watch.settle()
        assert watch.statuses() == {"a.xml": ["gone"]}

    def test_a_file_that_was_replaced_meanwhile_is_taken_twice(self, watch):
        self.die(watch, when="before")
        watch.write("a.xml", b"two")
        watch.settle()
        watch.settle()
        assert sorted(c for _, c in watch.ingestor.taken[1:]) == [b"one", b"two"]
        assert watch.statuses() == {"a.xml": ["taken", "taken"]}

    def test_all_of_it_on_a_real_database(self, watch, mongo_catalog):
        watch.catalog = watch.ingestor.catalog = mongo_catalog
        self.die(watch, when="before")
        path = watch.write("b.xml", b"two")
        watch.write("bad.xml", b"bad")
        watch.settle()
        os.utime(path, (1, 1))
        watch.restart()
        watch.settle()
        assert watch.statuses() == {"a.xml": ["taken"], "b.xml": ["taken"], "bad.xml": ["set aside"]}
        taken = {a.name: a for a in mongo_catalog.arrivals.find(status="taken", folder=str(watch.folder))}
        assert taken["b.xml"].mtime_ns == 1_000_000_000
        aside = mongo_catalog.arrivals.find(status="set aside")
        (tried,) = take_again(watch.ingestor, aside, watch.home / "work" / "watch")
        assert (tried.status, tried.attempts) == ("set aside", 2)
