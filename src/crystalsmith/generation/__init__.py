"""Generation: orders, the letters they leave open, crystals made to order, and the folder they go to."""

from crystalsmith.generation.generator import generate, generate_batches, generate_records
from crystalsmith.generation.limits import OrderWarning, check_orders, sort_out
from crystalsmith.generation.manifest import run_identity
from crystalsmith.generation.order_files import read_orders
from crystalsmith.generation.orders import Order, parse_order, parse_orders
from crystalsmith.generation.output import RunFolder, read_entries
from crystalsmith.generation.tries import BatchStep, Generated, crystal_seed
from crystalsmith.generation.wyckoff_prior import SITE_BINS, WyckoffPrior

__all__ = [
    "SITE_BINS",
    "BatchStep",
    "Generated",
    "Order",
    "OrderWarning",
    "RunFolder",
    "WyckoffPrior",
    "check_orders",
    "crystal_seed",
    "generate",
    "generate_batches",
    "generate_records",
    "parse_order",
    "parse_orders",
    "read_entries",
    "read_orders",
    "run_identity",
    "sort_out",
]
