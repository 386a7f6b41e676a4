import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import ParameterError
from stixlab.instrument import materials
from stixlab.instrument.materials import ENERGY_RANGE_KEV, MATERIALS, Material, mass_attenuation


def test_coefficients_of_the_table_come_back():
    """Aluminium at energies of NIST SRD 126."""
    np.testing.assert_allclose(
        mass_attenuation("Al", [2, 10, 60, 500]), [2263, 26.23, 0.2778, 0.08445], rtol=1e-12
    )


def test_at_an_edge_the_coefficient_is_the_higher_one():
    """K edge of tellurium at 31.81 keV."""
    below, at, above = mass_attenuation("Te", [31.8099, 31.81, 31.8101])
    assert below == pytest.approx(6.738, rel=1e-4)
    assert at == pytest.approx(37.19, rel=1e-9)
    assert above < at


@given(st.sampled_from(sorted(MATERIALS)), st.floats(*ENERGY_RANGE_KEV))
def test_every_material_takes_something_away_at_every_energy(name, energy):
    assert 0 < MATERIALS[name].attenuation(energy) < 1e5


@given(st.floats(2, 500), st.floats(0.1, 1000), st.floats(0.1, 1000))
def test_two_sheets_are_one_of_both_thicknesses(energy, first, second):
    kapton = MATERIALS["kapton"]
    together = kapton.optical_depth(energy, first) + kapton.optical_depth(energy, second)
    assert kapton.optical_depth(energy, first + second) == pytest.approx(together)


def test_parts_are_scaled_to_the_whole():
    half = Material("half", 2.7, (("Al", 0.5),))
    np.testing.assert_allclose(half.attenuation([5.0]), MATERIALS["aluminium"].attenuation([5.0]))


@pytest.mark.parametrize("energy", [1.99, 500.1, np.nan, -1.0])
def test_nothing_is_extrapolated(energy):
    with pytest.raises(ParameterError, match="from 2 to 500 keV"):
        mass_attenuation("Al", [10.0, energy])


def test_an_element_that_is_not_there_is_told():
    with pytest.raises(ParameterError, match="found 'Xx'"):
        mass_attenuation("Xx", 10.0)


def test_the_table_is_whole():
    """Coefficients fall with energy between edges; every element of every material is there from 2 to 500 keV."""
    used = {element for m in MATERIALS.values() for element, _ in m.mass_fractions}
    tables = materials._tables()
    assert used <= set(tables)
    for energy, value in tables.values():
        assert np.exp(energy[[0, -1]]) == pytest.approx(ENERGY_RANGE_KEV)
        steps = np.diff(energy)
        assert (steps >= 0).all()
        assert (np.diff(value)[steps > 0] < 0).all()
        assert (np.diff(value)[steps == 0] > 0).all()


def test_the_same_numbers_stand_in_the_tables_of_the_ground_software(real_data):
    """A thin sheet of kapton: 8 mil of it cover the finest grids."""
    path = real_data / "instrument/GSW/grid/stix_transmission_by_component_sci_energies_20210303.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    energy = np.array([float(r["energy"]) for r in rows])
    expected = np.array([float(r["grid_covers"]) for r in rows])
    found = np.exp(-MATERIALS["kapton"].optical_depth(energy, 8 * 25.4))
    np.testing.assert_allclose(found, expected, rtol=2e-5)
