"""What `stixlab up` does: checks, the demonstration day, the parts, the words of welcome."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab import factory, files
from stixlab.errors import ConflictError, ServiceError, SettingsError, StixlabError
from stixlab.hub import accounts
from stixlab.hub.proxy import proxy_command
from stixlab.services import Part, Supervisor, database_part, read_state
from stixlab.settings import Settings, project_folder

if TYPE_CHECKING:
    from stixlab.ingest import Ingestor, IngestReport

__all__ = [
    "check_before",
    "demonstrate",
    "ensure_operator",
    "make_demonstration",
    "make_supervisor",
    "welcome",
]

_HUB_READY_S = 120.0
_HUB_CONFIG = "jupyterhub_config.py"
_NEEDED = ("jupyterhub", "voila", "ipykernel")
"""Packages that the parts import, not this process."""
_FOLLOW_S = 1.0
_BEGUN = "begun"
"""File beside the telemetry of the demonstration that names its day, until all of it is in the archive."""


def check_before(settings: Settings) -> None:
    """Refuse to start where it cannot end well.

    Raises
    ------
    ConflictError
        If it runs already, or somebody else listens on the port.
    SettingsError
        If this process may only read.
    ServiceError
        If something that the parts need is not installed.
    ArchiveError
        If the home cannot be written.
    """
    state = read_state(settings.home)
    if state is not None:
        raise ConflictError(
            f"up: it runs already at {state.url} (process {state.pid}) for {settings.home}; `stixlab down` stops it"
        )
    if settings.access != "operator":
        raise SettingsError(f"up: needs the role of an operator; STIXLAB_ACCESS is {settings.access}")
    if settings.mongo_uri.get_secret_value() and not settings.mongo_read_uri.get_secret_value():
        raise SettingsError(
            "up: expected STIXLAB_MONGO_READ_URI beside STIXLAB_MONGO_URI: a database user with the role read, for public pages"
            " and the team; it is not set; docs/how-to.md shows how to make one"
        )
    _check_installed()
    _check_home(settings.home)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise ConflictError(
                f"up: {settings.bind}:{settings.port} cannot be listened on ({error.strerror}); "
                "stop what listens there, or set STIXLAB_PORT to another port"
            ) from None


def _check_installed() -> None:
    """Refuse before the first work what would be missing when the hub is started, a minute later."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ServiceError(
            f"up: expected the Python packages {', '.join(_NEEDED)}; {', '.join(missing)} cannot be imported; install"
            " stixlab anew (`make run` in its checkout), then start again"
        )
    config = project_folder("hub_config") / _HUB_CONFIG
    if not config.is_file():
        raise ServiceError(
            f"up: expected the settings of the hub at {config}; there are none; install stixlab anew"
        )
    proxy_command()


def _check_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise files.write_failed(home / "up", error) from error


