"""What `stixlab up` does: checks, the demonstration day, the parts, the words of welcome."""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stixlab import factory
from stixlab.errors import ConflictError, SettingsError
from stixlab.hub import accounts
from stixlab.services import Part, Supervisor, database_part, read_state
from stixlab.settings import Settings, project_folder

__all__ = ["check_before", "ensure_operator", "make_demonstration", "make_supervisor", "welcome"]

_HUB_READY_S = 120.0


def check_before(settings: Settings) -> None:
    """Refuse to start where it cannot end well.

    Raises
    ------
    ConflictError
        If it runs already, or somebody else listens on the port.
    SettingsError
        If this process may only read.
    """
    state = read_state(settings.home)
    if state is not None:
        raise ConflictError(
            f"up: it runs already at {state.url} (process {state.pid}) for {settings.home}; `stixlab down` stops it"
        )
    if settings.access != "operator":
        raise SettingsError(f"up: needs the role of an operator; STIXLAB_ACCESS is {settings.access}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise ConflictError(
                f"up: {settings.bind}:{settings.port} cannot be listened on ({error.strerror}); "
                "stop what listens there, or set STIXLAB_PORT to another port"
            ) from None


def make_demonstration(settings: Settings, say: Callable[[str], None]) -> bool:
    """Give an empty archive a simulated day, yesterday's, through the whole chain.

    Returns
    -------
    bool
        Whether the archive was empty.
    """
    from stixlab.simulation import demonstration

    with factory.open_catalog(settings) as catalog:
        if catalog.products.latest() is not None:
            return False
        # The database stays up from here to the end of the ingest.
        day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
        say(f"stixlab: the archive is empty; simulating {day} for a demonstration")
        folder = settings.home / "demonstration"
        truth = demonstration(day, out=folder, kinds=("xml",))
        with factory.open_ingestor(settings) as make:
            report = make().ingest([Path(p) for p in truth.files])
    problems = (
        report.problems
        + [f.error for f in report.files if f.error]
        + [r["error"] for r in report.runs if r["error"]]
    )
    for problem in problems:
        say(f"stixlab: demonstration: {problem}")
    say(
        f"stixlab: {len(report.products)} products and the flare list made in {report.seconds:.1f} s, all SIMULATED"
    )
    return True


def ensure_operator(settings: Settings) -> str | None:
    """Password of the first account if it was made now, to be shown once."""
    return accounts.ensure_operator(settings.home)


def make_supervisor(settings: Settings, told: Callable[[Any], None]) -> Supervisor:
    """The parts in the order of their start."""
    parts = [] if settings.mongo_uri.get_secret_value() else [database_part(settings.home)]
    return Supervisor([*parts, _hub_part(settings)], settings.home, told, url=settings.public_url)


def _hub_part(settings: Settings) -> Part:
    local = f"http://127.0.0.1:{settings.port}"

    def ready() -> bool:
        return all(_answers(f"{local}{path}") for path in ("/health", "/apps/health", "/hub/health"))

    config = project_folder("hub_config") / "jupyterhub_config.py"
    folder = settings.home / "hub"
    folder.mkdir(parents=True, exist_ok=True)
    return Part(
        "hub",
        (sys.executable, "-m", "jupyterhub", "--config", str(config)),
        env=dict(os.environ),
        ready=ready,
        ready_timeout_s=_HUB_READY_S,
        stop_timeout_s=20.0,
        cwd=str(folder),
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  (an address of our own)
            return True
    except (urllib.error.URLError, OSError):
        return False


def welcome(settings: Settings, password: str | None) -> list[str]:
    """What to tell when everything is ready: the address and how to log in."""
    url = settings.public_url
    login = (
        f"log in as operator, password {password}  (shown this once; `stixlab accounts password operator` makes a new one)"
        if password
        else "log in with your account (`stixlab accounts password operator` makes a new password)"
    )
    return [
        "",
        f"stixlab is up: {url}/",
        f"  public app   {url}/apps/lightcurves",
        f"  team         {url}/hub/  {login}",
        "  Ctrl-C, or `stixlab down` elsewhere, stops everything",
        "",
    ]
