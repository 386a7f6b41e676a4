"""Products that cannot be taken into the archive are refused, each with its reason, and nothing is changed."""

import dataclasses
from types import SimpleNamespace

import pytest
import xarray as xr

from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.catalog.staged import StagedCatalog
from stixlab.errors import (
    ArchiveError,
    PipelineError,
    SchemaError,
)
from stixlab.ingest.formal import make_planned, plan_daily, plan_reprocess
from stixlab.pipeline.inputs import find_sources
from stixlab.pipeline.outputs import read_outputs
from stixlab.pipeline.products import check_saved
from stixlab.pipeline.spec import read_spec
from stixlab.products.formats.zarr import open_zarr, write_zarr
from tests.support.formal import RANGE, Formal, change, daily, first, staged_path
from tests.support.packets import light_curves
from tests.support.pipelines import write_notebook


@pytest.fixture(scope="module")
def committed(received, tmp_path_factory) -> Formal:
    """The same data center after the days were made."""
    formal = received.copy(tmp_path_factory.mktemp("committed"))
    formal.commit(daily(formal))
    return formal


@pytest.fixture
def light_curve(committed) -> xr.Dataset:
    return committed.chain.lab.open("ql-lightcurve", "2021-01-16", "2021-01-17").load()


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda ds: ds.assign(counts=ds["counts"].astype("float64")), SchemaError, "dtype uint32 expected"),
        (lambda ds: ds.drop_vars("triggers"), SchemaError, "triggers: declared, not there"),
        (lambda ds: ds.assign_attrs(product="hk-maxi"), SchemaError, "found .*hk-maxi"),
        (lambda ds: ds.assign_attrs(origin="moon"), SchemaError, "moon"),
        (lambda ds: ds.assign_attrs(level="L3"), SchemaError, "L3"),
        (lambda ds: ds.isel(time=slice(0)), PipelineError, "at least one time"),
        (lambda _: [], PipelineError, "at least one dataset"),
        (lambda _: ["text"], PipelineError, "found str"),
    ],
)
def test_a_dataset_that_cannot_be_a_product_is_refused(committed, light_curve, spoil, error, words):
    run = committed.session(**RANGE)
    with pytest.raises(error, match=words):
        run.save("ql-lightcurve", spoil(light_curve))
    assert committed.outputs() == {}


def test_science_data_are_not_saved_as_datasets(committed, light_curve):
    run = committed.session(**RANGE)
    ds = light_curve.assign_attrs(product="sci-xray-spec")
    with pytest.raises(PipelineError, match="plan_requests"):
        run.save("sci-xray-spec", ds)


def test_saved_twice_is_an_error(formal):
    run = daily(formal)
    with pytest.raises(PipelineError, match="saved twice"):
        run.save_products()


def test_what_is_not_declared_is_refused(formal):
    run = formal.session(**RANGE)
    run._makes = ("hk-maxi",)
    make_planned(run, plan_daily(run))
    with pytest.raises(PipelineError, match="ql-lightcurve is not among the declared results: hk-maxi"):
        run.save_products()


def test_products_that_must_be_delivered_and_were_not_are_missed(formal):
    daily(formal)
    with pytest.raises(PipelineError, match="hk-maxi was never saved"):
        read_outputs(formal.folder / "work", ["hk-maxi"], ["ql-lightcurve"])
    with pytest.raises(PipelineError, match="not declared"):
        read_outputs(formal.folder / "work", [], ["hk-maxi"])


def test_products_that_were_made_and_never_saved_are_told(formal):
    run = formal.session(**RANGE)
    make_planned(run, plan_daily(run))
    with pytest.raises(PipelineError, match=r"2 datasets such as zarr/L1/ql-lightcurve.*never saved"):
        check_saved(run.stage.folder, formal.outputs())
    run.save_products()
    check_saved(run.stage.folder, formal.outputs())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "hk-maxi"}, "its type is 'hk-maxi'"),
        ({"level": "L3"}, "expected level L1; found 'L3'"),
        ({"origin": "moon"}, "origin 'moon'"),
        ({"product_id": "L1_hk-maxi_20210115_flight"}, "expected an id of L1_ql-lightcurve_"),
        ({"content_sha256": "0" * 64}, "expected content 0000"),
        ({"n_times": 7}, "expected 7 times"),
        ({"version": 0}, "version 0"),
        ({"fits_sha256": "0" * 64}, "hash 0000"),
        ({"fits_bytes": 5}, "expected 5 bytes"),
        ({"zarr": "zarr/L1/ql-lightcurve/2021/01/none.zarr"}, "is missing"),
        ({"zarr": "../../elsewhere"}, "expected its dataset below"),
        ({"fits": "raw/ab"}, "expected its FITS file below"),
        ({"start": {"$utc": "2021-01-14T12:00:00+00:00"}}, "its dataset holds"),
        ({"start": {"$utc": "2019-01-14T12:00:00+00:00"}}, "outside of the range"),
    ],
)
def test_a_record_that_is_not_true_is_refused(formal, fields, words):
    run = daily(formal)
    change(formal, "ql-lightcurve", **fields)
    with pytest.raises(PipelineError, match=words):
        formal.commit(run)
    assert formal.chain.catalog.products.find() == []
    assert not (formal.chain.archive.root / "zarr").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def _chunk(path):
    return max((p for p in path.rglob("*") if p.is_file() and p.name == "0"), key=str)


