"""Orders: what a user asks for, read, checked, and filled in crystal by crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystalsmith.runs.lazy import lazily

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

__getattr__ = lazily(__name__, _HOMES)
