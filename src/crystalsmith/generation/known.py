"""Is a crystal known? Against the index of the training set, named phases, and structures of the user's.

The index that comes with the network holds space groups, compositions and Wyckoff positions, but no
coordinates: a crystal with the composition, space group and Wyckoff positions of a known one counts as known;
so does one with space group and atoms in the primitive cell of a named phase, of which no more is kept.
The user's structures are compared by structure.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.assignments import Request, canonical, positions_of
from crystalsmith.crystal import NUMBERS, Crystal, reduced_formula
from crystalsmith.crystal.elements import SYMBOLS, formula_order
from crystalsmith.runs.addresses import shown
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.assignments import Formula
    from crystalsmith.crystal.io.records import Record
    from crystalsmith.data import Dataset
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.hull import Phase
    from crystalsmith.orders.bounds import Bounds
    from crystalsmith.prior import Prototypes
    from crystalsmith.prior.known import Known, KnownCrystals

# crystalsmith.prior is imported inside functions: torch takes seconds, and bad orders are refused before.

ON_HULL = 5e-4
"""eV per atom; a known phase that lies closer is shown as on the hull."""

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
        e_above_hull: eV/atom by which the known crystal that it is lies above the data's hull; None where it
            is none or nobody said.
    """

    verdict: str
    nearest: str = ""
    prototype: str = ""
    checked: str = ""
    e_above_hull: float | None = None

    @property
    def is_new(self) -> bool:
        """Whether no known crystal is the same."""
        return self.verdict != KNOWN


