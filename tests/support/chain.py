"""An ingest into a folder, with a catalogue in memory: everything real but the database."""

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path

from stixlab.archive import Archive
from stixlab.catalog.memory import MemoryCatalog
from stixlab.client import Lab
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest import Ingestor, IngestReport
from stixlab.settings import Settings
from stixlab.telemetry.frames import PacketBlock


@dataclass
class Chain:
    """One home."""

    home: Path
    catalog: MemoryCatalog
    archive: Archive

    @property
    def ingestor(self) -> Ingestor:
        return Ingestor(self.catalog, self.archive, load_versions(), load_clock())

    @property
    def lab(self) -> Lab:
        def refuse(name, parameters):
            raise AssertionError(name, parameters)

        return Lab(Settings(home=self.home), self.catalog, self.archive, load_clock(), refuse)

    def ingest(self, *paths: Path) -> IngestReport:
        return self.ingestor.ingest(paths)

    def copy(self, home: Path) -> "Chain":
        """The same in another folder, to be changed."""
        other = new_chain(home)
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        for name, collection in self.catalog.collections.items():
            for document in collection.each():
                other.catalog.collections[name].replace(copy.deepcopy(document))
        return other

    def files(self) -> set[str]:
        """Keys of all files."""
        return {str(p.relative_to(self.archive.root)) for p in self.archive.root.rglob("*") if p.is_file()}

    def contents(self) -> dict[str, str]:
        """Content hash of every product, by id."""
        return {p.product_id: p.content_sha256 for p in self.catalog.products.find()}


def new_chain(home: Path) -> Chain:
    return Chain(home, MemoryCatalog(), Archive(home / "archive", writable=True))


def chain_of(folder: Path, *blocks: PacketBlock) -> Chain:
    """A home in a folder, into which a file of these packets was taken."""
    chain = new_chain(folder / "home")
    (folder / "tm.bin").write_bytes(b"".join(block.data.tobytes() for block in blocks))
    assert not chain.ingest(folder / "tm.bin").failed
    return chain
