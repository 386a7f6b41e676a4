"""Records: small frozen dataclasses about files, arrivals, products, flares and runs. No I/O."""

from stixlab.model.arrival import Arrival, ArrivalStatus, arrival_id
from stixlab.model.audit import Action, AuditEntry
from stixlab.model.flare import Flare
from stixlab.model.product import Product
from stixlab.model.raw_file import RawFile
from stixlab.model.request import ScienceRequest
from stixlab.model.run import Run, RunStatus
from stixlab.model.telecommand import Telecommand

__all__ = [
    "Action",
    "Arrival",
    "ArrivalStatus",
    "AuditEntry",
    "Flare",
    "Product",
    "RawFile",
    "Run",
    "RunStatus",
    "ScienceRequest",
    "Telecommand",
    "arrival_id",
]
