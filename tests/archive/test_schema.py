"""Versions of archives: known, noted, migrated step by step, and newer ones left alone."""

import pytest

from stixlab.archive import Archive
from stixlab.archive.schema import ARCHIVE_VERSION, archive_version, check_version, migrate, write_version
from stixlab.errors import ArchiveError


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "archive", writable=True)


def old_packets(archive):
    path = archive.path("packets/ab/abc.npz")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")


def test_a_new_archive_is_of_this_version(archive):
    with archive.writing():
        pass
    assert archive_version(archive) == ARCHIVE_VERSION
    assert archive.path("schema.json").exists()


def test_an_archive_that_does_not_tell_is_known_by_what_is_in_it(archive):
    old_packets(archive)
    assert archive_version(archive) == 1
    with archive.writing():
        pass
    assert archive_version(archive) == 1


def test_all_steps_are_taken_once(archive):
    old_packets(archive)
    taken = []
    steps = {n: lambda n=n: taken.append(n) for n in range(1, ARCHIVE_VERSION)}
    assert migrate(archive, 1, steps) == list(steps) == taken
    assert migrate(archive, archive_version(archive), steps) == []
    assert archive_version(archive) == ARCHIVE_VERSION


def test_a_step_that_fails_is_taken_again(archive):
    old_packets(archive)

    def fails():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        migrate(archive, 1, {1: fails})
    assert archive_version(archive) == 1


def test_a_version_without_a_way_is_told(archive):
    with pytest.raises(ArchiveError, match="no way is known from version 1"):
        migrate(archive, 1, {})


def test_an_archive_of_a_newer_version_is_left_alone(archive):
    write_version(archive, ARCHIVE_VERSION + 1)
    for refused in (
        lambda: check_version(archive),
        lambda: migrate(archive, 1, {}),
        archive.writing().__enter__,
    ):
        with pytest.raises(ArchiveError, match="newer version of stixlab"):
            refused()


def test_a_version_that_cannot_be_read_is_told(archive):
    archive.root.mkdir()
    archive.path("schema.json").write_text("{")
    with pytest.raises(ArchiveError, match="version of the archive"):
        archive_version(archive)
