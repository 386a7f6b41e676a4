"""A home for packets."""

import pytest

from tests.support.packet_store import Store, new_store


@pytest.fixture
def store(tmp_path) -> Store:
    return new_store(tmp_path)
