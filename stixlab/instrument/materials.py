"""Materials in the way of X-rays: what they are made of, and how much they take away at an energy.

The attenuation coefficients are those of Hubbell and Seltzer, NIST Standard Reference Database 126
(https://doi.org/10.18434/T4D01F). Which materials stand before the detectors is in `stixlab.instrument.transmission`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import ParameterError

__all__ = ["ENERGY_RANGE_KEV", "MATERIALS", "Material", "mass_attenuation"]

ENERGY_RANGE_KEV = (2.0, 500.0)
"""Energies that the table of attenuation coefficients covers, keV."""
_CM_PER_UM = 1e-4


@dataclass(frozen=True)
class Material:
    """A material by its elements."""

    name: str
    density: float
    """g/cm3."""
    mass_fractions: tuple[tuple[str, float], ...]
    """Symbol of each element and its part of the mass; scaled so that they make up the whole."""

    def attenuation(self, energy_kev: ArrayLike) -> NDArray[np.float64]:
        """Attenuation coefficient.

        Parameters
        ----------
        energy_kev : any shape, keV
            2 to 500.

        Returns
        -------
        same shape, 1/cm

        Raises
        ------
        ParameterError
            If an energy is outside the table.
        """
        parts = [part * mass_attenuation(element, energy_kev) for element, part in self.mass_fractions]
        whole = sum(part for _, part in self.mass_fractions)
        return np.asarray(np.sum(parts, axis=0) * (self.density / whole))

    def optical_depth(self, energy_kev: ArrayLike, thickness_um: float) -> NDArray[np.float64]:
        """Optical depth of a sheet met at right angles; exp(-depth) goes through.

        Parameters
        ----------
        energy_kev : any shape, keV
            2 to 500.
        thickness_um
            Micrometre.

        Returns
        -------
        same shape
        """
        return self.attenuation(energy_kev) * (thickness_um * _CM_PER_UM)


# Source of compositions and densities: the STIX team's description of the X-ray path, as the packages stixpy 0.2.1
# (calibration/transmission.py) and stixdcpy state it; the alloys are the middle of what their makers allow.
MATERIALS = {
    material.name: material
    for material in (
        Material("aluminium", 2.7, (("Al", 1.0),)),
        Material(
            "aluminium 7075",
            2.8,
            (
                *(
                    ("Al", 0.89345),
                    ("Zn", 0.056),
                    ("Mg", 0.025),
                    ("Cu", 0.016),
                    ("Fe", 0.0025),
                    ("Cr", 0.0023),
                ),
                *(("Si", 0.002), ("Mn", 0.0015), ("Ti", 0.001), ("Ni", 0.00025)),
            ),
        ),
        Material(
            "beryllium",
            1.84,
            (("Be", 0.9974), ("C", 0.00075), ("Fe", 0.00065), ("Al", 0.0005), ("Mg", 0.0004), ("Si", 0.0003)),
        ),
        Material("kapton", 1.43, (("H", 0.026362), ("C", 0.691133), ("N", 0.073270), ("O", 0.209235))),
        Material("mylar", 1.38, (("H", 0.041959), ("C", 0.625017), ("O", 0.333025))),
        Material("pet", 1.37, (("H", 0.041960), ("C", 0.625016), ("O", 0.333024))),
        Material("solar black, carbon", 3.2, (("C", 0.301), ("Ca", 0.503), ("P", 0.195))),
        Material("solar black, oxygen", 3.2, (("H", 0.002), ("O", 0.415), ("Ca", 0.396), ("P", 0.187))),
        Material("tellurium dioxide", 5.67, (("Te", 0.79951), ("O", 0.20049))),
        # 112.41 and 127.60 g/mol; density of the crystals.
        Material("cadmium telluride", 5.85, (("Cd", 0.46836), ("Te", 0.53164))),
    )
}
"""Materials of the X-ray path, by name."""


@cache
def _tables() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    path = Path(__file__).parent / "data" / "mass_attenuation.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {
        element: (
            np.log([float(r["energy"]) for r in rows if r["element"] == element]),
            np.log([float(r["mass_attenuation"]) for r in rows if r["element"] == element]),
        )
        for element in {r["element"] for r in rows}
    }


def mass_attenuation(element: str, energy_kev: ArrayLike) -> NDArray[np.float64]:
    """Mass attenuation coefficient of an element, coherent scattering included.

    Parameters
    ----------
    element
        Symbol, such as ``Al``.
    energy_kev : any shape, keV
        2 to 500. At an absorption edge itself the higher coefficient is given.

    Returns
    -------
    same shape, cm2/g

    Raises
    ------
    ParameterError
        If the element is not in the table or an energy is outside it; nothing is extrapolated.

    Notes
    -----
    A straight line in the logarithms between the rows of NIST SRD 126. Where two rows have one energy it is an
    absorption edge.
    """
    if element not in _tables():
        known = ", ".join(sorted(_tables()))
        raise ParameterError(f"attenuation: expected an element of {known}; found {element!r}")
    energy = np.asarray(energy_kev, dtype=np.float64)
    low, high = ENERGY_RANGE_KEV
    outside = ~((energy >= low) & (energy <= high))
    if outside.any():
        raise ParameterError(
            f"attenuation of {element}: expected energies from {low:g} to {high:g} keV; "
            f"found {energy[outside].flat[0]:g} keV; choose energies within that range"
        )
    log_energy, log_value = _tables()[element]
    x = np.log(energy)
    right = np.clip(np.searchsorted(log_energy, x, side="right"), 1, len(log_energy) - 1)
    left = right - 1
    share = (x - log_energy[left]) / (log_energy[right] - log_energy[left])
    return np.asarray(np.exp(log_value[left] + share * (log_value[right] - log_value[left])))
