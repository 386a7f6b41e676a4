"""What is told of a run: PROV, research object, explanation; read back with the packages that know the forms."""

import dataclasses
import importlib.metadata
import json
import zipfile
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prov.model import PROV, ProvActivity, ProvDerivation, ProvDocument, ProvEntity, ProvGeneration, ProvUsage
from rocrate.rocrate import ROCrate

from stixlab import factory
from stixlab.cli.run_export import export_run_command
from stixlab.client.explain import explain
from stixlab.errors import ConflictError, NotInCatalogError
from stixlab.files import sha256_of
from stixlab.model import RunStatus
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.crate import CODE_LICENSE, PROFILES, left_out, write_crate
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.facts import gather_facts
from stixlab.pipeline.provenance import prov_document, prov_json
from tests.support.catalogs import flare, product, succeed
from tests.support.cli import invoke, opening
from tests.support.pipelines import FIND, GIVEN, SAVE

INPUT = "L1_ql-lightcurve_20220301_flight"


@pytest.fixture
def ran(center):
    """A data center with one run that has ended, as far as its records and files go."""
    center.write(FIND, SAVE)
    center.catalog.products.save(dataclasses.replace(product("2022-03-01"), sources=("5" * 64,)))
    run = plan_run(center.catalog, get_pipeline(center.pipelines, "trial"), GIVEN, asked_by="anna")
    center.catalog.runs.enqueue(run)
    folder = center.archive.run_folder(run.run_id)
    (folder / "trial.ipynb").write_text('{"cells": []}')
    (folder / "log.txt").write_text("cell 3: 0.1 s\n")
    done = succeed(center.catalog, run.run_id, (flare("2022-03-01T01:30", run_id=run.run_id),))
    center.done = dataclasses.replace(done, notebook=f"runs/{run.run_id}/trial.ipynb", machine="computer")
    center.catalog.runs.save(center.done)
    center.facts = lambda: gather_facts(center.catalog, center.archive, center.pipelines, run.run_id)
    return center


def test_a_run_as_prov_is_read_back_the_same(ran):
    content = prov_json(ran.facts())
    read = ProvDocument.deserialize(content=content.decode(), format="json")
    assert read == prov_document(ran.facts())
    assert prov_json(ran.facts()) == content


def test_prov_tells_who_made_what_from_what(ran):
    document = ProvDocument.deserialize(content=prov_json(ran.facts()).decode(), format="json")
    (activity,) = document.get_records(ProvActivity)
    run_id = ran.done.run_id
    assert str(activity.identifier) == f"stixlab:run/{run_id}"
    assert activity.get_startTime() == ran.done.started
    entities = {str(e.identifier): e for e in document.get_records(ProvEntity)}
    used = f"stixlab:content/{'a' * 64}/{INPUT}"
    assert set(entities) == {
        used,
        f"stixlab:notebook/{ran.done.notebook_sha256}",
        f"stixlab:result/{run_id}/flare-list",
        f"stixlab:executed/{run_id}",
        f"stixlab:log/{run_id}",
    }
    plan = entities[f"stixlab:notebook/{ran.done.notebook_sha256}"]
    assert PROV["Plan"] in plan.get_asserted_types()
    (usage,) = document.get_records(ProvUsage)
    assert str(usage.args[1]) == used
    assert len(list(document.get_records(ProvGeneration))) == 3
    (derived,) = document.get_records(ProvDerivation)
    assert [str(a) for a in derived.args[:2]] == [f"stixlab:result/{run_id}/flare-list", used]
    told = {str(k): v for k, v in activity.attributes}
    assert json.loads(told["stixlab:parameters"]) == ran.done.parameters
    assert told["stixlab:machine"] == "computer"


