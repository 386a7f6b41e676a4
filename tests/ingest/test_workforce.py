"""Work of an ingest in this process and beside it."""

import threading

import pytest

from stixlab.archive import Archive
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest import loaded
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


def test_an_error_in_one_day_is_raised_and_ends_the_others(workforce):
    with pytest.raises(ValueError, match="-1"):
        list(workforce.make_overlapping(iter([1, -1, 2])))
    assert threading.active_count() < 20


def test_what_is_loaded_ahead_is_there():
    assert loaded.__all__ == []
