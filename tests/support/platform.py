"""A whole platform for tests: simulated hours through the chain, then `stixlab up` on a free port."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stixlab.hub.places import runtime_folder

START, END = "2023-05-04T06:00:00", "2023-05-04T12:00:00"
"""The interval that is simulated."""
_READY_S = 180.0
_STOP_S = 60.0


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    url: str
    home: Path
    environment: dict[str, str]
    password: str
    """Of the account ``operator``."""
    up: subprocess.Popen[str]

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
            return json.load(answer)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an address."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def stixlab(environment: dict[str, str], *arguments: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "stixlab.cli", *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"stixlab {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def home_environment(home: Path, **more: str) -> dict[str, str]:
    """Environment of commands on that home."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STIXLAB_")}
    return clean | {"STIXLAB_HOME": str(home), "PYTHONWARNINGS": "default"} | more


def fill(home: Path, environment: dict[str, str]) -> None:
    """Simulate some hours and take them in."""
    files = home / "telemetry"
    stixlab(
        environment,
        "simulate",
        "--start",
        START,
        "--end",
        END,
        "--seed",
        "7",
        "--out",
        str(files),
        "--truth",
        str(home / "truth.json"),
    )
    stixlab(environment, "ingest", *map(str, sorted(p for p in files.iterdir() if p.suffix == ".xml")))


@contextmanager
def running_platform(home: Path, **settings: str) -> Iterator[Platform]:
    """A platform with simulated hours in it, with further variables in its environment, stopped afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = home_environment(home, STIXLAB_PORT=str(port), **settings)
    fill(home, environment)
    said = home / "up.txt"
    with said.open("w") as out:
        up = subprocess.Popen(
            [sys.executable, "-m", "stixlab.cli", "up", "--no-demo"],
            env=environment, stdout=out, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        password = _password(up, said)
        yield Platform(f"http://127.0.0.1:{port}", home, environment, password, up)
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(up.pid, signal.SIGKILL)
            up.wait()
            raise
        finally:
            shutil.rmtree(runtime_folder(home), ignore_errors=True)


def _password(up: subprocess.Popen[str], said: Path) -> str:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        text = said.read_text()
        match = re.search(r"is up: .*?operator, password (\S+)", text, re.DOTALL)
        if match:
            return match[1]
        assert up.poll() is None, f"stixlab up ended: {text}"
        time.sleep(0.2)
    raise AssertionError(f"stixlab up was not ready within {_READY_S:g} s: {said.read_text()}")
