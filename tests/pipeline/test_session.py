"""What a notebook holds while it runs, and what it may deliver."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import QTable

from stixlab.analysis.flares import identify_flares
from stixlab.catalog import MemoryCatalog
from stixlab.errors import PipelineError, TimeError
from stixlab.pipeline.inputs import flares_content
from stixlab.pipeline.outputs import commit_outputs, range_of, read_outputs
from stixlab.pipeline.run_folder import REQUEST_NAME, RUN_FOLDER_VARIABLE
from stixlab.pipeline.session import RunSession, start_run
from tests.support.flare_curves import curve

GIVEN = {"start": "2022-03-01", "end": "2022-03-01T06:00:00", "origin": ""}
DATA = curve([(90, 500), (180, 5000)], origin="simulated")
FLARES = identify_flares(DATA)


class Lab:
    """Gives one light curve and notes what it was asked for."""

    def __init__(self, origin="simulated"):
        self.asked = []
        self.origin = origin

    def open(self, kind, start, end, *, origin=None):
        self.asked.append((kind, start, end, origin))
        return DATA.assign_attrs(origin=self.origin)

    def products(self, **asked):
        return [
            SimpleNamespace(
                product_id=f"{asked['level']}_{asked['type']}_{asked['origin']}", content_sha256="ab"
            )
        ]


def session(folder=None, lab=None, **parameters):
    declared = {"needs": ["ql-lightcurve"], "makes": ["flare-list"]} if folder else {}
    run = RunSession(lab or Lab(), "trial", GIVEN | parameters, folder=folder, **declared)
    run.fetch("ql-lightcurve")
    return run


def test_data_come_with_the_margin_asked_for():
    lab = Lab()
    RunSession(lab, "trial", GIVEN | {"origin": "simulated"}).fetch("ql-lightcurve", margin_s=3600)
    assert lab.asked == [
        ("ql-lightcurve", np.datetime64("2022-02-28T23:00"), np.datetime64("2022-03-01T07:00"), "simulated")
    ]


def test_a_session_knows_what_it_read():
    run = session()
    assert run.inputs == {"L1_ql-lightcurve_simulated": "ab"}
    assert run.origin == "simulated"


def test_opened_by_hand_a_result_is_shown_and_goes_nowhere(tmp_path):
    table = session().save("flare-list", FLARES)
    assert isinstance(table, QTable)
    assert len(table) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_staged_result_is_read_again_as_it_was(tmp_path):
    session(tmp_path).save("flare-list", FLARES)
    (output,) = read_outputs(tmp_path, ["flare-list"]).values()
    assert list(output.flares) == FLARES
    assert (output.start, output.end) == range_of(GIVEN)
    assert (output.origin, output.inputs) == ("simulated", {"L1_ql-lightcurve_simulated": "ab"})


def test_an_empty_list_is_a_result(tmp_path):
    session(tmp_path).save("flare-list", [])
    assert read_outputs(tmp_path, ["flare-list"])["flare-list"].flares == ()


def test_a_commit_replaces_what_was_in_the_range(tmp_path):
    catalog = MemoryCatalog()
    run = SimpleNamespace(run_id="trial-2")
    stale = dataclasses.replace(FLARES[0], flare_id="2203010400", peak=FLARES[1].end, run_id="trial-1")
    other = dataclasses.replace(stale, origin="flight")
    for flare in (stale, other):
        catalog.flares.save(flare)
    session(tmp_path).save("flare-list", FLARES)
    outputs = read_outputs(tmp_path, ["flare-list"])
    for _ in range(2):
        done = commit_outputs(catalog, run, outputs)
        found = catalog.flares.find(origin="simulated")
        told = {"kind": "flares", "origin": "simulated", "records": 2}
        assert done == {"flare-list": told | {"content_sha256": flares_content(found)}}
        assert [f.flare_id for f in found] == [f.flare_id for f in FLARES]
        assert {(f.run_id, f.products) for f in found} == {("trial-2", ("L1_ql-lightcurve_simulated",))}
        assert len(catalog.flares.find(origin="flight")) == 1, "those of the other origin stay"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"peak_counts": float("nan")}, "peak_counts is nan"),
        ({"signal_counts": float("inf")}, "signal_counts is inf"),
        ({"origin": "flight"}, "origin 'flight', that of the data is 'simulated'"),
        ({"flare_id": "2203010131"}, "the id is not the time of its peak"),
        ({"start": FLARES[1].start}, "peak outside of start and end"),
        ({"peak": FLARES[1].peak, "end": FLARES[1].end, "flare_id": FLARES[1].flare_id}, "same peak twice"),
    ],
)
def test_a_flare_that_cannot_be_is_refused(tmp_path, change, words):
    with pytest.raises(PipelineError, match=words):
        session(tmp_path).save("flare-list", [dataclasses.replace(FLARES[0], **change), FLARES[1]])
    assert not (tmp_path / "outputs").exists()


def test_a_flare_outside_of_the_range_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="outside of the range asked for"):
        session(tmp_path, end="2022-03-01T02:00:00").save("flare-list", FLARES)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (
            lambda run: run.save("spectrum", FLARES),
            "'spectrum' is not among the declared results: flare-list",
        ),
        (lambda run: run.save("flare-list", ["2203010130"]), "expected flares for flare-list; found str"),
        (lambda run: [run.save("flare-list", FLARES) for _ in range(2)], "saved twice"),
        (lambda run: run.fetch("hk-maxi"), "hk-maxi is not among the declared needs: ql-lightcurve"),
    ],
)
def test_what_was_not_declared_is_refused(tmp_path, do, words):
    with pytest.raises(PipelineError, match=words):
        do(session(tmp_path))


def test_a_result_made_from_no_data_is_refused(tmp_path):
    run = RunSession(Lab(), "trial", GIVEN, folder=tmp_path, makes=["flare-list"])
    with pytest.raises(PipelineError, match=r"call run.fetch\(\) first"):
        run.save("flare-list", FLARES)


def test_data_of_another_origin_than_asked_for_are_refused():
    with pytest.raises(PipelineError, match="expected data of origin flight; found simulated"):
        session(origin="flight")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[:-40], "cannot be read"),
        (lambda text: text.replace('"n_records": 2', '"n_records": 3'), "cut short"),
        (lambda text: text.replace("flare-list", "flare-lists"), "cut short"),
        (lambda text: text.replace('"duration"', '"durations"'), "cannot be read"),
        (lambda text: text.replace('"simulated"', '"moon"'), "origin 'moon'"),
        (lambda _text: "[]", "cannot be read"),
        (lambda _text: "", "cannot be read"),
    ],
)
def test_a_staged_result_that_was_spoilt_is_refused(tmp_path, spoil, words):
    session(tmp_path).save("flare-list", FLARES)
    path = tmp_path / "outputs" / "flare-list.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(PipelineError, match=words):
        read_outputs(tmp_path, ["flare-list"])


def test_a_missing_and_an_undeclared_result_are_told(tmp_path):
    with pytest.raises(PipelineError, match="flare-list was never saved"):
        read_outputs(tmp_path, ["flare-list"])
    session(tmp_path).save("flare-list", FLARES)
    with pytest.raises(PipelineError, match="not declared"):
        read_outputs(tmp_path, [])


def test_the_notebook_must_run_under_what_was_asked_for(tmp_path, monkeypatch):
    request = {"pipeline": "trial", "parameters": GIVEN, "needs": ["ql-lightcurve"], "makes": ["flare-list"]}
    (tmp_path / REQUEST_NAME).write_text(json.dumps(request))
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(tmp_path))
    assert start_run(Lab(), "trial", **GIVEN).parameters == GIVEN
    with pytest.raises(PipelineError, match="the notebook starts other"):
        start_run(Lab(), "other", **GIVEN)
    with pytest.raises(PipelineError, match="pass every parameter"):
        start_run(Lab(), "trial", **GIVEN | {"end": "2022-03-02"})
    (tmp_path / REQUEST_NAME).unlink()
    with pytest.raises(PipelineError, match="stixlab run"):
        start_run(Lab(), "trial", **GIVEN)


def test_by_hand_nothing_needs_to_be_declared(monkeypatch):
    monkeypatch.delenv(RUN_FOLDER_VARIABLE, raising=False)
    run = start_run(Lab(), "anything", **GIVEN)
    run.fetch("ql-lightcurve")
    assert len(run.save("flare-list", FLARES)) == 2


def test_a_run_without_a_range_or_with_none_that_can_be_read_is_told():
    with pytest.raises(PipelineError, match="expected a parameter end"):
        range_of({"start": "2022-03-01"})
    with pytest.raises(TimeError):
        range_of({"start": "2022-03-01", "end": "noon"})
