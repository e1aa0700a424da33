"""Is a crystal known? Against the index of the training set, named phases, and structures of the user's.

The index that comes with the network holds space groups, compositions and Wyckoff positions, but no
coordinates: a crystal with the composition, space group and Wyckoff positions of a known one counts as known;
so does one with space group and atoms in the primitive cell of a named phase, of which no more is kept.
The user's structures are compared by structure.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.assignments import canonical, positions_of
from crystalsmith.crystal import NUMBERS, Crystal, reduced_formula
from crystalsmith.crystal.elements import SYMBOLS, formula_order
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.hull import Phase
    from crystalsmith.prior import Prototypes
    from crystalsmith.prior.known import Known

COMPOSITION, STRUCTURE, KNOWN = "new composition", "new structure", "known"


@dataclass(frozen=True)
class Novelty:
    """How a crystal stands to what is known.

    Attributes:
        verdict: ``new composition`` (no known crystal has its formula), ``new structure`` (others of its
            formula are known, in other structures), ``known`` (the same structure is).
        nearest: the nearest known phase in words, such as ``CuK2Si (P6_3/mmc), mp-1234``; empty if none.
        prototype: known structure type in words, where other elements make it; empty if none was found.
        checked: against what, such as ``the training set's index; user.cif``.
    """

    verdict: str
    nearest: str = ""
    prototype: str = ""
    checked: str = ""

    @property
    def is_new(self) -> bool:
        """Whether no known crystal is the same."""
        return self.verdict != KNOWN


class KnownPhases:
    """What is known, by formula.

    Args:
        prototypes: the training set's index; None where the network has none.
        phases: phases with ids, whose names are better than the index's.
        files: structures of the user's, anything that ``crystal.io`` reads.

    Raises:
        DataError: nothing in a file can be read.
    """

    def __init__(
        self,
        prototypes: Prototypes | None,
        phases: Iterable[Phase] = (),
        files: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self._prototypes = prototypes if prototypes is not None and len(prototypes) else None
        self._phases: dict[str, list[Phase]] = defaultdict(list)
        for phase in phases:
            self._phases[phase.formula].append(phase)
        self._structures: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for path in files:
            self._read(path)
        index = self._prototypes
        parts = [] if index is None else [f"the training set's {len(index):,} crystals"]
        self.checked = ", ".join([*parts, *(os.fspath(f) for f in files)])

    def _read(self, path: str | os.PathLike[str]) -> None:
        from pymatgen.core import Lattice, Structure

        from crystalsmith.crystal.io import readable_records

        for record in readable_records(path):
            symbols = [SYMBOLS[int(z)] for z in record.numbers]
            formula = reduced_formula({s: symbols.count(s) for s in symbols})
            structure = Structure(Lattice(np.asarray(record.lattice)), symbols, record.fractional)
            self._structures[formula].append((record.id, structure))

    def judge(self, crystal: Crystal) -> Novelty:
        """How a crystal stands to what is known."""
        same = self._same_file(crystal)
        if same:
            return Novelty(KNOWN, same, self._prototype(crystal), self.checked)
        of_formula = self._of_formula(crystal)
        twin = next((k for k in of_formula if _is_same(k, crystal)), None)
        if twin is not None:
            return Novelty(KNOWN, self._words(crystal, twin.space_group), "", self.checked)
        phase = next((p for p in self._phases.get(crystal.formula, ()) if _is_phase(p, crystal)), None)
        if phase is not None:
            return Novelty(KNOWN, _name(phase), "", self.checked)
        prototype = self._prototype(crystal)
        if of_formula:
            nearest = min(of_formula, key=lambda k: (k.space_group != crystal.space_group, k.space_group))
            return Novelty(STRUCTURE, self._words(crystal, nearest.space_group), prototype, self.checked)
        phases = self._phases.get(crystal.formula)
        if phases:
            return Novelty(STRUCTURE, _name(phases[0]), prototype, self.checked)
        others = self._structures.get(crystal.formula)
        if others:
            return Novelty(STRUCTURE, others[0][0], prototype, self.checked)
        return Novelty(COMPOSITION, "", prototype, self.checked)

    def _same_file(self, crystal: Crystal) -> str:
        """Id of the user's structure that it is, by StructureMatcher; empty if it is none."""
        others = self._structures.get(crystal.formula)
        if not others:
            return ""
        from pymatgen.analysis.structure_matcher import StructureMatcher

        matcher, own = StructureMatcher(), crystal.to_structure(primitive=True)
        return next((name for name, structure in others if matcher.fit(own, structure)), "")

    def _of_formula(self, crystal: Crystal) -> list[Known]:
        if self._prototypes is None:
            return []
        rows = self._prototypes.of_composition(*_numbers(crystal))
        return [self._prototypes.known[i] for i in rows]

    def _prototype(self, crystal: Crystal) -> str:
        """A known crystal with the same Wyckoff positions and other elements, the most similar one."""
        if self._prototypes is None:
            return ""
        elements, counts = _numbers(crystal)
        own = _assignment(crystal, elements)
        for _, i, match in sorted(self._prototypes.matches_by_atoms(elements, counts), key=lambda m: -m[0]):
            k = self._prototypes.known[i]
            if k.space_group != crystal.space_group:
                continue
            if canonical(k.space_group, tuple(k.assignment[m] for m in match)) == own:
                names = [SYMBOLS[z] for z in k.elements]
                formula = reduced_formula(dict(zip(names, k.counts, strict=True)))
                return f"{formula} ({space_group(k.space_group).symbol})"
        return ""

    def _words(self, crystal: Crystal, group: int) -> str:
        phases = [p for p in self._phases.get(crystal.formula, []) if p.space_group == group]
        return _name(phases[0]) if phases else f"{crystal.formula} ({space_group(group).symbol})"


def known_of(
    model: AnyModel | None, elements: Collection[str], files: Sequence[str | os.PathLike[str]] = ()
) -> KnownPhases:
    """What is known in these elements: a model's training set, the reference phases that ship, and files."""
    from crystalsmith.hull.phases import shipped
    from crystalsmith.orders.sources import learned_source

    learned = None if model is None else learned_source(model)
    prototypes = None if learned is None else learned.prior.prototypes
    references = shipped("chgnet")
    phases = references.of_system(elements) if references is not None and elements else []
    return KnownPhases(prototypes, phases, files)


def _name(phase: Phase) -> str:
    symbol = f"{space_group(phase.space_group).symbol}, " if phase.space_group else ""
    return f"{phase.formula} ({symbol}{phase.id})"


def _is_phase(phase: Phase, crystal: Crystal) -> bool:
    """Whether group and atoms in the primitive cell are the same: all that is kept of a phase."""
    return phase.space_group == crystal.space_group and dict(phase.counts) == crystal.counts


def _is_same(known: Known, crystal: Crystal) -> bool:
    elements, counts = _numbers(crystal)
    return (
        known.space_group == crystal.space_group
        and known.elements == elements
        and known.counts == counts
        and known.assignment == _assignment(crystal, elements)
    )


def _numbers(crystal: Crystal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Atomic numbers, cations first, and atoms of each in the primitive cell."""
    symbols = sorted(crystal.counts, key=formula_order)
    return tuple(NUMBERS[s] for s in symbols), tuple(crystal.counts[s] for s in symbols)


def _assignment(crystal: Crystal, elements: tuple[int, ...]) -> Any:
    first = positions_of(crystal.space_group).first
    own: dict[int, list[int]] = defaultdict(list)
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        own[NUMBERS[site.element]].append(position.index - first)
    return canonical(crystal.space_group, tuple(tuple(sorted(own[z])) for z in elements))
