"""What a watcher takes, when, and what it does about files and folders that misbehave. No real time passes."""

import os
import stat
import threading
from datetime import timedelta

import pytest

from stixlab.archive.layout import raw_key
from stixlab.errors import ArchiveError, CatalogError, ConflictError, NotInCatalogError, SettingsError
from stixlab.ingest import FileResult, IngestReport, taking
from stixlab.ingest.second_try import choose, take_again
from stixlab.ingest.spool import kept_path
from stixlab.ingest.watch import Watcher
from stixlab.ingest.watch_notes import read_notes
from stixlab.model import arrival_id
from tests.support.watching import Watch, new_watch


@pytest.fixture
def watch(tmp_path):
    made = new_watch(tmp_path)
    yield made
    made.watcher.close()


class TestTaking:
    def test_a_file_is_taken_once_it_has_not_changed_for_a_while(self, watch):
        watch.write("a.xml", b"one")
        watch.turn()
        assert watch.names == []
        watch.turn(1.1)
        watch.turn(3.0)
        assert watch.ingestor.taken == [("a.xml", b"one")]
        for _ in range(5):
            watch.turn(5.0)
        assert len(watch.ingestor.calls) == 1
        (record,) = watch.told
        assert (record.status, record.name, record.size_bytes) == ("taken", "a.xml", 3)
        assert record.path == str(watch.folder / "a.xml")
        assert watch.catalog.arrivals.get(record.arrival_id).attempts == 1
        assert record.first_seen <= record.complete <= record.ingested
        assert record.mtime.timestamp() == pytest.approx((watch.folder / "a.xml").stat().st_mtime, abs=1e-3)

    def test_a_file_that_grows_is_waited_for(self, watch):
        path = watch.write("a.xml", b"1")
        for number in range(20):
            watch.turn(0.6)
            with path.open("ab") as stream:
                stream.write(b"%d" % number)
        assert watch.names == []
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", path.read_bytes())]

    def test_the_same_name_with_other_content_is_a_new_file(self, watch):
        for content in (b"first", b"other"):
            watch.write("a.xml", content)
            watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"first"), ("a.xml", b"other")]
        assert watch.statuses() == {"a.xml": ["taken", "taken"]}

    def test_other_content_of_the_same_size_and_time_of_change_is_seen(self, watch):
        """As ``cp -p`` and ``rsync -t`` make it: the file system's own time of change tells."""
        path = watch.write("a.xml", b"first")
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        watch.settle()
        path.write_bytes(b"other")
        os.utime(path, ns=times)
        watch.settle()
        assert watch.names == ["a.xml", "a.xml"]

    def test_the_same_content_under_another_name_is_not_new(self, watch):
        for name in ("a.xml", "b.xml"):
            watch.write(name, b"same")
            watch.settle()
        assert watch.statuses() == {"a.xml": ["taken"], "b.xml": ["repeated"]}

    def test_a_file_that_was_only_touched_is_read_and_nothing_more(self, watch):
        path = watch.write("a.xml", b"one")
        watch.settle()
        before = watch.catalog.arrivals.find()
        os.utime(path, (1, 1))
        watch.settle()
        assert len(watch.ingestor.calls) == len(watch.told) == 1
        (after,) = watch.catalog.arrivals.find()
        assert after.first_seen == before[0].first_seen
        assert after.mtime_ns == 1_000_000_000
        watch.restart()
        watch.settle()
        assert len(watch.ingestor.calls) == 1

    def test_what_is_there_is_taken_in_one_call_the_oldest_first(self, watch):
        for number, name in enumerate(("c", "a", "b")):
            os.utime(watch.write(f"{name}.xml", name.encode()), (100 + number, 100 + number))
        watch.settle()
        assert [[name for name, _ in call] for call in watch.ingestor.calls] == [["c.xml", "a.xml", "b.xml"]]

    def test_a_flood_is_taken_in_parts(self, watch, monkeypatch):
        monkeypatch.setattr(taking, "_MAX_FILES", 3)
        monkeypatch.setattr(taking, "_MAX_BYTES", 100)
        for number in range(7):
            os.utime(watch.write(f"{number}", b"%d" % number), (100 + number, 100 + number))
        watch.write("large", b"x" * 200)
        watch.settle()
        watch.settle()
        assert [len(call) for call in watch.ingestor.calls] == [3, 3, 1, 1]
        assert [name for name in watch.names if name != "large"] == [str(n) for n in range(7)]

    @pytest.mark.parametrize(
        "name", [".hidden", "a.part", "a.XML.Tmp", ".x/a.xml", "d/.a.xml.Xy12", "a.filepart", "a~"]
    )
    def test_hidden_and_unfinished_names_are_left_alone_until_they_are_renamed(self, watch, name):
        path = watch.write(name, b"one")
        watch.settle()
        assert watch.names == []
        path.rename(watch.folder / "a.xml")
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"one")]

    def test_subfolders_and_links_are_looked_into_and_loops_are_not(self, watch, tmp_path):
        watch.write("2026/02/a.xml", b"one")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "b.xml").write_bytes(b"two")
        (tmp_path / "c.xml").write_bytes(b"three")
        (watch.folder / "linked").symlink_to(tmp_path / "elsewhere")
        (watch.folder / "again").symlink_to(tmp_path / "elsewhere")
        (watch.folder / "c.xml").symlink_to(tmp_path / "c.xml")
        (watch.folder / "2026" / "loop").symlink_to(watch.folder)
        (watch.folder / "up").symlink_to(tmp_path)
        (watch.folder / "nowhere").symlink_to(tmp_path / "nothing")
        watch.settle()
        assert sorted(watch.names) == ["a.xml", "b.xml", "c.xml"]
        assert watch.said == []

    def test_what_is_no_file_is_left_alone(self, watch):
        os.mkfifo(watch.folder / "pipe")
        watch.settle()
        assert watch.names == []

    def test_an_empty_file_is_given_time_to_be_filled(self, watch):
        path = watch.write("a.xml", b"")
        watch.settle()
        assert watch.names == []
        path.write_bytes(b"one")
        watch.settle()
        assert watch.ingestor.taken == [("a.xml", b"one")]
        watch.write("b.xml", b"")
        watch.settle()
        watch.turn(11.0)
        assert watch.ingestor.taken[-1] == ("b.xml", b"")

    def test_names_that_are_no_text_or_cannot_be_shown_are_taken(self, watch):
        for name in (b"\xff\xfe.xml", b"n\new\x1b[31m.xml"):
            with open(os.path.join(os.fsencode(watch.folder), name), "wb") as stream:  # noqa: PTH118, PTH123
                stream.write(name)
        watch.settle()
        assert sorted(watch.names) == ["\\xff\\xfe.xml", "n\\new\\x1b[31m.xml"]
        assert all(a.path.isprintable() for a in watch.told)
        watch.restart()
        watch.settle()
        assert len(watch.names) == 2

    def test_times_beyond_what_a_document_holds_do_no_harm(self, watch):
        os.utime(watch.write("a.xml", b"one"), (2**33, 2**33))
        watch.settle()
        watch.restart()
        watch.settle()
        assert watch.names == ["a.xml"]

    def test_clocks_that_are_set_do_not_show(self, watch):
        watch.write("a.xml", b"one")
        watch.turn()
        watch.clock.offset = timedelta(days=-400)
        watch.turn(0.2)
        assert watch.names == []
        watch.clock.offset = timedelta(days=400)
        watch.turn(0.2)
        assert watch.names == []
        watch.settle()
        assert watch.names == ["a.xml"]
        assert 0 <= watch.told[0].seconds < 10

    def test_the_time_from_arrival_to_products_counts_from_the_last_change(self, watch):
        watch.turn()
        path = watch.write("a.xml", b"1")
        watch.turn(0.5)
        with path.open("ab") as stream:
            stream.write(b"2")
        watch.turn(0.5)
        watch.ingestor.before = lambda _: setattr(watch.clock, "seconds", watch.clock.seconds + 7.0)
        watch.settle()
        assert 7.0 <= watch.told[0].seconds <= 7.0 + 4.0


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


