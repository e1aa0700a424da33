"""Generation: orders, the letters they leave open, crystals made to order, and the folder they go to."""

from crystalsmith.generation.generator import generate, generate_batches, generate_records
from crystalsmith.generation.manifest import run_identity
from crystalsmith.generation.output import RunFolder, read_entries
from crystalsmith.generation.tries import BatchStep, Generated, crystal_seed

__all__ = [
    "BatchStep",
    "Generated",
    "RunFolder",
    "crystal_seed",
    "generate",
    "generate_batches",
    "generate_records",
    "read_entries",
    "run_identity",
]
