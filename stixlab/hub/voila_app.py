"""The public apps: notebooks shown by Voila under /apps/NAME.

Voila's own server hands out kernels, a file browser and a page of five megabytes, and every tab
keeps a kernel. Here Voila starts and runs the notebooks; the pages are plain HTML that live on
without a kernel, which goes on to the next visitor. No address executes anything, and there is
no socket to a kernel.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.utils import run_sync
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila

from stixlab.errors import ServiceError, SettingsError
from stixlab.hub.addresses import SERVICE_URL
from stixlab.hub.app_pages import AppHandler, HealthHandler, IndexHandler, RequestHandler
from stixlab.hub.places import runtime_folder
from stixlab.hub.viewers import Viewers
from stixlab.settings import Settings, project_folder, read_settings

__all__ = ["PublicApps", "main"]

log = logging.getLogger(__name__)

BASE = "/apps/"
REQUEST_VARIABLE = "STIXLAB_APP_REQUESTS"
"""Where kernels ask for their request; `stixlab.dashboards.request` reads it."""
_FORBIDDEN = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "JUPYTERHUB_CRYPT_KEY", "CONFIGPROXY_AUTH_TOKEN")


class PublicApps(Voila):  # type: ignore[misc]  # voila has no types
    """Voila without its own routes: apps by name, no kernel within reach of a visitor."""

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """Read no configuration file: what is in force is set below, all of it."""

    def setup_template_dirs(self) -> None:
        """Templates of Voila with ours before them."""
        super().setup_template_dirs()
        ours = str(Path(__file__).with_name("templates") / "apps")
        self.template_paths = [ours, *self.template_paths]  # type: ignore[has-type]

    def init_settings(self) -> dict[str, Any]:
        """Settings of the web application, with the desk that admits viewers."""
        settings: dict[str, Any] = super().init_settings()
        settings["viewers"] = viewers = Viewers(self.kernel_manager, Path(self.root_dir))
        # Notebooks of an installation are its own; that nobody signed them is no news.
        self.log.addFilter(lambda record: "is not trusted" not in record.getMessage())
        IOLoop.current().add_callback(viewers.warm_up)
        return settings

    def init_handlers(self) -> list[Any]:
        """Routes: pages, health, and the one kernels ask for their request."""
        viewers: Viewers = self.app.settings["viewers"]
        return [
            (BASE[:-1] + "/?", IndexHandler),
            (BASE + "health", HealthHandler, {"viewers": viewers}),
            (BASE + r"request/([0-9a-f-]{36})", RequestHandler, {"viewers": viewers}),
            (BASE + r"([a-z][a-z0-9_]{0,40})/?", AppHandler, {"viewers": viewers}),
        ]

    def stop(self) -> None:
        """End the kernels at once: those that wait for a visitor have nothing to save."""
        shutil.rmtree(self.connection_dir, ignore_errors=True)
        run_sync(self.kernel_manager.shutdown_all)(now=True)

    def check(self) -> None:
        """Stop unless what protects the visitors and the data is really in force.

        Raises
        ------
        ServiceError
            Naming what is not as it must be.
        """
        conf = self.voila_configuration
        wrong = [
            name
            for name, good in (
                ("strip_sources", conf.strip_sources),
                ("show_tracebacks", not conf.show_tracebacks),
                ("preheat_kernel", conf.preheat_kernel),
                ("template override", conf.allow_template_override == "NO"),
                ("ipc transport", self.config.KernelManager.transport == "ipc"),
                ("base_url", self.base_url == BASE),
                ("address", self.ip == "127.0.0.1"),
                ("environment", not [n for n in _FORBIDDEN if n in os.environ]),
                ("access", os.environ.get("STIXLAB_ACCESS") == "public"),
            )
            if not good
        ]
        if wrong:
            raise ServiceError(
                f"public apps: expected to be closed to strangers; not in force: {', '.join(wrong)}"
            )


def app_config(settings: Settings, *, port: int) -> Config:
    """What is in force, all of it."""
    runtime = runtime_folder(settings.home) / "v"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return Config(
        {
            "Voila": {
                "ip": "127.0.0.1",
                "port": port,
                "port_retries": 0,
                "base_url": BASE,
                "open_browser": False,
                "root_dir": str(project_folder("notebooks")),
                "connection_dir_root": str(runtime),
                "log_level": logging.WARNING,
            },
            "VoilaConfiguration": {
                "template": "base",
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "strip_sources": True,
                "show_tracebacks": False,
                "preheat_kernel": True,
                "default_pool_size": 0,
                "file_allowlist": [],
            },
            "LargeFileManager": {"root_dir": str(project_folder("notebooks"))},
            "KernelManager": {"transport": "ipc"},
            "MappingKernelManager": {"cull_idle_timeout": 0},
        }
    )


def main() -> None:
    """Serve the apps where the hub says, until told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    address = urlsplit(os.environ.get(SERVICE_URL, ""))
    if not address.port:
        raise SettingsError(f"{SERVICE_URL}: expected http://127.0.0.1:PORT, as the hub gives it")
    settings = read_settings(access="public")
    os.environ["STIXLAB_ACCESS"] = "public"
    os.environ[REQUEST_VARIABLE] = f"http://127.0.0.1:{address.port}{BASE}request"
    app = PublicApps(config=app_config(settings, port=address.port))
    app.initialize([])
    app.check()
    app.start()
