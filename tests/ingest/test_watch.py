"""What a watcher takes, when, and how it gets on with folders, databases and other watchers. No real time passes."""

import os
import threading
from datetime import timedelta

import pytest

from stixlab.errors import ArchiveError, CatalogError, ConflictError, SettingsError
from stixlab.ingest import taking
from stixlab.ingest.watch import Watcher
from stixlab.ingest.watch_notes import read_notes
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
