"""Runs of every kind as pages see them: facts, funnel and rows, and the crystal of a row as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.opening import file_name, opened_of, to_dict

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.serving.service import Service

ENDINGS = {"cif": ".cif", "poscar": ".vasp", "extxyz": ".extxyz"}
"""Of the files in which a crystal is given out."""


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["runs"])

    @routes.get("/runs/{run_id}/opened")
    def opened(run_id: str) -> Response:
        """A run of any kind: what it is, how it stands, its funnel, and its rows."""
        return JSONResponse(_finite(to_dict(opened_of(service, run_id))))

    @routes.get("/runs/{run_id}/rows/{k}")
    def crystal(run_id: str, k: int, format: str = "cif", before: bool = False) -> Response:
        """The crystal of a row (from 0) as cif, poscar or extxyz; ``before``: that before its relaxation."""
        found = opened_of(service, run_id)
        if not 0 <= k < len(found.rows) or format not in ENDINGS:
            raise NotFound("there is no such crystal")
        name = str(found.rows[k]["name"])
        crystal = found.other(name) if before else found.crystal(name)
        if crystal is None:
            raise NotFound("there is no such crystal")
        file = file_name(found, k, ENDINGS[format])
        headers = {"content-disposition": f'attachment; filename="{file}"'}
        return Response(text_of(crystal, format), media_type="text/plain; charset=utf-8", headers=headers)

    return routes


def text_of(crystal: Crystal, format: str) -> str:
    """A crystal as a file of one of ``ENDINGS``."""
    from crystalsmith.crystal.io.write import extxyz_frame, poscar

    if format == "cif":
        return crystal.to_cif()
    return poscar(crystal, crystal.formula) if format == "poscar" else extxyz_frame(crystal, {})


def _finite(value: Any) -> Any:
    """NaN and infinities are null."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not float("-inf") < value < float("inf"):
        return None
    return value