@pytest.mark.parametrize("name", ["crate", "crate.zip"])
def test_a_crate_contains_the_run_and_says_what_is_what(ran, tmp_path, name):
    write_crate(ran.facts(), tmp_path / name)
    crate = ROCrate(tmp_path / name)
    root = crate.root_dataset
    assert {p.id for p in root["conformsTo"]} == set(PROFILES)
    assert crate.mainEntity.id == "trial.ipynb"
    assert crate.mainEntity["sha256"] == ran.done.notebook_sha256
    assert crate.mainEntity["programmingLanguage"]["name"] == "Jupyter Notebook"
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"] is crate.mainEntity
    assert action["actionStatus"].endswith("CompletedActionStatus")
    assert root["mentions"].id == action.id
    objects = {o["name"]: o for o in action["object"]}
    assert objects["start"]["value"] == "2022-03-01"
    assert objects["start"]["exampleOfWork"].type == "FormalParameter"
    assert objects[INPUT]["sha256"] == "a" * 64
    assert {r.id for r in action["result"]} == {"outputs/flare-list.json", "executed/trial.ipynb"}
    assert action["agent"]["name"] == "anna"
    assert crate.dereference("#software")["softwareVersion"] == ran.done.versions["stixlab"]


def test_a_crate_names_the_licence_of_the_code_and_that_of_the_data_where_it_is_told(ran, tmp_path):
    """The workflow profile demands one of the root; what the data are under is for their owner to say."""
    write_crate(ran.facts(), tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert crate.root_dataset["license"].id == crate.mainEntity["license"].id == CODE_LICENSE
    assert crate.dereference(CODE_LICENSE)["name"] == "BSD-3-Clause"
    assert "license" not in crate.dereference("outputs/flare-list.json").properties()
    terms = "https://example.org/terms"
    write_crate(ran.facts(), tmp_path / "told", data_license=terms)
    told = ROCrate(tmp_path / "told")
    assert told.dereference("outputs/flare-list.json")["license"].id == terms
    assert told.root_dataset["license"].id == CODE_LICENSE


def test_the_licence_is_that_of_the_package():
    (said,) = importlib.metadata.metadata("stixlab").get_all("License-Expression")
    assert CODE_LICENSE.endswith(f"/{said}")


def test_what_a_crate_leaves_out_is_told(ran, tmp_path, monkeypatch):
    assert left_out(ran.facts()) == []
    ran.write(FIND, "# more\n" + SAVE)
    ran.catalog.flares.save(flare("2022-03-01T04:00", run_id="other"))
    assert left_out(ran.facts()) == [
        "trial.ipynb: it was edited since the run, or is gone; the executed notebook is there",
        "flare-list: other runs have replaced it since",
    ]
    ran.archive.path(ran.done.notebook).unlink()
    (ran.archive.run_folder(ran.done.run_id) / "log.txt").unlink()
    assert left_out(ran.facts())[2:] == ["the executed notebook: it is gone", "the log: it is gone"]
    monkeypatch.setattr(factory, "open_catalog", opening(ran.catalog))
    monkeypatch.setattr(factory, "archive_folder", lambda _settings: ran.archive.root)
    said = invoke(export_run_command, ran.done.run_id, "--crate", str(tmp_path / "crate")).stderr
    assert "not in the crate: flare-list: other runs have replaced it since" in said


def test_a_product_that_was_replaced_since_is_left_out_and_told(ran):
    outputs = {"hk-mini": {"kind": "products", "products": {INPUT: "b" * 64}}}
    ran.catalog.runs.save(dataclasses.replace(ran.done, outputs=outputs))
    assert left_out(ran.facts()) == [f"{INPUT}: other runs have replaced it since"]
    outputs["hk-mini"]["products"][INPUT] = "a" * 64
    ran.catalog.runs.save(dataclasses.replace(ran.done, outputs=outputs))
    assert left_out(ran.facts()) == [f"{INPUT}: it has no file of its own; it is named with its hash"]


def test_the_files_of_a_crate_are_those_it_names(ran, tmp_path):
    write_crate(ran.facts(), tmp_path / "crate")
    for entity in ROCrate(tmp_path / "crate").get_by_type("File"):
        assert sha256_of(tmp_path / "crate" / entity.id) == entity["sha256"]
    (told,) = json.loads((tmp_path / "crate" / "outputs" / "flare-list.json").read_text())
    assert told["flare_id"] == "2203010130"
    write_crate(ran.facts(), tmp_path / "crate.zip")
    names = set(zipfile.ZipFile(tmp_path / "crate.zip").namelist())
    assert {"ro-crate-metadata.json", "trial.ipynb", "executed/trial.ipynb", "prov.json", "log.txt"} <= names
    assert {p.name for p in tmp_path.iterdir()} >= {"crate", "crate.zip"}
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "nothing is left beside them"


def test_a_pipeline_that_was_edited_since_is_not_passed_off_as_the_one_that_ran(ran, tmp_path):
    ran.write(FIND, "# more\n" + SAVE)
    assert ran.facts().source is None
    write_crate(ran.facts(), tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert not (tmp_path / "crate" / "trial.ipynb").exists()
    assert crate.root_dataset["conformsTo"][0].id == PROFILES[0]
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"]["sha256"] == ran.done.notebook_sha256


def test_a_result_that_was_replaced_since_is_not_passed_off_as_that_of_the_run(ran, tmp_path):
    ran.catalog.flares.save(flare("2022-03-01T04:00", run_id="other"))
    write_crate(ran.facts(), tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert "replaced" in crate.description
    assert not (tmp_path / "crate" / "outputs").exists()


def test_a_run_that_failed_is_told_as_such(ran, tmp_path):
    ran.catalog.runs.save(
        dataclasses.replace(ran.done, status=RunStatus.FAILED, outputs={}, error="cell 3: why")
    )
    write_crate(ran.facts(), tmp_path / "crate")
    (action,) = ROCrate(tmp_path / "crate").get_by_type("CreateAction")
    assert action["actionStatus"].endswith("FailedActionStatus")
    assert action["error"] == "cell 3: why"


def test_a_crate_is_not_written_over_something(ran, tmp_path):
    (tmp_path / "crate").mkdir()
    with pytest.raises(ConflictError, match="another name"):
        write_crate(ran.facts(), tmp_path / "crate")


def test_only_a_run_that_has_ended_is_told(ran):
    ran.catalog.runs.save(dataclasses.replace(ran.done, status=RunStatus.RUNNING))
    with pytest.raises(ConflictError, match="it is running"):
        ran.facts()
    with pytest.raises(NotInCatalogError, match="there is none"):
        gather_facts(ran.catalog, ran.archive, ran.pipelines, "trial-0")


def lab(ran, access="team"):
    return SimpleNamespace(catalog=ran.catalog, archive=ran.archive, settings=SimpleNamespace(access=access))


def test_a_run_is_explained_by_what_it_read_and_what_has_changed_since(ran):
    told = explain(lab(ran), ran.done.run_id)
    assert (told.kind, told.products, told.changed) == ("run", (INPUT,), ())
    assert told.software["inputs"] == {INPUT: "a" * 64}
    assert told.software["notebook"] == ran.done.notebook_sha256
    assert [s.sha256 for s in told.sources] == ["5" * 64]
    assert f"has read {INPUT}" in str(told)
    json.dumps(told.as_document(), default=str)
    ran.catalog.products.save(product("2022-03-01", "b"))
    assert explain(lab(ran), ran.done.run_id).changed == (INPUT,)
    assert "`stixlab run trial` makes it again" in str(explain(lab(ran), ran.done.run_id))


def test_a_run_is_explained_with_machine_times_attempts_log_and_error(ran):
    start = datetime(2026, 3, 4, 10, 0, 1, 345678, tzinfo=UTC)
    failed = dataclasses.replace(
        ran.done, status=RunStatus.FAILED, started=start, finished=start + timedelta(seconds=90), attempts=2,
        error="cell 4: too hot", failures=("cell 4: too warm",), outputs={},
        log=f"runs/{ran.done.run_id}/log.txt",
    )  # fmt: skip
    ran.catalog.runs.save(failed)
    told = explain(lab(ran), failed.run_id)
    assert told.record["machine"] == "computer"
    lines = str(told).splitlines()
    assert lines[:8] == [
        f"run {failed.run_id}",
        f"  status: failed, asked for by manual (anna) at {failed.created:%Y-%m-%d %H:%M:%S} UTC",
        "  started: 2026-03-04 10:00:01 UTC, ended after 90.0 s",
        "  machine: computer",
        "  attempts: 2; attempt 1 failed: cell 4: too warm",
        "  error: cell 4: too hot",
        f"  executed notebook: runs/{failed.run_id}/trial.ipynb",
        f"  log: runs/{failed.run_id}/log.txt",
    ]


def test_a_run_that_is_not_there_is_not_explained(ran):
    with pytest.raises(NotInCatalogError, match="nothing called 'trial-0123456789abcdef'"):
        explain(lab(ran), "trial-0123456789abcdef")
