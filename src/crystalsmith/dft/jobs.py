"""What is to be calculated: crystals with the folders that they get."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.names import file_names
from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import TEMPORARY, write_whole

REFERENCES = "references"
"""Folder of the competing phases, beside those of the crystals."""

_INPUTS = frozenset(
    ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "vc-relax.in", "README.txt", "submit.sh", "jobs.txt")
)


@dataclass(frozen=True)
class Subject:
    """A crystal that DFT is asked about.

    Attributes:
        name: unique and fit for a file system; calculations are found again by it.
        crystal: where the calculation starts.
        competitors: phases that it falls into on the hull of a potential, such as ``KSi (mp-2445)``; a hull
            of DFT without one of them would make it look more stable than it is.
    """

    name: str
    crystal: Crystal
    competitors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One calculation.

    Attributes:
        folder: relative to that of the code, such as ``01-NAME`` or ``references/NAME``.
        crystal: where it starts.
    """

    folder: str
    crystal: Crystal

    @property
    def up(self) -> str:
        """The way from its folder to that of the code."""
        return "/".join(".." for _ in self.folder.split("/"))


@dataclass(frozen=True)
class Written:
    """What became of the inputs for one code.

    Attributes:
        folder: of the code.
        jobs: that were written.
        left_out: why others were not, by their folders.
        notes: what the user should know, warnings of libraries among it.
    """

    folder: Path
    jobs: tuple[Job, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()


def ranked_names(ranked: Sequence[Any]) -> list[str]:
    """``01-NAME``, ``02-NAME`` ... for what has names; as many digits as the last needs, at least two."""
    digits = max(2, len(str(len(ranked))))
    return [f"{rank:0{digits}d}-{c.name}" for rank, c in enumerate(ranked, start=1)]


def without_rank(folder: str) -> str:
    """The name in one that ``ranked_names`` made; ranks change, names do not."""
    return re.sub(r"^\d{2,}-(?=.)", "", folder)


def make_jobs(subjects: Sequence[Subject], references: Sequence[tuple[str, Crystal]]) -> list[Job]:
    """A job for each crystal, in a folder named by rank and name, and for each competing phase.

    Args:
        subjects: by rank.
        references: name, such as ``KSi (mp-2445)``, and crystal.
    """
    own = [Job(name, s.crystal) for name, s in zip(ranked_names(subjects), subjects, strict=True)]
    names = file_names(name for name, _ in references)
    return [*own, *(Job(f"{REFERENCES}/{n}", c) for n, (_, c) in zip(names, references, strict=True))]


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


def write_jobs(
    folder: Path, jobs: Sequence[Job], write: Callable[[Path, Job], None]
) -> tuple[list[Job], dict[str, str]]:
    """Write each job into its folder; what cannot be written costs itself alone.

    Returns:
        The jobs written, and by folder why others were not.

    Raises:
        OSError: the disk is full or the like.
    """
    done, left_out = [], {}
    for job in jobs:
        place = folder / job.folder
        try:
            place.mkdir(parents=True)
            write(place, job)
            done.append(job)
        except OSError:
            raise
        except Exception as error:  # pymatgen and ASE let errors of every kind through
            shutil.rmtree(place, ignore_errors=True)
            words = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
            left_out[job.folder] = " ".join(words.split())[:200] or type(error).__name__
    return done, left_out


def write_script(folder: Path, text: str, jobs: Sequence[Job]) -> None:
    """Write ``submit.sh`` and the list of folders that it goes through, ``jobs.txt``."""
    write_whole(folder / "jobs.txt", "".join(f"{job.folder}\n" for job in jobs), durable=False)
    write_whole(folder / "submit.sh", text.replace("@COUNT@", str(len(jobs))), durable=False)
    (folder / "submit.sh").chmod(0o755)
