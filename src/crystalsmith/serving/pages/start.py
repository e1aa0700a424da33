"""The first page: what is there, until a page of its own takes ``/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


def register(service: Service) -> None:
    """Add the page."""

    @ui.page("/")
    async def start() -> None:
        ui.label("crystalsmith").props("role=heading aria-level=1")
        for found in await run.io_bound(service.runs) or []:
            ui.label(f"{found.name}: {found.kind}, {found.status}")
