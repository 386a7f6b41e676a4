"""The reference page and the service say what the declarations say."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u

from stixlab.api.app import create_app
from stixlab.datasets.reference import reference_page
from stixlab.datasets.registry import SPECS
from stixlab.datasets.schema import describe_product, described_types, spec_of
from stixlab.errors import SchemaError
from stixlab.settings import Settings
from stixlab.vocabulary import DIMS, PRODUCT_TYPES
from tests.support.asgi import Client
from tests.support.quiet_sun import SmallLab

PAGE = Path(__file__).parents[2] / "docs" / "products.md"


def test_the_page_is_what_the_generator_makes():
    assert PAGE.read_text() == reference_page(), (
        "make it again: python -m stixlab.datasets.reference > docs/products.md"
    )


def test_every_product_type_is_declared():
    assert set(PRODUCT_TYPES) <= set(described_types())
    assert set(SPECS) <= set(described_types())
    with pytest.raises(SchemaError, match="expected one of hk-mini"):
        spec_of("ql-lightcurves")


@pytest.mark.parametrize("product", described_types())
def test_a_declaration_makes_sense(product):
    spec = spec_of(product)
    names = [f.name for f in spec.fields]
    assert len(names) == len(set(names))
    for field in spec.fields:
        np.dtype(field.dtype)
        assert set(field.dims) <= set(DIMS), field.name
        assert u.Unit(field.units or "1", parse_strict="raise") is not None, field.name
        assert field.long_name, field.name
        assert set(field.ancillary.split()) <= set(names), field.name


def test_the_service_gives_the_declaration(tmp_path):
    client = Client(create_app(SmallLab(tmp_path), Settings(home=tmp_path)))
    listed = client.get("/api/v1/schema").json()
    assert [e["product"] for e in listed] == list(described_types())
    for entry in listed:
        assert client.get(entry["url"]).json() == describe_product(entry["product"])
    missing = client.get("/api/v1/schema/ql-moon")
    assert missing.status_code == 404
    assert "expected one of" in missing.json()["error"]["message"]
    components = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert set(components["FieldSchema"]["properties"]) == set(describe_product("hk-mini")["fields"][0])
