"""`stixlab watch` as a process of its own: events of the system, signals, kill -9 while files arrive."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stixlab import factory
from stixlab.idb import load_versions
from stixlab.ingest.wakeups import Wakeups
from stixlab.settings import Settings
from stixlab.simulation import simulate
from stixlab.telemetry.sources import read_packets
from stixlab.telemetry.writers import write_binary
from tests.support.platform import home_environment
from tests.support.processes import wait_for

N_FILES = 24


def start(home: Path, *folders: Path, **more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "stixlab.cli", "watch", "--json", "--no-pipelines", *map(str, folders)]
    (home.parent / "said").mkdir(exist_ok=True)
    with (home.parent / "said" / "out").open("ab") as out, (home.parent / "said" / "err").open("ab") as err:
        return subprocess.Popen(
            command, env=home_environment(home, **more), stdout=out, stderr=err, start_new_session=True
        )


def told(home: Path) -> list[dict]:
    text = (home.parent / "said" / "out").read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def said(home: Path) -> str:
    return (home.parent / "said" / "err").read_text()


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> list[Path]:
    """Small telemetry files of some hours about midnight."""
    folder = tmp_path_factory.mktemp("pieces")
    made = simulate("2026-01-01T22:30", "2026-01-02T00:30", out=folder / "all", seed=1, kinds=("bin",))
    blocks = [read_packets(Path(f).read_bytes(), Path(f).name, load_versions())[0] for f in made.files]
    paths = []
    for number, block in enumerate(blocks):
        for part, chosen in enumerate(np.array_split(np.arange(len(block)), N_FILES // len(blocks))):
            if chosen.size:
                paths.append(folder / f"part{number}-{part:02}.bin")
                write_binary(block.select(chosen), paths[-1])
    assert len(paths) > N_FILES // 2
    return paths


class TestEvents:
    def test_what_happens_in_a_folder_wakes_and_tells_where(self, tmp_path):
        woken = threading.Event()
        wakeups = Wakeups(tmp_path, woken.set)
        wakeups.start()
        try:
            for number in range(100):  # listening begins in the other thread, at some moment
                (tmp_path / f"{number}").write_text("x")
                if woken.wait(0.1):
                    break
            assert woken.is_set()
            hints = wakeups.take()
            assert hints
            assert all(Path(h).parent == tmp_path for h in hints if h != str(tmp_path))
        finally:
            wakeups.stop()

    def test_a_folder_that_is_not_there_is_tried_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr("stixlab.ingest.wakeups._RETRY_S", 0.05)
        woken = threading.Event()
        wakeups = Wakeups(tmp_path / "later", woken.set)
        wakeups.start()
        try:
            (tmp_path / "later").mkdir()
            for number in range(100):
                (tmp_path / "later" / f"{number}").write_text("x")
                if woken.wait(0.1):
                    break
            assert woken.is_set()
        finally:
            wakeups.stop()


@pytest.mark.slow
class TestAsAProcess:
    def test_files_are_taken_however_they_arrive_and_a_signal_ends_it(self, tmp_path, pieces):
        home, folder = tmp_path / "home", home_folder(tmp_path)
        shutil.copy(pieces[0], folder / "before.bin")
        process = start(home, folder)
        try:
            wait_for(lambda: len(told(home)) == 1, "what was there before", 60)
            shutil.copy(pieces[1], folder / ".x.part")
            (folder / ".x.part").rename(folder / "renamed.bin")
            (folder / "sub").mkdir()
            shutil.copy(pieces[2], folder / "sub" / "copied.bin")
            (folder / "bad.txt").write_text("Dear all")
            content = pieces[3].read_bytes()
            with (folder / "growing.bin").open("wb") as stream:
                for byte in range(0, len(content), len(content) // 10 + 1):
                    stream.write(content[byte : byte + len(content) // 10 + 1])
                    stream.flush()
                    time.sleep(0.1)
            wait_for(lambda: len(told(home)) == 5, "all of them", 60)
            again = start(home, folder)
            assert again.wait(60) == 1
            assert "watches it already" in said(home)
            status = {e["name"]: e["status"] for e in told(home)}
            assert status == dict.fromkeys(
                ("before.bin", "renamed.bin", "copied.bin", "growing.bin"), "taken"
            ) | {"bad.txt": "set aside"}
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert said(home).endswith("stixlab: watching is ended\n")
        assert list((home / "run" / "watch").glob("*.json")) == []

    def test_no_file_is_lost_when_it_is_killed_while_files_arrive(self, tmp_path, pieces):
        """Killed with everything it has started, again and again, at random moments; then the same as one ingest."""
        home, folder = tmp_path / "home", home_folder(tmp_path)
        draw = random.Random(20260214)
        arrived = threading.Event()

        def deliver() -> None:
            ways = random.Random(3)
            for number, piece in enumerate(pieces):
                target = folder / f"{number % 3}" / piece.name
                target.parent.mkdir(exist_ok=True)
                way = ways.choice(("rename", "copy", "grow"))
                if way == "rename":
                    shutil.copy(piece, target.with_suffix(".part"))
                    target.with_suffix(".part").rename(target)
                elif way == "copy":
                    shutil.copy(piece, target)
                else:
                    content = piece.read_bytes()
                    with target.open("wb") as stream:
                        stream.write(content[: len(content) // 2])
                        stream.flush()
                        time.sleep(0.3)
                        stream.write(content[len(content) // 2 :])
                time.sleep(ways.uniform(0.1, 1.0))
            arrived.set()

        delivering = threading.Thread(target=deliver)
        delivering.start()
        kills = 0
        while not arrived.is_set() or kills < 4:
            process = start(home, folder)
            arrived.wait(draw.uniform(2.0, 6.0)) if not arrived.is_set() else time.sleep(
                draw.uniform(2.0, 6.0)
            )
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        delivering.join()
        process = start(home, folder)
        hashes = {hashlib.sha256(p.read_bytes()).hexdigest() for p in pieces}
        settings = Settings(home=home)
        try:
            with factory.open_catalog(settings) as catalog:

                def ended() -> bool:
                    found = {a.sha256 for a in catalog.arrivals.find() if a.status in ("taken", "repeated")}
                    return hashes <= found

                wait_for(ended, "every file to be taken", 60)
                assert catalog.arrivals.find(status=("waiting", "set aside", "gone")) == []
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        with factory.open_catalog(settings) as catalog:
            assert {f.sha256 for f in catalog.raw_files.find() if f.processed} >= hashes
            watched = {p.product_id: p.content_sha256 for p in catalog.products.find()}
        with factory.open_ingestor(Settings(home=tmp_path / "once"), pipelines=False) as make:
            ingestor = make()
            assert not ingestor.ingest(pieces).failed
            once = {p.product_id: p.content_sha256 for p in ingestor.catalog.products.find()}
        assert watched == once
        assert once


def home_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder
