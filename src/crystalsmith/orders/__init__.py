"""Orders: what a user asks for, read, checked, and filled in crystal by crystal."""

from crystalsmith.orders.files import read_orders
from crystalsmith.orders.limits import OrderWarning, check_orders, sort_out
from crystalsmith.orders.order import Order, parse_order, parse_orders

__all__ = ["Order", "OrderWarning", "check_orders", "parse_order", "parse_orders", "read_orders", "sort_out"]
