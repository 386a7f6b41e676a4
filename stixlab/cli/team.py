"""Commands of the services for the team; the hub starts them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import click

from stixlab.errors import SettingsError
from stixlab.settings import read_settings

__all__ = ["runs_service_command", "team_pages_command"]


@click.command("runs-service")
def runs_service_command() -> None:
    """Take runs of pipelines from members of the team, at the address that the hub gives."""
    from stixlab import factory
    from stixlab.api.app import listen
    from stixlab.api.members import HubTokens, Member
    from stixlab.api.runs import create_runs_app
    from stixlab.client.runs import RunDesk
    from stixlab.hub.services import HUB_API

    settings = read_settings()
    lab = factory.once(lambda: factory.connect(settings))

    def desk_of(member: Member) -> RunDesk:
        return factory.open_desk(lab().catalog, user=member.name, operator=member.operator)

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
    serve(factory.once(lambda: factory.connect(settings)), settings, host=host, port=port)


def _address() -> tuple[str, int]:
    from stixlab.hub.services import SERVICE_URL

    address = urlsplit(os.environ.get(SERVICE_URL, ""))
    if not address.port:
        raise SettingsError(f"{SERVICE_URL}: expected http://127.0.0.1:PORT, as the hub gives it")
    return address.hostname or "127.0.0.1", address.port
