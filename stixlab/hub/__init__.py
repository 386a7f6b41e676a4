"""JupyterHub and the public apps: accounts, servers of the team, services, routes."""

from typing import Any

__all__ = ["ensure_operator", "install"]

_HOMES = {"ensure_operator": "stixlab.hub.accounts", "install": "stixlab.hub.installation"}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: the command line needs the accounts, not the hub."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
