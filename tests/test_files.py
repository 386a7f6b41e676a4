"""Writes are whole or absent."""

import errno
import os
import subprocess
import sys

import pytest

from stixlab import files
from stixlab.errors import ArchiveError


def test_a_file_appears_whole_and_nothing_else_stays(tmp_path):
    files.write_bytes(tmp_path / "deep" / "a.txt", b"content")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == b"content"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.txt"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="on purpose"), files.new_file(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise ValueError("on purpose")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_says_what_to_do(tmp_path):
    with (
        pytest.raises(ArchiveError, match=r"no space left in .*; free some"),
        files.new_file(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_appears_whole(tmp_path):
    with files.new_folder(tmp_path / "set") as temporary:
        temporary.mkdir()
        (temporary / "part").write_bytes(b"1")
        assert not (tmp_path / "set").exists()
    assert (tmp_path / "set" / "part").read_bytes() == b"1"


def test_a_folder_that_is_there_stays(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "part").write_bytes(b"first")
    with files.new_folder(tmp_path / "set") as temporary:
        temporary.mkdir()
        (temporary / "part").write_bytes(b"second")
    assert (tmp_path / "set" / "part").read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_kept(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    dead = tmp_path / f"{files.TEMPORARY}{done.stdout.strip()}-a.txt"
    dead.write_bytes(b"half")
    living = tmp_path / f"{files.TEMPORARY}{os.getppid()}-b.txt"
    living.write_bytes(b"half")
    assert files.remove_temporaries(tmp_path) == [dead]
    assert living.exists()
    assert not dead.exists()


def test_a_file_where_a_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArchiveError, match="nothing was left half-written"):
        files.write_bytes(tmp_path / "file" / "a.txt", b"content")
