"""What processes that the hub starts may know of its environment: a list of names, not all of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stixlab.hub.places import runtime_folder
from stixlab.settings import Settings

__all__ = ["kept_environment", "settings_environment"]

_KEPT = (
    "CI", "CONDA_PREFIX", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "NUMBA_CACHE_DIR", "PATH",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONWARNINGS", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
)  # fmt: skip


def kept_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that is handed on: no tokens, whatever they are called."""
    return {name: environment[name] for name in _KEPT if name in environment}


def settings_environment(settings: Settings, *, access: str) -> dict[str, str]:
    """The settings as variables for a process with that access; what may change data only for whom it is meant.

    The address with which the database is written is for operators, that of the cluster not for the public.

    Parameters
    ----------
    settings
        Of this installation.
    access
        ``public``, ``team`` or ``operator``.
    """
    found = {
        "STIXLAB_HOME": str(settings.home),
        "STIXLAB_ACCESS": access,
        "STIXLAB_PORT": str(settings.port),
        "STIXLAB_BIND": settings.bind,
        "STIXLAB_BASE_URL": settings.public_url,
        "JUPYTER_RUNTIME_DIR": str(_jupyter_folder(settings.home)),
        "IPYTHONDIR": str(_jupyter_folder(settings.home) / "ipython"),
    }
    # Whoever reaches a scheduler has its workers execute anything: not what strangers talk to.
    for name in ("idb", "spice") if access == "public" else ("idb", "spice", "dask"):
        value = getattr(settings, name)
        if value:
            found[f"STIXLAB_{name.upper()}"] = str(value)
    if access == "operator":
        found["STIXLAB_WARM_S"] = str(settings.warm_s)
    name = "mongo_uri" if access == "operator" else "mongo_read_uri"
    for each in {name, "mongo_read_uri"}:
        uri = getattr(settings, each).get_secret_value()
        if uri:
            found[f"STIXLAB_{each.upper()}"] = uri
    return found


def _jupyter_folder(home: Path) -> Path:
    folder = runtime_folder(home) / "j"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
