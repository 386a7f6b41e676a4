"""Definitions of the packets: which kinds there are, what stands in them, and what the numbers mean.

Not here: reading packets (`stixlab.telemetry`) and turning numbers into physical values
(`stixlab.engineering`).
"""

from __future__ import annotations

from stixlab.idb.definitions import Definitions
from stixlab.idb.loading import IMPORTED, import_database, load_definitions, load_versions, remove_imported
from stixlab.idb.patches import Patch, shipped_patches
from stixlab.idb.program import Program
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State
from stixlab.idb.versions import Era, Versions

__all__ = [
    "IMPORTED",
    "Definitions",
    "Discriminator",
    "Era",
    "Field",
    "PacketType",
    "Parameter",
    "Patch",
    "Program",
    "State",
    "Versions",
    "import_database",
    "load_definitions",
    "load_versions",
    "remove_imported",
    "shipped_patches",
]
