"""Orders: what a user asks for, read, checked, and filled in crystal by crystal."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystalsmith.orders.files import read_orders
    from crystalsmith.orders.limits import OrderWarning, check_orders, sort_out
    from crystalsmith.orders.order import Order, parse_order, parse_orders

__all__ = ["Order", "OrderWarning", "check_orders", "parse_order", "parse_orders", "read_orders", "sort_out"]

_HOMES = {
    "files": ("read_orders",),
    "limits": ("OrderWarning", "check_orders", "sort_out"),
    "order": ("Order", "parse_order", "parse_orders"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
