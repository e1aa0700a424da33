"""Finished calculations back to the candidates that they were made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crystalsmith.crystal import Crystal
from crystalsmith.dft.jobs import REFERENCES, Subject, without_rank
from crystalsmith.dft.places import WAITING, crystal_folders, read_folder
from crystalsmith.dft.ranking import against_hull, within_compositions
from crystalsmith.dft.reference import Reference, calculated_references
from crystalsmith.dft.results import Result
from crystalsmith.dft.settings import CODES
from crystalsmith.errors import CrystalsmithError, DataError

if TYPE_CHECKING:
    from pymatgen.core import Structure

SYMPREC = 0.05
"""Tolerance of the search for symmetry in a final structure, Angstrom."""


@dataclass(frozen=True)
class Collected:
    """All that was found.

    Attributes:
        results: a row for each crystal and code with a folder, in the order of the crystals.
        references: competing phases with an energy.
        notes: in words, such as references that are not finished.
    """

    results: tuple[Result, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...]


def collect(
    folder: Path,
    crystals: Mapping[str, Crystal] | Sequence[Subject],
    *,
    entries: Sequence[Reference] = (),
    references: Sequence[Path] = (),
    codes: Sequence[str] = CODES,
) -> Collected:
    """Read the calculations of a run.

    Folders belong to crystals by name: ``dft/CODE/RANK-NAME``. Competing phases are those in
    ``dft/CODE/references``, in the folders ``references`` and in ``entries``.

    Args:
        folder: that holds ``vasp`` and ``qe``, such as ``RUN/dft``.
        crystals: by name, or with their competitors, as they were given to ``write_inputs``.
        entries: energies of competing phases, computed as the crystals were.
        references: more folders of finished calculations of competing phases.
        codes: whose calculations count.

    Raises:
        DataError: there is no such folder, nothing in it belongs to a crystal, or entries of unknown
            settings would have to be compared with two codes.
    """
    present = [code for code in codes if (folder / code).is_dir()]
    if not present:
        raise DataError(
            f"{folder} holds no {' or '.join(codes)} folder; make one with crystalsmith dft inputs"
        )
    if isinstance(crystals, Mapping):
        crystals = [Subject(name, crystal) for name, crystal in crystals.items()]
    by_name = {s.name: s for s in crystals}
    results, strange = [], []
    for code in present:
        for place in crystal_folders(folder / code):
            subject = by_name.get(without_rank(place.name))
            if subject is None:
                strange.append(f"{place.name} belongs to no candidate and is left out")
            else:
                results.append(_result(place, code, subject))
    if not results:
        raise DataError(f"no folder in {folder} is named after a candidate; keep the names of dft inputs")
    if entries and len({r.code for r in results if r.energy is not None}) > 1:
        raise DataError("there are results of two codes, and the entries are of one; say which with --code")
    folders = [p for code in present if (p := folder / code / REFERENCES).is_dir()]
    found, notes = calculated_references([*folders, *references])
    known = (*found, *entries)
    results = [against_hull(r, by_name[r.name], known) for r in within_compositions(results)]
    order = {name: i for i, name in enumerate(by_name)}
    results.sort(key=lambda r: (order[r.name], CODES.index(r.code)))
    return Collected(tuple(results), known, (*notes, *strange))


def _result(place: Path, code: str, subject: Subject) -> Result:
    found = read_folder(place)
    if found is None:
        return Result(subject.name, code, problems=(WAITING,))
    problems = list(found.problems)
    if found.structure is None:
        return Result(subject.name, code, found, problems=tuple(problems))
    formula = found.structure.composition.reduced_formula
    wanted = subject.crystal.to_structure(primitive=True)
    if formula != wanted.composition.reduced_formula:
        problems.append(f"the calculation is of {formula}, the candidate is {subject.crystal.formula}")
        return Result(subject.name, code, problems=tuple(problems))
    try:
        crystal = Crystal.from_structure(found.structure, SYMPREC)
    except CrystalsmithError as error:
        crystal = None
        problems.append(f"no symmetry found in the final structure: {error}")
    same = _same(found.structure, subject.crystal)
    if found.sound and not same:
        problems.append("it has become another structure")
    return Result(subject.name, code, found, crystal, same, problems=tuple(problems))


def _same(structure: Structure, crystal: Crystal) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher().fit(structure, crystal.to_structure(primitive=True)))
