"""Commands that look things up: what they say where a list cannot answer."""

from dataclasses import replace

import pytest

from stixlab import factory
from stixlab.cli.explain import explain_command
from stixlab.cli.find import products_command
from stixlab.errors import NotInCatalogError
from tests.support.chain import Chain, chain_of
from tests.support.cli import invoke, opening
from tests.support.light_curves import day_of_packets
from tests.support.records import flare


@pytest.fixture
def chain(tmp_path, monkeypatch) -> Chain:
    chain = chain_of(tmp_path, *day_of_packets(seed=5, n_packets=2, start="2021-06-05T00:01:00"))
    monkeypatch.setattr(factory, "open_lab", opening(chain.lab))
    return chain


def test_where_level_0_is_had_is_told(chain):
    done = invoke(products_command, "--level", "L0")
    assert "lab.open(TYPE, start, end, level='L0')" in done.stderr
    assert "L1_ql-lightcurve" not in done.stdout
    listed = invoke(products_command, "--level", "L1")
    assert "L1_ql-lightcurve_20210605_flight" in listed.stdout
    assert listed.stderr == ""


def test_a_simulated_flare_is_explained_by_its_id(chain):
    (product,) = chain.catalog.products.find()
    times = {"start": product.start, "peak": product.start, "end": product.end}
    found = replace(flare(), **times, flare_id="2106050001", origin="simulated", run_id="", products=(product.product_id,))  # fmt: skip
    chain.catalog.flares.save(found)
    assert f"found in {product.product_id}" in invoke(explain_command, "2106050001").stdout
    chain.catalog.flares.save(replace(found, origin="flight"))
    with pytest.raises(NotInCatalogError, match="2106050001_flight, 2106050001_simulated"):
        invoke(explain_command, "2106050001")
