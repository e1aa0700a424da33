"""Inputs for both codes, and in words what is still missing for a hull."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.dft.competing import Missing
from crystalsmith.dft.jobs import REFERENCES, Subject, Written, check_free
from crystalsmith.dft.qe_inputs import write_qe
from crystalsmith.dft.settings import DftSettings
from crystalsmith.dft.vasp_inputs import write_vasp
from crystalsmith.errors import DataError
from crystalsmith.runs.atomic import write_whole, writing

README = "README.txt"


@dataclass(frozen=True)
class Inputs:
    """All inputs of a folder.

    Attributes:
        codes: what was written for each code.
        missing: competing phases without a structure.
    """

    codes: Mapping[str, Written]
    missing: tuple[Missing, ...]

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        codes = {
            code: {
                "folder": str(w.folder),
                "jobs": [job.folder for job in w.jobs],
                "left_out": dict(w.left_out),
                "notes": list(w.notes),
            }
            for code, w in self.codes.items()
        }
        return {"codes": codes, "missing": [asdict(m) for m in self.missing]}

    def lines(self) -> list[str]:
        """What the user must know, a line each: what is left out or missing, and warnings."""
        lines = []
        for code, written in self.codes.items():
            lines += [f"{code}: {folder} is left out: {why}" for folder, why in written.left_out.items()]
            lines += [f"{code}: {note}" for note in written.notes]
        if self.missing:
            number = len(self.missing)
            lines.append(
                f"{number} competing phase{'s have' if number > 1 else ' has'} no structure here; without"
                f" {'their' if number > 1 else 'its'} energies there is no hull of DFT:"
            )
            lines += [f"  {phase}" for phase in self.missing]
            lines += _MENDS
        return lines


_MENDS = [
    "Give their structures: crystalsmith dft inputs ... --overwrite --references FILES, or",
    "--materials-project (a key in MP_API_KEY); or their energies by the same settings:",
    "crystalsmith dft collect ... --entries FILE.",
]


def write_inputs(
    crystals: Mapping[str, Crystal] | Sequence[Subject],
    folder: str | Path,
    settings: DftSettings | None = None,
    *,
    references: Sequence[tuple[str, Crystal]] = (),
    missing: Sequence[Missing] = (),
    overwrite: bool = False,
) -> Inputs:
    """Write inputs for crystals and for the phases that they compete with.

    Args:
        crystals: by name, or with their competitors, by rank; names must be fit for files.
        folder: gets ``vasp`` and ``qe``, and a README that says what is missing.
        settings: which codes, and how.
        references: competing phases, name and crystal.
        missing: competing phases of which no structure is known.
        overwrite: replace inputs, but never calculations.

    Raises:
        DataError: not one of the crystals can be calculated.
        OutputError: there are inputs or calculations already, or a file cannot be written.
    """
    settings, folder = settings or DftSettings(), Path(folder)
    if isinstance(crystals, Mapping):
        crystals = [Subject(name, crystal) for name, crystal in crystals.items()]
    for code in settings.code:
        check_free(folder / code, overwrite=overwrite)
    there = {path for path in (folder, *folder.parents) if path.exists()}
    codes: dict[str, Written] = {}
    for code in settings.code:
        if code == "vasp":
            codes[code] = write_vasp(
                folder, crystals, references, release=settings.potcars, overwrite=overwrite
            )
        else:
            codes[code] = write_qe(
                folder, crystals, references, ecutwfc=settings.ecutwfc, overwrite=overwrite
            )
    inputs = Inputs(codes, tuple(missing))
    with writing(folder):
        for written in codes.values():
            if not own_jobs(written):  # references alone are of no use
                shutil.rmtree(written.folder)
        if not any(own_jobs(written) for written in codes.values()):
            for empty in (folder, *folder.parents):  # as far as they were made for this
                if empty in there or any(empty.iterdir()):
                    break
                empty.rmdir()
            reasons = [f"{name}: {why}" for w in codes.values() for name, why in w.left_out.items()]
            raise DataError(f"no crystal can be calculated; {'; '.join(reasons[:3])}")
        write_whole(folder / README, "".join(f"{line}\n" for line in _readme(inputs, len(crystals))))
    return inputs


def own_jobs(written: Written) -> int:
    """How many of the jobs are of crystals, not of competing phases."""
    return sum(not job.folder.startswith(f"{REFERENCES}/") for job in written.jobs)


def _readme(inputs: Inputs, crystals: int) -> list[str]:
    lines = ["Inputs for density-functional theory; how to run them stands in the README.txt of each code."]
    for code, written in inputs.codes.items():
        own = own_jobs(written)
        lines.append(f"{code}: {own} of {crystals} crystals, {len(written.jobs) - own} competing phases")
    notes = inputs.lines()
    return [*lines, "", *(notes or ["Nothing is missing for a hull of DFT, as far as is known here."])]
