"""Processes that the hub starts and watches: HTTP services, public apps, pages of the team, worker."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyterhub.services import service as hub_service
from traitlets import default

from stixlab.files import write_bytes
from stixlab.hub.addresses import HUB_API, SERVICE_URL
from stixlab.hub.environment import kept_environment, settings_environment
from stixlab.hub.places import services_folder
from stixlab.settings import Settings

__all__ = ["WatchedService", "service_definitions", "watch_closely"]

log = logging.getLogger(__name__)

_NOTES = "STIXLAB_SERVICE_NOTES"
_LOGINS = "STIXLAB_SERVICE_LOGINS"
"""Set for the service that checks logins with the hub, and gets what it needs for that."""
_POLL_S = 2
_STOP_S = 6
"""How long a service may take to end by itself."""


class WatchedService(hub_service._ServiceSpawner):  # type: ignore[misc]  # noqa: SLF001
    """Starts a service with an environment of its own, notes each start, and ends it with the hub."""

    @default("poll_interval")  # type: ignore[untyped-decorator]
    def _poll_interval(self) -> int:
        return _POLL_S

    @default("term_timeout")  # type: ignore[untyped-decorator]
    def _term_timeout(self) -> int:
        return _STOP_S

    def get_env(self) -> dict[str, str]:
        """What is on the list and what the service was given; the hub's tokens only where logins are checked."""
        given = {str(k): str(v) for k, v in self.environment.items() if not k.startswith("JUPYTERHUB_")}
        logins = {}
        if given.get(_LOGINS) == "1":
            logins = {k: str(v) for k, v in super().get_env().items() if k.startswith("JUPYTERHUB_")}
        return kept_environment(os.environ) | logins | given

    def make_preexec_fn(self, name: str) -> Callable[[], None]:  # noqa: ARG002
        """What the new process does first: ask to be ended when the hub dies."""
        libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        set_death_signal = 1

        def preexec() -> None:
            if libc is not None:
                libc.prctl(set_death_signal, signal.SIGTERM)

        return preexec

    async def stop(self, now: bool = True) -> None:  # noqa: FBT001, FBT002  (the hub's signature)
        """End the process, by SIGTERM at once: SIGINT is ignored by what was started in the background."""
        await super().stop(now=now)

    def start(self) -> None:
        """Start the process, and note when, for the health page."""
        super().start()
        folder = self.environment.get(_NOTES)
        if folder:
            note_start(Path(folder), self._service_name, self.pid)


def note_start(folder: Path, name: str, pid: int) -> None:
    """Write down that a service was started; restarts are counted from the first start of this hub."""
    path = folder / f"{name}.json"
    try:
        last = json.loads(path.read_text())
        restarts = last["restarts"] + 1 if last["hub"] == os.getpid() else 0
    except (OSError, ValueError, KeyError):
        restarts = 0
    now = datetime.now(UTC)
    started = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    entry = {"pid": pid, "started": started, "restarts": restarts, "hub": os.getpid()}
    write_bytes(path, json.dumps(entry).encode())
    if restarts:
        log.warning("service %s restarted, %d times by now", name, restarts)
        event = {
            "time": now.isoformat(timespec="milliseconds"),
            "part": name,
            "what": "restarted",
            "detail": "",
        }
        events = folder.parents[1] / "log" / "events.jsonl"
        events.parent.mkdir(parents=True, exist_ok=True)
        with events.open("a") as file:
            file.write(json.dumps(event) + "\n")


def watch_closely() -> None:
    """Let the hub use `WatchedService` for the services it manages.

    The hub has no setting for it: left alone it looks every 30 s and hands its tokens on.
    """
    hub_service._ServiceSpawner = WatchedService  # noqa: SLF001


def service_definitions(settings: Settings, ports: dict[str, int]) -> list[dict[str, Any]]:
    """Services as `JupyterHub.services` takes them.

    Parameters
    ----------
    settings
        Of this installation.
    ports
        Where the hub listens, and where `api`, `apps`, `runs` and `team` have to.
    """
    python = [sys.executable, "-m"]
    commands = {
        "api": ([*python, "stixlab.cli", "api"], "public"),
        "apps": ([*python, "stixlab.hub.launch", "apps"], "public"),
        "runs": ([*python, "stixlab.cli", "runs-service"], "operator"),
        "team": ([*python, "stixlab.cli", "team-pages"], "team"),
        "worker": ([*python, "stixlab.cli", "worker", f"--processes={settings.workers}"], "operator"),
    }
    notes = services_folder(settings.home)
    for old in notes.glob("*.json"):
        old.unlink()
    definitions = []
    for name, (command, access) in commands.items():
        environment = settings_environment(settings, access=access) | {_NOTES: str(notes)}
        if name in ports:
            environment[SERVICE_URL] = f"http://127.0.0.1:{ports[name]}"
        definitions.append(
            {
                "name": name,
                "command": command,
                "environment": environment,
                "display": False,
                "cwd": str(settings.home),
            }
        )
        if name == "runs":
            environment[HUB_API] = f"http://127.0.0.1:{ports['hub']}/hub/api"
        elif name == "team":
            environment[_LOGINS] = "1"
            definitions[-1] |= {"url": environment[SERVICE_URL], "oauth_no_confirm": True}
    return definitions
