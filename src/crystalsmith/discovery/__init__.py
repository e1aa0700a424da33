"""From a chemical system to a short list of stable new crystals."""

from importlib import import_module
from typing import Any

_HOMES = {
    "DiscoverySettings": "settings",
    "Outcome": "run",
    "discover_into": "run",
    "collect_run": "calculations",
    "write_run_inputs": "calculations",
    "read_shortlist": "shortlist",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
