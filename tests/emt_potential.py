"""Potentials for tests, by ``emt_potential:make`` and the like: ASE's EMT, fast and without weights."""

from __future__ import annotations

from typing import Any

from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT


def make() -> EMT:
    """Effective medium theory for Al, Cu, Ag, Au, Ni, Pd and Pt."""
    return EMT()


class _Fragile(EMT):
    """Fails on crystals of more than four atoms."""

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        if atoms is not None and len(atoms) > 4:
            raise RuntimeError("too large for me")
        super().calculate(atoms, properties, system_changes)


def fragile() -> Calculator:
    """EMT that throws for larger cells."""
    return _Fragile()
