"""Writes that are whole or absent: a temporary name, flushed to the disk, then renamed.

Temporary names begin with `TEMPORARY`; what a killed process left is found by it and removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from stixlab.errors import ArchiveError, StixlabError

__all__ = [
    "TEMPORARY",
    "flush_folder",
    "flush_tree",
    "new_file",
    "new_folder",
    "remove_temporaries",
    "sha256_of",
    "write_bytes",
    "write_failed",
]

TEMPORARY = ".incoming-"
_FLUSHED_AT_ONCE = 4


def write_failed(path: Path, error: OSError) -> ArchiveError:
    """What to tell when a write failed, by its cause."""
    where = path.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = f"no space left in {where}; free some and give the same command again"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = f"{where} is not writable for this user; change its owner or set STIXLAB_HOME"
    else:
        reason = f"{error.strerror or error} in {where}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ArchiveError(
        f"writing {path.name}: {reason}; nothing was left half-written", path=path, recoverable=full
    )


def flush_folder(folder: Path | str) -> None:
    """Make the names within a folder, or the content of a file, last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_tree(folder: Path) -> None:
    """Make all files and names below a folder last.

    Several at a time: the disk then takes many of them in one go.
    """
    paths = [p for here, _, names in os.walk(folder) for p in (*(f"{here}/{n}" for n in names), here)]
    with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:
        for _ in pool.map(_flush_all, [paths[i::_FLUSHED_AT_ONCE] for i in range(_FLUSHED_AT_ONCE)]):
            pass


def _flush_all(paths: list[str]) -> None:
    for path in paths:
        flush_folder(path)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")


def _remove(temporary: Path) -> None:
    """Remove a temporary file, if it came into being at all."""
    if temporary.parent.is_dir():
        temporary.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; at the end it takes the name asked for, replacing what stood there.

    Raises
    ------
    ArchiveError
        If the disk is full or the folder is not writable. The temporary file is gone then.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
        flush_folder(path.parent)
    except StixlabError:  # some are OSErrors, too, and have told already what is wrong
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        raise write_failed(path, error) from error
    except BaseException:
        _remove(temporary)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; at the end it takes the name asked for.

    If a folder of that name has appeared meanwhile it stays: names of folders say what is in them.

    Raises
    ------
    ArchiveError
        If the disk is full or the parent is not writable. The temporary folder is gone then.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        yield temporary
        flush_tree(temporary)
        if path.exists():
            shutil.rmtree(temporary)
        else:
            temporary.rename(path)
            flush_folder(path.parent)
    except StixlabError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise write_failed(path, error) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a whole file, or nothing.

    Raises
    ------
    ArchiveError
        If the disk is full or the folder is not writable.
    """
    with new_file(path) as temporary:
        temporary.write_bytes(content)


def remove_temporaries(root: Path) -> list[Path]:
    """Remove what killed processes left below a folder; processes that live keep theirs.

    Returns
    -------
    list of Path
        What was removed.
    """
    removed = []
    for here, folders, names in os.walk(root):
        for name in [n for n in (*folders, *names) if n.startswith(TEMPORARY)]:
            pid = name.removeprefix(TEMPORARY).split("-")[0]
            if pid.isdigit() and int(pid) != os.getpid() and Path("/proc", pid).exists():
                continue
            path = Path(here, name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
        folders[:] = [f for f in folders if not f.startswith(TEMPORARY) and not f.endswith(".zarr")]
    return removed


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
