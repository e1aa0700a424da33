"""What is drawn of crystals: scenes, pictures, powder patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

_PICTURE = {
    # A picture has a style of its own and nothing that runs.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "cache-control": "private, max-age=3600",
}


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["crystals"])

    @routes.get("/runs/{run_id}/crystals/{n}/scene")
    def scene(run_id: str, n: int) -> dict[str, Any]:
        """The conventional cell for a viewer: atoms, bonds, polyhedra, colours, radii."""
        return service.scene(run_id, n)

    @routes.get("/runs/{run_id}/crystals/{n}/pattern")
    def pattern(run_id: str, n: int, radiation: str = "CuKa") -> dict[str, Any]:
        """A simulated powder pattern: curve, and lines with their indices."""
        return service.pattern(run_id, n, radiation)

    @routes.get("/runs/{run_id}/crystals/{n}/film")
    def film(run_id: str, n: int) -> dict[str, Any]:
        """How the network makes it out of noise: scenes for a viewer, one after the other."""
        return service.film(run_id, n)

    @routes.get("/runs/{run_id}/crystals/{n}/picture.svg", response_class=Response)
    def picture(run_id: str, n: int) -> Response:
        """A small drawing of the conventional cell."""
        return Response(service.picture(run_id, n), media_type="image/svg+xml", headers=_PICTURE)

    return routes
