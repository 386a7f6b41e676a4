"""`stixlab backfill`, `export-run` and `pipelines NAME`: what they print, refuse and return."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from prov.model import ProvDocument

from stixlab import factory
from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.cli import backfill as command
from stixlab.cli import pipelines, run_export
from stixlab.cli.backfill import backfill_command
from stixlab.cli.pipelines import pipelines_command
from stixlab.cli.run_export import export_run_command
from stixlab.errors import ParameterError, PipelineError
from stixlab.model import RunStatus
from tests.support.catalogs import product, succeed
from tests.support.cli import invoke, opening
from tests.support.pipelines import FIND, SAVE, write_notebook

RANGE = ("trial", "--start", "2022-03-01", "--end", "2022-03-04")


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    catalog = MemoryCatalog()
    for day in ("2022-03-01", "2022-03-03"):
        catalog.products.save(product(day))
    write_notebook(tmp_path / "pipelines", FIND, SAVE)

    monkeypatch.setattr(factory, "open_catalog", opening(catalog))
    monkeypatch.setattr(factory, "archive_folder", lambda _settings: tmp_path / "archive")
    Archive(tmp_path / "archive", writable=True)
    for module in (command, pipelines, run_export):
        monkeypatch.setattr(module, "project_folder", lambda name: tmp_path / name)
        if hasattr(module, "read_settings"):
            monkeypatch.setattr(module, "read_settings", lambda **_: SimpleNamespace(home=tmp_path))
    monkeypatch.setattr(command, "_POLL_S", 0.01)
    return catalog


def call(what, *arguments, status=0):
    return invoke(what, *arguments, status=status).output


def work(catalog, monkeypatch, status=RunStatus.SUCCEEDED):
    """In place of worker processes: whatever is queued is ended at once."""
    import dataclasses

    @contextmanager
    def workers(_name, _count, _log):
        for run in catalog.runs.find(status="queued"):
            done = succeed(catalog, run.run_id)
            catalog.runs.save(dataclasses.replace(done, status=status, error="too hot"))
        yield lambda: False

    monkeypatch.setattr(command, "_workers", workers)


def test_a_dry_run_tells_and_queues_nothing(catalog):
    output = call(backfill_command, *RANGE, "--dry-run")
    assert "3 steps, 2 to be run, 0 done before, 1 without data" in output
    assert catalog.runs.find() == []


def test_runs_are_left_to_others_if_no_worker_is_asked_for(catalog):
    output = call(backfill_command, *RANGE, "--workers", "0")
    assert "0 succeeded, 0 failed, 2 left" in output
    assert len(catalog.runs.find(status="queued")) == 2


def test_a_back_fill_is_seen_done_and_goes_on_when_asked_again(catalog, monkeypatch):
    work(catalog, monkeypatch)
    assert "2 succeeded, 0 failed, 0 left" in call(backfill_command, *RANGE)
    output = call(backfill_command, *RANGE, "--json")
    told = json.loads(output.splitlines()[-1])
    assert (told["steps"], told["runs"], len(told["done_before"])) == (3, [], 2)
    assert told["empty"] == ["2022-03-02"]


def test_what_failed_is_told_and_is_an_error(catalog, monkeypatch):
    work(catalog, monkeypatch, RunStatus.FAILED)
    output = call(backfill_command, *RANGE, status=1)
    assert "0 succeeded, 2 failed, 0 left" in output
    assert "2022-03-01: failed: too hot" in output


def test_workers_that_end_before_the_runs_are_an_error(catalog, monkeypatch):
    @contextmanager
    def workers(*_args):
        yield lambda: False

    monkeypatch.setattr(command, "_workers", workers)
    assert "2 left" in call(backfill_command, *RANGE, status=1)


def test_wrong_requests_are_refused_before_anything_is_queued(catalog):
    for wrong, error in (
        (("nothing", *RANGE[1:]), PipelineError),
        ((*RANGE[:4], "2022-02-01"), ParameterError),
        ((*RANGE, "-p", "colour=red"), ParameterError),
        ((*RANGE, "--step", "soon"), ParameterError),
    ):
        with pytest.raises(error):
            call(backfill_command, *wrong)
    assert "NAME=VALUE" in call(backfill_command, *RANGE, "-p", "colour", status=2)
    assert catalog.runs.find() == []


def test_a_run_is_exported_in_both_forms(catalog, monkeypatch, tmp_path):
    work(catalog, monkeypatch)
    call(backfill_command, *RANGE)
    name = catalog.runs.find()[0].run_id
    call(export_run_command, name, "--prov", str(tmp_path / "p.json"), "--crate", str(tmp_path / "c.zip"))
    read = ProvDocument.deserialize(str(tmp_path / "p.json"), format="json")
    assert name in call(export_run_command, name, "--prov", "-")
    assert read.get_record(f"stixlab:run/{name}")
    assert (tmp_path / "c.zip").is_file()
    assert "expected --prov" in call(export_run_command, name, status=2)


def test_a_pipeline_named_prints_its_page(catalog):
    assert call(pipelines_command, "trial").startswith("# trial: A trial\n")
    assert json.loads(call(pipelines_command, "trial", "--json"))["required"] == ["start", "end"]
    with pytest.raises(PipelineError, match="did you mean trial"):
        call(pipelines_command, "trail")
