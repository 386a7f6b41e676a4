"""A watcher whose clock the test sets, and an ingestor that only notes what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stixlab.archive import Archive
from stixlab.catalog.memory import MemoryCatalog
from stixlab.ingest import FileResult, IngestReport
from stixlab.ingest.lookout import Lookout
from stixlab.ingest.watch import Watcher
from stixlab.model import Arrival, RawFile


@dataclass
class Clock:
    """Monotonic seconds and UTC."""

    seconds: float = 1000.0
    offset: timedelta = timedelta()
    """What somebody has set the clock of the machine by."""
    start: datetime = field(default_factory=lambda: datetime.now(UTC))

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds - 1000.0) + self.offset


@dataclass
class NotingIngestor:
    """Content that begins with ``bad`` fails; content that is there already is repeated."""

    catalog: MemoryCatalog
    archive: Archive
    calls: list[list[tuple[str, bytes]]] = field(default_factory=list)
    before: Callable[[list[Path]], None] = lambda _: None
    after: Callable[[], None] = lambda: None

    def ingest(self, paths: list[Path]) -> IngestReport:
        self.calls.append([(p.name, p.read_bytes()) for p in paths])
        self.before(paths)
        report = IngestReport()
        for path in paths:
            content = path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            if content.startswith(b"bad"):
                report.files.append(
                    FileResult(str(path), "failed", sha256, error=f"{path}: expected telemetry")
                )
                continue
            known = self.catalog.raw_files.get(sha256)
            status = "repeated" if known is not None and known.processed else "new"
            report.files.append(FileResult(str(path), status, sha256))
            if status == "new":
                self.archive.store_raw(content)
                self.catalog.raw_files.save(
                    RawFile(
                        sha256,
                        (path.name,),
                        "binary",
                        len(content),
                        "flight",
                        datetime.now(UTC),
                        processed=True,
                    )
                )
        self.after()
        return report

    @property
    def taken(self) -> list[tuple[str, bytes]]:
        return [each for call in self.calls for each in call]


@dataclass
class Watch:
    """One home, one folder, one watcher at a time."""

    home: Path
    folder: Path
    clock: Clock = field(default_factory=Clock)
    told: list[Arrival] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catalog = MemoryCatalog()
        self.ingestor = NotingIngestor(self.catalog, Archive(self.home / "archive", writable=True))
        self.watcher = self.new_watcher()

    def new_watcher(self) -> Watcher:
        lookout = Lookout([], clock=self.clock.monotonic, now=self.clock.now)
        return Watcher(
            [self.folder],
            self.home,
            tell=self.told.append,
            say=self.said.append,
            events=False,
            lookout=lookout,
        )

    def restart(self) -> None:
        """As after a kill: nothing but the catalogue and the files is left."""
        self.watcher.close()
        self.watcher = self.new_watcher()

    def turn(self, seconds: float = 0.0) -> bool:
        self.clock.seconds += seconds
        return self.watcher.turn(self.ingestor)

    def settle(self) -> None:
        """Let everything that is there be taken."""
        for seconds in (1.0, 3.0, 1.0):
            self.turn(seconds)

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def statuses(self) -> dict[str, list[str]]:
        """Statuses of the records by name, oldest first."""
        found: dict[str, list[str]] = {}
        for each in reversed(self.catalog.arrivals.find()):
            found.setdefault(each.name, []).append(str(each.status))
        return found

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.ingestor.taken]


def new_watch(tmp_path: Path) -> Watch:
    (tmp_path / "in").mkdir()
    return Watch(tmp_path / "home", tmp_path / "in")
