"""crystalsmith: new crystals from a formula, or from a space group and its sites.

import crystalsmith

made = crystalsmith.generate("TiO2", n=3)
relaxed = crystalsmith.relax(made, potential="chgnet")
print(relaxed.to_dataframe())
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystalsmith.api import (
        discover,
        evaluate,
        generate,
        hull,
        phonons,
        read,
        relax,
        solve,
        train,
        trajectory,
    )
    from crystalsmith.crystal import Crystal
    from crystalsmith.crystal.crystals import Crystals
    from crystalsmith.diffusion import load_model
    from crystalsmith.orders import Order

__version__ = "0.1.0"

__all__ = [
    "Crystal",
    "Crystals",
    "Order",
    "__version__",
    "discover",
    "evaluate",
    "generate",
    "hull",
    "load_model",
    "phonons",
    "read",
    "relax",
    "solve",
    "train",
    "trajectory",
]

_FUNCTIONS = (
    *("discover", "evaluate", "generate", "hull", "phonons", "read", "relax", "solve", "train"),
    "trajectory",
)
# Loaded on first use: torch takes seconds to import, and the command line has to answer --help at once.
_HOMES = {
    "Crystal": "crystalsmith.crystal",
    "Crystals": "crystalsmith.crystal.crystals",
    "Order": "crystalsmith.orders",
    "load_model": "crystalsmith.diffusion",
    **dict.fromkeys(_FUNCTIONS, "crystalsmith.api"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    return globals().setdefault(name, value)  # a module of that name may have come in meanwhile


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _CallableModule(ModuleType):
    """``crystalsmith.hull`` is a package of the library and a function of the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = getattr(import_module("crystalsmith.api"), self.__name__.rpartition(".")[2])
        return function(*args, **kwargs)


class _Package(ModuleType):
    """Python binds a package within this one to its name here when it is first imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FUNCTIONS and isinstance(value, ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
