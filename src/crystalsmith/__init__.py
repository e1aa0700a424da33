"""crystalsmith: new crystals from a space group and its sites, by symmetry-constrained diffusion.

import crystalsmith

model = crystalsmith.load_model()
for crystal in crystalsmith.generate(model, [{"space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 10}],
seed=0):
    print(crystal.to_cif())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.diffusion import load_model
    from crystalsmith.generation import generate
    from crystalsmith.orders import Order

__version__ = "0.1.0"

__all__ = ["Crystal", "Order", "__version__", "generate", "load_model"]

# Loaded on first use: torch takes seconds to import, and the command line has to answer --help at once.
_HOMES = {
    "Crystal": "crystalsmith.crystal",
    "Order": "crystalsmith.orders",
    "generate": "crystalsmith.generation",
    "load_model": "crystalsmith.diffusion",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
