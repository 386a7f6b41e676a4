"""From the arrival of a file to its products in the catalogue, with the real command and the real database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stixlab import factory
from stixlab.bench.measurement import Measurement, best_of
from stixlab.idb import load_versions
from stixlab.ingest.lookout import Folder
from stixlab.settings import Settings
from stixlab.simulation import simulate
from stixlab.telemetry.sources import read_packets
from stixlab.telemetry.writers import write_binary

__all__ = ["measure", "pieces", "plain_environment"]

N_FILES = 15
"""Each holds the telemetry of about an hour and a half of one day."""
GOAL_S = 5.0
GOAL_LOOK_S = 2.0
N_MANY = 100_000
_PAUSE_S = 0.3
_WAIT_S = 120.0
_POLL_S = 0.05
_NAME = "arrivals"


def measure() -> Iterator[Measurement]:
    """Seconds from the rename into the folder to the products in the catalogue, and what a look costs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for title, events in (("events of the system", True), ("looking alone, as on a share", False)):
            seconds, cpu = _deliver(root / ("a" if events else "b"), events=events)
            taken = sorted(seconds)
            p95 = taken[int(np.ceil(0.95 * len(taken))) - 1]
            median = taken[len(taken) // 2]
            what = f"file to its products in the catalogue, {title}"
            yield Measurement(_NAME, f"p95, {what}", p95, "s", GOAL_S, smaller_is_better=True)
            yield Measurement(_NAME, f"median, {what}", median, "s")
            if cpu:
                yield Measurement(_NAME, f"CPU of the watcher for a file, {title}", cpu / len(taken), "s")
        yield from _looks(root / "many")


def _deliver(root: Path, *, events: bool) -> tuple[list[float], float]:
    """Seconds of each file, one after the other, and the CPU time that the watcher took for them."""
    home, arriving = root / "home", root / "in"
    arriving.mkdir(parents=True)
    made = pieces(root / "made")
    settings = Settings(home=home)
    with factory.open_catalog(settings) as catalog, _watching(home, arriving, events=events) as process:
        # The first one waits for the process to start and to load what it needs.
        _seconds(catalog, made[0], arriving)
        before = _cpu_s(process.pid)
        return [_seconds(catalog, piece, arriving) for piece in made[1:]], _cpu_s(process.pid) - before


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far, s; 0 where the system does not tell it so."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pieces(folder: Path) -> list[Path]:
    """Telemetry of a day in files that follow each other."""
    made = simulate("2026-02-03T00:00", "2026-02-04T00:00", out=folder, seed=1, kinds=("bin",))
    path = Path(made.files[0])
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    paths = []
    for number, chosen in enumerate(np.array_split(np.arange(len(block)), N_FILES + 1)):
        paths.append(folder / f"piece{number:02}.bin")
        write_binary(block.select(chosen), paths[-1])
    return paths


@contextmanager
def _watching(home: Path, folder: Path, *, events: bool) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-c",
        "import sys\n" + ("" if events else "sys.modules['watchfiles'] = None\n"),
    ]
    command[-1] += "from stixlab.cli import main\nmain(sys.argv[1:])"
    with (
        (home / "watch.log").open("wb") as log,
        subprocess.Popen(
            [*command, "watch", "--no-pipelines", str(folder)],
            env=plain_environment() | {"STIXLAB_HOME": str(home)},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def plain_environment() -> dict[str, str]:
    """That of this process, without settings of its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("STIXLAB_")}


def _seconds(catalog: Any, piece: Path, folder: Path) -> float:
    """Seconds from a file's rename to its end name until its products are in the catalogue."""
    from stixlab.files import sha256_of

    sha256 = sha256_of(piece)
    part = folder / f"{piece.name}.part"
    part.write_bytes(piece.read_bytes())
    time.sleep(_PAUSE_S)
    began = time.monotonic()
    part.rename(folder / piece.name)
    while time.monotonic() - began < _WAIT_S:
        found = catalog.raw_files.get(sha256)
        if found is not None and found.processed:
            return time.monotonic() - began
        time.sleep(_POLL_S)
    raise RuntimeError(f"bench arrivals: {piece.name} was not taken within {_WAIT_S:.0f} s")


def _looks(root: Path) -> Iterator[Measurement]:
    """What a look through a folder of very many files costs."""
    for number in range(N_MANY):
        path = root / f"{number // 1000:03}"
        if number % 1000 == 0:
            path.mkdir(parents=True)
        (path / f"{number:06}.xml").touch()
    folder = Folder(root)
    for found, signature in folder.look(time.monotonic):
        folder.learn(found, signature)

    def all_files() -> None:
        assert not list(folder.walk(every=True))

    def names() -> None:
        assert not list(folder.walk(every=False))

    what = f"a look at {N_MANY:,} known files"
    yield Measurement(
        _NAME,
        f"{what}, every one asked about",
        best_of(all_files, repeats=3),
        "s",
        GOAL_LOOK_S,
        smaller_is_better=True,
    )
    yield Measurement(_NAME, f"{what}, by name", best_of(names, repeats=3), "s")
