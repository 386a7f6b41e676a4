"""Settings of an installation, read from the environment by entry points only."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stixlab.errors import SettingsError

__all__ = ["Settings", "project_folder", "read_settings"]


class Settings(BaseSettings):
    """Everything that can be set; all fields have working defaults.

    Built once by an entry point (`read_settings`) and handed on; no other module reads the environment.
    """

    model_config = SettingsConfigDict(env_prefix="STIXLAB_", frozen=True, extra="ignore")

    home: Path = Field(
        default=Path("~/.local/share/stixlab"),
        description="Where archive, database and work files live.",
    )
    mongo_uri: SecretStr = Field(
        default=SecretStr(""),
        description="URI of a MongoDB server (6 or newer); empty: the embedded server, its data under home.",
    )
    mongo_read_uri: SecretStr = Field(
        default=SecretStr(""),
        description="With mongo_uri: the same database for a user who may only read; public pages and the team use it.",
    )
    idb: Path | None = Field(
        default=None, description="Folder of mission IDB files (SQLite); empty: the definitions shipped."
    )
    watch: str = Field(
        default="",
        description="Folders where telemetry files arrive, separated by colons; empty: incoming below home; none: no folder.",
    )
    spice: Path | None = Field(
        default=None,
        description="A meta-kernel or a folder of kernels; empty: the clock and orbit tables shipped.",
    )
    dask: str = Field(default="", description="Address of a dask scheduler; empty: threads on this machine.")
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Runs of pipelines that `up` executes at once, each in a process of its own.",
    )
    warm_s: float = Field(
        default=300.0,
        ge=1,
        description="Seconds without a run after which a worker lets its warm kernels go; the next run waits for new ones.",
    )
    base_url: str = Field(default="", description="Public address; empty: http://127.0.0.1 and the port.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port of the public address.")
    bind: str = Field(default="127.0.0.1", description="Address to listen on.")
    access: str = Field(
        default="operator",
        pattern="^(public|team|operator)$",
        description="What this process may do: public and team read, operator writes (the owner of an installation is its operator).",
    )

    @field_validator("home", "idb", "spice", mode="after")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("idb", "spice", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @cached_property
    def watched_folders(self) -> tuple[Path, ...]:
        """Folders where telemetry files arrive."""
        if self.watch.strip().lower() == "none":
            return ()
        named = [Path(part.strip()) for part in self.watch.split(os.pathsep) if part.strip()]
        return tuple(p.expanduser().absolute() for p in named) or (self.home / "incoming",)

    @cached_property
    def public_url(self) -> str:
        """Address under which everything is reached, without a slash at its end."""
        return (self.base_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @cached_property
    def local_url(self) -> str:
        """Address under which processes of this machine reach everything, whatever stands before it in public."""
        host = "127.0.0.1" if self.bind in ("", "0.0.0.0", "::", "localhost") else self.bind  # noqa: S104  (compared)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_settings(**overrides: Any) -> Settings:
    """Settings of the environment, with some replaced.

    Raises
    ------
    SettingsError
        Naming each variable that cannot be used, what it holds and what it should.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"STIXLAB_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}; found {e['input']!r}"
            for e in error.errors()
        ]
        raise SettingsError("settings: " + "; ".join(lines)) from None


def project_folder(name: str) -> Path:
    """Folder of notebooks, pipelines or hub_config: beside the package in a checkout, within it when installed.

    Raises
    ------
    SettingsError
        If neither is there, which means a damaged installation.
    """
    package = Path(__file__).parent
    for folder in (package.parent / name, package / "share" / name):
        if folder.is_dir():
            return folder
    raise SettingsError(
        f"folder {name}: expected beside or within {package}; found neither; install stixlab again"
    )
