"""What DFT says of the candidates, as rows of ``dft.csv`` and in the candidates themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.dft.calculation import Calculation
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.hull import KJ_PER_MOL


@dataclass(frozen=True)
class Result:
    """One candidate by one code.

    Attributes:
        name: of the candidate.
        calculation: what was read; None where there is no output yet.
        crystal: the final structure with the symmetry found in it; None where there is none.
        same: whether it is still the candidate's structure; None where that is unknown.
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
        """What a candidate keeps of it, plain JSON."""
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


def with_dft(candidates: Sequence[Candidate], results: Iterable[Result]) -> tuple[Candidate, ...]:
    """The candidates with what DFT found, in their new order.

    Those with a DFT hull distance come first, the lowest at the top. The others follow in the order that
    they had, except that those of one composition are put in the order of their DFT energies. A candidate
    calculated with several codes shows the first with an energy.

    Args:
        candidates: by rank.
        results: of ``collect``; candidates without one keep what they have.
    """
    best: dict[str, Result] = {}
    for result in results:
        have = best.get(result.name)
        if have is None or (have.energy is None and result.energy is not None):
            best[result.name] = result
    filled = [replace(c, dft=best[c.name].to_dict()) if c.name in best else c for c in candidates]
    first = [c for c in filled if _value(c, "above_hull") is not None]
    rest = [c for c in filled if _value(c, "above_hull") is None]
    first.sort(key=lambda c: _value(c, "above_hull") or 0.0)
    return (*first, *_by_composition(rest))


def _by_composition(candidates: list[Candidate]) -> list[Candidate]:
    """Within the places that a composition holds, and per code, the lowest DFT energy comes first."""
    ordered = list(candidates)
    kinds = {
        (c.crystal.formula, (c.dft or {}).get("code"))
        for c in candidates
        if _value(c, "relative") is not None
    }
    for kind in kinds:
        places = [
            i
            for i, c in enumerate(candidates)
            if (c.crystal.formula, (c.dft or {}).get("code")) == kind and _value(c, "relative") is not None
        ]
        members = sorted((candidates[i] for i in places), key=lambda c: _value(c, "relative") or 0.0)
        for i, member in zip(places, members, strict=True):
            ordered[i] = member
    return ordered


def _value(c: Candidate, key: str) -> float | None:
    value = (c.dft or {}).get(key)
    return None if value is None else float(value)


_COLUMNS = (
    *("rank", "name", "formula", "code", "energy_ev_atom", "relative_ev_atom", "above_hull_ev_atom"),
    *("above_hull_kj_mol_atoms", "formation_ev_atom", "formation_kj_mol_atoms", "decomposition"),
    *("electronic", "ionic", "same_structure", "space_group", "space_group_before", "problems", "missing"),
)


def to_csv(candidates: Sequence[Candidate], results: Sequence[Result]) -> str:
    """``dft.csv``: a row for each candidate and code, in the order of the candidates."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    for rank, candidate in enumerate(candidates, start=1):
        for result in results:
            if result.name == candidate.name:
                writer.writerow({"rank": rank, **_row(candidate, result)})
    return text.getvalue()


def _row(c: Candidate, r: Result) -> dict[str, Any]:
    found = r.calculation
    return {
        "name": c.name,
        "formula": c.crystal.formula,
        "code": r.code,
        "energy_ev_atom": _round(r.energy),
        "relative_ev_atom": _round(r.relative),
        "above_hull_ev_atom": _round(r.above_hull),
        "above_hull_kj_mol_atoms": _round(r.above_hull, KJ_PER_MOL),
        "formation_ev_atom": _round(r.formation),
        "formation_kj_mol_atoms": _round(r.formation, KJ_PER_MOL),
        "decomposition": "; ".join(f"{share:.4f} {phase}" for phase, share in r.decomposition.items()),
        "electronic": "" if found is None else "yes" if found.electronic else "no",
        "ionic": "" if found is None else "yes" if found.ionic else "no",
        "same_structure": "" if r.same is None else "yes" if r.same else "no",
        "space_group": "" if r.crystal is None else r.crystal.space_group,
        "space_group_before": c.crystal.space_group,
        "problems": "; ".join(r.problems),
        "missing": "; ".join(r.missing),
    }


def _round(value: float | None, factor: float = 1.0) -> float | str:
    return "" if value is None else round(value * factor, 6) + 0.0
