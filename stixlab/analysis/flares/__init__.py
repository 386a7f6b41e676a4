"""Flares in the quicklook light curve: found, measured, listed."""

from stixlab.analysis.flares.identification import identify_flares
from stixlab.analysis.flares.table import flares_to_table, table_to_flares
from stixlab.model.flare import Flare

__all__ = ["Flare", "flares_to_table", "identify_flares", "table_to_flares"]
