"""Inputs for density-functional theory, and finished calculations read back.

``write_inputs`` and ``collect`` take crystals by name; nothing here knows of a run of ``discover``.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "CODES": "settings",
    "DftSettings": "settings",
    "Subject": "jobs",
    "Inputs": "inputs",
    "write_inputs": "inputs",
    "Collected": "finished",
    "collect": "finished",
    "Reference": "reference",
    "read_entries": "reference",
    "Missing": "competing",
    "missing_references": "competing",
    "structures_of": "competing",
    "Result": "results",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
