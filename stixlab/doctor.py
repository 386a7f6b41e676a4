"""Whether an installation is healthy: what was looked at, what was found, how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from stixlab import factory
from stixlab.errors import StixlabError
from stixlab.settings import Settings, project_folder

__all__ = ["Finding", "examine"]

_LEAST_FREE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    cure: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that is needed; a failure does not end the examination."""
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("python", _python),
        ("home", _home),
        ("disk", _disk),
        ("folders", _folders),
        ("proxy", _proxy),
        ("clock", _clock),
        ("definitions", _definitions),
        ("pipelines", _pipelines),
        ("database", _database),
    )
    found = []
    for what, check in checks:
        try:
            found.append(Finding(what, ok=True, found=check(settings)))
        except StixlabError as error:
            found.append(Finding(what, ok=False, found=error.message))
        except OSError as error:
            found.append(
                Finding(what, ok=False, found=str(error), cure="see whether the path is right and readable")
            )
    return found


def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]} at {sys.prefix}"


def _home(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.home, os.W_OK):
        raise OSError(f"{settings.home} is not writable")
    return str(settings.home)


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free / 1e9
    if free < _LEAST_FREE_GB:
        raise OSError(f"{free:.2f} GB free at {settings.home}; expected at least {_LEAST_FREE_GB:g} GB")
    return f"{free:.1f} GB free"


def _folders(_: Settings) -> str:
    return ", ".join(str(project_folder(name)) for name in ("notebooks", "pipelines", "hub_config"))


def _proxy(_: Settings) -> str:
    from stixlab.hub.proxy import proxy_command

    return " ".join(proxy_command())


def _clock(settings: Settings) -> str:
    from stixlab.ephemeris.clock import load_clock

    clock = load_clock(settings.spice)
    return f"{clock.source}, accurate to {clock.accuracy_s:g} s"


def _definitions(settings: Settings) -> str:
    from stixlab.idb import IMPORTED, load_versions

    return f"version {load_versions(settings.idb, settings.home / IMPORTED).latest.version}"


def _pipelines(_: Settings) -> str:
    from stixlab.pipeline.discovery import find_pipelines

    found = find_pipelines(project_folder("pipelines"))
    for error in found.wrong.values():
        raise error
    return ", ".join(found.good)


def _database(settings: Settings) -> str:
    with factory.open_catalog(settings) as catalog:
        host, port = catalog.database.client.address or ("?", 0)
        return f"answers at {host}:{port}"
