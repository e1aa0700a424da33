"""What DFT says of the crystals, and the rows of ``dft.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.dft.calculation import Calculation
from crystalsmith.dft.jobs import Subject
from crystalsmith.hull import KJ_PER_MOL
from crystalsmith.runs.csv_text import csv_text


@dataclass(frozen=True)
class Result:
    """One crystal by one code.

    Attributes:
        name: of the crystal.
        calculation: what was read; None where there is no output yet.
        crystal: the final structure with the symmetry found in it; None where there is none.
        same: whether it is still the structure that was given; None where that is unknown.
        relative: eV per atom above the lowest of its composition among the results of the code.
        above_hull: eV per atom above the hull of DFT's references.
        formation: formation energy from DFT's elements, eV per atom.
        decomposition: share of atoms of each reference phase that it would fall into.
        problems: in words.
        missing: references that are missing, in words.
    """

    name: str
    code: str
    calculation: Calculation | None = None
    crystal: Crystal | None = None
    same: bool | None = None
    relative: float | None = None
    above_hull: float | None = None
    formation: float | None = None
    decomposition: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def energy(self) -> float | None:
        """eV per atom, where it may be used."""
        return self.calculation.energy if self.calculation is not None and self.calculation.sound else None

    def to_dict(self) -> dict[str, Any]:
        """What a short list keeps of it, plain JSON."""
        return {
            "code": self.code,
            "energy": self.energy,
            "above_hull": self.above_hull,
            "formation": self.formation,
            "relative": self.relative,
            "decomposition": dict(self.decomposition),
            "same": self.same,
            "space_group": None if self.crystal is None else self.crystal.space_group,
            "crystal": None if self.crystal is None else self.crystal.to_dict(),
            "settings": {} if self.calculation is None else dict(self.calculation.settings),
            "problems": list(self.problems),
            "missing": list(self.missing),
        }


_COLUMNS = (
    *("rank", "name", "formula", "code", "energy_ev_atom", "relative_ev_atom", "above_hull_ev_atom"),
    *("above_hull_kj_mol_atoms", "formation_ev_atom", "formation_kj_mol_atoms", "decomposition"),
    *("electronic", "ionic", "same_structure", "space_group", "space_group_before", "problems", "missing"),
)


def to_csv(ranked: Sequence[Subject], results: Sequence[Result]) -> str:
    """``dft.csv``: a row for each crystal and code, by rank."""
    by_name = {subject.name: (rank, subject.crystal) for rank, subject in enumerate(ranked, start=1)}
    order = sorted((r for r in results if r.name in by_name), key=lambda r: by_name[r.name][0])
    return csv_text((_row(*by_name[r.name], r) for r in order), _COLUMNS)


def _row(rank: int, crystal: Crystal, r: Result) -> dict[str, Any]:
    found = r.calculation
    return {
        "rank": rank,
        "name": r.name,
        "formula": crystal.formula,
        "code": r.code,
        "energy_ev_atom": _round(r.energy),
        "relative_ev_atom": _round(r.relative),
        "above_hull_ev_atom": _round(r.above_hull),
        "above_hull_kj_mol_atoms": _round(r.above_hull, KJ_PER_MOL),
        "formation_ev_atom": _round(r.formation),
        "formation_kj_mol_atoms": _round(r.formation, KJ_PER_MOL),
        "decomposition": "; ".join(f"{share:.4f} {phase}" for phase, share in r.decomposition.items()),
        "electronic": None if found is None else found.electronic,
        "ionic": None if found is None else found.ionic,
        "same_structure": r.same,
        "space_group": None if r.crystal is None else r.crystal.space_group,
        "space_group_before": crystal.space_group,
        "problems": "; ".join(r.problems),
        "missing": "; ".join(r.missing),
    }


def _round(value: float | None, factor: float = 1.0) -> float | None:
    return None if value is None else round(value * factor, 6) + 0.0
