"""Processes of the platform: the embedded database, and what `stixlab up` starts and watches."""

from stixlab.services.database import DatabaseHandle, EmbeddedDatabase, database_part, open_database
from stixlab.services.health import Health, PartHealth, read_health
from stixlab.services.parts import Part
from stixlab.services.state import PartState, UpState, read_state
from stixlab.services.supervisor import Event, Supervisor, stop

__all__ = [
    "DatabaseHandle",
    "EmbeddedDatabase",
    "Event",
    "Health",
    "Part",
    "PartHealth",
    "PartState",
    "Supervisor",
    "UpState",
    "database_part",
    "open_database",
    "read_health",
    "read_state",
    "stop",
]
