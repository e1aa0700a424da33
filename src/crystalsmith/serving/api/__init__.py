"""The JSON API under ``/api/v1``: routes are thin, ``service`` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.api import crystals, jobs, orders, rows, runs, uploads
from crystalsmith.serving.errors import Refused

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

PREFIX = "/api/v1"


def register(app: FastAPI, service: Service) -> None:
    """Add all routes, and what errors become: ``{"error": one line}``."""
    for module in (jobs, orders, runs, crystals, rows, uploads):
        app.include_router(module.router(service), prefix=PREFIX)

    def refused(request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, Refused) else 422
        return JSONResponse({"error": service.without_paths(" ".join(str(error).split()))}, status)

    app.add_exception_handler(CrystalsmithError, refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _failed)

    @app.api_route(
        "/api/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    def nothing(rest: str) -> Response:
        return JSONResponse({"error": "there is nothing here; see /api/openapi.json"}, 404)


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])[:100]
    return JSONResponse({"error": f"{place}: {first['msg']}" if place else str(first["msg"])}, 422)
