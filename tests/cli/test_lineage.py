"""`stixlab explain` and `stixlab reprocess`: what they print, and what they say to mistakes."""

import json

import pytest

from stixlab import factory
from stixlab.cli.explain import explain_command
from stixlab.cli.reprocess import reprocess_command
from stixlab.errors import NotInCatalogError, ParameterError, SchemaError
from stixlab.ingest import provenance
from tests.support.chain import Chain, chain_of
from tests.support.cli import invoke, opening
from tests.support.science import pixel_request

PIXELS = "L1_sci-xray-cpd_2505080001-50001_flight"


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    return chain_of(tmp_path_factory.mktemp("lineage"), pixel_request(4))


@pytest.fixture
def run(chain, monkeypatch):
    monkeypatch.setattr(factory, "open_lab", opening(chain.lab))
    monkeypatch.setattr(factory, "open_ingestor", opening(lambda _progress=None: chain.ingestor))
    return lambda command, *arguments: invoke(command, *arguments).stdout


def test_explain_names_packets_and_their_bytes(run):
    text = run(explain_command, PIXELS)
    assert text.startswith(f"product {PIXELS}")
    assert ": byte 0, " in text
    assert "tm.bin" in text
    document = json.loads(run(explain_command, PIXELS, "--json"))
    (source,) = document["sources"]
    assert len(source["packets"]) == document["n_packets"] == 4
    assert document["record"]["complete"] is True


def test_explain_tells_what_is_not_there(run):
    with pytest.raises(NotInCatalogError, match="nothing called 'x'"):
        run(explain_command, "x")


def test_reprocess_tells_what_it_did(run, monkeypatch):
    assert "0 days and 0 requests made again (nothing changed), 1 up to date" in run(reprocess_command)
    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    assert "1 requests to be made again (1 code)" in run(reprocess_command, "--dry-run")
    document = json.loads(run(reprocess_command, "--json"))
    assert (document["requests"], document["unchanged"], document["changed"]) == (1, 1, [])


def test_reprocess_tells_mistakes(run):
    with pytest.raises(ParameterError, match="--start before --end"):
        run(reprocess_command, "--start", "2025-01-02", "--end", "2025-01-01")
    with pytest.raises(SchemaError, match="product type"):
        run(reprocess_command, "--type", "nothing")
