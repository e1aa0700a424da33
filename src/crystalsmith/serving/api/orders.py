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
    def about(order: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """What an order means: assignments, atoms, known phases; or why it cannot be."""
        return service.help(order)

    return routes
