"""A server cannot fill the disk."""

import pytest

from stixlab.errors import ArchiveError, ParameterError
from stixlab.ingest import mirror_files
from tests.support.mirrors import PIXELS, copies, whole


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_left_out_and_the_others_are_got(run, archive, tmp_path, announced):
    """Whether the server says before how long it is or not; nothing of it stays."""
    archive.announced = announced
    report = run(most_bytes=100_000)
    (problem,) = report.problems
    assert problem.startswith(archive.url + PIXELS)
    assert "at most 100000 bytes" in problem
    assert "--most-bytes" in problem
    assert len(report.new) == 2
    assert report.n_bytes <= 2 * 2880 + 100_000
    assert not list((tmp_path / "copy" / ".mirror" / "pieces").glob("*"))
    again = run(most_bytes=200_000)
    assert (len(again.new), again.problems) == (1, [])
    assert copies(tmp_path / "copy") == whole(archive)


def test_what_was_begun_of_a_file_that_is_too_large_goes(run, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror_files, "_SAFE_EVERY_BYTES", 10_000)
    archive.faults[PIXELS] = [("cut", 150_000)]
    assert "the same command gets the rest" in run().problems[0]
    assert list((tmp_path / "copy" / ".mirror" / "pieces").glob("*"))
    assert "at most 100000 bytes" in run(most_bytes=100_000).problems[0]
    assert not list((tmp_path / "copy" / ".mirror" / "pieces").glob("*"))


@pytest.mark.parametrize("announced", [True, False])
def test_the_disk_is_not_filled(run, archive, tmp_path, monkeypatch, announced):
    """It stops before the disk is full, and goes on when there is room."""
    archive.announced = announced
    monkeypatch.setattr(mirror_files, "_SAFE_EVERY_BYTES", 10_000)
    folder = tmp_path / "copy"

    def free(_):
        there = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        return mirror_files.KEPT_FREE_BYTES + 100_000 - there

    monkeypatch.setattr(mirror_files, "free_bytes", free)
    with pytest.raises(
        ArchiveError, match=r"expected room for .* free some or name a folder on another disk"
    ):
        run()
    assert len(copies(folder)) == 2
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    assert run().problems == []
    assert copies(folder) == whole(archive)


def test_a_limit_that_makes_no_sense_is_told(run):
    with pytest.raises(ParameterError, match="1 or more; found 0"):
        run(most_bytes=0)