def rewrite(path, **fields):
    """A dataset in the place of another, with other variables."""
    ds = open_zarr(path).load()
    import shutil

    shutil.rmtree(path)
    write_zarr(ds.assign({n: ds[n].astype(d).assign_attrs(ds[n].attrs) for n, d in fields.items()}), path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda zarr, _fits: _chunk(zarr).unlink(), "dataset cannot be used"),
        (lambda zarr, _fits: cut(_chunk(zarr)), "dataset cannot be used"),
        (lambda zarr, _fits: rewrite(zarr, counts="float64"), "dtype uint32 expected, float64 found"),
        (lambda _zarr, fits: cut(fits), "in its FITS file"),
        (lambda _zarr, fits: flip(fits), "in its FITS file"),
        (lambda _zarr, fits: fits.unlink(), "is missing"),
    ],
)
def test_files_that_are_not_what_the_record_says_are_refused(formal, spoil, words):
    run = daily(formal)
    product = first(formal)
    spoil(staged_path(formal, product.zarr), staged_path(formal, product.fits))
    with pytest.raises(PipelineError, match=words):
        formal.commit(run)
    assert formal.chain.catalog.products.find() == []
    assert not (formal.chain.archive.root / "zarr").exists()


def test_a_fits_file_of_another_type_with_the_right_hash_is_refused(formal):
    run = daily(formal)
    path = staged_path(formal, first(formal).fits)
    from astropy.io import fits

    from stixlab.files import sha256_of

    with fits.open(path, mode="update") as hdus:
        hdus[0].header["STIXTYPE"] = "hk-maxi"
        hdus[0].add_checksum()
    change(formal, "ql-lightcurve", fits_sha256=sha256_of(path), fits_bytes=path.stat().st_size)
    with pytest.raises(PipelineError, match="its FITS file says type 'hk-maxi'"):
        formal.commit(run)


def test_data_outside_of_the_range_asked_for_are_refused(formal):
    run = daily(formal)
    run.parameters = {"start": "2021-01-16", "end": "2021-01-17"}
    with pytest.raises(PipelineError, match="outside of the range"):
        formal.commit(run)


def test_data_of_another_origin_than_asked_for_are_refused(formal):
    run = daily(formal)
    run.parameters = RANGE | {"origin": "simulated"}
    with pytest.raises(PipelineError, match="expected origin simulated"):
        formal.commit(run)


def test_a_full_disk_at_the_commit_is_told_and_the_same_commit_made_good(formal, monkeypatch):
    import errno
    from pathlib import Path

    run = daily(formal)
    outputs, real = formal.outputs(), Path.replace

    def full(self, target):
        if self.suffix == ".fits":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ArchiveError, match="full"):
        formal.commit(run, outputs)
    assert formal.chain.catalog.products.find() == []
    monkeypatch.setattr(Path, "replace", real)
    formal.commit(run, outputs)
    assert formal.state() == {k: v for k, v in formal.ingested.items() if "_ql-" in k}


def test_by_hand_everything_is_made_and_nothing_is_left(formal):
    from stixlab.ingest.run_products import write_datasets
    from stixlab.pipeline.session import RunSession

    files = formal.chain.files()
    run = RunSession(formal.chain.lab, "trial", dict(RANGE), maker=write_datasets)
    make_planned(run, plan_daily(run))
    folder = run.stage.folder
    assert len(run.save_products()) == 2
    assert formal.chain.files() == files
    assert folder.exists()
    del run
    import gc

    gc.collect()
    assert not folder.exists()


