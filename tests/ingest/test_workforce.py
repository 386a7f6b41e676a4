"""Work of an ingest in this process and beside it."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from stixlab.archive import Archive
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest import loaded
from stixlab.ingest import workforce as module
from stixlab.ingest.workforce import Tools, Workforce


class Maker(Tools):
    def make(self, task):
        if task < 0:
            raise ValueError(task)
        return task * 10, threading.get_ident()


@pytest.fixture
def workforce(tmp_path):
    return Workforce(Maker(Archive(tmp_path), load_versions(), load_clock()), None, 1)


def test_days_made_side_by_side_come_in_the_order_of_the_tasks(workforce):
    made = list(workforce.make_overlapping(iter(range(20))))
    assert [n for n, _ in made] == [n * 10 for n in range(20)]
    assert threading.get_ident() not in {where for _, where in made}


@pytest.fixture
def others(tmp_path, monkeypatch):
    """A workforce with threads for processes, and what is done when they have started."""
    maker, started = Maker(Archive(tmp_path), load_versions(), load_clock()), Future()
    monkeypatch.setattr(module, "_tools", [maker])
    with ThreadPoolExecutor(2) as pool:
        yield Workforce(maker, pool, 2, started), started


def test_days_are_made_here_until_the_other_processes_have_started(others):
    workforce, started = others

    def tasks():
        for n in range(20):
            if n == 5:
                started.set_result(1)
            yield n

    made = list(workforce.make(tasks()))
    assert [n for n, _ in made] == [n * 10 for n in range(20)]
    here = threading.get_ident()
    assert [where == here for _, where in made] == [True] * 6 + [False] * 14


def test_all_days_are_made_though_the_other_processes_never_start(others):
    assert [n for n, _ in others[0].make(iter(range(7)))] == [n * 10 for n in range(7)]


def test_processes_that_cannot_be_started_are_an_error(others):
    workforce, started = others
    started.set_exception(BrokenProcessPool("gone"))
    with pytest.raises(BrokenProcessPool, match="gone"):
        list(workforce.make(iter(range(7))))


class Changing:
    """Something of the tools that changes when it is used, as caches do: packed where it is used, it is whole."""

    def __init__(self):
        self.packed_by = []

    def __reduce__(self):
        self.packed_by.append(threading.get_ident())
        return (str, ("packed",))


def test_tools_are_packed_before_they_are_used_here(tmp_path):
    changing = Changing()
    with Workforce.assemble(Maker(Archive(tmp_path), changing, load_clock()), [], 2) as workforce:
        workforce._started.result()
    assert set(changing.packed_by) == {threading.get_ident()}


def test_an_error_in_one_day_is_raised_and_ends_the_others(workforce):
    with pytest.raises(ValueError, match="-1"):
        list(workforce.make_overlapping(iter([1, -1, 2])))
    assert threading.active_count() < 20


def test_what_is_loaded_ahead_is_there():
    assert loaded.__all__ == []
