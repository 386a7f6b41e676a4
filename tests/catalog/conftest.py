"""Fixtures of the stores' tests."""

from tests.support.database import embedded_database, mongo_catalog

__all__ = ["embedded_database", "mongo_catalog"]
