"""The HTTP service as one application: routers, errors, headers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from stixlab import __version__
from stixlab.api import archive, explain, flares, health, lightcurve, metrics, pages, products, runs, schema
from stixlab.api.answers import install_errors
from stixlab.api.heads import Heads
from stixlab.api.middleware import Compressed, SecurityHeaders
from stixlab.api.source import Source

if TYPE_CHECKING:
    from stixlab.client.lab import Lab
    from stixlab.settings import Settings

__all__ = ["create_app", "listen", "serve"]

log = logging.getLogger(__name__)


def create_app(lab: Lab | Callable[[], Lab], settings: Settings) -> FastAPI:
    """The application.

    Parameters
    ----------
    lab
        Where the data comes from, or a function that connects to it. The function is tried again
        with the next request where it failed, so that the service outlives an absent database.
    settings
        Of this installation.
    """
    app = FastAPI(
        title="stixlab",
        version=__version__,
        summary="X-ray data of STIX on Solar Orbiter",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.source = Source(lab, settings)
    app.add_middleware(Compressed)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Heads)
    install_errors(app)
    for module in (pages, health, metrics, lightcurve, flares, products, explain, runs, schema, archive):
        app.include_router(module.router)
    app.mount("/static/bokeh", StaticFiles(directory=_bokeh_scripts()), name="bokeh")
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), name="static")
    return app


def _bokeh_scripts() -> Path:
    import bokeh.util.paths

    return Path(bokeh.util.paths.static_path()) / "js"


def serve(lab: Lab | Callable[[], Lab], settings: Settings, *, host: str, port: int) -> None:
    """Answer requests until the process is told to stop.

    Parameters
    ----------
    lab, settings
        As `create_app` takes them.
    host, port
        Where to listen; the proxy of the hub stands before it.
    """
    listen(create_app(lab, settings), host=host, port=port)


def listen(app: FastAPI, *, host: str, port: int) -> None:
    """Answer requests with an application until the process is told to stop."""
    import uvicorn

    log.info("http service starts", extra={"host": host, "port": port})
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_graceful_shutdown=3,
    )
