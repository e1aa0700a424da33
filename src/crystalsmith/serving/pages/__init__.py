"""The pages: each module of ``PAGES`` has ``register(service)``, which adds its pages to NiceGUI."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

PAGES: tuple[str, ...] = ("layout", "viewer", "make", "look", "compare", "solve", "discover", "runs", "relax")
"""Modules of this package, in the order in which they are registered."""


def register(service: Service) -> None:
    """Add all pages."""
    for name in PAGES:
        import_module(f"{__name__}.{name}").register(service)
