"""How much memory and disk the parts of an installation take."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from stixlab.services.database_server import Places, read_note
from stixlab.services.state import read_state

__all__ = ["Health", "PartHealth", "read_health", "tree_memory"]


@dataclass(frozen=True)
class PartHealth:
    """One part with all processes below it."""

    name: str
    pid: int
    state: str
    since: str
    restarts: int
    last_exit: str
    n_processes: int
    rss_bytes: int
    """Sum over its processes of resident memory; what they share is counted in each."""


@dataclass(frozen=True)
class Health:
    """An installation at one moment."""

    running: bool
    """Whether a `stixlab up` runs."""
    url: str
    started: str
    parts: tuple[PartHealth, ...]
    rss_bytes: int
    """Of all parts and the supervisor."""
    disk_free_bytes: int
    disk_total_bytes: int

    def as_document(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)


def tree_memory(pid: int) -> tuple[int, int]:
    """Resident memory in bytes and number of the processes of a tree; zeros if there is none."""
    total = number = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_info().rss
                number += 1
    return total, number


def read_health(home: Path) -> Health:
    """State, memory and disk of an installation; a database that no `stixlab up` holds is listed, too."""
    state = read_state(home)
    parts = []
    for part in state.parts if state else ():
        memory, number = tree_memory(part.pid) if part.pid else (0, 0)
        parts.append(
            PartHealth(
                part.name, part.pid, part.state, part.since, part.restarts, part.last_exit, number, memory
            )
        )
    server = read_note(Places(home))
    if "database" not in {p.name for p in parts} and server is not None and server.lives():
        memory, number = tree_memory(server.pid)
        parts.append(PartHealth("database", server.pid, "ready", "", 0, "", number, memory))
    own = tree_memory(state.pid)[0] if state else 0
    rss = max(own, sum(p.rss_bytes for p in parts))
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    disk = os.statvfs(there)
    return Health(
        running=state is not None,
        url=state.url if state else "",
        started=state.started if state else "",
        parts=tuple(parts),
        rss_bytes=rss,
        disk_free_bytes=disk.f_bavail * disk.f_frsize,
        disk_total_bytes=disk.f_blocks * disk.f_frsize,
    )
