"""What the window, foils and covers before a detector let through, by energy.

Not here: the grids (they are a matter of the direction of the source), what the detector makes of a photon, and
whether the attenuator is in (`stixlab.instrument.attenuator`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import ParameterError
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.instrument.materials import ENERGY_RANGE_KEV, MATERIALS

__all__ = [
    "ATTENUATOR",
    "COMPONENTS",
    "COVERED_DETECTORS",
    "SOLAR_BLACK",
    "Layer",
    "component_transmission",
    "mean_transmission",
    "transmission",
]

_MIL_UM = 25.4
SOLAR_BLACK = ("carbon", "oxygen")
"""The two compositions under discussion for the black coating of the front window; the first is taken by default."""
COVERED_DETECTORS = (11, 12, 13, 17, 18, 19)
"""Detectors (1 to 32) whose grids, the finest, have covers."""
ATTENUATOR = "attenuator"
"""Name of the component that moves."""


@dataclass(frozen=True)
class Layer:
    """A sheet of one material."""

    material: str
    """A name of `stixlab.instrument.materials.MATERIALS`, or ``solar black``: which one is chosen by the caller."""
    thickness_um: float
    """Micrometre."""


# Source: the STIX team's description of the X-ray path, as the package stixpy 0.2.1 (calibration/transmission.py)
# states it. Its numbers of the covered detectors are those of the hardware less one.
COMPONENTS = {
    "front window": (Layer("solar black", 5.0), Layer("beryllium", 2000.0)),
    "rear window": (Layer("beryllium", 1000.0),),
    "grid covers": (Layer("kapton", 8 * _MIL_UM),),
    "detector enclosure": (Layer("kapton", 6 * _MIL_UM),),
    "insulation": (
        Layer("aluminium", 0.1),
        Layer("kapton", 3 * _MIL_UM),
        Layer("aluminium", 4.0),
        Layer("mylar", 5 * _MIL_UM),
        Layer("pet", 105.0),
        Layer("kapton", 3 * _MIL_UM),
        Layer("aluminium", 0.1),
    ),
    "calibration foil": (Layer("aluminium", 0.4), Layer("kapton", 8 * _MIL_UM)),
    "dead layer": (Layer("tellurium dioxide", 0.392),),
    ATTENUATOR: (Layer("aluminium 7075", 600.0),),
}
"""Layers of each component in the way from the Sun to the crystal, outside first."""


def component_transmission(
    name: str, energy_kev: ArrayLike, *, solar_black: str = SOLAR_BLACK[0]
) -> NDArray[np.float64]:
    """Part of the photons that one component lets through.

    Parameters
    ----------
    name
        A key of `COMPONENTS`.
    energy_kev : any shape, keV
        2 to 500.
    solar_black
        Composition of the coating, see `SOLAR_BLACK`.

    Returns
    -------
    same shape
        0 to 1.

    Raises
    ------
    ParameterError
        If there is no such component or composition, or an energy is outside the tables.
    """
    return np.asarray(np.exp(-_optical_depth(name, energy_kev, solar_black)))


def _optical_depth(name: str, energy_kev: ArrayLike, solar_black: str) -> NDArray[np.float64]:
    if name not in COMPONENTS:
        raise ParameterError(f"transmission: expected a component of {', '.join(COMPONENTS)}; found {name!r}")
    if solar_black not in SOLAR_BLACK:
        raise ParameterError(f"solar_black: expected one of {', '.join(SOLAR_BLACK)}; found {solar_black!r}")
    depths = [
        MATERIALS[
            f"solar black, {solar_black}" if layer.material == "solar black" else layer.material
        ].optical_depth(energy_kev, layer.thickness_um)
        for layer in COMPONENTS[name]
    ]
    return np.asarray(np.sum(depths, axis=0))


def transmission(
    energy_kev: ArrayLike, *, attenuator: bool = False, solar_black: str = SOLAR_BLACK[0]
) -> NDArray[np.float64]:
    """Part of the photons that reach each detector's crystal through windows and foils; grids not counted.

    Parameters
    ----------
    energy_kev : any shape, keV
        2 to 500.
    attenuator
        Whether it is in.
    solar_black
        Composition of the coating of the front window, see `SOLAR_BLACK`.

    Returns
    -------
    (..., detector)
        0 to 1, in the order of the detectors 1 to 32.

    Raises
    ------
    ParameterError
        If an energy is outside the tables, or there is no such composition.

    Notes
    -----
    exp(-sum of mu rho x) over the layers, met at right angles. Equal to the table of 2025-11-10 of the STIX
    ground software (stix_transmission_highres) within 1e-6 (2 to 500 keV).

    Examples
    --------
    >>> transmission([6.0, 20.0])[:, 0].round(4).tolist()
    [0.025, 0.8071]
    """
    common = [n for n in COMPONENTS if n != "grid covers" and (attenuator or n != ATTENUATOR)]
    depth = np.asarray(sum(_optical_depth(name, energy_kev, solar_black) for name in common))
    covered = np.isin(np.arange(1, N_DETECTORS + 1), COVERED_DETECTORS)
    cover = _optical_depth("grid covers", energy_kev, solar_black)
    return np.asarray(np.exp(-(depth[..., None] + np.where(covered, cover[..., None], 0.0))))


def mean_transmission(
    energy_bounds: ArrayLike,
    *,
    attenuator: bool = False,
    solar_black: str = SOLAR_BLACK[0],
    spectral_index: float = 0.0,
    n_points: int = 64,
) -> NDArray[np.float64]:
    """Transmission of energy bands, averaged over the photons of an assumed spectrum.

    Parameters
    ----------
    energy_bounds : (energy, 2), keV
        Cut to the energies of the tables, 2 to 500 keV.
    attenuator, solar_black
        As for `transmission`.
    spectral_index
        The photon spectrum within a band is E ** -spectral_index; 0 is flat.
    n_points
        Points in a band; 64 give 1e-3 in the lowest band and better above.

    Returns
    -------
    (energy, detector)

    Raises
    ------
    ParameterError
        If a band is empty, turned round, or wholly outside the tables.
    """
    bounds = np.asarray(energy_bounds, dtype=np.float64).reshape(-1, 2)
    clipped = np.clip(bounds, *ENERGY_RANGE_KEV)
    wrong = ~(clipped[:, 0] < clipped[:, 1])
    if wrong.any():
        low, high = bounds[wrong][0]
        raise ParameterError(
            f"energy bounds: expected lower < upper and a part between {ENERGY_RANGE_KEV[0]:g} and "
            f"{ENERGY_RANGE_KEV[1]:g} keV; found {low:g} to {high:g} keV"
        )
    # Middles of steps that are equal in the logarithm, so that wide bands are sampled as well as narrow ones.
    steps = np.linspace(0.0, 1.0, n_points + 1)
    edges = clipped[:, :1] * (clipped[:, 1:] / clipped[:, :1]) ** steps
    middles, widths = np.sqrt(edges[:, 1:] * edges[:, :-1]), np.diff(edges, axis=1)
    weights = widths * middles**-spectral_index
    passed = transmission(middles, attenuator=attenuator, solar_black=solar_black)
    return np.asarray((passed * weights[..., None]).sum(axis=1) / weights.sum(axis=1)[:, None])
