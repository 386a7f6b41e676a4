import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import ParameterError
from stixlab.instrument.attenuator import attenuator_inserted, attenuator_transmission
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.instrument.energy_channels import energy_edges
from stixlab.instrument.transmission import (
    COMPONENTS,
    COVERED_DETECTORS,
    component_transmission,
    mean_transmission,
    transmission,
)


def test_equal_to_the_table_of_the_ground_software(real_data):
    """stix_transmission_highres_20251110.csv, made with the same layers and the same NIST coefficients."""
    table = np.genfromtxt(
        real_data / "instrument/GSW/grid/stix_transmission_highres_20251110.csv", delimiter=",", names=True
    )
    energy = table["energies"]
    found = transmission(energy)
    for detector in range(1, N_DETECTORS + 1):
        np.testing.assert_allclose(found[:, detector - 1], table[f"det{detector - 1}"], rtol=1e-5)
    np.testing.assert_allclose(attenuator_transmission(energy), table["attenuator"], rtol=1e-5)


def test_the_finest_grids_are_covered():
    passed = transmission([6.0])[0]
    covered = np.flatnonzero(passed < passed.max()) + 1
    assert tuple(covered) == COVERED_DETECTORS
    np.testing.assert_allclose(passed.min() / passed.max(), component_transmission("grid covers", 6.0))


@given(st.floats(2, 500))
def test_the_components_together_are_the_whole(energy):
    parts = [component_transmission(name, energy) for name in COMPONENTS]
    np.testing.assert_allclose(np.prod(parts), transmission(energy, attenuator=True)[10], rtol=1e-9)


@given(st.floats(2, 500), st.booleans())
def test_a_part_passes_and_the_attenuator_lets_less(energy, oxygen):
    black = "oxygen" if oxygen else "carbon"
    out, inside = (transmission(energy, attenuator=a, solar_black=black) for a in (False, True))
    assert out.shape == (N_DETECTORS,)
    assert (inside >= 0).all()
    assert (inside < out).all()
    assert (out < 1).all()


def test_the_mean_of_a_narrow_band_is_its_middle():
    np.testing.assert_allclose(mean_transmission([[19.99, 20.01]]), transmission([20.0]), rtol=1e-4)


def test_the_mean_is_the_integral():
    """Against sums over 20 000 points."""
    low, high = 4.0, 5.0
    energy = np.linspace(low, high, 20_001)
    passed = transmission(energy)[:, 0]
    for index in (0.0, 5.0):
        weights = energy**-index
        exact = np.trapezoid(passed * weights, energy) / np.trapezoid(weights, energy)
        found = mean_transmission([[low, high]], spectral_index=index)[0, 0]
        assert found == pytest.approx(exact, rel=1e-3)


def test_science_channels_have_a_mean_each_even_the_open_ones():
    edges = energy_edges(np.datetime64("2021-01-16"))
    passed = mean_transmission(np.column_stack([edges[:-1], edges[1:]]))
    assert passed.shape == (32, N_DETECTORS)
    assert (np.diff(passed[:-1, 0]) > 0).all()


@pytest.mark.parametrize(
    "bounds", [[[5.0, 4.0]], [[4.0, 4.0]], [[0.0, 1.5]], [[600.0, 700.0]], [[np.nan, 5.0]]]
)
def test_a_band_without_energies_is_refused(bounds):
    with pytest.raises(ParameterError, match="lower < upper"):
        mean_transmission(bounds)


def test_a_wrong_name_is_told():
    with pytest.raises(ParameterError, match="expected a component of front window"):
        component_transmission("back window", 5.0)
    with pytest.raises(ParameterError, match="expected one of carbon, oxygen; found 'tar'"):
        transmission(5.0, solar_black="tar")


def test_the_attenuator_is_in_from_state_one_on():
    assert attenuator_inserted(np.arange(8, dtype=np.uint8)).tolist() == [False] + [True] * 7
    for wrong in (8, -1):
        with pytest.raises(ParameterError, match=f"found {wrong}"):
            attenuator_inserted([0, wrong])
