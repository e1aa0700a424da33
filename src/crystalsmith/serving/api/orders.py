"""Orders: their schema, and what one means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["orders"])

    @routes.get("/schema")
    def schema() -> dict[str, Any]:
        """The JSON schema of orders, as files of the command line hold them."""
        from crystalsmith.orders.schema import orders_schema

        return orders_schema()

    @routes.post("/help")
    def about(order: Annotated[dict[str, Any], Body()], quick: bool = False) -> dict[str, Any]:
        """What an order means: atoms, known phases, assignments (not if quick); or why it cannot be."""
        found = service.help(order)
        return found if quick or not found["possible"] else found | service.arrangements(order)

    return routes
