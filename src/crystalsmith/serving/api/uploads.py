"""Uploads: the body is the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["uploads"])

    @routes.post("/uploads", status_code=201)
    async def upload(request: Request, kind: str, name: str = "upload") -> dict[str, Any]:
        """Keep a ``pattern`` or a ``structure`` for a job; the body is the file itself."""
        data = await request.body()
        return await run_in_threadpool(service.upload, name, data, kind)

    return routes
