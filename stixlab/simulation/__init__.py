"""A Sun and an instrument with known truth, down to telemetry files that say they are simulated."""

from stixlab.simulation.simulate import Truth, TruthFlare, demonstration, simulate
from stixlab.simulation.sun import SolarFlare

__all__ = ["SolarFlare", "Truth", "TruthFlare", "demonstration", "simulate"]
