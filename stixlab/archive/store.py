"""The archive on a disk: what is written is whole, and written by one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from stixlab import files
from stixlab.archive import layout, schema
from stixlab.errors import AccessError, ArchiveError, ConflictError, FormatError, NotInCatalogError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from stixlab.idb import Versions
    from stixlab.telemetry.packet_file import PacketFile, PacketFileWriter

__all__ = ["Archive"]

_POLL_S = 0.2
_PIECE = 1 << 22
SUPERSEDED_S = 86_400
"""How long a dataset that was replaced stays for those who have it open."""


class Archive:
    """Files below one folder.

    Parameters
    ----------
    root
        The folder; it is made when something is first written.
    writable
        Whether this process may write. Readers get `AccessError` from every method that writes.
    """

    def __init__(self, root: Path, *, writable: bool = False) -> None:
        self.root = root
        self.writable = writable

    def path(self, key: str) -> Path:
        """Path of a key.

        Raises
        ------
        NotInCatalogError
            If the key leads out of the archive.
        """
        return below(self.root, key)

    def target(self, key: str) -> Path:
        """Path to which a file of a key is to be written; the same as `path`, but for a staged archive.

        Raises
        ------
        NotInCatalogError
            If the key leads out of the archive.
        """
        return self.path(key)

    @contextmanager
    def writing(self, *, wait_s: float = 600.0) -> Iterator[None]:
        """Be the only process that writes; others wait their turn.

        Raises
        ------
        ConflictError
            If another process has not finished after `wait_s` seconds.
        ArchiveError
            If the archive's folder cannot be made or written, or is of a newer version of the package.
        """
        self._check_writable()
        path = self.root / ".writing"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+")
        except OSError as error:
            raise files.write_failed(path, error) from error
        with handle:
            left_early = _lock(handle, wait_s)
            if left_early:
                files.remove_temporaries(self.root)
            try:
                schema.ensure_version(self)
                yield
                handle.seek(0)
                handle.truncate()
                handle.flush()
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def store_raw(self, content: bytes) -> tuple[str, bool]:
        """Store a file as received; a stored one that is damaged is written anew.

        Returns
        -------
        str, bool
            SHA-256 of the content, and whether it was written.
        """
        self._check_writable()
        sha256 = hashlib.sha256(content).hexdigest()
        if self.is_raw_sound(sha256):
            return sha256, False
        files.write_bytes(self.path(layout.raw_key(sha256)), content)
        return sha256, True

    def is_raw_sound(self, sha256: str) -> bool:
        """Whether a file as received is there, byte by byte."""
        try:
            return files.sha256_of(self.path(layout.raw_key(sha256))) == sha256
        except OSError:
            return False

    def repair_raw(self, source: Path, sha256: str) -> bool:
        """Write a stored file anew from what was received again, if it is missing or damaged: whole, or not at all.

        Returns
        -------
        bool
            Whether it was.

        Raises
        ------
        FormatError, OSError, ArchiveError
            As `raw_copy`.
        """
        if self.is_raw_sound(sha256):
            return False
        with self.raw_copy(source, sha256):
            return True

    def read_raw(self, sha256: str) -> bytes:
        """A file as received.

        Raises
        ------
        ArchiveError
            If it is not there or its content is not what its name says.
        """
        path = self.path(layout.raw_key(sha256))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArchiveError(
                f"raw file {sha256}: cannot be read at {path}: {error}", sha256=sha256
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ArchiveError(
                f"raw file {sha256}: its content has hash {found}; it is damaged: ingest the file again, or restore it from a backup",
                sha256=sha256,
            )
        return content

    @contextmanager
    def raw_copy(self, source: Path, sha256: str) -> Iterator[Path]:
        """Copy a file that is too large for memory: a copy to work on, which stays if all goes well.

        Raises
        ------
        FormatError
            If its content is not (any more) what the hash says.
        OSError
            If it cannot be read.
        ArchiveError
            If the copy cannot be written.
        """
        self._check_writable()
        digest = hashlib.sha256()
        with files.new_file(self.path(layout.raw_key(sha256))) as temporary:
            with source.open("rb") as given, temporary.open("wb") as copy:
                while piece := given.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
            if digest.hexdigest() != sha256:
                raise FormatError(
                    f"{source.name}: expected the same content at both readings; it changed in between; "
                    "give the same command again when it is complete",
                    path=source,
                )
            yield temporary

    def write_packets(self, sha256: str, versions: Versions) -> PacketFileWriter:
        """Writer for the packets found in a raw file, to be used in a with statement."""
        from stixlab.telemetry.packet_file import PacketFileWriter

        self._check_writable()
        return PacketFileWriter(self.path(layout.packets_key(sha256)), versions)

    def has_packets(self, sha256: str) -> bool:
        """Whether the packets of a raw file are stored in the form of this version."""
        return (self.root / layout.packets_key(sha256)).is_file()

    def open_packets(self, sha256: str) -> PacketFile:
        """The packets found in a raw file: mapped, not read.

        Raises
        ------
        ArchiveError
            If they are not there.
        FormatError
            If they are damaged, or of another version of this package.
        """
        from stixlab.telemetry.packet_file import PacketFile

        path = self.root / layout.packets_key(sha256)
        try:
            return PacketFile.open(path)
        except OSError as error:
            raise ArchiveError(
                f"packets of {sha256}: cannot be read at {path}: {error}; ingest the file again",
                sha256=sha256,
            ) from error

    def store_dataset(self, ds: xr.Dataset, day: np.datetime64, content_sha256: str) -> str:
        """Store the analysis form of a day under the hash of its content.

        Returns
        -------
        str
            The key.
        """
        from stixlab.products.formats.zarr import write_zarr

        self._check_writable()
        key = layout.dataset_key(
            ds.attrs["level"], ds.attrs["product"], day, ds.attrs["origin"], content_sha256
        )
        path = self.path(key)
        if not path.exists():
            with files.new_folder(path) as temporary:
                write_zarr(ds, temporary)
        self.mark_named([key])
        return key

    def remove_superseded(
        self, level: str, product_type: str, day: np.datetime64, keep: set[str]
    ) -> list[str]:
        """Remove datasets of a day that were replaced a day ago or longer, so that nobody can still be reading them.

        Parameters
        ----------
        keep
            Keys that the catalogue names. Others are marked as replaced now, if they are not yet.
        """
        self._check_writable()
        folder = self.path(layout.dataset_key(level, product_type, day, "", "")).parent
        stem = f"{product_type}_{str(day.astype('datetime64[D]')).replace('-', '')}_"
        where = os.path.relpath(folder, _real(str(self.root)))
        keys = [
            f"{where}/{name}" for name in _names(folder) if name.startswith(stem) and name.endswith(".zarr")
        ]
        self.mark_named(keep & set(keys))
        replaced = set(keys) - keep
        old = [key for key in sorted(replaced) if self.replaced_s(key) > SUPERSEDED_S]
        self.mark_replaced(replaced)
        for key in old:
            self.remove(key)
        return old

    def mark_replaced(self, keys: Iterable[str]) -> None:
        """Note that datasets or levels are named no more, from now on unless it was noted before."""
        self._check_writable()
        for key in keys:
            path = self.path(key)
            mark = layout.replaced_mark(path)
            if path.exists() and not mark.exists():
                try:
                    mark.touch()  # not flushed: a mark that is lost is made again
                except OSError as error:
                    raise files.write_failed(mark, error) from error

    def mark_named(self, keys: Iterable[str]) -> None:
        """Note that datasets are named after all."""
        self._check_writable()
        for key in keys:
            layout.replaced_mark(self.path(key)).unlink(missing_ok=True)

    def replaced_s(self, key: str) -> float:
        """For how many seconds something has not been named any more; 0 if nobody noted that."""
        try:
            return time.time() - layout.replaced_mark(self.path(key)).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove(self, key: str) -> None:
        """Remove a file or folder for good, whole: what a killed process leaves of it is removed by the next writer.

        Raises
        ------
        ArchiveError
            If the disk does not allow it.
        """
        self._check_writable()
        path = self.path(key)
        gone = path.with_name(f"{files.TEMPORARY}{os.getpid()}-{path.name}")
        try:
            path.rename(gone)
            if gone.is_dir():
                shutil.rmtree(gone)
            else:
                gone.unlink()
            layout.replaced_mark(path).unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise files.write_failed(path, error) from error

    def run_folder(self, run_id: str) -> Path:
        """Folder of a run, made when missing."""
        self._check_writable()
        folder = self.path(layout.run_key(run_id))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise files.write_failed(folder / "notebook.ipynb", error) from error
        return folder

    def _check_writable(self) -> None:
        if not self.writable:
            raise AccessError("archive: opened for reading; writing needs the role of an operator")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  (names are all that is wanted)
    except FileNotFoundError:
        return []


@lru_cache(maxsize=64)
def _real(root: str) -> str:
    return os.path.realpath(root)


def below(root: Path, key: str) -> Path:
    """Path of a key below a folder, links followed.

    Raises
    ------
    NotInCatalogError
        If the key leads out of the folder.
    """
    # Asked for tens of times for each product: texts cost a third of what paths as objects do.
    path = os.path.realpath(os.path.join(_real(str(root)), key))  # noqa: PTH118
    # The folder may have been moved, and a link put in its place, since it was looked up.
    if not any(path == top or path.startswith(top.rstrip(os.sep) + os.sep) for top in _tops(root)):
        raise NotInCatalogError(f"archive: expected a key below the archive; found {key!r}")
    return Path(path)


def _tops(root: Path) -> Iterator[str]:
    yield _real(str(root))
    yield os.path.realpath(root)


def _lock(handle: IO[str], wait_s: float) -> bool:
    """Take the writer's lock, waiting for whoever has it; it is freed by the kernel when its holder dies.

    Returns
    -------
    bool
        Whether the last holder did not come to its end, and may have left something unfinished.
    """
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                handle.seek(0)
                raise ConflictError(
                    f"archive: another process ({handle.read().strip() or 'unknown'}) has been writing for"
                    f" {wait_s:.0f} s; wait for it or stop it"
                ) from None
            time.sleep(_POLL_S)
        else:
            break
    handle.seek(0)
    left_early = bool(handle.read())
    handle.seek(0)
    handle.truncate()
    handle.write(f"pid {os.getpid()}\n")
    handle.flush()
    return left_early
