"""Errors as answers: what was expected, what was found, what to do; as JSON, or as a page for people."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from stixlab.api.templates import render
from stixlab.errors import (
    AccessError,
    ArchiveError,
    CatalogError,
    ConflictError,
    NotInCatalogError,
    ParameterError,
    PipelineError,
    SchemaError,
    ServiceError,
    StixlabError,
    TimeError,
)
from stixlab.model import Product

__all__ = ["install_errors"]

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[StixlabError], int], ...] = (
    (NotInCatalogError, 404),
    (TimeError, 400),
    (ParameterError, 400),
    (SchemaError, 400),
    (PipelineError, 400),
    (AccessError, 403),
    (ConflictError, 409),
    (CatalogError, 503),
    (ArchiveError, 503),
    (ServiceError, 503),
)
_AWAY = "The service is up; what it needs is not. Try again in a minute."
_TITLES = {400: "This cannot be answered", 404: "Nothing here", 503: "Away for a moment"}


def install_errors(app: FastAPI) -> None:
    """Let every error of an application leave as an answer that helps."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, StixlabError)
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        if status >= 500:
            log.error("request failed", extra={"path": request.url.path, "error": error.message})
        # Messages of the database and the disk name addresses and paths: those are for the log.
        message = _AWAY if status == 503 else error.message
        nearest = error.details.get("nearest")
        details: dict[str, Any] = {"nearest": nearest.product_id} if isinstance(nearest, Product) else {}
        if isinstance(error, ParameterError) and (problems := error.details.get("problems")):
            details["problems"] = list(problems)  # type: ignore[call-overload]
        return _answer(request, status, type(error).__name__, message, **details)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        parts = [
            f"{each['loc'][-1]}: {each['msg']}; found {str(each.get('input'))[:60]!r}"
            for each in error.errors()
        ]
        return _answer(request, 400, "ParameterError", "; ".join(parts))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = error.detail
        if error.status_code == 404:
            message = f"{request.url.path[:120]}: there is nothing under this address"
        answer = _answer(request, error.status_code, "HTTPError", message)
        answer.headers.update(error.headers or {})
        return answer

    async def unknown(request: Request, error: Exception) -> Response:
        log.error("request failed", exc_info=error, extra={"path": request.url.path})
        return _answer(
            request, 500, "Error", "This is an error of the service, not of the request; it was logged."
        )

    app.add_exception_handler(StixlabError, known)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)


def _answer(request: Request, status: int, kind: str, message: str, **details: Any) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "30"} if status == 503 else {})
    if "text/html" in request.headers.get("accept", ""):
        page = render("error.html.j2", title=_TITLES.get(status, "Something went wrong"), message=message)
        return HTMLResponse(page, status, headers)
    return JSONResponse({"error": {"kind": kind, "message": message, **details}}, status, headers)
