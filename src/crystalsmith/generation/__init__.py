"""Generation: from orders to crystals, and the folder they go to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
