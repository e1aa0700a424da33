"""Convex hulls of reference phases, and how far above them a crystal lies (pymatgen's PhaseDiagram)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from crystalsmith.crystal import reduced_formula
from crystalsmith.errors import HullError
from crystalsmith.hull.phases import Phase, References
from crystalsmith.runs.warned import logged_warnings

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

KJ_PER_MOL = 96.48533212331
"""kJ/mol in one eV (CODATA 2018)."""

MOST_ELEMENTS = 7
"""Hulls in more dimensions take too long."""


@dataclass(frozen=True)
class Place:
    """Where a crystal lies relative to the reference phases.

    Attributes:
        above_hull: eV per atom above the hull of the references; negative below it, that is stable.
        formation: formation energy from the elements, eV per atom.
        decomposition: fraction of the atoms that goes into each reference phase, by the phase's name.
    """

    above_hull: float
    formation: float
    decomposition: Mapping[str, float]


class Hull:
    """Hulls of any chemical system of a potential, made when they are asked for.

    Args:
        references: phases to start from, or None.
        more: phases of the user's, of the same potential.
    """

    def __init__(self, references: References | None, more: Iterable[Phase] = ()) -> None:
        self.references = references
        self.more = tuple(more)
        self._diagram = lru_cache(maxsize=256)(self._make)

    def phases(self, elements: Iterable[str]) -> list[Phase]:
        """All phases of these elements and of some of them only."""
        own = frozenset(elements)
        return [
            *(self.references.of_system(own) if self.references is not None else []),
            *(p for p in self.more if p.elements <= own),
        ]

    def missing(self, elements: Iterable[str]) -> list[str]:
        """Elements without a phase of their own, sorted; a system of them has no hull."""
        own = frozenset(elements)
        there = {next(iter(p.elements)) for p in self.phases(own) if len(p.elements) == 1}
        return sorted(own - there)

    def notes(self, elements: Iterable[str]) -> list[str]:
        """What is missing in a system without which its hull may lie too high: subsystems without a phase."""
        from itertools import combinations

        own = sorted(set(elements))
        there = {p.elements for p in self.phases(own)}
        result = []
        for n in range(2, len(own) + 1):
            empty = [c for c in combinations(own, n) if frozenset(c) not in there]
            if empty:
                names = ", ".join("-".join(c) for c in empty)
                result.append(f"no reference phase with all elements of {names}")
        return result

    def diagram(self, elements: Iterable[str]) -> PhaseDiagram:
        """pymatgen's phase diagram of the references; its entries' names are the phases'.

        Raises:
            HullError: an element without a phase, or too many elements.
        """
        return self._diagram(frozenset(elements))

    def _make(self, elements: frozenset[str]) -> PhaseDiagram:
        from pymatgen.analysis.phase_diagram import PhaseDiagram

        missing = self.missing(elements)
        if missing:
            raise HullError(f"no reference phase of {', '.join(missing)} alone; add one with --entries")
        if len(elements) > MOST_ELEMENTS:
            raise HullError(f"a hull of {len(elements)} elements; at most {MOST_ELEMENTS} can be made")
        with logged_warnings():
            return PhaseDiagram(lowest_entries(self.phases(elements)))

    def place(self, counts: Mapping[str, int], energy: float) -> Place:
        """Where a crystal lies.

        Args:
            counts: atoms of each element.
            energy: eV per atom, of the references' potential.

        Raises:
            HullError: as ``diagram``.
        """
        from pymatgen.analysis.phase_diagram import PDEntry
        from pymatgen.core import Composition

        diagram = self.diagram(counts)
        composition = Composition(dict(counts))
        entry = PDEntry(composition, energy * composition.num_atoms)
        parts = diagram.get_decomposition(composition)
        floor = sum(e.energy_per_atom * amount for e, amount in parts.items())
        return Place(
            float(energy - floor),
            float(diagram.get_form_energy_per_atom(entry)),
            {
                str(getattr(e, "name", "")): float(amount)
                for e, amount in sorted(parts.items(), key=lambda i: -i[1])
            },
        )


def lowest_entries(phases: Sequence[Phase]) -> list[PDEntry]:
    """pymatgen's entries of the phase of lowest energy of each composition, which alone can be on a hull."""
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    best: dict[str, Phase] = {}
    for phase in phases:
        key = reduced_formula(phase.counts)
        if key not in best or (phase.energy, phase.id) < (best[key].energy, best[key].id):
            best[key] = phase
    return [
        PDEntry(Composition(dict(p.counts)), p.energy * p.n_atoms, name=p.name)
        for _, p in sorted(best.items())
    ]
