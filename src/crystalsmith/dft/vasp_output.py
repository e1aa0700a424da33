"""Reading vasprun.xml."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from crystalsmith.dft.calculation import Calculation
from crystalsmith.runs.warned import logged_warnings

NAMES = ("vasprun.xml", "vasprun.xml.gz")


def vasp_file(folder: Path) -> Path | None:
    """The output in a folder, if there is one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read_vasprun(path: Path) -> Calculation:
    """Read a ``vasprun.xml`` or ``vasprun.xml.gz``; what cannot be read becomes a problem in words."""
    from pymatgen.io.vasp.outputs import Vasprun

    def read(strict: bool) -> Any:
        with logged_warnings():
            return Vasprun(
                str(path),
                parse_dos=False,
                parse_eigen=False,
                parse_projected_eigen=False,
                parse_potcar_file=False,
                exception_on_bad_xml=strict,
            )

    try:
        run = read(strict=True)
    except Exception as error:  # pymatgen lets errors of every kind through
        return Calculation("vasp", problems=(_why(path, read, error),))
    problems = []
    try:
        structure = run.final_structure
        energy = float(run.final_energy) / len(structure)
        electronic, ionic = bool(run.converged_electronic), bool(run.converged_ionic)
        settings = _settings(run)
    except Exception as error:  # as above
        return Calculation("vasp", problems=(f"{path.name} is incomplete: {_one_line(error)}",))
    if not math.isfinite(energy):
        return Calculation("vasp", problems=(f"{path.name} holds no finite energy",))
    if not electronic:
        problems.append("the electrons did not converge; raise NELM or change ALGO and run it again")
    if not ionic:
        problems.append("the relaxation did not converge; go on from CONTCAR")
    return Calculation("vasp", energy, structure, electronic, ionic, settings, tuple(problems))


def _why(path: Path, read: Any, error: Exception) -> str:
    """A run that was stopped leaves XML that ends early; some of it can be read all the same."""
    try:
        steps = len(read(False).ionic_steps)
    except Exception:  # as above
        return f"{path.name} cannot be read: {_one_line(error)}"
    return f"{path.name} ends early after {steps} ionic steps: the run was stopped; go on from CONTCAR"


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:120]


def _settings(run: Any) -> dict[str, str]:
    """What must agree between two runs."""
    # Not its +U: where no element with a U is shared, the energies are of one kind.
    found = {"functional": str(run.run_type).removesuffix("+U")}
    cutoff = run.parameters.get("ENMAX") or run.incar.get("ENCUT")
    if cutoff:
        found["cutoff"] = f"{float(cutoff):g} eV"
    hubbards = run.hubbards
    for title in run.potcar_symbols:
        words = str(title).split()
        symbol = (words[1] if len(words) > 1 else words[0]).split("_")[0]
        found[f"potential of {symbol}"] = " ".join(words)
        found[f"Hubbard U of {symbol}"] = f"{float(hubbards.get(symbol, 0)):g} eV"
    return found
