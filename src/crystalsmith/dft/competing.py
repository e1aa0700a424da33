"""Competing phases: which of them a hull of DFT needs, which are missing, and where structures come from.

A potential's reference energies come without structures, so what a candidate competes with is mostly known
by name only. What no source brings is said where the inputs are written, before anything is calculated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import Subject
from crystalsmith.errors import CrystalsmithError

if TYPE_CHECKING:
    from pymatgen.core import Composition

NEAR = 0.1
"""eV per atom above the hull of the Materials Project up to which a phase may lie on another hull."""


@dataclass(frozen=True)
class Missing:
    """A phase without a structure.

    Attributes:
        name: such as ``KSi (mp-2445)``, or the element.
        formula: reduced.
        wanted_by: names of the crystals that compete with it; none where it only lies on the hull beside
            them.
    """

    name: str
    formula: str
    wanted_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        few = ", ".join(self.wanted_by[:3]) + (" and others" if len(self.wanted_by) > 3 else "")
        return f"{self.name}, which {few} would fall into" if few else self.name


def missing_references(
    subjects: Sequence[Subject], references: Iterable[tuple[str, Crystal]], stable: Iterable[str] = ()
) -> list[Missing]:
    """Phases that a hull of DFT needs and of which no structure is there.

    Args:
        subjects: whose hull it is; each needs its elements and its competitors.
        references: the structures that there are.
        stable: names of the phases on the potential's hull, as ``Subject.competitors`` has them.

    Returns:
        Elements first, then those that most crystals compete with.
    """
    there = {crystal.formula for _, crystal in references}
    elements = sorted({element for s in subjects for element in s.crystal.counts})
    wanted: dict[str, dict[str, list[str]]] = {element: {element: []} for element in elements}
    claims: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in stable]
    claims += [(name, (s.name,)) for s in subjects for name in s.competitors]
    for name, by in claims:
        wanted.setdefault(_formula(name), {}).setdefault(name, []).extend(by)
    found = []
    for formula, names in wanted.items():
        if formula and formula not in there:
            name = max(names, key=lambda n: (len(names[n]), len(n)))
            everyone = dict.fromkeys(by for several in names.values() for by in several)
            found.append(Missing(name, formula, tuple(everyone)))
    return sorted(found, key=lambda m: (m.formula not in elements, -len(m.wanted_by), m.name))


def phases_of(names: Iterable[str]) -> dict[str, Composition]:
    """The compositions of phases by name, such as ``KSi (mp-2445)``; names without a formula are left out."""
    from pymatgen.core import Composition

    phases = {}
    for name in names:
        try:
            phases[name] = Composition(name.split()[0])
        except (ValueError, IndexError):
            continue
    return phases


def _formula(name: str) -> str:
    """Reduced, as ``Crystal.formula`` has it; empty where the name holds none."""
    from crystalsmith.crystal import reduced_formula

    for composition in phases_of([name]).values():
        whole, _ = composition.get_integer_formula_and_factor()
        return reduced_formula({e: round(n) for e, n in type(composition)(whole).as_dict().items()})
    return ""


def structures_of(missing: Sequence[Missing], sources: Iterable[Any]) -> list[tuple[str, Crystal]]:
    """Structures of missing phases from files; the one with the phase's id, else the lowest of its formula.

    Args:
        missing: phases.
        sources: as ``crystal.io.read_records`` takes them; those without structures, such as tables of
            energies, bring none.
    """
    from crystalsmith.crystal.io import read_records

    wanted = {m.formula: m for m in missing}
    best: dict[str, tuple[tuple[bool, float], Any]] = {}
    for source in sources:
        try:
            for record in read_records(source):
                formula = "" if record.lattice is None else _formula_of(record.numbers)
                if formula not in wanted:
                    continue
                heights = [h for h in (record.e_above_hull, record.energy) if math.isfinite(h)]
                key = (not _is_named(wanted[formula], record.id), min(heights, default=math.inf))
                if formula not in best or key < best[formula][0]:
                    best[formula] = key, record
        except CrystalsmithError:  # without structures
            continue
    found = []
    for formula, (_, record) in best.items():
        try:
            found.append((_label(wanted[formula], str(record.id)), record.symmetrized()))
        except CrystalsmithError:
            continue
    return found


def from_materials_project(missing: Sequence[Missing], elements: Sequence[str]) -> list[tuple[str, Crystal]]:
    """Structures of missing phases from the Materials Project.

    Raises:
        HullError: no key, no client, or no answer.
    """
    from crystalsmith.hull.materials_project import fetch_system

    if not missing:
        return []
    data = fetch_system(elements, NEAR)
    heights = data.arrays.get("e_above_hull", [math.inf] * len(data))
    wanted = {m.formula: m for m in missing}
    best: dict[str, tuple[tuple[bool, float], str, Crystal]] = {}
    for name, crystal, height in zip(data.ids, data, heights, strict=True):
        if phase := wanted.get(crystal.formula):
            key = (not _is_named(phase, name), float(height) if math.isfinite(height) else math.inf)
            if crystal.formula not in best or key < best[crystal.formula][0]:
                best[crystal.formula] = key, name, crystal
    return [(_label(wanted[formula], name), crystal) for formula, (_, name, crystal) in best.items()]


def _is_named(phase: Missing, name: str) -> bool:
    return bool(name) and phase.name.endswith(f"({name})")


def _label(phase: Missing, name: str) -> str:
    return phase.name if _is_named(phase, name) else f"{phase.formula} ({name})"


def _formula_of(numbers: Any) -> str:
    from collections import Counter

    from crystalsmith.crystal import SYMBOLS, reduced_formula

    symbols: Mapping[str, int] = Counter(SYMBOLS[z] for z in numbers.tolist())
    return reduced_formula(symbols)
