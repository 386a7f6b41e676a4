"""Products that a run delivers: made on a stage, checked, taken into the archive all or none."""

import numpy as np
import pytest

from stixlab.archive.verify import verify_archive
from stixlab.errors import (
    NotInCatalogError,
    ParameterError,
    PipelineError,
    TimeError,
)
from stixlab.ingest import provenance
from stixlab.ingest.daily_ephemeris import make_ephemerides
from stixlab.ingest.formal import make_planned, plan_daily, plan_reprocess, plan_requests, plan_table
from stixlab.pipeline import products as committing
from stixlab.products.ephemeris import make_ephemeris
from tests.support.formal import DAY, RANGE, daily, science
from tests.support.packets import light_curves


def test_formal_products_are_those_of_the_ingest(formal):
    run = daily(formal)
    assert formal.chain.catalog.products.find() == [], "nothing is catalogued before the run has succeeded"
    assert not (formal.chain.archive.root / "zarr").exists()
    formal.commit(run)
    run, _ = science(formal)
    formal.commit(run)
    assert formal.state() == formal.ingested
    catalog, archive = formal.chain.catalog, formal.chain.archive
    verified = verify_archive(archive, raw_files=catalog.raw_files.find(), products=catalog.products.find())
    assert (verified.damages, verified.spare) == ([], [])
    assert {p.provenance["run_id"] for p in catalog.products.find()} == {"trial-1"}


def test_what_was_committed_is_opened(formal):
    formal.commit(daily(formal))
    ds = formal.chain.lab.open("ql-lightcurve", "2021-01-15T23:00", "2021-01-16T01:00")
    assert ds.sizes["time"] > 100
    assert ds["counts"].chunks is not None


def test_a_second_run_finds_all_up_to_date_and_changes_nothing(formal):
    formal.commit(daily(formal))
    records = {p.product_id: p for p in formal.chain.catalog.products.find()}
    files = formal.chain.files()
    run = formal.session(**RANGE)
    plan = plan_daily(run)
    made = make_planned(run, plan)
    assert (len(plan_table(plan)), made.products, made.up_to_date) == (0, [], 2)
    assert len(run.save_products()) == 0
    done = formal.commit(run)
    assert done["ql-lightcurve"]["records"] == 0
    assert {p.product_id: p for p in formal.chain.catalog.products.find()} == records
    assert formal.chain.files() == files


def test_a_commit_may_be_repeated(formal):
    run = daily(formal)
    outputs = formal.outputs()
    assert formal.commit(run, outputs) == formal.commit(run, outputs)
    once = formal.state()
    assert {k: v for k, v in formal.ingested.items() if "_ql-" in k} == once


@pytest.mark.parametrize("moment", ["move", "save", "tables"])
def test_a_commit_that_was_killed_is_made_good_by_the_next_run(formal, monkeypatch, moment):
    run = daily(formal)
    name = {"move": "_move", "save": "_save", "tables": "_update_tables"}[moment]
    real, calls = getattr(committing, name), []

    def killed(*arguments):
        calls.append(1)
        if moment != "move" or len(calls) > 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(committing, name, killed)
    with pytest.raises(KeyboardInterrupt):
        formal.commit(run)
    monkeypatch.setattr(committing, name, real)
    formal.commit(daily(formal))
    assert formal.state() == {k: v for k, v in formal.ingested.items() if "_ql-" in k}
    assert formal.chain.lab.open("ql-lightcurve", "2021-01-15", "2021-01-17").sizes["time"] > 1000
    catalog = formal.chain.catalog
    assert verify_archive(
        formal.chain.archive, raw_files=catalog.raw_files.find(), products=catalog.products.find()
    ).ok


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(formal, tmp_path):
    run = daily(formal)
    more = tmp_path / "b.bin"
    more.write_bytes(light_curves(60, n_bins=580).data.tobytes())
    assert not formal.chain.ingest(more).failed
    theirs = formal.state()
    with pytest.raises(PipelineError, match="changed meanwhile") as caught:
        formal.commit(run)
    assert caught.value.recoverable
    assert formal.state() == theirs


