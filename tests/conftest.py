"""What every test may use."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.database"]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real STIX data; where it is absent the test is skipped, on CI it fails."""
    named = os.environ.get("STIXLAB_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        message = f"real data: expected at {folder}; name its place in STIXLAB_TEST_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
