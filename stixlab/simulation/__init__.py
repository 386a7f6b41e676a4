"""A Sun and an instrument with known truth, down to telemetry files that say they are simulated."""

from stixlab.simulation.days import DEFAULT_WHAT, WHAT
from stixlab.simulation.planning import REQUEST_KINDS
from stixlab.simulation.simulate import DEFAULT_REQUESTS, demonstration, simulate
from stixlab.simulation.sun import SolarFlare
from stixlab.simulation.truth import Truth, TruthCalibration, TruthFlare, TruthRequest

__all__ = [
    "DEFAULT_REQUESTS",
    "DEFAULT_WHAT",
    "REQUEST_KINDS",
    "WHAT",
    "SolarFlare",
    "Truth",
    "TruthCalibration",
    "TruthFlare",
    "TruthRequest",
    "demonstration",
    "simulate",
]