class TestTrouble:
    def test_a_database_that_goes_away_loses_nothing_and_counts_as_no_death(self, watch):
        away = [True]

        def go(_paths):
            if away[0]:
                raise CatalogError("no answer")

        watch.ingestor.before = go
        watch.write("a.xml", b"one")
        stopped = threading.Event()
        stopped.set()
        for number in range(12):
            try:
                watch.turn(1.0)
            except CatalogError as error:
                watch.watcher.wait_for_database(error, number, stopped)
        assert watch.said == ["waiting for the database: no answer"]
        away[0] = False
        watch.turn(1.0)
        assert watch.statuses() == {"a.xml": ["taken"]}
        assert watch.told[0].attempts == 1
        assert watch.said[1] == "the database is there again"

    def test_a_record_that_could_not_be_written_after_the_ingest_is_made_good(self, watch):
        """The file is in the catalogue, its record is not: it is taken, not repeated."""
        broken = [True]
        real = watch.catalog.arrivals.save

        def save(arrivals, **named):
            listed = list(arrivals)
            if broken[0] and any(a.status == "taken" for a in listed):
                raise CatalogError("no answer")
            real(listed, **named)

        watch.catalog.arrivals.save = save
        watch.write("a.xml", b"one")
        watch.turn(1.0)
        with pytest.raises(CatalogError):
            watch.turn(3.0)
        broken[0] = False
        watch.restart()
        watch.settle()
        assert watch.statuses() == {"a.xml": ["taken"]}

    def test_a_full_disk_is_told_once_and_waited_for(self, watch):
        full = [True]

        def fill(_paths):
            if full[0]:
                raise ArchiveError("writing x: no space left in archive")

        watch.ingestor.before = fill
        watch.write("a.xml", b"one")
        watch.write("b.xml", b"two")
        for _ in range(10):
            watch.turn(2.0)
        assert len(watch.said) == 1
        assert "waits: writing x: no space left" in watch.said[0]
        full[0] = False
        for _ in range(3):
            watch.turn(61.0)
        assert watch.statuses() == {"a.xml": ["taken"], "b.xml": ["taken"]}

    def test_no_room_for_a_copy_is_told_once_and_waited_for(self, watch, monkeypatch):
        real = taking.Spool._fill
        full = [True]

        def fill(self, *arguments):
            if full[0]:
                raise ArchiveError("writing a.xml: no space left in work")
            return real(self, *arguments)

        monkeypatch.setattr(taking.Spool, "_fill", fill)
        watch.write("a.xml", b"one")
        for _ in range(10):
            watch.turn(2.0)
        assert len(watch.said) == 1
        full[0] = False
        watch.turn(61.0)
        assert watch.names == ["a.xml"]

    def test_a_second_watcher_of_a_folder_is_told_or_waits(self, watch, tmp_path):
        with pytest.raises(ConflictError, match="watches it already"):
            Watcher([watch.folder], watch.home, insist=True, events=False)
        other = Watch(watch.home, watch.folder, clock=watch.clock)
        other.watcher.close()
        assert "waiting for it to end" in other.said[0]
        second = other.new_watcher()
        watch.write("a.xml", b"one")
        second.turn(other.ingestor)
        watch.settle()
        second.turn(other.ingestor)
        assert (watch.names, other.names) == (["a.xml"], [])
        watch.watcher.close()
        watch.clock.seconds += 6
        second.look()
        assert "is watched here now" in other.said[-1]
        second.close()

    @pytest.mark.parametrize("name", ["home", "home/archive", "home/archive/raw", "home/run"])
    def test_a_folder_that_the_installation_writes_to_is_refused(self, tmp_path, name):
        with pytest.raises(SettingsError, match="incoming"):
            Watcher([tmp_path / name], tmp_path / "home", events=False)

    def test_a_folder_around_the_installation_leaves_that_out(self, tmp_path):
        watch = Watch(tmp_path / "home", tmp_path)
        watch.write("home/archive/raw/x", b"no")
        watch.write("home/incoming/a.xml", b"one")
        watch.settle()
        assert watch.names == ["a.xml"]
        watch.watcher.close()

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "a").write_text("x")
        with pytest.raises(SettingsError, match="stixlab ingest"):
            Watcher([tmp_path / "a"], tmp_path / "home", events=False)

    def test_others_can_see_how_it_stands(self, watch):
        watch.write("a.xml", b"one")
        watch.turn()
        (note,) = read_notes(watch.home)
        assert (note["folder"], note["files"], note["waiting"], note["away"]) == (str(watch.folder), 1, 1, "")
        watch.settle()
        assert read_notes(watch.home)[0]["waiting"] == 0
        watch.watcher.close()
        assert read_notes(watch.home) == []


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
