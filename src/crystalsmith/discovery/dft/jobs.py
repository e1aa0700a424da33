"""What is to be calculated: crystals with the folders that they get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crystalsmith.atomic import write_whole
from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.names import ranked_names
from crystalsmith.errors import OutputError

REFERENCES = "references"
"""Folder of the competing phases, beside those of the candidates."""


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


def start_folder(path: Path) -> None:
    """Make the folder of a code's inputs.

    Raises:
        OutputError: it is there already and holds something, which may be finished calculations.
    """
    if path.is_dir() and any(path.iterdir()):
        raise OutputError(
            f"{path} holds calculations already; move it away, or choose another folder for new inputs"
        )
    path.mkdir(parents=True, exist_ok=True)


def write_script(folder: Path, text: str, folders: Sequence[str]) -> None:
    """Write ``submit.sh`` and the list of folders that it goes through, ``jobs.txt``."""
    write_whole(folder / "jobs.txt", "".join(f"{name}\n" for name in folders), durable=False)
    write_whole(folder / "submit.sh", text.replace("@COUNT@", str(len(folders))), durable=False)
    (folder / "submit.sh").chmod(0o755)
