"""Known crystals generated again."""

from importlib import import_module
from typing import Any

_HOMES = {
    "Finding": "findings",
    "RediscoverySettings": "settings",
    "Target": "targets",
    "read_targets": "targets",
    "Rediscovered": "run",
    "rediscover_into": "run",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
