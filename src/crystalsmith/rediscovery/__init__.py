"""Known crystals generated again."""

from crystalsmith.runs.lazy import lazily

_HOMES = {
    "findings": ("Finding",),
    "settings": ("RediscoverySettings",),
    "targets": ("Target", "read_targets"),
    "run": ("Rediscovered", "rediscover_into"),
}

__all__ = [name for names in _HOMES.values() for name in names]

__getattr__ = lazily(__name__, _HOMES)
