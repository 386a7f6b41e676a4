"""What goes for good, and when; what is needed stays."""

import dataclasses
from datetime import timedelta

import pytest

from stixlab.archive import Archive, cleaning
from stixlab.archive.cleaning import clean_daily
from stixlab.archive.contents import read_contents
from stixlab.archive.retention import Rules, carry_out, plan
from stixlab.archive.trash import delete
from stixlab.errors import ArchiveError, ParameterError
from stixlab.model import Action, RunStatus
from tests.support.archives import age, dates, day_dataset, filled, store_day, update
from tests.support.records import T0, run

DAYS = dates("2021-06-05", 2)


def named(catalog):
    return [p.zarr for p in catalog.products.find(hidden=None)]


def marks(archive):
    return list(archive.root.rglob(".replaced-*"))


@pytest.fixture
def changed(tmp_path):
    """An archive in which a day was replaced."""
    archive, catalog, _ = filled(tmp_path / "archive", *DAYS)
    old = {v.key for v in read_contents(archive, "L1", "ql-lightcurve", "flight").levels}
    old.add(catalog.products.get("L1_ql-lightcurve_20210605_flight").zarr)
    store_day(archive, catalog, day_dataset(DAYS[0], seed=9))
    update(archive, catalog, DAYS)
    old -= {v.key for v in read_contents(archive, "L1", "ql-lightcurve", "flight").levels}
    return archive, catalog, old


def test_what_was_replaced_goes_a_day_later(changed):
    archive, catalog, old = changed
    assert plan(archive, Rules(), named=named(catalog)) == []
    for mark in marks(archive):
        age(mark, hours=25)
    found = plan(archive, Rules(), named=named(catalog))
    assert {r.key for r in found} == old
    assert len(old) == 5  # the dataset, and its bins in four levels
    before = {p for p in archive.root.rglob("*") if p.is_file()}
    assert carry_out(archive, found) > 0
    gone = before - {p for p in archive.root.rglob("*") if p.is_file()}
    assert all(any(k in str(p) for k in old) or p.name.startswith(".replaced-") for p in gone)
    assert not marks(archive)
    assert plan(archive, Rules(), named=named(catalog)) == []


def test_a_worker_cleans_once_a_day_and_the_trail_tells(changed, tmp_path):
    archive, catalog, old = changed
    mark = tmp_path / "home" / "cleaned"
    assert clean_daily(catalog, archive, mark) == []
    for each in marks(archive):
        age(each, hours=25)
    assert clean_daily(catalog, archive, mark) == []  # a day has not passed
    assert all(archive.path(k).exists() for k in old)
    age(mark, hours=25)
    assert {r.key for r in clean_daily(catalog, archive, mark)} == old
    assert not any(archive.path(k).exists() for k in old)
    (entry,) = [e for e in catalog.audit.find() if e.action == Action.CLEAN]
    assert (entry.who, entry.details["n"], entry.reason) == ("stixlab worker", 5, "5 replaced")
    age(mark, hours=25)
    assert clean_daily(catalog, archive, mark) == []
    assert len(catalog.audit.find()) == 1  # nothing went, nothing is told


def test_what_cannot_be_cleaned_is_tried_a_day_later(changed, tmp_path, monkeypatch):
    archive, catalog, _ = changed
    mark = tmp_path / "cleaned"
    calls = []

    def fail(*_given, **_named):
        calls.append(1)
        raise ArchiveError("contents_flight.json: damaged")

    monkeypatch.setattr(cleaning, "plan", fail)
    with pytest.raises(ArchiveError, match="damaged"):
        clean_daily(catalog, archive, mark)
    assert clean_daily(catalog, archive, mark) == []
    assert len(calls) == 1


def test_a_plan_of_a_reader_notes_nothing(changed):
    archive, catalog, _ = changed
    for mark in marks(archive):
        mark.unlink()
    assert plan(Archive(archive.root), Rules(replaced_days=0), named=named(catalog)) == []
    assert not marks(archive)


def test_an_old_dataset_that_is_replaced_now_stays_for_its_readers(tmp_path):
    """Its own age does not matter, only when it was replaced."""
    archive, catalog, (ds, _) = filled(tmp_path, *DAYS)
    product = catalog.products.get("L1_ql-lightcurve_20210605_flight")
    age(archive.path(product.zarr), days=400)
    day = ds["time"].to_numpy()[0].astype("datetime64[D]")
    assert archive.remove_superseded("L1", "ql-lightcurve", day, set()) == []
    assert archive.path(product.zarr).exists()
    for mark in marks(archive):
        age(mark, days=2)
    assert archive.remove_superseded("L1", "ql-lightcurve", day, {product.zarr}) == []
    assert marks(archive) == []  # named after all
    archive.mark_replaced([product.zarr])
    for mark in marks(archive):
        age(mark, days=2)
    assert archive.remove_superseded("L1", "ql-lightcurve", day, set()) == [product.zarr]
    assert not archive.path(product.zarr).exists()


def test_the_trash_is_emptied_after_a_while(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS)
    entry = delete(catalog, archive, "L1_ql-lightcurve_20210605_flight", who="keeper", reason="wrong")
    kept = {r.key for r in plan(archive, Rules(), named=named(catalog), now=entry.time + timedelta(days=29))}
    gone = {r.key for r in plan(archive, Rules(), named=named(catalog), now=entry.time + timedelta(days=31))}
    assert kept == set()
    assert gone == {"trash/" + entry.entry_id}


def test_of_repeated_runs_the_last_success_stays(tmp_path):
    archive, catalog, _ = filled(tmp_path)
    parameters = {"start": "2021-06-05"}
    runs = [
        dataclasses.replace(
            run(run_id), status=status, parameters=parameters, finished=T0 + timedelta(days=n)
        )
        for n, (run_id, status) in enumerate(
            [
                ("first", RunStatus.SUCCEEDED),
                ("failed", RunStatus.FAILED),
                ("last", RunStatus.SUCCEEDED),
                ("going", RunStatus.RUNNING),
            ]
        )
    ]
    runs.append(dataclasses.replace(runs[0], run_id="other", parameters={"start": "2021-06-06"}))
    for each in runs:
        (archive.run_folder(each.run_id) / "notebook.ipynb").write_text("{}")
    found = plan(archive, Rules(), named=named(catalog), runs=runs, now=T0 + timedelta(days=300))
    assert {(r.key, r.why) for r in found} == {("runs/failed", "run failed"), ("runs/first", "run repeated")}
    assert plan(archive, Rules(), named=named(catalog), runs=runs, now=T0 + timedelta(days=60)) == []


def test_strangers_in_the_trash_are_left_alone(tmp_path):
    archive, _, _ = filled(tmp_path)
    (tmp_path / "trash" / "notes-of-mine").mkdir(parents=True)
    assert plan(archive, Rules(trash_days=0), named=()) == []


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_a_rule_that_makes_no_sense_is_refused(days):
    with pytest.raises(ParameterError, match="trash_days"):
        Rules(trash_days=days)
