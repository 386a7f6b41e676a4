import numpy as np
import pytest

from stixlab.datasets.housekeeping import MAXI, MAXI_L0, MINI, MINI_L0
from stixlab.datasets.registry import BUILDERS, SPECS, get_spec
from stixlab.engineering.calibration import to_state, unit_of
from stixlab.errors import SchemaError
from stixlab.idb import load_definitions


@pytest.mark.parametrize("spec", [MINI, MAXI], ids=lambda s: s.product)
def test_declared_units_are_those_of_the_calibration(spec):
    """Where a variable is a real number it has a curve or a rule, and that says the same unit."""
    definitions = load_definitions()
    for field in spec.fields:
        if field.source_parameter and field.dtype == "float32":
            assert unit_of(field.source_parameter, definitions) == field.units, field.name


@pytest.mark.parametrize("spec", [MINI, MAXI], ids=lambda s: s.product)
def test_states_have_as_many_meanings_as_values(spec):
    for field in spec.fields:
        if "flag_values" in field.attrs:
            assert len(field.attrs["flag_values"]) == len(field.attrs["flag_meanings"].split()), field.name


@pytest.mark.parametrize("spec", [MINI, MAXI], ids=lambda s: s.product)
def test_declared_states_are_those_of_the_flight_database(spec):
    definitions = load_definitions()
    for field in spec.fields:
        if "flag_values" in field.attrs:
            values = np.asarray(field.attrs["flag_values"])
            texts = [str(t) for t in to_state(field.source_parameter, values, definitions)]
            assert len(set(texts)) == len(values), (field.name, texts)


@pytest.mark.parametrize(("spec", "spid"), [(MINI, 54101), (MAXI, 54102)], ids=["mini", "maxi"])
def test_every_parameter_of_the_packet_has_a_variable(spec, spid):
    """But for words that repeat the bits of others, and the identifier."""
    names = {
        n for n in load_definitions().program(spid).columns if not n.startswith("NIXG") and n != "NIX00020"
    }
    assert {f.source_parameter for f in spec.fields if f.source_parameter} == names


@pytest.mark.parametrize("spec", [MINI_L0, MAXI_L0, MINI, MAXI], ids=lambda s: s.title)
def test_names_are_plain_and_single(spec):
    names = [f.name for f in spec.fields]
    assert len(set(names)) == len(names)
    assert all(n.isidentifier() and n == n.lower() and "nix" not in n for n in names)


def test_builders_and_declarations_are_of_the_same_products():
    """Science is made by request, not by packet."""
    assert {b.product for b in BUILDERS.values()} == {p for p in SPECS if not p.startswith("sci-")}
    for structure, builder in BUILDERS.items():
        assert builder.spec.product == builder.product
        assert len(structure) == 3


def test_product_without_declaration_is_named():
    with pytest.raises(SchemaError, match=r"expected one of hk-mini, .*; found 'ql-images'"):
        get_spec("ql-images")
