"""Inputs for density-functional theory, and finished calculations read back.

``write_inputs`` and ``collect`` take crystals by name; nothing here knows of a run of ``discover``.
"""

from crystalsmith.runs.lazy import lazily

_HOMES = {
    "settings": ("CODES", "DftSettings"),
    "jobs": ("Subject",),
    "inputs": ("Inputs", "write_inputs"),
    "finished": ("Collected", "collect"),
    "reference": ("Reference", "read_entries"),
    "competing": ("Missing", "missing_references", "structures_of"),
    "results": ("Result",),
}

__all__ = [name for names in _HOMES.values() for name in names]

__getattr__ = lazily(__name__, _HOMES)