@dataclass(frozen=True)
class KnownPhase:
    """A known crystal of what an order asks for.

    Attributes:
        id: such as ``mp-1234``; empty where the index does not tell, the name in its file for the user's.
        formula: reduced.
        space_group: number; 0 for the user's structures, of which it is not looked for.
        atoms: in the primitive cell; 0 for the user's.
        e_above_hull: eV/atom above the hull of the data; None where unknown.
        observed: whether experiment has seen it, or it was computed alone; None where unknown.
        wyckoff: element and letter of each site.
        source: ``index`` (the model's training set) or ``file`` (the user's).
        order: id of the order.
        rank: of the best crystal of the output that it is; None where none is.
    """

    id: str
    formula: str
    space_group: int = 0
    atoms: int = 0
    e_above_hull: float | None = None
    wyckoff: str = ""
    source: str = "index"
    order: str = ""
    rank: int | None = None
    observed: bool | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from the others of its formula."""
        return self.source, self.id if self.source == "file" else f"{self.space_group} {self.wyckoff}"

    @property
    def symbol(self) -> str:
        """Of the space group; empty where it is unknown."""
        return space_group(self.space_group).symbol if self.space_group else ""

    @property
    def distance(self) -> str:
        """How far it lies above the hull, for people."""
        above = self.e_above_hull
        return "-" if above is None else "on it" if above < ON_HULL else f"{above:.3f}"

    @property
    def seen(self) -> str:
        """Whether it was observed, for people."""
        return "-" if self.observed is None else "observed" if self.observed else "computed"

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {
            "order": self.order,
            "id": self.id or None,
            "formula": self.formula,
            "space_group": self.space_group or None,
            "symbol": self.symbol or None,
            "atoms": self.atoms or None,
            "e_above_hull": self.e_above_hull,
            "observed": self.observed,
            "wyckoff": self.wyckoff or None,
            "source": self.source,
            "rank": self.rank,
        }


@dataclass
class _OfFormula:
    """Crystals of one formula in the user's files.

    Attributes:
        ratio: atoms of each element in the formula.
        makers: id of each crystal, and what makes its pymatgen structure.
    """

    ratio: Mapping[str, int]
    makers: list[tuple[str, Callable[[], Any]]] = field(default_factory=list)

    @cached_property
    def structures(self) -> list[tuple[str, Any]]:
        """Ids and structures."""
        return [(name, make()) for name, make in self.makers]


def _of_dataset(dataset: Dataset, row: int) -> Any:
    return dataset[row].to_structure(primitive=True)


def _of_record(record: Record) -> Any:
    from pymatgen.core import Lattice, Structure

    symbols = [SYMBOLS[int(z)] for z in record.numbers]
    return Structure(Lattice(np.asarray(record.lattice)), symbols, record.fractional)


class KnownPhases:
    """What is known, by formula.

    Args:
        prototypes: the training set's index; None where the network has none.
        phases: phases with ids, whose names are better than the index's.
        files: structures of the user's, anything that ``crystal.io`` reads.
        within: elements of all crystals that will be asked about; others of the files are left aside.

    Raises:
        DataError: nothing in a file can be read.
    """

    def __init__(
        self,
        prototypes: Prototypes | None,
        phases: Iterable[Phase] = (),
        files: Sequence[str | os.PathLike[str]] = (),
        within: Collection[str] | None = None,
    ) -> None:
        self._prototypes = prototypes if prototypes is not None and len(prototypes) else None
        self._phases: dict[str, list[Phase]] = defaultdict(list)
        for phase in phases:
            self._phases[phase.formula].append(phase)
        self._structures: dict[str, _OfFormula] = {}
        self._within = None if within is None else frozenset(within)
        for path in files:
            self._read(path)
        index = self._prototypes
        parts = [] if index is None else [f"the training set's {len(index):,} crystals"]
        self.checked = ", ".join([*parts, *(shown(os.fspath(f)) for f in files)])

    def _read(self, path: str | os.PathLike[str]) -> None:
        from crystalsmith.crystal.io import Limits, readable_records
        from crystalsmith.crystal.io.sources import open_source
        from crystalsmith.data import Dataset
        from crystalsmith.data.volumes import compositions

        if open_source(path).kind == "dataset":
            # Many crystals, few of which will be asked for: made when they are.
            dataset = Dataset.open(path)
            for row, counts in enumerate(compositions(dataset)):
                present = np.flatnonzero(counts)
                atoms = {SYMBOLS[z]: int(counts[z]) for z in present.tolist()}
                self._keep(dataset.ids[row], atoms, partial(_of_dataset, dataset, row))
            return
        for record in readable_records(path, Limits(within=self._within)):
            symbols = [SYMBOLS[int(z)] for z in record.numbers]
            self._keep(record.id, Counter(symbols), partial(_of_record, record))

    def _keep(self, name: str, atoms: Mapping[str, int], make: Callable[[], Any]) -> None:
        if self._within is not None and not self._within >= atoms.keys():
            return
        formula = reduced_formula(atoms)
        if formula not in self._structures:
            divisor = math.gcd(*atoms.values())
            self._structures[formula] = _OfFormula({e: n // divisor for e, n in atoms.items()})
        self._structures[formula].makers.append((name, make))

    def judge(self, crystal: Crystal) -> Novelty:
        """How a crystal stands to what is known."""
        same = self._same_file(crystal)
        if same:
            return Novelty(KNOWN, same, self._prototype(crystal), self.checked)
        of_formula = self._of_formula(crystal)
        twin = self.twin(crystal)
        if twin is not None:
            words, above = self._words(crystal, twin), self.above_hull(crystal)
            return Novelty(KNOWN, words, "", self.checked, None if above is None else round(above, 4))
        phase = next((p for p in self._phases.get(crystal.formula, ()) if _is_phase(p, crystal)), None)
        if phase is not None:
            return Novelty(KNOWN, _name(phase), "", self.checked)
        prototype = self._prototype(crystal)
        if of_formula:
            nearest = min(
                of_formula, key=lambda k: (k[1].space_group != crystal.space_group, k[1].space_group)
            )
            return Novelty(STRUCTURE, self._words(crystal, nearest[0]), prototype, self.checked)
        phases = self._phases.get(crystal.formula)
        if phases:
            return Novelty(STRUCTURE, _name(phases[0]), prototype, self.checked)
        others = self._structures.get(crystal.formula)
        if others is not None:
            return Novelty(STRUCTURE, others.makers[0][0], prototype, self.checked)
        return Novelty(COMPOSITION, "", prototype, self.checked)

    def holds(self, crystal: Crystal) -> bool:
        """Whether it is a crystal of the index or of the user's files."""
        return self.twin(crystal) is not None or bool(self._same_file(crystal))

    def twin(self, crystal: Crystal) -> int | None:
        """The most stable crystal of the index with its composition, group and positions; None if none."""
        if self._prototypes is None:
            return None
        from crystalsmith.prior import twin_of

        own = Request(crystal.space_group, tuple((s.element, s.letter) for s in crystal.sites))
        return twin_of(self._prototypes, own)

    def above_hull(self, crystal: Crystal) -> float | None:
        """eV/atom by which the known crystal that it is lies above the data's hull; None where unknown."""
        twin = self.twin(crystal)
        return None if twin is None or self._prototypes is None else self._prototypes.known.above_hull(twin)

    def asked_for(self, formula: Formula, bounds: Bounds) -> tuple[dict[int, float], float]:
        """How likely the index's phases of a formula are the one asked for, and that none of them is.

        Args:
            formula: what they are made of.
            bounds: what the order allows; phases beyond are left out, and so are those whose distance to the
                hull is not told.

        Returns:
            Log-odds, as ``prior.polymorphs.asked_for`` gives them.
        """
        from crystalsmith.prior import phases_of_formula
        from crystalsmith.prior.polymorphs import asked_for

        if self._prototypes is None:
            return {}, 0.0
        known = self._prototypes.known
        numbers = tuple(NUMBERS[e] for e in formula.elements)
        rows = [
            i
            for i in phases_of_formula(self._prototypes, numbers, formula.ratio)
            if known.above_hull(i) is not None and _allowed(known[i], bounds, formula)
        ]
        told = len(bounds.groups) == 1, bounds.z is not None or bounds.atoms is not None
        figures, absent = asked_for(self._prototypes, rows, *told)
        return dict(zip(rows, figures.tolist(), strict=True)), absent

    def phases(self, elements: Sequence[str], ratio: Sequence[int] | None) -> list[KnownPhase]:
        """Known crystals of a formula or a system, the most stable first; then those of the user's files.

        Args:
            elements: symbols, cations first.
            ratio: atoms of each, or None for any crystal of all of these elements.
        """
        from crystalsmith.prior import phases_of_formula, phases_of_system

        result = []
        if self._prototypes is not None:
            numbers = tuple(NUMBERS[e] for e in elements)
            rows = (
                phases_of_system(self._prototypes, numbers)
                if ratio is None
                else phases_of_formula(self._prototypes, numbers, tuple(ratio))
            )
            result = [_phase(self._prototypes.known, i) for i in rows]
        for formula, found in self._structures.items():
            own = found.ratio
            if set(own) == set(elements) and (
                ratio is None or tuple(own[e] for e in elements) == tuple(ratio)
            ):
                result += [KnownPhase(name, formula, source="file") for name, _ in found.makers]
        return result

    def same_as(self, crystal: Crystal) -> list[tuple[str, str]]:
        """(source, id or key) of the known phases that a crystal is, as ``KnownPhase.key``."""
        twin, same = self.twin(crystal), self._same_file(crystal)
        found = [] if twin is None or self._prototypes is None else [_phase(self._prototypes.known, twin).key]
        return [*found, *([("file", same)] if same else [])]

    def _same_file(self, crystal: Crystal) -> str:
        """Id of the user's structure that it is, by StructureMatcher; empty if it is none."""
        others = self._structures.get(crystal.formula)
        if others is None:
            return ""
        from pymatgen.analysis.structure_matcher import StructureMatcher

        matcher, own = StructureMatcher(), crystal.to_structure(primitive=True)
        return next((name for name, structure in others.structures if matcher.fit(own, structure)), "")

    def _of_formula(self, crystal: Crystal) -> list[tuple[int, Known]]:
        if self._prototypes is None:
            return []
        from crystalsmith.prior import phases_of_formula

        rows = phases_of_formula(self._prototypes, *_numbers(crystal))
        return [(i, self._prototypes.known[i]) for i in rows]

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

    def _words(self, crystal: Crystal, i: int) -> str:
        assert self._prototypes is not None
        known = self._prototypes.known
        group = int(known.space_group[i])
        phases = [p for p in self._phases.get(crystal.formula, []) if p.space_group == group]
        return _name(phases[0]) if phases and not known.ids[i] else known.name(i)