def make_demonstration(say: Callable[[str], None]) -> None:
    """Give an empty archive a simulated day, yesterday's, through the whole chain.

    In a process of its own: what it imports would stay in the memory of the supervisor.
    """
    command = [sys.executable, "-m", "stixlab.cli", "demonstrate"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            say(line.rstrip())
    if process.returncode:
        say(
            f"stixlab: the demonstration day was not made (exit status {process.returncode}); going on without it"
        )


def demonstrate(settings: Settings, say: Callable[[str], None]) -> bool:
    """Simulate a day and ingest it, if the archive is empty, and import real data; whether the day went well.

    What a start that was killed has left unfinished is finished, with the same day.
    """
    from stixlab.simulation import demonstration

    folder = settings.home / "demonstration"
    with factory.open_catalog(settings) as catalog:
        day = _day_begun(folder)
        if day:
            say(f"stixlab: finishing the demonstration of {day} that was begun")
        elif catalog.products.latest() is not None:
            return True
        else:
            day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
            say(f"stixlab: the archive is empty; simulating {day} for a demonstration")
        folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(folder / _BEGUN, day.encode())
        # The database stays up from here to the end of the ingest.
        truth = demonstration(day, out=folder, kinds=("xml",))
        with factory.open_ingestor(settings) as make:
            report = make().ingest([Path(p) for p in truth.files])
            _tell_problems(report, "demonstration", say)
            say(
                f"stixlab: {len(report.products)} products and the flare list made in {report.seconds:.1f} s, all SIMULATED"
            )
            _add_measured(make(), say)
    (folder / _BEGUN).unlink()
    return not report.failed


def _day_begun(folder: Path) -> str:
    """The day of a demonstration that was begun and not finished; empty if there is none."""
    try:
        text = (folder / _BEGUN).read_text("ascii")
        return f"{datetime.fromisoformat(text):%Y-%m-%d}"
    except (FileNotFoundError, ValueError):
        return ""


def _add_measured(ingestor: Ingestor, say: Callable[[str], None]) -> None:
    """Put the real data beside it that are installed with the package stixpy; without them it goes on.

    Pipelines are left to the worker that `up` starts: nobody waits for them.
    """
    from stixlab.ingest.bundled import bundled_source, import_bundled
    from stixlab.ingest.triggers import queue_runs, runs_for_days

    def queue(days: list[Any]) -> list[dict[str, Any]]:
        queue_runs(ingestor.catalog, runs_for_days(ingestor.catalog, project_folder("pipelines"), days))
        return []

    try:
        report = import_bundled(replace(ingestor, trigger=queue))
        source = bundled_source()
    except (StixlabError, OSError) as error:
        say(f"stixlab: no measured data beside it: {error}; going on without them")
        return
    _tell_problems(report, "measured data", say)
    spans = [[datetime.fromisoformat(p[name]) for name in ("start", "end")] for p in report.products]
    days = sorted({f"{start + (end - start) / 2:%Y-%m-%d}" for start, end in spans})
    if days:
        say(
            f"stixlab: {len(report.products)} products of {days[0]} to {days[-1]}, MEASURED, taken from {source} in"
            f" {report.seconds:.1f} s"
        )


def _tell_problems(report: IngestReport, what: str, say: Callable[[str], None]) -> None:
    for problem in [*report.problems, *(f.error for f in report.files), *(r["error"] for r in report.runs)]:
        if problem:
            say(f"stixlab: {what}: {problem}")


def ensure_operator(settings: Settings) -> str | None:
    """Password of the first account if it was made now, to be shown once."""
    return accounts.ensure_operator(settings.home)


def make_supervisor(settings: Settings, told: Callable[[Any], None]) -> Supervisor:
    """The parts in the order of their start."""
    parts = [] if settings.mongo_uri.get_secret_value() else [database_part(settings.home)]
    parts += [_watch_part(settings)] if settings.watched_folders else []
    # An archive that is empty is there all the same: without its folder nothing would ever be ready.
    factory.archive_folder(settings).mkdir(parents=True, exist_ok=True)
    return Supervisor([*parts, _hub_part(settings)], settings.home, told, url=settings.public_url)


def follow_services(home: Path, say: Callable[[str], None]) -> None:
    """Tell, from a thread of its own, when the hub has started one of its services again."""
    path = home / "log" / "events.jsonl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = path.stat().st_size if path.exists() else 0

    def follow() -> None:
        nonlocal place
        while True:
            time.sleep(_FOLLOW_S)
            if not path.exists():
                continue
            with path.open() as stream:
                stream.seek(place if path.stat().st_size >= place else 0)
                for line in stream:
                    event = json.loads(line)
                    if event["what"] == "restarted":
                        say(f"stixlab: {event['part']} had died and was started again by the hub")
                place = stream.tell()

    threading.Thread(target=follow, name="services", daemon=True).start()


def _hub_part(settings: Settings) -> Part:
    local = f"http://127.0.0.1:{settings.port}"

    def ready() -> bool:
        return _is_healthy(f"{local}/health") and all(
            _answers(f"{local}{p}") for p in ("/apps/health", "/hub/health")
        )

    config = project_folder("hub_config") / _HUB_CONFIG
    folder = settings.home / "hub"
    folder.mkdir(parents=True, exist_ok=True)
    return Part(
        "hub",
        (sys.executable, "-m", "stixlab.hub.launch", "hub", "--config", str(config)),
        env=dict(os.environ),
        ready=ready,
        ready_timeout_s=_HUB_READY_S,
        stop_timeout_s=20.0,
        cwd=str(folder),
    )


def _watch_part(settings: Settings) -> Part:
    """What takes the files that arrive. A folder that is away, or a database, it waits for by itself."""
    (settings.home / "incoming").mkdir(parents=True, exist_ok=True)
    return Part(
        "watch",
        (sys.executable, "-m", "stixlab.cli", "watch"),
        env=dict(os.environ),
        stop_timeout_s=20.0,
        cwd=str(settings.home),
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  (an address of our own)
            return True
    except (urllib.error.URLError, OSError):
        return False


def _is_healthy(url: str) -> bool:
    """Whether the HTTP service itself answers there, and can serve: before it does, the hub answers in its place."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (an address of our own)
            return str(json.load(answer).get("status", "")) in ("ok", "degraded")
    except (urllib.error.URLError, OSError, ValueError, AttributeError):
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
        *(f"  telemetry    files that arrive in {f} are taken" for f in settings.watched_folders),
        f"  team         {url}/hub/  {login}",
        "  Ctrl-C, or `stixlab down` elsewhere, stops everything",
        "",
    ]
