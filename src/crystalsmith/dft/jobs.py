"""What is to be calculated: crystals with the folders that they get."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.names import ranked_names
from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import TEMPORARY, write_whole

REFERENCES = "references"
"""Folder of the competing phases, beside those of the candidates."""

_INPUTS = frozenset(
    ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "vc-relax.in", "README.txt", "submit.sh", "jobs.txt")
)


@dataclass(frozen=True)
class Job:
    """One crystal to calculate.

    Attributes:
        folder: name of its folder, fit for a file system.
        crystal: where the calculation starts.
    """

    folder: str
    crystal: Crystal


def jobs_of(candidates: Sequence[Candidate]) -> list[Job]:
    """A job for each candidate, in a folder named by rank and name."""
    names = ranked_names(candidates)
    return [Job(name, c.crystal) for name, c in zip(names, candidates, strict=True)]


def reference_jobs(references: Sequence[tuple[str, Crystal]]) -> list[Job]:
    """A job for each competing phase.

    Args:
        references: name, such as ``KSi (mp-2445)``, and crystal.
    """
    jobs: list[Job] = []
    taken: set[str] = set()
    for name, crystal in references:
        folder = stem = re.sub(r"[^\w.+-]+", "_", name).strip("_.") or crystal.formula
        count = 1
        while folder in taken:
            count += 1
            folder = f"{stem}-{count}"
        taken.add(folder)
        jobs.append(Job(folder, crystal))
    return jobs


@contextmanager
def new_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write a code's inputs to, which takes its place when all are written.

    Args:
        path: where it shall be.
        overwrite: replace one that holds inputs and nothing else.

    Raises:
        OutputError: it is there already, with calculations or without ``overwrite``.
    """
    check_free(path, overwrite=overwrite)
    partial = path.with_name(path.name + TEMPORARY)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Whether inputs may be written to a folder; see ``new_folder``.

    Raises:
        OutputError: they may not.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{path} is a file; choose another folder for the inputs")
    files = [p for p in path.rglob("*") if not p.is_dir()]
    if any(p.name not in _INPUTS for p in files):
        raise OutputError(
            f"{path} holds calculations already; move it away, or choose another folder for new inputs"
        )
    if files and not overwrite:
        raise OutputError(f"{path} holds inputs already; remove it, or choose another folder for new ones")


def write_script(folder: Path, text: str, folders: Sequence[str]) -> None:
    """Write ``submit.sh`` and the list of folders that it goes through, ``jobs.txt``."""
    write_whole(folder / "jobs.txt", "".join(f"{name}\n" for name in folders), durable=False)
    write_whole(folder / "submit.sh", text.replace("@COUNT@", str(len(folders))), durable=False)
    (folder / "submit.sh").chmod(0o755)
