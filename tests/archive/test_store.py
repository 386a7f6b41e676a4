"""The archive: by content, one writer, nothing outside of it."""

import threading
import time

import pytest

from stixlab.archive import Archive
from stixlab.errors import AccessError, ArchiveError, ConflictError, NotInCatalogError


def test_the_same_content_is_stored_once(tmp_path):
    archive = Archive(tmp_path, writable=True)
    first = archive.store_raw(b"telemetry")
    second = archive.store_raw(b"telemetry")
    assert first == (second[0], True)
    assert second[1] is False
    assert archive.read_raw(first[0]) == b"telemetry"


def test_a_damaged_raw_file_is_told(tmp_path):
    archive = Archive(tmp_path, writable=True)
    sha256, _ = archive.store_raw(b"telemetry")
    archive.path(f"raw/{sha256[:2]}/{sha256}").write_bytes(b"telemetrY")
    with pytest.raises(ArchiveError, match="damaged"):
        archive.read_raw(sha256)


def test_a_reader_cannot_write(tmp_path):
    with pytest.raises(AccessError, match="operator"):
        Archive(tmp_path).store_raw(b"telemetry")


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "raw/../../secret"])
def test_no_key_leads_out(tmp_path, key):
    with pytest.raises(NotInCatalogError, match="below the archive"):
        Archive(tmp_path / "archive").path(key)


def test_a_second_writer_waits_and_then_is_told(tmp_path):
    archive, other = Archive(tmp_path, writable=True), Archive(tmp_path, writable=True)
    with archive.writing(), pytest.raises(ConflictError, match="pid"), other.writing(wait_s=0.1):
        pass


def test_a_second_writer_goes_on_when_the_first_has_finished(tmp_path):
    archive, other = Archive(tmp_path, writable=True), Archive(tmp_path, writable=True)
    order = []

    def first():
        with archive.writing():
            order.append("first begins")
            time.sleep(0.3)
            order.append("first ends")

    thread = threading.Thread(target=first)
    thread.start()
    while not order:
        time.sleep(0.01)
    with other.writing(wait_s=10):
        order.append("second")
    thread.join()
    assert order == ["first begins", "first ends", "second"]
