"""Solving: from a powder pattern and what is known of the sample to its structure, or to a no."""

from crystalsmith.runs.lazy import lazily

_HOMES = {
    "settings": ("SolveSettings",),
    "run": ("Solution", "solve_into"),
    "verdict": ("Verdict",),
}

__all__ = [name for names in _HOMES.values() for name in names]

# Loaded on first use: settings are wanted where nothing else is, for --help.
__getattr__ = lazily(__name__, _HOMES)
