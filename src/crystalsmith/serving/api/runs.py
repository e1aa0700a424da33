"""Runs and their crystals: of jobs, and of the command line in the same folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from crystalsmith.serving.security import DATA_POLICY, REPORT_POLICY

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["runs"])

    @routes.get("/runs")
    def all_runs() -> list[dict[str, Any]]:
        """All run folders, the latest change first."""
        return [run.to_dict() for run in service.runs()]

    @routes.get("/runs/{run_id}")
    def run(run_id: str) -> dict[str, Any]:
        """How a run stands."""
        return service.run(run_id).to_dict()

    @routes.get("/runs/{run_id}/crystals")
    def crystals(run_id: str) -> list[dict[str, Any]]:
        """A row for each crystal, the best first."""
        return service.crystals(run_id)

    @routes.get("/runs/{run_id}/crystals/{n}")
    def crystal(run_id: str, n: int) -> dict[str, Any]:
        """One crystal: its row, cell, sites, distances."""
        return service.crystal(run_id, n)

    @routes.get("/runs/{run_id}/files/{name:path}")
    def file(run_id: str, name: str) -> FileResponse:
        """A file of the run, such as report.html."""
        path, kind = service.file(run_id, name)
        policy = REPORT_POLICY if kind == "text/html" else DATA_POLICY
        headers = {"content-security-policy": policy, "cache-control": "no-cache"}
        return FileResponse(path, media_type=kind, headers=headers)

    @routes.get("/runs/{run_id}/download")
    def download(
        run_id: str, format: str = "zip", crystal: Annotated[list[int] | None, Query()] = None
    ) -> Response:
        """Crystals as one file: cif, poscar, extxyz or zip; all, or those of the numbers ``crystal``."""
        name, kind, content = service.download(run_id, format, crystal)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=kind, headers=headers)

    return routes
