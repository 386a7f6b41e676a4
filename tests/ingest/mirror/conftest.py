"""A server with a small public archive, and the call that copies it."""

import pytest

from stixlab.ingest.mirror import mirror
from tests.support.mirrors import BACKGROUND, LIGHT, PIXELS
from tests.support.public_archive import PublicArchive, fits_bytes, served


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def archive():
    files = {
        LIGHT: fits_bytes(1),
        BACKGROUND: fits_bytes(2),
        PIXELS: fits_bytes(3, 200_000),
        "/secret": b"elsewhere",
    }
    with served(PublicArchive(files)) as archive:
        yield archive


@pytest.fixture
def waits():
    return []


@pytest.fixture
def run(archive, tmp_path, waits):
    def call(path="/data/fits/", folder=tmp_path / "copy", **options):
        return mirror(
            archive.url + path, folder, delay_s=options.pop("delay_s", 0.0), sleep=waits.append, **options
        )

    return call
