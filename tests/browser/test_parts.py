"""A part that dies is started again and told; nothing private is within reach; memory stays in bounds."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.platform import stixlab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("platform")]


def processes(platform):
    """Everything that `stixlab up` started, with the database it uses."""
    root = psutil.Process(platform.up.pid)
    return [root, *root.children(recursive=True)]


@pytest.mark.parametrize(("part", "path"), [("api", "/health"), ("apps", "/apps/health")])
def test_a_part_that_dies_is_started_again_and_told(platform, part, path):
    before = platform.health()["parts"][part]
    (service,) = [
        p
        for p in processes(platform)
        if {"api": "stixlab.cli api", "apps": "stixlab.hub.launch apps"}[part] in " ".join(p.cmdline())
    ]
    os.kill(service.pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.3)
        if platform.get(path)[0] == 200 and platform.get("/health")[0] == 200:
            after = platform.health()["parts"][part]
            if after["ok"] and after["restarts"] > before["restarts"]:
                break
    assert after["restarts"] == before["restarts"] + 1
    assert f"service {part} restarted" in (platform.home / "log" / "hub.log").read_text()


def test_kernels_of_the_public_know_no_secret(platform):
    kernels = [
        p
        for p in processes(platform)
        if "ipykernel_launcher" in " ".join(p.cmdline()) and "/v/" in " ".join(p.cmdline())
    ]
    assert kernels
    for kernel in kernels:
        environment = kernel.environ()
        assert environment["STIXLAB_ACCESS"] == "public"
        assert not [name for name in environment if "TOKEN" in name or "SECRET" in name or "CRYPT" in name]
        connection = json.loads(Path(kernel.cmdline()[-1]).read_text())
        assert connection["transport"] == "ipc", (
            "what executes code is reached over sockets of its owner alone"
        )
        listening = [c.laddr.ip for c in kernel.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        # ipykernel takes the output of forked processes there, with 16 random bytes as the key; it executes nothing.
        assert listening in ([], ["127.0.0.1"])


@pytest.mark.parametrize(
    "path",
    [
        "/apps/api/kernels",
        "/apps/api/contents",
        "/apps/voila/render/lightcurves.ipynb",
        "/apps/voila/files/lightcurves.ipynb",
        "/apps/lightcurves.ipynb",
        "/apps/request/12345678-1234-1234-1234-123456789abc",
        "/apps/api/terminals",
    ],
)
def test_nothing_of_the_apps_is_within_reach_but_their_pages(platform, path):
    assert platform.get(path)[0] == 404


def test_everything_listens_on_this_machine_alone(platform):
    for process in processes(platform):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1", process.cmdline()


def command_of(process):
    """Its command line; empty if it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait_until_idle(platform):
    """Wait until no run waits or runs, and the worker has let its warm kernels go, as it does STIXLAB_WARM_S later."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        runs = json.loads(stixlab(platform.environment, "status", "--json"))["runs"]
        kernels = [c for c in map(command_of, processes(platform)) if "stixlab.pipeline." in c]
        if not (runs["queued"] or runs["running"] or kernels):
            return
        time.sleep(1)
    raise AssertionError(f"never idle: {runs}, {kernels}")


def test_all_parts_together_stay_under_their_memory(platform):
    """1.5 GB of resident memory when idle, summed over all processes; servers of members are theirs."""
    wait_until_idle(platform)
    idle = [
        p
        for p in processes(platform)
        if "singleuser" not in " ".join(p.cmdline()) and "/users/" not in " ".join(p.cmdline())
    ]
    members = [p for p in processes(platform) if "singleuser" in " ".join(p.cmdline())]
    theirs = {child.pid for member in members for child in member.children(recursive=True)}
    total = sum(p.memory_info().rss for p in idle if p.pid not in theirs)
    assert total < 1.5e9, f"{total / 1e6:.0f} MB"
