"""Finished calculations back to the candidates that they were made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import REFERENCES
from crystalsmith.dft.places import WAITING, crystal_folders, read_folder
from crystalsmith.dft.ranking import against_hull, within_compositions
from crystalsmith.dft.reference import Reference, calculated_references
from crystalsmith.dft.results import Result
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.names import without_rank
from crystalsmith.errors import CrystalsmithError, DataError

if TYPE_CHECKING:
    from pymatgen.core import Structure

CODES = ("vasp", "qe")

SYMPREC = 0.05
"""Tolerance of the search for symmetry in a final structure, Angstrom."""


@dataclass(frozen=True)
class Collected:
    """All that was found.

    Attributes:
        results: a row for each candidate and code with a folder, in the order of the candidates.
        references: competing phases with an energy.
        notes: in words, such as references that are not finished.
    """

    results: tuple[Result, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...]


def collect(
    folder: Path,
    candidates: Sequence[Candidate],
    *,
    entries: Sequence[Reference] = (),
    references: Sequence[Path] = (),
    codes: Sequence[str] = CODES,
) -> Collected:
    """Read the calculations of a run.

    Folders belong to candidates by name: ``dft/CODE/RANK-NAME``. Competing phases are those in
    ``dft/CODE/references``, in the folders ``references`` and in ``entries``.

    Args:
        folder: that holds ``vasp`` and ``qe``, such as ``RUN/dft``.
        candidates: of the run.
        entries: energies of competing phases, computed as the candidates were.
        references: more folders of finished calculations of competing phases.
        codes: whose calculations count.

    Raises:
        DataError: there is no such folder, nothing in it belongs to a candidate, or entries of unknown
            settings would have to be compared with two codes.
    """
    present = [code for code in codes if (folder / code).is_dir()]
    if not present:
        raise DataError(
            f"{folder} holds no {' or '.join(codes)} folder; make one with crystalsmith dft inputs"
        )
    by_name = {c.name: c for c in candidates}
    results, strange = [], []
    for code in present:
        for place in crystal_folders(folder / code):
            candidate = by_name.get(without_rank(place.name))
            if candidate is None:
                strange.append(f"{place.name} belongs to no candidate and is left out")
            else:
                results.append(_result(place, code, candidate))
    if not results:
        raise DataError(f"no folder in {folder} is named after a candidate; keep the names of dft inputs")
    if entries and len({r.code for r in results if r.energy is not None}) > 1:
        raise DataError("there are results of two codes, and the entries are of one; say which with --code")
    folders = [p for code in present if (p := folder / code / REFERENCES).is_dir()]
    found, notes = calculated_references([*folders, *references])
    known = (*found, *entries)
    results = [against_hull(r, by_name[r.name], known) for r in within_compositions(results)]
    order = {c.name: i for i, c in enumerate(candidates)}
    results.sort(key=lambda r: (order[r.name], CODES.index(r.code)))
    return Collected(tuple(results), known, (*notes, *strange))


def _result(place: Path, code: str, candidate: Candidate) -> Result:
    found = read_folder(place)
    if found is None:
        return Result(candidate.name, code, problems=(WAITING,))
    problems = list(found.problems)
    if found.structure is None:
        return Result(candidate.name, code, found, problems=tuple(problems))
    formula = found.structure.composition.reduced_formula
    wanted = candidate.crystal.to_structure(primitive=True)
    if formula != wanted.composition.reduced_formula:
        problems.append(f"the calculation is of {formula}, the candidate is {candidate.crystal.formula}")
        return Result(candidate.name, code, problems=tuple(problems))
    try:
        crystal = Crystal.from_structure(found.structure, SYMPREC)
    except CrystalsmithError as error:
        crystal = None
        problems.append(f"no symmetry found in the final structure: {error}")
    same = _same(found.structure, candidate)
    if found.sound and not same:
        problems.append("it has become another structure")
    return Result(candidate.name, code, found, crystal, same, problems=tuple(problems))


def _same(structure: Structure, candidate: Candidate) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher().fit(structure, candidate.crystal.to_structure(primitive=True)))
