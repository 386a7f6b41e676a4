"""The attenuator: when it is in, and what it takes away."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import ParameterError
from stixlab.instrument.transmission import ATTENUATOR, component_transmission

__all__ = ["N_RATE_CONTROL_STATES", "attenuator_inserted", "attenuator_transmission"]

N_RATE_CONTROL_STATES = 8
"""Rate control states, 0 to 7: the onboard answer to high count rates."""


def attenuator_inserted(rate_control_state: ArrayLike) -> NDArray[np.bool_]:
    """Whether the attenuator is in.

    Parameters
    ----------
    rate_control_state : any shape, integer
        0 to 7.

    Returns
    -------
    same shape

    Raises
    ------
    ParameterError
        If a state is none of the eight.

    Notes
    -----
    State 0 leaves everything open; every other state has the attenuator in, and from 2 on fewer and fewer pixels
    in use (STIX ground software, rcr_states.csv).
    """
    state = np.asarray(rate_control_state)
    unknown = (state < 0) | (state >= N_RATE_CONTROL_STATES)
    if unknown.any():
        raise ParameterError(
            f"rate control state: expected 0 to {N_RATE_CONTROL_STATES - 1}; found {state[unknown].flat[0]}"
        )
    return np.asarray(state > 0)


def attenuator_transmission(energy_kev: ArrayLike) -> NDArray[np.float64]:
    """Part of the photons that the attenuator, 0.6 mm of aluminium 7075, lets through.

    Parameters
    ----------
    energy_kev : any shape, keV
        2 to 500.

    Returns
    -------
    same shape
        0 to 1. What single events leave in a detector is not this: compare counts through a response matrix.

    Raises
    ------
    ParameterError
        If an energy is outside the tables.
    """
    return component_transmission(ATTENUATOR, energy_kev)
