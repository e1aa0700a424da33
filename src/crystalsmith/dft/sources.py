"""Crystals to calculate, from a run's short list or from any files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.shortlist import SHORTLIST, read_shortlist
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.errors import CrystalsmithError, DataError

_SUFFIXES = (".cif", ".vasp", ".poscar")
_NAMES = ("poscar", "contcar")


def read_crystals(path: Path) -> list[tuple[str, Crystal]]:
    """Names and crystals of a CIF or POSCAR file, or of a folder of them.

    Raises:
        DataError: missing, unreadable or without crystals; a file that cannot be read is named.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and _is_crystal(p))
        if not files:
            raise DataError(f"{path}: no CIF or POSCAR files in this folder")
        return [found for file in files for found in read_crystals(file)]
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    if not _is_crystal(path):
        raise DataError(f"{path}: unknown kind of file; give .cif, .vasp, .poscar or POSCAR")
    try:
        text = path.read_text(encoding="utf-8")
        crystal = Crystal.from_cif(text) if path.suffix.lower() == ".cif" else _from_poscar(text)
    except (OSError, UnicodeDecodeError, CrystalsmithError) as error:
        raise DataError(f"{path}: {error}") from None
    name = path.stem if path.suffix.lower() in _SUFFIXES else path.name
    return [(name, crystal)]


def _is_crystal(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or path.name.lower() in _NAMES


def _from_poscar(text: str) -> Crystal:
    from pymatgen.io.vasp import Poscar

    try:
        structure = Poscar.from_str(text).structure
    except Exception as error:  # the parser raises whatever the content leads it into
        raise DataError(f"cannot be read as POSCAR: {' '.join(str(error).split())[:100]}") from None
    return Crystal.from_structure(structure)


def given_summary(paths: Sequence[Path]) -> RunSummary:
    """A short list of crystals from anywhere, in the order given.

    A folder of a run, which holds ``shortlist.json``, gives the list of the run; it must be the only one.

    Raises:
        DataError: from the readers; or a run beside other crystals.
    """
    runs = [p for p in paths if (p / SHORTLIST).is_file()]
    if runs and len(paths) > 1:
        raise DataError(f"{runs[0]} is a run with a short list of its own; give it alone")
    if runs:
        return read_shortlist(runs[0])
    candidates: list[Candidate] = []
    taken: set[str] = set()
    for path in paths:
        for name, crystal in read_crystals(path):
            name = stem = re.sub(r"[^\w.+-]+", "_", name).strip("_.") or crystal.formula
            count = 1
            while name in taken:
                count += 1
                name = f"{stem}-{count}"
            taken.add(name)
            candidates.append(Candidate(name, {}, 0, (State("given", crystal),)))
    elements = sorted({element for c in candidates for element in c.crystal.counts})
    return RunSummary(
        system=tuple(elements),
        potential="",
        stages=(),
        shortlist=tuple(candidates),
        diagram=None,
        reference="",
        notes=(),
        arguments={"command": ["crystalsmith", "dft", "inputs", *map(str, paths)]},
        versions={"crystalsmith": __version__},
        seconds=0.0,
    )
