"""The configuration of JupyterHub, whole: `hub_config/jupyterhub_config.py` only calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stixlab.hub.authenticator import AccountAuthenticator
from stixlab.hub.places import choose_ports, hub_folder, log_folder, secret
from stixlab.hub.proxy import proxy_command
from stixlab.hub.services import service_definitions, watch_closely
from stixlab.hub.spawner import TeamSpawner
from stixlab.settings import Settings

__all__ = ["install"]


def install(c: Any, settings: Settings) -> dict[str, int]:
    """Configure the hub of an installation.

    Parameters
    ----------
    c
        Configuration object of JupyterHub.
    settings
        Of this installation.

    Returns
    -------
    dict
        The ports taken, by name: ``hub``, ``proxy``, ``api``, ``apps``, ``runs``, ``team``.

    Raises
    ------
    ServiceError
        If the proxy or node is missing.
    """
    ports = choose_ports(settings.home, ("hub", "proxy", "api", "apps", "runs", "team"))
    local = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    _hub(c, settings, local)
    _proxy(c, settings, local)
    c.JupyterHub.authenticator_class = AccountAuthenticator
    c.AccountAuthenticator.home = str(settings.home)
    c.Authenticator.any_allow_config = True
    c.Authenticator.refresh_pre_spawn = True
    c.JupyterHub.spawner_class = TeamSpawner
    c.TeamSpawner.settings = settings
    watch_closely()
    c.JupyterHub.services = service_definitions(settings, ports)
    # Members of the team may open its pages; what they may do there is up to the pages.
    c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "access:services!service=team"]}]
    return ports


def _hub(c: Any, settings: Settings, local: dict[str, str]) -> None:
    folder = hub_folder(settings.home)
    c.JupyterHub.bind_url = f"http://{settings.bind}:{settings.port}"
    if settings.base_url:
        c.JupyterHub.public_url = settings.public_url
    c.JupyterHub.hub_bind_url = local["hub"]
    c.JupyterHub.db_url = f"sqlite:///{folder / 'hub.sqlite'}"
    c.JupyterHub.cookie_secret = secret(settings.home, "cookie_secret")
    c.CryptKeeper.keys = [secret(settings.home, "crypt_key")]
    c.JupyterHub.template_paths = [str(Path(__file__).with_name("templates"))]
    c.JupyterHub.logo_file = str(Path(__file__).with_name("templates") / "logo.svg")
    c.JupyterHub.template_vars = {"logo_url": "/"}
    c.JupyterHub.shutdown_on_logout = False
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.last_activity_interval = 60
    c.JupyterHub.concurrent_spawn_limit = 10
    c.JupyterHub.tornado_settings = {
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
    }


def _proxy(c: Any, settings: Settings, local: dict[str, str]) -> None:
    c.ConfigurableHTTPProxy.command = proxy_command()
    c.ConfigurableHTTPProxy.api_url = local["proxy"]
    c.ConfigurableHTTPProxy.auth_token = secret(settings.home, "proxy_token").hex()
    c.ConfigurableHTTPProxy.pid_file = str(hub_folder(settings.home) / "proxy.pid")
    c.ConfigurableHTTPProxy.check_running_interval = 2
    c.ConfigurableHTTPProxy.log_level = "warn"
    c.JupyterHub.hub_routespec = "/hub/"
    # A server that is not running is the hub's to answer for; everything else is public.
    # What changes the queue goes to a service of its own; the public one cannot write.
    c.Proxy.extra_routes = {
        "/": local["api"],
        "/api/v1/runs/": local["runs"],
        "/apps/": local["apps"],
        "/user/": local["hub"],
    }
    log_folder(settings.home)
