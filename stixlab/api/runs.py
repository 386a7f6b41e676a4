"""Runs of pipelines over HTTP: a summary for everyone, everything else for the team.

Two applications share this module. The public one (`router`) reads. The one of the team (`create_runs_app`) is
a process of its own behind ``/api/v1/runs``: it alone may write, to the queue and to nothing else, and only for who
shows the hub's token of a member's server.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stixlab import __version__
from stixlab.api.answers import install_errors
from stixlab.api.interval import as_datetimes
from stixlab.api.members import Limit, MaybeMember, Member, TheMember, Whois, too_often
from stixlab.api.middleware import Compressed, SecurityHeaders
from stixlab.api.source import Source, TheSource
from stixlab.client.overview import RECENT, Overview, look_over
from stixlab.client.runs import RunDesk
from stixlab.errors import NotInCatalogError
from stixlab.model import Run, RunStatus
from stixlab.pipeline.discovery import find_pipelines
from stixlab.pipeline.html import NOTEBOOK_POLICY, notebook_html
from stixlab.settings import project_folder
from stixlab.timing.intervals import read_interval

if TYPE_CHECKING:
    from stixlab.client.lab import Lab
    from stixlab.settings import Settings

__all__ = ["create_runs_app", "overview", "router"]

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1", tags=["pipelines"])
_team = APIRouter(prefix="/api/v1/runs", tags=["pipelines"])

_KEPT_S = 5.0
_MOST = 1000
_LONGEST_BODY = 65_536
_PRIVATE = {"Cache-Control": "no-store"}
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,120}$")]
Desks = Callable[[Member], RunDesk]
"""Where a member asks for runs."""


class Asked(BaseModel):
    """A run that is asked for."""

    model_config = ConfigDict(extra="forbid")

    pipeline: str = Field(pattern=r"^[a-z][a-z0-9_]{0,60}$")
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict, max_length=100)


def overview(source: Source) -> Overview:
    """How the pipelines fare, not older than some seconds.

    Raises
    ------
    CatalogError
        If the database is away.
    """

    def make() -> Overview:
        found = find_pipelines(project_folder("pipelines"))
        return look_over(source.lab.catalog, found.good, wrong=found.wrong.keys())

    return source.kept("pipelines", make, for_s=_KEPT_S)


@router.get("/pipelines", summary="How the pipelines fare, and how old each product type is")
@router.get(
    "/runs", summary="The same; with the token of a member's server: the runs", include_in_schema=False
)
def summary(source: TheSource) -> dict[str, Any]:
    """Numbers only: runs by pipeline and status, the last success, the newest data and why there is nothing newer."""
    found = overview(source)
    return {
        "made": _time(found.made),
        "ended_within_days": RECENT.days,
        "oldest_waiting_s": round(found.oldest_waiting_s),
        "runs": {str(status): found.count(status) for status in RunStatus},
        "pipelines": [
            {
                "pipeline": each.name,
                "title": each.title,
                "schedule": each.schedule,
                "runs": {str(status): each.counts.get(status, 0) for status in RunStatus},
                "last_success": _time(each.last_success),
                "failing": each.failing,
                "state": each.state,
            }
            for each in found.pipelines
        ],
        "products": [
            asdict(each) | {"latest": _time(each.latest), "age_s": round(each.age_s)}
            for each in found.products
        ],
    }


def create_runs_app(
    lab: Lab | Callable[[], Lab], settings: Settings, *, whois: Whois, desks: Desks, most_a_minute: int = 60
) -> FastAPI:
    """The application of the team.

    Parameters
    ----------
    lab
        Where runs are read, or a function that connects to it.
    settings
        Of this installation.
    whois
        Tells the member that a token belongs to.
    desks
        Gives the desk at which a member asks for runs.
    most_a_minute
        Changes of the queue that one member may ask for in a minute.
    """
    app = FastAPI(title="stixlab runs", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.source = Source(lab, settings)
    app.state.whois, app.state.desks = whois, desks
    app.state.failures = Limit(20, 60.0)
    app.state.changes = Limit(most_a_minute, 60.0)
    app.add_middleware(Compressed)
    app.add_middleware(SecurityHeaders, shared=False)
    app.add_middleware(SmallBodies)
    install_errors(app)
    app.include_router(_team)
    return app


class SmallBodies:
    """Refuses what is too long before any of it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its length is told and small."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            told = dict(scope["headers"]).get(b"content-length", b"")
            if not told.isdigit() or int(told) > _LONGEST_BODY:
                message = f"request: expected a body of a stated length of at most {_LONGEST_BODY} bytes"
                answer = JSONResponse({"error": {"kind": "HTTPError", "message": message}}, 413, _PRIVATE)
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _desk(request: Request, member: TheMember) -> RunDesk:
    """The member's desk, if it was not used too often."""
    wait_s = request.app.state.changes.wait_s(member.name)
    if wait_s > 0:
        raise too_often(wait_s)
    desks: Desks = request.app.state.desks
    return desks(member)


