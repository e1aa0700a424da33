"""Entries of a run as a table and as extended XYZ."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.journal import Entry
from crystalsmith.runs.pool import Failed

COLUMNS = (
    "name",
    "formula",
    "space_group",
    "space_group_symmetric",
    "space_group_free",
    "energy",
    "energy_symmetric",
    "energy_free",
    "calls_symmetric",
    "calls_free",
    "converged",
    "reason",
    "fmax",
    "stress",
    "volume",
    "volume_relaxed",
    "seconds",
)
"""Energies in eV per atom, forces in eV/Angstrom, stress in eV/Angstrom^3, volumes in Angstrom^3 per atom;
those without a stage are of the crystal given, ``fmax`` and ``stress`` of the result."""


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """``relaxed.csv``, line by line; what an entry lacks is left empty."""
    yield ",".join(COLUMNS) + "\n"
    for entry in entries:
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n").writerow(_row(entry))
        yield text.getvalue()


def extxyz_frames(entries: Iterable[Entry]) -> Iterator[str]:
    """``relaxed.extxyz``, crystal by crystal; those without a result are left out."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    for entry in entries:
        outcome = entry.outcome
        if isinstance(outcome, Failed) or outcome.result is None:
            continue
        result = outcome.result
        atoms = result.crystal.to_atoms(primitive=True)
        atoms.calc = SinglePointCalculator(atoms, energy=round(result.energy * len(atoms), 6))
        atoms.info = {
            "name": entry.name,
            "formula": result.crystal.formula,
            "space_group": result.crystal.space_group,
            "space_group_start": outcome.start.space_group,
            **{f"space_group_{k}": s.crystal.space_group for k, s in outcome.stages.items() if s.sound},
            "converged": outcome.converged,
            "reason": outcome.reason,
        }
        text = io.StringIO()
        write(text, atoms, format="extxyz")
        yield text.getvalue()


def _row(entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"name": entry.name, "converged": "no", "reason": entry.reason}
    row["seconds"] = f"{entry.seconds:.1f}"
    outcome = entry.outcome
    if isinstance(outcome, Failed):
        return row
    row |= {
        "formula": outcome.start.formula,
        "space_group": outcome.start.space_group,
        "converged": "yes" if outcome.converged else "no",
        "volume": f"{_volume(outcome.start):.4f}",
        "energy": _decimals(outcome.energy_start, 6),
    }
    for name, stage in outcome.stages.items():
        row[f"calls_{name}"] = stage.calls
        if stage.sound:
            row[f"space_group_{name}"] = stage.crystal.space_group
            row[f"energy_{name}"] = _decimals(stage.energy, 6)
    if outcome.result is not None:
        row["fmax"] = _decimals(outcome.result.fmax, 5)
        row["stress"] = _decimals(outcome.result.stress, 6)
        row["volume_relaxed"] = f"{_volume(outcome.result.crystal):.4f}"
    return row


def _volume(crystal: Crystal) -> float:
    return crystal.volume / crystal.n_atoms_conventional


def _decimals(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""