def test_a_dataset_damaged_in_the_archive_is_replaced(formal):
    formal.commit(daily(formal))
    product = formal.chain.catalog.products.find()[0]
    chunk = next(p for p in formal.chain.archive.path(product.zarr).rglob("*") if p.name == "0")
    chunk.write_bytes(chunk.read_bytes()[:20])
    run = formal.session(**RANGE, again=True)
    made = make_planned(run, plan_reprocess(run))
    assert {state for _, state in made.products} <= {"unchanged"}
    run.save_products()
    formal.commit(run)
    catalog = formal.chain.catalog
    assert verify_archive(
        formal.chain.archive, raw_files=catalog.raw_files.find(), products=catalog.products.find()
    ).ok
    assert formal.state() == {k: v for k, v in formal.ingested.items() if "_ql-" in k}


def test_a_changed_program_makes_all_again_and_equal_data_keep_their_version(formal, monkeypatch):
    formal.commit(daily(formal))
    before = formal.state()
    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    run = formal.session(**RANGE)
    plan = plan_daily(run)
    assert set(plan_table(plan)["why"]) == {"code"}
    assert {state for _, state in make_planned(run, plan).products} == {"unchanged"}
    run.save_products()
    formal.commit(run)
    assert formal.state() == before
    assert len(plan_daily(formal.session(**RANGE)).items) == 0


def test_only_what_is_asked_for_is_made(formal):
    run = formal.session(start="2021-01-16T03:00", end="2021-01-16T04:00")
    assert [i.what for i in plan_daily(run).items] == ["2021-01-16"], "a whole day for any part of it"
    assert plan_daily(formal.session(**RANGE, type="hk-maxi")).items == []
    assert plan_daily(formal.session(**RANGE, origin="simulated")).items == []
    assert plan_daily(formal.session(start="2030-01-01", end="2031-01-01")).items == []


@pytest.mark.parametrize("request_", ["2505080001", "sci-xray-cpd_2505080001-50001_flight"])
def test_one_request_is_made_by_number_or_id(formal, request_):
    run, made = science(formal, start="", end="", request=request_)
    formal.commit(run)
    assert [p.product_id for p, _ in made.products] == ["L1_sci-xray-cpd_2505080001-50001_flight"]
    (product,) = formal.chain.catalog.products.find()
    assert formal.chain.lab.open(product.type, request_id=2505080001).sizes["time"] == product.n_times


def test_a_request_that_is_not_there_or_not_named_is_told(formal):
    with pytest.raises(NotInCatalogError, match="request '77'"):
        plan_requests(formal.session(start="", end="", request="77"))
    with pytest.raises(ParameterError, match="found neither"):
        plan_requests(formal.session(start="", end="", request=""))


def test_the_ephemeris_of_a_day_is_catalogued_and_opened(formal):
    run = formal.session(**DAY)
    assert [state for _, state in make_ephemerides(run).products] == ["new"]
    run.save_products()
    formal.commit(run)
    ds = formal.chain.lab.open("asp-ephemeris", "2026-02-03", "2026-02-04")
    assert ds.sizes["time"] == 1350
    assert ds.attrs["attitude_source"] == "none"
    assert not ds["attitude_valid"].to_numpy().any()
    again = formal.session(**DAY)
    made = make_ephemerides(again)
    assert (made.up_to_date, made.products) == (1, [])


def test_an_ephemeris_of_days_that_nothing_covers_is_an_error(formal):
    with pytest.raises(TimeError, match="2 days, none of which is covered"):
        make_ephemerides(formal.session(start="2090-01-01", end="2090-01-03"))


def test_datasets_of_a_notebook_become_products_by_day(formal):
    formal.commit(daily(formal))
    ds = formal.chain.lab.open("ql-lightcurve", "2021-01-15", "2021-01-17").load()
    doubled = ds.assign(counts=(ds["counts"] * 2).astype("uint32").assign_attrs(ds["counts"].attrs))
    run = formal.session(**RANGE)
    table = run.save("ql-lightcurve", doubled)
    assert list(table["version"]) == [2, 2]
    done = formal.commit(run)
    assert done["ql-lightcurve"]["records"] == 2
    found = formal.chain.lab.open("ql-lightcurve", "2021-01-15", "2021-01-17")
    assert np.array_equal(found["counts"], doubled["counts"])


def test_an_ephemeris_of_a_notebook_becomes_a_product(formal):
    from stixlab.ephemeris.provider import load_ephemerides

    run = formal.session(**DAY)
    ds = make_ephemeris(np.datetime64("2026-02-03"), load_ephemerides(), formal.chain.lab.clock)
    run.save("asp-ephemeris", ds)
    formal.commit(run)
    assert formal.chain.lab.open("asp-ephemeris").sizes["time"] == 1350
