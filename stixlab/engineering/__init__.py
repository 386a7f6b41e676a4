"""Raw integers to physical values and states."""

from stixlab.engineering.calibration import state_table, to_physical, to_state, unit_of

__all__ = ["state_table", "to_physical", "to_state", "unit_of"]
