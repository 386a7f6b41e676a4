"""`stixlab requests`: the list, one request whole, and what is said to mistakes."""

import json

import pytest

from stixlab import factory
from stixlab.cli.requests import requests_command
from stixlab.errors import NotInCatalogError
from tests.support.chain import Chain, chain_of
from tests.support.cli import invoke, opening
from tests.support.packets import light_curves
from tests.support.science import pixel_request, spectrogram_request


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    blocks = pixel_request(4).select([0, 3]), spectrogram_request(2, first_count=300), light_curves(1)
    return chain_of(tmp_path_factory.mktemp("requests"), *blocks)


@pytest.fixture
def run(chain, monkeypatch):
    monkeypatch.setattr(factory, "open_lab", opening(chain.lab))

    def call(*arguments: str, status: int = 0) -> str:
        return invoke(requests_command, *arguments, status=status).output

    return call


def test_the_list_says_what_is_missing(run):
    lines = run().splitlines()
    assert lines[0].split() == ["ID", "START", "END", "N_PACKETS", "N_MISSING", "COMPLETE", "WHY"]
    assert "sci-xray-cpd_2505080001-50001_flight" in lines[1]
    assert lines[1].endswith("False     2 packets between sequence counts 100 and 103")
    assert len(lines) == 3
    assert len(run("--incomplete").splitlines()) == 2
    assert run("--csv").startswith("id,start,end,n_packets")


def test_json_has_the_whole_record(run):
    first, second = (json.loads(line) for line in run("--json").splitlines())
    assert (first["type"], first["complete"], first["n_missing"]) == ("sci-xray-cpd", False, 2)
    assert second["start"].startswith("2025-05-08T04:54:48")
    assert [json.loads(x)["type"] for x in run("--json", "--type", "sci-xray-spec").splitlines()] == [
        "sci-xray-spec"
    ]
    assert run("--json", "--start", "2025-05-09") == ""
    assert run("--json", "--origin", "simulated") == ""


@pytest.mark.parametrize("name", ["2505080001", "sci-xray-cpd_2505080001-50001_flight"])
def test_one_request_is_shown_with_what_is_in_it(run, name):
    text = run(name)
    assert "missing        2 packets between sequence counts 100 and 103" in text
    assert "NIX00260" in text
    document = json.loads(run(name, "--json"))
    offsets = next(p for p in document["parameters"] if p["name"] == "NIX00404")
    assert (offsets["n"], offsets["min"], offsets["max"]) == (4, 0, 70)
    assert offsets["title"]
    assert document["type"] == "request"
    assert document["product_type"] == "sci-xray-cpd"


def test_mistakes_are_told(run):
    with pytest.raises(NotInCatalogError, match="stixlab requests"):
        run("1")
    assert "give it alone" in run("2505080001", "--incomplete", status=2)
