"""A real embedded database for tests.

Made known to pytest by ``pytest_plugins`` or by an import of the fixtures in `tests/conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stixlab.catalog import DATABASE, MongoCatalog, connect_database
from stixlab.catalog.stores import COLLECTIONS
from stixlab.services.database import EmbeddedDatabase


@pytest.fixture(scope="session")
def embedded_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    """An embedded server in a home of its own; `uri(access)` gives its addresses, `places.home` the home."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("database-home"))
    database.ensure()
    yield database
    database.close()


@pytest.fixture
def mongo_catalog(embedded_database: EmbeddedDatabase) -> Iterator[MongoCatalog]:
    """An empty catalogue on that server, for the operator."""
    database = connect_database(embedded_database.uri("operator"))
    assert database.name == DATABASE
    for name in COLLECTIONS:
        database[name].delete_many({})
    catalog = MongoCatalog(database, writable=True)
    yield catalog
    catalog.close()
