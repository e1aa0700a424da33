"""Metals of which ASE's EMT has parameters, the hull of some, and a small search of copper and gold."""

from __future__ import annotations

from collections.abc import Iterable

from crystalsmith.crystal import Crystal, Site
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.hull import Phase, References

EMT = "emt_potential:make"

LENGTHS = {"Cu": 3.61, "Au": 4.08, "Pd": 3.89}
"""Of cubic cells, in A, as measured."""

SEARCH = DiscoverySettings(
    system=("Cu", "Au"),
    crystals=6,
    competitors=0,
    max_atoms=4,
    potential=EMT,
    keep_energies=3,
    keep_relaxed=2,
    shortlist=2,
    phonons=0,
    max_above_hull=2.0,
    max_calls=(5, 10),
)
"""Of a second or two."""


def fcc(symbol: str, a: float = 3.7) -> Crystal:
    """A metal with the structure of copper, whose cubic cell is so long (A)."""
    return Crystal(225, (a, a, a, 90, 90, 90), (Site(symbol, "a"),))


def emt_energy(crystal: Crystal) -> float:
    """In eV per atom."""
    from ase.calculators.emt import EMT as Calculator

    atoms = crystal.to_atoms()
    atoms.calc = Calculator()
    return float(atoms.get_potential_energy()) / len(atoms)


def emt_references(symbols: Iterable[str] = LENGTHS) -> References:
    """The hull of these metals."""
    phases = [Phase(f"{s}-fcc", {s: 1}, emt_energy(fcc(s, LENGTHS[s])), 225, 1) for s in symbols]
    return References.of(phases, {"potential": EMT})
