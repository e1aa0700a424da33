"""Finding calculations in folders: which there are, and what the steps of one crystal say together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from crystalsmith.dft.calculation import Calculation
from crystalsmith.dft.jobs import REFERENCES
from crystalsmith.dft.qe_output import qe_file, read_pw_output
from crystalsmith.dft.vasp_output import read_vasprun, vasp_file

WAITING = "not calculated yet"
"""What is said of a folder whose calculation has left nothing to read."""

STEPS = ("relax", "static")

VOLUME = 0.005
"""Share by which the volume of a single point may differ from that of the relaxation that it belongs to."""


def read_folder(folder: Path) -> Calculation | None:
    """What the calculations of one crystal say: those in the folder, or in ``relax`` and ``static`` in it.

    The energy is that of the single point where there is a sound one, else that of the relaxation.

    Returns:
        None where there is no output.
    """
    here = _read_here(folder)
    relax, static = (_read_here(folder / step) for step in STEPS)
    if relax is None and static is None:
        return here
    if static is None:
        assert relax is not None
        word = ("no static calculation yet; the energy is of relax",) if relax.sound else ()
        return replace(relax, problems=(*relax.problems, *word))
    if relax is None:
        return replace(static, problems=(*static.problems, "no relaxation: the structure is as it was given"))
    if not static.sound or not relax.sound:
        problems = [
            f"{name}: {p}" for name, c in zip(STEPS, (relax, static), strict=True) for p in c.problems
        ]
        return replace(relax, problems=tuple(problems))
    assert static.structure is not None and relax.structure is not None
    volumes = [c.structure.volume / len(c.structure) for c in (static, relax) if c.structure is not None]
    problems = [*relax.problems, *static.problems]
    if abs(volumes[0] / volumes[1] - 1) > VOLUME:
        problems.append("static does not start from where relax ended; copy relax/CONTCAR and run it again")
        return replace(relax, problems=tuple(problems))
    return replace(static, problems=tuple(problems))


def _read_here(folder: Path) -> Calculation | None:
    if not folder.is_dir():
        return None
    if (path := vasp_file(folder)) is not None:
        return read_vasprun(path)
    if (path := qe_file(folder)) is not None:
        return read_pw_output(path)
    return None


def has_output(folder: Path) -> bool:
    """Whether there is an output of a known code in the folder itself."""
    return folder.is_dir() and (vasp_file(folder) is not None or qe_file(folder) is not None)


def crystal_folders(root: Path) -> Iterator[Path]:
    """Folders below one that belong to one crystal each, finished or not, references left out.

    A folder belongs to one crystal where it has an output, an input of ``dft inputs``, or steps with them.
    """
    for child in sorted(p for p in root.iterdir() if p.is_dir() and p.name != REFERENCES):
        if _is_crystal(child):
            yield child
        elif not child.is_symlink():
            yield from crystal_folders(child)


def _is_crystal(folder: Path) -> bool:
    inputs = any((folder / name).is_file() for name in ("INCAR", "POSCAR", "vc-relax.in"))
    return inputs or has_output(folder) or any((folder / step).is_dir() for step in STEPS)