def test_the_inputs_of_packets_follow_the_raw_files_of_the_range(formal, tmp_path):
    catalog = formal.chain.catalog
    before = find_sources(catalog, ["packets"], RANGE)
    assert find_sources(catalog, ["packets"], RANGE) == before
    elsewhere = find_sources(catalog, ["packets"], {"start": "2023-01-01", "end": "2023-02-01"})
    one = find_sources(catalog, ["packets"], {"start": "", "end": "", "request": "2505080001"})
    more = tmp_path / "b.bin"
    more.write_bytes(light_curves(60, n_bins=580).data.tobytes())
    formal.chain.ingest(more)
    assert find_sources(catalog, ["packets"], RANGE) != before
    assert find_sources(catalog, ["packets"], {"start": "2023-01-01", "end": "2023-02-01"}) == elsewhere
    assert find_sources(catalog, ["packets"], {"start": "", "end": "", "request": "2505080001"}) == one


def test_the_stage_never_writes_to_the_archive(formal, monkeypatch):
    """Even as a user who may write there: all that is opened for writing lies below the stage."""
    import os

    run = formal.session(**RANGE)
    stage, real = run.stage.folder, os.open

    def watched(path, flags, *arguments, **named):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(str(formal.chain.home)):
            assert str(path).startswith(str(stage)), path
        return real(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", watched)
    before = formal.chain.files()
    make_planned(run, plan_reprocess(run))
    run.save_products()
    after = formal.chain.files()
    assert {f for f in after - before if not f.startswith("runs/trial/products/")} == set()


def test_a_staged_catalogue_shows_its_changes_and_leaves_the_base_alone():
    base = MemoryCatalog()
    for name in "abc":
        base.collections["flares"].insert({"_id": name, "n": 1})
    staged = StagedCatalog(base).collections["flares"]
    staged.replace({"_id": "a", "n": 2})
    staged.delete({"_id": "b"})
    assert staged.update({"_id": "c"}, {"$inc": {"n": 4}}) == {"_id": "c", "n": 5}
    assert not staged.insert({"_id": "c"})
    assert staged.insert({"_id": "d", "n": 2})
    assert staged.swap({"_id": "d"}, {"_id": "d", "n": 9})
    assert sorted((d["_id"], d["n"]) for d in staged.find({})) == [("a", 2), ("c", 5), ("d", 9)]
    assert staged.find({"n": {"$gte": 9}}, ["n"]) == [{"_id": "d", "n": 9}]
    assert staged.get("b") is None
    assert (set(staged.changed), staged.removed) == ({"a", "c", "d"}, {"b"})
    assert staged.before("c") != ""
    assert staged.before("d") == ""
    assert sorted((d["_id"], d["n"]) for d in base.collections["flares"].each()) == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
    ]
    staged.replace({"_id": "b", "n": 3})
    assert staged.removed == set()


def test_records_that_a_pipeline_may_not_change_are_refused(formal):
    run = formal.session(**RANGE)
    run.stage.catalog.raw_files.delete(formal.chain.catalog.raw_files.find()[0].sha256)
    make_planned(run, plan_daily(run))
    run.stage.days.add(("ql-lightcurve", "flight", "2021-01-15"))
    with pytest.raises(PipelineError, match="raw_files"):
        run.save_products()


def test_an_archive_is_needed_to_take_products(formal):
    from stixlab.pipeline.outputs import commit_outputs

    run = daily(formal)
    with pytest.raises(PipelineError, match="expected an archive"):
        commit_outputs(formal.chain.catalog, SimpleNamespace(parameters=run.parameters), formal.outputs())


def test_readers_cannot_commit(formal):
    run = daily(formal)
    formal.chain = dataclasses.replace(formal.chain, archive=Archive(formal.chain.archive.root))
    with pytest.raises(PermissionError):
        formal.commit(run)


def front_matter(**fields):
    return "".join(f"{k}: {v}\n" for k, v in ({"title": "A", "summary": "B"} | fields).items())


def test_types_that_may_be_made_are_declared_apart(tmp_path):
    front = front_matter(needs="[packets, kernels]", makes="[]", may_make="[ql-lightcurve, asp-ephemeris]")
    spec = read_spec(write_notebook(tmp_path, front=front))
    assert (spec.needs, spec.makes) == (("packets", "kernels"), ())
    assert spec.may_make == ("ql-lightcurve", "asp-ephemeris")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"makes": "[]"}, "at least one result"),
        ({"makes": "[hk-maxi]", "may_make": "[hk-maxi]"}, "hk-maxi stands under 'makes', too"),
        ({"makes": "[]", "may_make": "[flare-list]"}, "'flare-list' is unknown"),
        ({"makes": "[]", "may_make": "hk-maxi"}, "a list of names"),
    ],
)
def test_a_wrong_declaration_of_them_is_refused(tmp_path, fields, words):
    with pytest.raises(PipelineError, match=words):
        read_spec(write_notebook(tmp_path, front=front_matter(needs="[packets]", **fields)))
