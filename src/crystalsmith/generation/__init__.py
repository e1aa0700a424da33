"""Generation: from orders to crystals, and the folder they go to."""

from crystalsmith.generation.generator import generate, generate_batches, generate_records
from crystalsmith.generation.run import GenerationResult, generate_into, read_entries
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.generation.tries import BatchStep, Generated, crystal_seed

__all__ = [
    "BatchStep",
    "GenerateSettings",
    "Generated",
    "GenerationResult",
    "crystal_seed",
    "generate",
    "generate_batches",
    "generate_into",
    "generate_records",
    "read_entries",
]
