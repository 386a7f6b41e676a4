"""Killed at any moment, the same command again ends in the same archive and catalogue as if nothing had happened."""

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from stixlab.archive import Archive
from stixlab.catalog import MongoCatalog, connect_database
from stixlab.idb import load_versions
from stixlab.simulation import simulate
from stixlab.telemetry.sources import read_packets
from stixlab.telemetry.writers import write_binary
from tests.support.science import pixel_request

pytestmark = [pytest.mark.alone, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TIMES = {"DATE", "CHECKSUM", "DATASUM"}
"""Header keywords that hold the time of writing, or depend on it."""


@contextmanager
def database_server(folder: Path, port: int = 0):
    """A database server without accounts: its process and its port; whatever it stored before is there again."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("secantusd-py")
    command = [
        program,
        "--port",
        str(port),
        "--storage-path",
        folder / "data",
        "--cache-size",
        "64M",
        "--sync-on-commit",
    ]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
    ):
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
        try:
            yield process, port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A database server, so that each trial may have a database of its own."""
    with database_server(tmp_path_factory.mktemp("server")) as (_, port):
        yield f"mongodb://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory) -> Path:
    """Two hours about midnight: light curves and housekeeping of two days."""
    folder = tmp_path_factory.mktemp("telemetry")
    truth = simulate("2026-01-01T22:30", "2026-01-02T00:30", out=folder, seed=1, kinds=("bin",))
    assert truth.files
    return folder


@pytest.fixture(scope="module")
def few_packets(tmp_path_factory) -> Path:
    """One file with a few light-curve packets of one day: few calls, but of every kind."""
    folder = tmp_path_factory.mktemp("few")
    made = simulate("2026-01-01T10:00", "2026-01-01T12:00", out=folder / "all", seed=1, kinds=("bin",))
    path = Path(made.files[0])
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    (folder / "some").mkdir()
    write_binary(block.select((block.service == 21) & (block.ssid == 30)), folder / "some" / "packets.bin")
    return folder / "some"


@pytest.fixture(scope="module")
def small_request(tmp_path_factory) -> Path:
    """One file with a data request of two packets."""
    folder = tmp_path_factory.mktemp("request")
    write_binary(pixel_request(2), folder / "packets.bin")
    return folder


class Zygote:
    """The process that forks ingests."""

    def __init__(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("STIXLAB_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_ingest"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=ROOT,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, home: Path, uri: str, files: Path, kill_at: int = 0, mode: str = "kill") -> dict:
        job = {"home": str(home), "uri": uri, "files": [str(files)], "kill_at": kill_at, "mode": mode}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def zygote():
    made = Zygote()
    yield made
    with made.process:
        made.process.stdin.close()


def fits_content(path: Path) -> str:
    from astropy.io import fits

    digest = hashlib.sha256()
    with fits.open(path) as hdus:
        for hdu in hdus:
            digest.update(
                repr([(c.keyword, c.value) for c in hdu.header.cards if c.keyword not in TIMES]).encode()
            )
            if hdu.data is not None:
                digest.update(np.ascontiguousarray(hdu.data).tobytes())
    return digest.hexdigest()


def snapshot(home: Path, uri: str) -> dict:
    """Everything that archive and catalogue hold, but run ids, times of writing and logs."""
    root = home / "archive"
    files = {
        str(p.relative_to(root)): fits_content(p)
        if p.suffix == ".fits"
        else hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".writing" and "runs" not in p.relative_to(root).parts
    }
    with MongoCatalog(connect_database(uri), writable=False) as catalog:
        raw = [asdict(replace(f, received=None)) for f in catalog.raw_files.find()]
        products = [asdict(replace(p, created=None, fits_sha256="")) for p in catalog.products.find()]
        flares = [asdict(replace(f, run_id="")) for f in catalog.flares.find()]
        for product in catalog.products.find():
            assert (
                hashlib.sha256(Archive(root).path(product.fits).read_bytes()).hexdigest()
                == product.fits_sha256
            )
    return {"files": files, "raw_files": raw, "products": products, "flares": flares}


@pytest.mark.parametrize("what", ["few_packets", "small_request"])
def test_at_every_call_that_changes_something(what, tmp_path, server, zygote, request):
    """Every mkdir, rename, remove, open for writing and database write, enumerated in the process itself."""
    telemetry = request.getfixturevalue(what)
    reference = zygote.run(tmp_path / "whole", f"{server}/whole_{what}", telemetry)
    assert not reference["killed"], reference
    total = json.loads(reference["said"])
    assert not total["failed"], total
    expected = snapshot(tmp_path / "whole", f"{server}/whole_{what}")
    assert len(expected["products"]) == 1
    assert total["count"] > 50
    different: list[tuple[int, str]] = []

    def trials(points: range) -> None:
        forks = Zygote()
        with forks.process:
            for kill_at in points:
                home, uri = tmp_path / f"home{kill_at}", f"{server}/{what}{kill_at}"
                first = forks.run(home, uri, telemetry, kill_at)
                assert first["killed"], (kill_at, first)
                second = forks.run(home, uri, telemetry)
                assert not second["killed"], second
                assert second["said"].startswith("{"), (kill_at, first["said"], second)
                if snapshot(home, uri) != expected:
                    different.append((kill_at, first["said"]))
                shutil.rmtree(home)
            forks.process.stdin.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(trials, (range(start, total["count"] + 1, 2) for start in (1, 2))))
    assert different == []


def test_at_random_times_of_the_whole_command(tmp_path, telemetry):
    """The command as a user gives it, embedded database and pipelines included, with kill -9 to its whole process group."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("STIXLAB_")}
    command = [sys.executable, "-m", "stixlab.cli", "ingest", str(telemetry)]

    def ingest(home: Path, kill_after_s: float | None = None) -> float:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**env, "STIXLAB_HOME": str(home)},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said, _ = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return -1.0
        assert process.returncode == 0, said.decode()
        return time.monotonic() - began

    def content(home: Path) -> dict:
        from stixlab import factory
        from stixlab.services.database import open_database
        from stixlab.settings import Settings

        assert factory.archive_folder(Settings(home=home)).is_dir()
        with open_database(Settings(home=home)) as database:
            return snapshot(home, database.uri("operator"))

    duration = ingest(tmp_path / "whole")
    expected = content(tmp_path / "whole")
    assert expected["products"]
    draw = random.Random(20260101)
    for trial in range(4):
        home = tmp_path / f"home{trial}"
        ingest(home, draw.uniform(0.1, 1.0) * duration)
        ingest(home)
        assert content(home) == expected, trial


@pytest.mark.parametrize("fail_at", [1, 2, 3, 10, 20, 35])
def test_a_full_disk_is_told_leaves_nothing_half_written_and_is_made_good(
    tmp_path, server, few_packets, zygote, fail_at
):
    """From the n-th file opened for writing on, the disk is full; then there is room again."""
    whole = zygote.run(tmp_path / "whole", f"{server}/full{fail_at}w", few_packets)
    assert not json.loads(whole["said"])["failed"]
    home, uri = tmp_path / "home", f"{server}/full{fail_at}"
    first = zygote.run(home, uri, few_packets, fail_at, mode="full")
    assert first["said"].startswith("ArchiveError"), first
    assert "no space left" in first["said"]
    assert "free some" in first["said"]
    assert [p for p in (home / "archive").rglob("*") if p.name.startswith(".incoming")] == []
    second = zygote.run(home, uri, few_packets)
    assert not json.loads(second["said"])["failed"]
    assert snapshot(home, uri) == snapshot(tmp_path / "whole", f"{server}/full{fail_at}w")


@pytest.mark.parametrize("at", [2, 4, 7])
def test_a_database_that_dies_during_an_ingest_is_told_and_the_ingest_is_made_good(
    tmp_path, few_packets, zygote, at
):
    """The server is killed at the n-th thing that happens to the database; then it is started again."""
    with database_server(tmp_path) as (process, port):
        uri = f"mongodb://127.0.0.1:{port}"
        whole = zygote.run(tmp_path / "whole", f"{uri}/whole", few_packets)
        assert not json.loads(whole["said"])["failed"]
        expected = snapshot(tmp_path / "whole", f"{uri}/whole")
        first = zygote.run(tmp_path / "home", f"{uri}/trial", few_packets, at, mode=f"away {process.pid}")
        assert first["said"].startswith("CatalogError"), first
        assert f"127.0.0.1:{port}" in first["said"]
        assert "no answer" in first["said"]
        process.wait(timeout=10)
    assert [p for p in (tmp_path / "home").rglob("*") if p.name.startswith(".incoming")] == []
    with database_server(tmp_path, port):
        second = zygote.run(tmp_path / "home", f"{uri}/trial", few_packets)
        assert not json.loads(second["said"])["failed"], second
        assert snapshot(tmp_path / "home", f"{uri}/trial") == expected
