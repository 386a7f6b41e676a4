"""Commands of the services for the team; the hub starts them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import click

from stixlab.errors import SettingsError
from stixlab.settings import project_folder, read_settings

__all__ = ["runs_service_command", "team_pages_command"]

Made = TypeVar("Made")


@click.command("runs-service")
def runs_service_command() -> None:
    """Take runs of pipelines from members of the team, at the address that the hub gives."""
    from stixlab import factory
    from stixlab.api.app import listen
    from stixlab.api.members import HubTokens, Member
    from stixlab.api.runs import create_runs_app
    from stixlab.client.runs import RunDesk, open_desk
    from stixlab.hub.addresses import HUB_API

    settings = read_settings()
    lab = _once(lambda: factory.connect(settings))

    def desk_of(member: Member) -> RunDesk:
        return open_desk(
            lab().catalog, project_folder("pipelines"), user=member.name, operator=member.operator
        )

    app = create_runs_app(lab, settings, whois=HubTokens(os.environ.get(HUB_API, "")), desks=desk_of)
    host, port = _address()
    listen(app, host=host, port=port)


@click.command("team-pages")
def team_pages_command() -> None:
    """Show executed notebooks and the dask dashboard to who is logged in at the hub."""
    from stixlab import factory
    from stixlab.hub.team_pages import serve

    settings = read_settings()
    host, port = _address()
    serve(_once(lambda: factory.connect(settings)), settings, host=host, port=port)


def _address() -> tuple[str, int]:
    from stixlab.hub.addresses import SERVICE_URL

    address = urlsplit(os.environ.get(SERVICE_URL, ""))
    if not address.port:
        raise SettingsError(f"{SERVICE_URL}: expected http://127.0.0.1:PORT, as the hub gives it")
    return address.hostname or "127.0.0.1", address.port


def _once(make: Callable[[], Made]) -> Callable[[], Made]:
    """What calls a function when first needed, and again after a failure, but gives what it made ever after."""
    made: list[Made] = []
    lock = threading.Lock()

    def give() -> Made:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return give