def model_known(model: AnyModel | None, files: Sequence[str | os.PathLike[str]] = ()) -> KnownPhases:
    """What a model's training set and files hold."""
    return KnownPhases(_index(model), (), files)


def known_of(
    model: AnyModel | None, elements: Collection[str], files: Sequence[str | os.PathLike[str]] = ()
) -> KnownPhases:
    """What is known in these elements: a model's training set, the reference phases that ship, and files."""
    from crystalsmith.hull.phases import shipped

    references = shipped("chgnet")
    phases = references.of_system(elements) if references is not None and elements else []
    return KnownPhases(_index(model), phases, files, elements)


def _index(model: AnyModel | None) -> Prototypes | None:
    from crystalsmith.orders.sources import learned_source

    learned = None if model is None else learned_source(model)
    return None if learned is None else learned.prior.prototypes


def _phase(known: KnownCrystals, i: int) -> KnownPhase:
    from crystalsmith.prior import recipe_of

    recipe = recipe_of(known[i])
    formula = known.name(i).partition(" ")[0]
    above = known.above_hull(i)
    return KnownPhase(
        str(known.ids[i]),
        formula,
        recipe.space_group,
        recipe.n_atoms,
        None if above is None else round(above, 4),
        " ".join(f"{element}:{letter}" for element, letter in recipe.sites),
        observed=known.was_observed(i),
    )


def _allowed(known: Known, bounds: Bounds, formula: Formula) -> bool:
    """Whether a known crystal of a formula is within what an order allows."""
    atoms = sum(known.counts)
    units = atoms * positions_of(known.space_group).centring // sum(formula.ratio)
    return (
        known.space_group in bounds.allowed
        and bounds.atoms in (None, atoms)
        and (bounds.z is None or bounds.z * formula.units == units)
        and atoms <= (bounds.max_atoms or atoms)
    )


def _name(phase: Phase) -> str:
    symbol = f"{space_group(phase.space_group).symbol}, " if phase.space_group else ""
    return f"{phase.formula} ({symbol}{phase.id})"


def _is_phase(phase: Phase, crystal: Crystal) -> bool:
    """Whether group and atoms in the primitive cell are the same: all that is kept of a phase."""
    return phase.space_group == crystal.space_group and dict(phase.counts) == crystal.counts


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