TheDesk = Annotated[RunDesk, Depends(_desk)]


@_team.get("")
def runs(
    source: TheSource,
    member: MaybeMember,
    *,
    status: Annotated[RunStatus | None, Query()] = None,
    pipeline: Annotated[str | None, Query(max_length=60)] = None,
    start: Annotated[str | None, Query(description="UTC; asked for since")] = None,
    end: Annotated[str, Query(description="UTC; empty: one day after the start")] = "",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> Response:
    """The runs, newest first, for members of the team; for everyone else the summary."""
    if member is None:
        return JSONResponse(summary(source), headers={"Cache-Control": "max-age=5"})
    first, last = as_datetimes(read_interval(start, end)) if start else (None, None)
    found = source.lab.catalog.runs.find(status=status, pipeline=pipeline, start=first, end=last, limit=limit)
    return _json({"runs": [asdict(run) for run in found]})


@_team.get("/{run_id}")
def one(source: TheSource, member: TheMember, run_id: RunId) -> Response:  # noqa: ARG001
    """A run, all that is known of it."""
    return _json(asdict(_get(source, run_id)))


@_team.get("/{run_id}/notebook")
def notebook(source: TheSource, member: TheMember, run_id: RunId) -> Response:  # noqa: ARG001
    """The executed notebook of a run as a page without scripts."""
    run = _get(source, run_id)
    if not run.notebook:
        raise NotInCatalogError(f"run {run_id}: has no executed notebook; it is {run.status}")
    page = notebook_html(source.lab.archive.path(run.notebook), run)
    return HTMLResponse(page, headers=_PRIVATE | {"Content-Security-Policy": NOTEBOOK_POLICY})


@_team.post("", status_code=202)
def ask(desk: TheDesk, asked: Annotated[Asked, Body()]) -> Response:
    """Ask for a run. It is in the queue then; 200 and the run where it has succeeded before."""
    run = desk.submit(asked.pipeline, asked.parameters)
    log.info("run asked for", extra={"run_id": run.run_id, "asked_by": desk.user})
    return _json(asdict(run), 200 if run.status is RunStatus.SUCCEEDED else 202)


@_team.post("/{run_id}/cancel")
def cancel(desk: TheDesk, run_id: RunId) -> Response:
    """Ask a run to stop: who asked for it, and operators."""
    return _json(asdict(desk.cancel(run_id)))


@_team.post("/{run_id}/retry")
def retry(desk: TheDesk, run_id: RunId) -> Response:
    """Have a run that failed tried again: who asked for it, and operators."""
    return _json(asdict(desk.retry(run_id)))


def _get(source: Source, run_id: str) -> Run:
    run: Run | None = source.lab.catalog.runs.get(run_id)
    if run is None:
        raise NotInCatalogError(f"run {run_id}: there is none")
    return run


def _json(value: Any, status: int = 200) -> Response:
    text = json.dumps(value, default=_plain, allow_nan=False)
    return Response(text, status, _PRIVATE, "application/json")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
