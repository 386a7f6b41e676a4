"""Whether all that the catalogue names is in the archive, and is what it was when it was written."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stixlab import files
from stixlab.archive import layout
from stixlab.archive.contents import read_contents
from stixlab.archive.levels import WIDTHS_S, level_sha256, read_level
from stixlab.archive.retention import iter_tables
from stixlab.archive.schema import ARCHIVE_VERSION, check_version
from stixlab.errors import ArchiveError, StixlabError
from stixlab.model import Product, RawFile, Run, RunStatus
from stixlab.vocabulary import CONTEXT_TYPES

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["Damage", "Verified", "verify_archive"]

_AT_ONCE = 2
_VERSION = re.compile(r"_V\d+U?(?=[_.])")
"""Version of a FITS file in its name, with a U if it is not complete."""
_RAW = re.compile(r"[0-9a-f]{64}")
_BROKEN = (StixlabError, OSError, ValueError, KeyError, RuntimeError, TypeError, EOFError, zlib.error)
"""What reading something damaged can raise."""


@dataclass(frozen=True)
class Damage:
    """Something that is missing or not what it should be."""

    kind: str
    """``raw``, ``packets``, ``dataset``, ``fits``, ``run``, ``contents``, ``level`` or ``schema``."""
    key: str
    found: str
    cure: str
    product_id: str = ""
    """The product it belongs to, if it belongs to one."""


@dataclass
class Verified:
    """What was looked at, and what is wrong."""

    looked_at: Counter[str] = field(default_factory=Counter)
    """Number by kind."""
    n_bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    """Keys of files that nothing names: no harm, and no use."""

    @property
    def ok(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.damages


Task = tuple[str, str, str, Callable[[], int], str]
"""Kind, key, product id, what verifies it and returns its size, and the cure."""


def verify_archive(
    archive: Archive,
    *,
    raw_files: Iterable[RawFile],
    products: Iterable[Product],
    runs: Iterable[Run] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Verified:
    """Read everything and compare it with its checksums.

    Parameters
    ----------
    archive
        Reading is enough.
    raw_files, products, runs
        All records of the catalogue; hidden products, too.
    progress
        Called with what is being done, how much is done and how much there is.

    Returns
    -------
    Verified
        Damages in the order of raw files, packets, datasets, FITS files, runs, tables, levels.
    """
    known, made = list(raw_files), list(products)
    verified = Verified()
    _note(verified, "schema", layout.SCHEMA, lambda: _schema(archive), "run `stixlab migrate`")
    tasks = [*_raw(archive, known), *_products(archive, made), *_runs(archive, runs)]
    tasks += [*_tables(archive, made), *_levels(archive)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, (task, answer) in enumerate(zip(tasks, pool.map(_look, tasks), strict=True)):
            kind, key, product_id, _, cure = task
            verified.looked_at[kind] += 1
            if isinstance(answer, str):
                verified.damages.append(Damage(kind, key, answer, cure, product_id))
            else:
                verified.n_bytes += answer
            if progress is not None:
                progress("verifying", number + 1, len(tasks))
    verified.spare = sorted(_spare(archive, known, made))
    return verified


def _look(task: Task) -> int | str:
    try:
        return task[3]()
    except FileNotFoundError:
        return "it is missing"
    except StixlabError as error:
        return error.message
    except _BROKEN as error:
        return f"{type(error).__name__}: {error}"


def _note(verified: Verified, kind: str, key: str, look: Callable[[], int], cure: str) -> None:
    answer = _look((kind, key, "", look, cure))
    verified.looked_at[kind] += 1
    if isinstance(answer, str):
        verified.damages.append(Damage(kind, key, answer, cure))


def _schema(archive: Archive) -> int:
    found = check_version(archive)
    if found < ARCHIVE_VERSION:
        raise ArchiveError(f"expected version {ARCHIVE_VERSION} of the archive; found {found}")
    return 0


def _raw(archive: Archive, known: list[RawFile]) -> Iterator[Task]:
    for each in known:
        key = layout.raw_key(each.sha256)
        cure = f"copy {' or '.join(each.names)} to the watched folder, or `stixlab ingest` it again, or restore a backup"
        yield "raw", key, "", _Hashed(archive, key, each.sha256), cure
    for each in known:
        if sum(each.packets.values()):
            key = layout.packets_key(each.sha256)
            cure = f"delete it and `stixlab ingest` {archive.path(layout.raw_key(each.sha256))}"
            yield "packets", key, "", _Packets(archive, each), cure


def _make_again(product: Product) -> str:
    """What makes the files of a product anew; files of others that are kept as they are, only a backup has."""
    start, end = product.start, product.end + timedelta(days=1)
    days = f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"
    if product.type not in CONTEXT_TYPES:
        command = f"`stixlab reprocess --again --type {product.type} --start {days[0]} --end {days[1]}`, or "
    elif product.provenance.get("imported"):
        command = ""
    else:
        command = f"`stixlab run ephemeris -p start={days[0]} -p end={days[1]} -p again=true`, or "
    return f"{command}restore a backup ({product.product_id})"


def _products(archive: Archive, made: list[Product]) -> Iterator[Task]:
    for each in made:
        cure = _make_again(each)
        if each.zarr:
            yield "dataset", each.zarr, each.product_id, _Dataset(archive, each), cure
        if each.fits:
            yield "fits", each.fits, each.product_id, _Hashed(archive, each.fits, each.fits_sha256), cure


def _runs(archive: Archive, runs: Iterable[Run]) -> Iterator[Task]:
    for each in runs:
        if each.status is RunStatus.SUCCEEDED and each.notebook:
            yield (
                "run",
                each.notebook,
                "",
                _Size(archive, each.notebook),
                "run the pipeline again if you need its notebook",
            )


def _tables(archive: Archive, made: list[Product]) -> Iterator[Task]:
    shown = {(p.level, p.type, p.origin) for p in made if p.zarr and not p.hidden and p.type in WIDTHS_S}
    for table in sorted({*iter_tables(archive), *shown}):
        rows = {(p.product_id, p.zarr) for p in made if (p.level, p.type, p.origin) == table and not p.hidden}
        cure = "`stixlab doctor --archive --repair` makes it again"
        yield "contents", layout.contents_key(*table), "", _Table(archive, table, rows), cure


def _levels(archive: Archive) -> Iterator[Task]:
    for table in iter_tables(archive):
        try:
            contents = read_contents(archive, *table)
        except ArchiveError:
            continue  # told with the tables
        for each in contents.levels:
            yield (
                "level",
                each.key,
                "",
                _Level(archive, each.key),
                "`stixlab doctor --archive --repair` makes it again",
            )


@dataclass(frozen=True)
class _Hashed:
    """A file by the hash of its bytes."""

    archive: Archive
    key: str
    sha256: str

    def __call__(self) -> int:
        path = self.archive.path(self.key)
        found = files.sha256_of(path)
        if found != self.sha256:
            raise ArchiveError(f"expected content {self.sha256}; found {found}: it is damaged")
        return path.stat().st_size


@dataclass(frozen=True)
class _Size:
    """A file that only has to be there."""

    archive: Archive
    key: str

    def __call__(self) -> int:
        return self.archive.path(self.key).stat().st_size


@dataclass(frozen=True)
class _Packets:
    """Packets by the hash that is kept of each."""

    archive: Archive
    raw_file: RawFile

    def __call__(self) -> int:
        from stixlab.telemetry.duplicates import content_hashes

        packets = self.archive.open_packets(self.raw_file.sha256)
        expected = sum(self.raw_file.packets.values())
        if len(packets) != expected:
            raise ArchiveError(f"expected {expected} packets; found {len(packets)}")
        if wrong_parts := packets.damaged_parts():
            raise ArchiveError(f"{', '.join(wrong_parts)} are not what they were: it is damaged")
        first = 0
        for block in packets.iter_blocks():
            wrong = content_hashes(block) != packets["content_hash"][first : first + len(block)]
            if wrong.any():
                raise ArchiveError(
                    f"packet {first + int(np.argmax(wrong))} is not what it was: it is damaged"
                )
            first += len(block)
        return packets.path.stat().st_size


@dataclass(frozen=True)
class _Dataset:
    """A dataset by the hash of its arrays."""

    archive: Archive
    product: Product

    def __call__(self) -> int:
        from stixlab.products.formats.zarr import stored_sha256

        path = self.archive.path(self.product.zarr)
        if not path.exists():
            raise FileNotFoundError(path)
        found = stored_sha256(path)
        if found != self.product.content_sha256:
            raise ArchiveError(f"expected arrays {self.product.content_sha256}; found {found}: it is damaged")
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


@dataclass(frozen=True)
class _Table:
    """A table of contents by what the catalogue shows."""

    archive: Archive
    table: tuple[str, str, str]
    rows: set[tuple[str, str]]

    def __call__(self) -> int:
        contents = read_contents(self.archive, *self.table)
        found = {(r.product_id, r.key) for r in contents.rows}
        if found != self.rows:
            missing, extra = len(self.rows - found), len(found - self.rows)
            raise ArchiveError(
                f"expected the {len(self.rows)} products that the catalogue shows; {missing} are missing, {extra} are others"
            )
        return 0


@dataclass(frozen=True)
class _Level:
    """A reduced level by its name."""

    archive: Archive
    key: str

    def __call__(self) -> int:
        found = level_sha256(read_level(self.archive, self.key))
        if found[:16] != Path(self.key).stem.rsplit("_", 1)[1]:
            raise ArchiveError(f"its content has hash {found}: it is damaged")
        return self.archive.path(self.key).stat().st_size


def _spare(archive: Archive, known: list[RawFile], made: list[Product]) -> Iterator[str]:
    hashes, fits = {f.sha256 for f in known}, {p.fits for p in made}
    root = archive.root.resolve()
    for path in root.glob("raw/??/*"):
        if _RAW.fullmatch(path.name) and path.name not in hashes:
            yield path.relative_to(root).as_posix()
    for path in root.glob("packets/??/*.packets"):
        if path.stem not in hashes:
            yield path.relative_to(root).as_posix()
    newest = {_VERSION.sub("", key) for key in fits}
    for pattern in ("fits/**/*.fits", "*/fits/**/*.fits"):
        for path in root.glob(pattern):
            key = path.relative_to(root).as_posix()
            if (
                key not in fits
                and _VERSION.sub("", key) not in newest
                and not key.startswith(f"{layout.TRASH}/")
            ):
                yield key
