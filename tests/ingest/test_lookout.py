"""How often watched folders are looked through, and what that costs."""

import os

import pytest

from stixlab.ingest import lookout as lookouts
from stixlab.ingest.lookout import Folder, Lookout, is_unfinished, printable, signature_of


class Counted:
    """Counts what the file system is asked, and lets each look take some seconds of its own clock."""

    def __init__(self, monkeypatch, seconds_each: float = 0.0) -> None:
        self.seconds, self.n_asked, self.n_listed = 100.0, 0, 0
        self.seconds_each = seconds_each
        real = lookouts.signature_of

        def signature(found):
            self.n_asked += 1
            self.seconds += self.seconds_each
            return real(found)

        monkeypatch.setattr(lookouts, "signature_of", signature)

    def clock(self) -> float:
        return self.seconds


@pytest.fixture
def folder(tmp_path) -> Folder:
    for number in range(40):
        path = tmp_path / f"{number % 4}" / f"{number}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    return Folder(tmp_path)


def learn_all(folder: Folder) -> None:
    for path, signature in folder.walk(every=True):
        folder.learn(path, signature)


def test_known_files_are_passed_over_by_name_while_asking_about_all_would_cost_too_much(folder, monkeypatch):
    learn_all(folder)
    counted = Counted(monkeypatch, seconds_each=0.1)  # 40 files: 4 s for all
    assert list(folder.look(counted.clock)) == []
    assert counted.n_asked == 40
    assert folder.next_look - counted.seconds == pytest.approx(10.0)
    for _ in range(7):
        counted.seconds += 10.0
        assert list(folder.look(counted.clock)) == []
    assert counted.n_asked == 40
    counted.seconds += 10.0
    list(folder.look(counted.clock))
    assert counted.n_asked == 80
    assert folder.n_files == 40


def test_new_files_are_found_by_name_and_changed_ones_in_the_end(folder, monkeypatch):
    learn_all(folder)
    counted = Counted(monkeypatch, seconds_each=0.1)
    list(folder.look(counted.clock))
    (folder.root / "new.xml").write_text("x")
    (folder.root / "0" / "0.xml").write_text("changed")
    counted.seconds += 10.0
    assert [p for p, _ in folder.look(counted.clock)] == [str(folder.root / "new.xml")]
    counted.seconds += 80.0
    found = {p for p, _ in folder.look(counted.clock)}
    assert found == {str(folder.root / "new.xml"), str(folder.root / "0" / "0.xml")}


def test_a_small_folder_is_asked_about_each_time(folder, monkeypatch):
    learn_all(folder)
    counted = Counted(monkeypatch)
    for number in range(1, 4):
        counted.seconds += 1.0
        list(folder.look(counted.clock))
        assert counted.n_asked == 40 * number


def test_a_hint_is_looked_at_alone(folder, monkeypatch):
    learn_all(folder)
    counted = Counted(monkeypatch)
    path = folder.root / "0" / "0.xml"
    path.write_text("changed")
    look = Lookout([folder], clock=counted.clock)
    look.look()
    assert list(look.candidates) == [str(path)]
    path.write_text("changed again")
    (folder.root / "moved").mkdir()
    (folder.root / "moved" / "in.xml").write_text("x")
    asked = counted.n_asked
    look.look([str(path), str(folder.root / "moved"), str(folder.root / "gone.xml"), "/elsewhere/x"])
    assert counted.n_asked - asked <= 4
    assert set(look.candidates) == {str(path), str(folder.root / "moved" / "in.xml")}


def test_a_flood_of_files_is_asked_about_once_until_it_is_taken(folder, monkeypatch):
    counted = Counted(monkeypatch)
    look = Lookout([folder], clock=counted.clock)
    look.look()
    counted.seconds += 3.0
    folder.next_look = 1e9
    look.look()
    asked = counted.n_asked
    for _ in range(10):
        look.look()
    assert counted.n_asked == asked
    assert len(look.ready(max_files=7, max_bytes=1000)) == 7
    assert len(look.ready(max_files=100, max_bytes=5)) == 5


def test_a_file_system_that_keeps_whole_seconds_gets_more_time(tmp_path, monkeypatch):
    (tmp_path / "a.xml").write_text("x")
    monkeypatch.setattr(
        lookouts,
        "signature_of",
        lambda found: signature_of(found)._replace(ctime_ns=1_700_000_000_000_000_000),
    )
    counted = [0.0]
    look = Lookout([Folder(tmp_path)], clock=lambda: counted[0])
    look.look()
    for seconds, ready in ((1.5, 0), (2.4, 0), (2.6, 1)):
        counted[0] = seconds
        look.look()
        assert len(look.ready(max_files=9, max_bytes=9)) == ready


def test_unfinished_names():
    for name in (".a", "a.part", "A.PART", "a.tmp", "a.xml.filepart", "a.crdownload", "a~"):
        assert is_unfinished(name)
    for name in ("a", "part", "a.xml", "a.partial.xml", "tmp"):
        assert not is_unfinished(name)


def test_paths_are_told_so_that_they_can_be_shown():
    assert printable("/in/a b ä.xml") == "/in/a b ä.xml"
    assert printable(os.fsdecode(b"/in/\xff\n")) == "/in/\\xff\\n"
