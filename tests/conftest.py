"""What every test may use."""

import os
from pathlib import Path

import pytest

from stixlab.pipeline.quick_imports import load_jsonschema
from tests.support.examples import register_profiles

pytest_plugins = ["tests.support.database"]

register_profiles()
load_jsonschema()


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
