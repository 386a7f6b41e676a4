"""Records of files, products, flares and runs, kept on a MongoDB server (or in memory)."""

from stixlab.catalog.connect import DATABASE, connect_database, mask_uri
from stixlab.catalog.memory import MemoryCatalog
from stixlab.catalog.stores import Catalog, MongoCatalog
from stixlab.catalog.workers import worker_is_dead, worker_name

__all__ = [
    "DATABASE",
    "Catalog",
    "MemoryCatalog",
    "MongoCatalog",
    "connect_database",
    "mask_uri",
    "worker_is_dead",
    "worker_name",
]
