"""What a result was made with."""

from __future__ import annotations

import platform
from importlib import metadata

from crystalsmith import __version__

PACKAGES = ("torch", "numpy", "scipy", "ase", "pymatgen", "moyopy", "spglib")


def versions(*extra: str) -> dict[str, str]:
    """Versions of all that a crystal passes through, and of further packages; what is missing is left out."""
    found = {"crystalsmith": __version__, "python": platform.python_version()}
    for package in (*PACKAGES, *extra):
        try:
            found[package] = metadata.version(package) if package else ""
        except metadata.PackageNotFoundError:
            continue
    found.pop("", None)
    return found
