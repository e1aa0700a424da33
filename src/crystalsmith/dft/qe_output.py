"""Reading the output of pw.x."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

from crystalsmith.dft.calculation import Calculation
from crystalsmith.runs.warned import logged_warnings

_MARK = "Program PWSCF"
_PSEUDO = re.compile(
    r"PseudoPot\. #\s*\d+ for\s+([A-Z][a-z]?)\w*\s+read from file:?\s*\n\s*(\S+)"
    r"(?:\s*\n\s*MD5 check sum:\s*(\w+))?"
)


def qe_file(folder: Path) -> Path | None:
    """The output in a folder, the newest where there are several; known by its first lines."""
    found = [p for p in folder.iterdir() if p.is_file() and p.suffix in (".out", ".pwo", ".log")]
    found = [p for p in found if _MARK in _start(p)]
    return max(found, key=lambda p: (p.stat().st_mtime, p.name), default=None)


def _start(path: Path) -> str:
    with path.open("rb") as f:
        return f.read(20_000).decode("utf-8", "replace")


def read_pw_output(path: Path) -> Calculation:
    """Read what pw.x printed; what cannot be read becomes a problem in words."""
    text = path.read_bytes().decode("utf-8", "replace")
    try:
        atoms = _last_atoms(text)
        energy = float(atoms.get_potential_energy()) / len(atoms)
        from pymatgen.io.ase import AseAtomsAdaptor

        structure = AseAtomsAdaptor.get_structure(atoms)
    except Exception as error:  # ASE's reader raises whatever the content leads it into
        reason = (" ".join(str(error).split()) or type(error).__name__)[:120]
        stopped = "" if "JOB DONE" in text else "; the run did not finish"
        return Calculation("qe", problems=(f"{path.name} holds no usable energy{stopped} ({reason})",))
    if not math.isfinite(energy):
        return Calculation("qe", problems=(f"{path.name} holds no finite energy",))
    cycles = re.findall(r"convergence (has been achieved|NOT achieved)", text)
    electronic = bool(cycles) and cycles[-1] == "has been achieved"
    relaxes = "BFGS Geometry Optimization" in text or "number of bfgs steps" in text
    settled = "End of BFGS Geometry Optimization" in text and "maximum number of steps" not in text
    finished = "JOB DONE" in text
    problems = []
    if not finished:
        problems.append(f"{path.name} ends early: the run was stopped; restart it")
    if not electronic:
        problems.append("the electrons did not converge; lower mixing_beta or raise electron_maxstep")
    if relaxes and not settled:
        problems.append("the relaxation did not converge; go on from the last structure")
    return Calculation(
        "qe",
        energy,
        structure,
        electronic,
        finished and (settled or not relaxes),
        _settings(text),
        tuple(problems),
    )


def _last_atoms(text: str) -> Any:
    from ase.io.espresso import read_espresso_out

    with logged_warnings():
        return list(read_espresso_out(io.StringIO(text), index=slice(None)))[-1]


def _settings(text: str) -> dict[str, str]:
    """What must agree between two runs."""
    found = {}
    if match := re.search(r"kinetic-energy cutoff\s*=\s*([\d.]+)\s*Ry", text):
        found["cutoff"] = f"{float(match[1]):g} Ry"
    if match := re.search(r"charge density cutoff\s*=\s*([\d.]+)\s*Ry", text):
        found["density cutoff"] = f"{float(match[1]):g} Ry"
    if match := re.search(r"Exchange-correlation\s*=\s*(.+)", text):
        found["functional"] = " ".join(match[1].split())
    # The checksum tells two files of one name apart; without it the name must do.
    for symbol, name, checksum in _PSEUDO.findall(text):
        file = name.rsplit("/", 1)[-1]
        found[f"potential of {symbol}"] = f"{file} {checksum}".strip()
    return found
