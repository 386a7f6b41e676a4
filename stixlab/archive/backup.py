"""Archive and catalogue in one file, and back.

The file is a tar: ``stixlab-backup.json`` (what it is), ``catalog/*.jsonl`` (records), ``archive/...`` and further folders as they
are, and at its end ``MANIFEST.sha256``, which ``sha256sum -c`` understands, too. A backup without it was cut short.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from stixlab import files
from stixlab.archive.schema import ARCHIVE_VERSION, archive_version
from stixlab.errors import ArchiveError, ConflictError, FormatError, StixlabError

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["Backup", "read_backup", "restore_backup", "write_backup"]

_HEAD, _MANIFEST = "stixlab-backup.json", "MANIFEST.sha256"
_FORMAT = 1
_IN_MEMORY = 1 << 24
_PIECE = 1 << 20
_PACKED = (".gz", ".tgz")


@dataclass
class Backup:
    """What a backup file holds."""

    created: str
    archive_version: int
    catalog_version: int
    n_files: int = 0
    size_bytes: int = 0
    """Of all files in it."""
    documents: dict[str, int] = field(default_factory=dict)
    """Records by collection."""
    token: str = ""
    """Tells this backup from others."""


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


class _Writer:
    """Adds files to a tar and notes their hashes."""

    def __init__(self, packed: tarfile.TarFile, backup: Backup) -> None:
        self._packed = packed
        self._backup = backup
        self._lines: list[str] = []

    def add(self, name: str, source: IO[bytes], size: int, mtime: float = 0.0) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(mtime), 0o644
        hashed = _Hashing(source)
        self._packed.addfile(info, hashed)
        self._lines.append(f"{hashed.digest.hexdigest()}  {name}\n")
        self._backup.n_files += 1
        self._backup.size_bytes += size

    def add_bytes(self, name: str, content: bytes) -> None:
        self.add(name, io.BytesIO(content), len(content))

    def add_path(self, name: str, path: Path) -> None:
        try:
            with path.open("rb") as stream:
                stat = path.stat()
                self.add(name, stream, stat.st_size, stat.st_mtime)
        except FileNotFoundError:
            raise ArchiveError(
                f"backup: expected {name} to stay while it is written; it was removed; give the same command again",
                path=path,
            ) from None

    def finish(self) -> None:
        content = "".join(self._lines).encode()
        info = tarfile.TarInfo(_MANIFEST)
        info.size = len(content)
        self._packed.addfile(info, io.BytesIO(content))


def write_backup(
    path: Path,
    archive: Archive,
    documents: Mapping[str, Callable[[], Iterable[bytes]]],
    *,
    catalog_version: int,
    folders: Mapping[str, Path] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Backup:
    """Write archive and catalogue to one file, whole or not at all.

    Writers wait only while the records are read and the files are listed; what is listed does not change.

    Parameters
    ----------
    path
        The backup; compressed if its name ends in ``.gz`` or ``.tgz``. A backup of that name is replaced.
    archive
        Opened for writing.
    documents
        For each collection what gives the lines of its records.
    catalog_version
        Form of the records.
    folders
        Further folders, by their names in the backup.
    progress
        Called with what is being done, files done, files there are.

    Raises
    ------
    ArchiveError
        If something cannot be read or written, or a file was removed meanwhile; nothing is left of the backup.
    """
    backup = Backup(
        datetime.now(UTC).isoformat(timespec="seconds"), archive_version(archive), catalog_version
    )
    mode: Any = "w:gz" if path.suffix in _PACKED else "w"
    with tempfile.TemporaryDirectory(prefix="stixlab-backup-") as scratch:
        with archive.writing():
            held = _records(Path(scratch), documents, backup) | _changing(archive)
            listed = [("archive", archive.root.resolve(), key) for key in _listed(archive.root.resolve())]
        for name, folder in (folders or {}).items():
            listed += [(name, folder, key) for key in _listed(folder)]
        listed = [(name, folder, key) for name, folder, key in listed if f"{name}/{key}" not in held]
        with (
            files.new_file(path) as temporary,
            tarfile.open(temporary, mode, format=tarfile.PAX_FORMAT) as packed,
        ):
            writer = _Writer(packed, backup)
            facts = {"format": _FORMAT, "created": backup.created, "archive_version": backup.archive_version}
            facts |= {"catalog_version": catalog_version, "documents": backup.documents}
            writer.add_bytes(_HEAD, json.dumps(facts).encode())
            for name, source in held.items():
                writer.add_path(name, source) if isinstance(source, Path) else writer.add_bytes(name, source)
            for number, (name, folder, key) in enumerate(listed):
                writer.add_path(f"{name}/{key}", folder / key)
                if progress is not None:
                    progress("writing", number + 1, len(listed))
            writer.finish()
    return backup


def _records(
    scratch: Path, documents: Mapping[str, Callable[[], Iterable[bytes]]], backup: Backup
) -> dict[str, Path | bytes]:
    held: dict[str, Path | bytes] = {}
    for name, lines in documents.items():
        path, n = scratch / f"{name}.jsonl", 0
        with path.open("wb") as stream:
            for line in lines():
                stream.write(line)
                n += 1
        backup.documents[name] = n
        held[f"catalog/{name}.jsonl"] = path
    return held


def _changing(archive: Archive) -> dict[str, Path | bytes]:
    """Files that are replaced under their own names: tables of contents and the like."""
    root = archive.root.resolve()
    paths = [*root.glob("zarr/*/*/contents_*.json"), *root.glob("*.json")]
    return {f"archive/{p.relative_to(root).as_posix()}": p.read_bytes() for p in sorted(paths)}


def _listed(folder: Path) -> list[str]:
    """Files below a folder, without what is being written and what was replaced."""
    found = []
    for path, names, inside in os.walk(folder):
        here = Path(path)
        gone = {n.removeprefix(".replaced-") for n in inside if n.startswith(".replaced-")}
        names[:] = sorted(n for n in names if n not in gone and not n.startswith(files.TEMPORARY))
        left_out = (".replaced-", files.TEMPORARY, ".writing")
        kept = sorted(n for n in inside if n not in gone and not n.startswith(left_out))
        found += [(here / n).relative_to(folder).as_posix() for n in kept if not (here / n).is_symlink()]
    return found


def read_backup(path: Path, folder: Path | None = None) -> Backup:
    """Read a backup to its end, every checksum verified; unpack it if a folder is given.

    Parameters
    ----------
    path
    folder
        Where to unpack to; only what was verified is of any use, and that is known when this returns.

    Raises
    ------
    FormatError
        If it is no backup, was cut short, is damaged, or was made by a newer version.
    ArchiveError
        If it cannot be unpacked.
    """
    hashes: dict[str, str] = {}
    manifest, head = b"", b""
    size = 0
    try:
        with tarfile.open(path, "r:*") as packed:
            for info in packed:
                stream = packed.extractfile(info) if info.isreg() else None
                name = _safe(path, info.name)
                if stream is None:
                    raise _unusable(path, f"{name}, which is no file")
                if name in (_MANIFEST, _HEAD):
                    content = stream.read()
                    manifest = content if name == _MANIFEST else manifest
                    head = content if name == _HEAD else head
                    stream = io.BytesIO(content)
                if name != _MANIFEST:
                    hashes[name] = _copy(stream, None if folder is None else folder / name)
                    size += info.size
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and folder is not None and error.filename:
            raise files.write_failed(folder, error) from error
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    backup = _head(path, head)
    _compare(path, hashes, manifest)
    backup.n_files, backup.size_bytes = len(hashes), size
    backup.token = hashlib.sha256(manifest).hexdigest()
    return backup


def _unusable(path: Path, found: str) -> FormatError:
    return FormatError(
        f"backup {path.name}: expected a whole backup made by stixlab; found {found}; take another one",
        path=path,
    )


def _safe(path: Path, name: str) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise _unusable(path, f"a name that leads out of it, {name!r}")
    return pure.as_posix()


def _copy(stream: IO[bytes], target: Path | None) -> str:
    digest = hashlib.sha256()
    if target is None:
        while piece := stream.read(_PIECE):
            digest.update(piece)
        return digest.hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as copy:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


def _head(path: Path, head: bytes) -> Backup:
    try:
        facts = json.loads(head)
        backup = Backup(str(facts["created"]), int(facts["archive_version"]), int(facts["catalog_version"]))
        backup.documents = {str(name): int(number) for name, number in facts["documents"].items()}
        found = int(facts["format"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(path, f"no {_HEAD} that says what it is") from error
    if found > _FORMAT or backup.archive_version > ARCHIVE_VERSION:
        raise _unusable(path, f"one of a newer version (format {found}, archive {backup.archive_version})")
    return backup


def _compare(path: Path, hashes: Mapping[str, str], manifest: bytes) -> None:
    if not manifest:
        raise _unusable(path, f"no {_MANIFEST} at its end: it was cut short")
    told: dict[str, str] = {}
    for line in manifest.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        told[name] = digest
    wrong = sorted(n for n in told.keys() | hashes.keys() if told.get(n) != hashes.get(n))
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise _unusable(path, f"other content than its list says in {', '.join(wrong[:3])}{more}")


def restore_backup(
    path: Path,
    root: Path,
    *,
    begin: Callable[[str], None],
    load: Callable[[str, Iterable[bytes]], int],
    folders: Mapping[str, Path] | None = None,
) -> Backup:
    """Make archive and catalogue from a backup: records first, then the archive appears, whole.

    Killed at any moment, the same call again starts anew and finishes.

    Parameters
    ----------
    path
        The backup.
    root
        The archive's folder; it must not hold anything yet.
    begin
        Called with what tells this backup from others before records are loaded; refuses a catalogue that is not empty.
    load
        Called with the name of each collection and the lines of its records; returns their number.
    folders
        Where further folders of the backup go, by their names; what is there stays.

    Raises
    ------
    FormatError
        If the backup is no good; nothing was changed.
    ConflictError
        If there is an archive, or there are records already; nothing was changed.
    ArchiveError
        If the disk is full or not writable.
    """
    if root.is_dir() and any(p.name != ".writing" for p in root.iterdir()):
        raise ConflictError(
            f"restore: expected no archive at {root}; there is one; restore into a new STIXLAB_HOME"
        )
    with _scratch(root) as scratch:
        backup = read_backup(path, scratch)
        begin(backup.token)
        for name, number in backup.documents.items():
            with (scratch / "catalog" / f"{name}.jsonl").open("rb") as lines:
                if load(name, lines) != number:
                    raise _unusable(path, f"another number of records in {name} than {number}")
        for name, place in (folders or {}).items():
            if (scratch / name).is_dir():
                shutil.copytree(scratch / name, place, dirs_exist_ok=True)
        unpacked = scratch / "archive"
        unpacked.mkdir(exist_ok=True)
        files.flush_tree(unpacked)
        if root.is_dir():
            shutil.rmtree(root)
        unpacked.rename(root)
        files.flush_folder(root.parent)
    return backup


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder beside the archive, on the same disk; it is gone in the end, and what killed processes left, too."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for old in root.parent.glob(f"{files.TEMPORARY}restore-*"):
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{files.TEMPORARY}restore-", dir=root.parent) as made:
            yield Path(made)
    except StixlabError:  # some are OSErrors, too
        raise
    except OSError as error:
        raise files.write_failed(root, error) from error
