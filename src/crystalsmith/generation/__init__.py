"""Generation: from orders to crystals, and the folder they go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystalsmith.runs.lazy import lazily

if TYPE_CHECKING:
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

# Loaded on first use: settings are wanted where nothing else is, for --help.
_HOMES = {
    "generator": ("generate", "generate_batches", "generate_records"),
    "run": ("GenerationResult", "generate_into", "read_entries"),
    "settings": ("GenerateSettings",),
    "tries": ("BatchStep", "Generated", "crystal_seed"),
}

__getattr__ = lazily(__name__, _HOMES)
