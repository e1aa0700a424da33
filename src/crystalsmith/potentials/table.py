"""Relaxations as rows of a table and as extended XYZ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.rows import Row
from crystalsmith.crystal.io.write import extxyz_frame
from crystalsmith.potentials.outcome import Outcome
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
)
"""Energies in eV per atom, forces in eV/Angstrom, stress in eV/Angstrom^3, volumes in Angstrom^3 per atom;
those without a stage are of the crystal given, ``fmax`` and ``stress`` of the result."""


def table_row(name: str, outcome: Outcome | Failed) -> dict[str, Any]:
    """Values by column; what there is not is left out."""
    row: dict[str, Any] = {"name": name, "converged": False, "reason": outcome.reason}
    if isinstance(outcome, Failed):
        return row
    row |= {
        "formula": outcome.start.formula,
        "space_group": outcome.start.space_group,
        "converged": outcome.converged,
        "volume": _volume(outcome.start),
        "energy": round(outcome.energy_start, 6),
    }
    for kind, stage in outcome.stages.items():
        row[f"calls_{kind}"] = stage.calls
        if stage.sound:
            row[f"space_group_{kind}"] = stage.crystal.space_group
            row[f"energy_{kind}"] = round(stage.energy, 6)
    if (result := outcome.result) is not None:
        row |= {"fmax": round(result.fmax, 5), "stress": round(result.stress, 6)}
        row["volume_relaxed"] = _volume(result.crystal)
    return {k: v for k, v in row.items() if not (isinstance(v, float) and math.isnan(v))}


def extxyz_frames(outcomes: Iterable[tuple[str, Outcome | Failed]]) -> Iterator[str]:
    """``relaxed.extxyz``, crystal by crystal; those without a result are left out."""
    for name, outcome in outcomes:
        if isinstance(outcome, Failed) or outcome.result is None:
            continue
        info = {
            "name": name,
            "space_group_start": outcome.start.space_group,
            **{f"space_group_{k}": s.crystal.space_group for k, s in outcome.stages.items() if s.sound},
            "converged": outcome.converged,
            "reason": outcome.reason,
        }
        yield extxyz_frame(outcome.result.crystal, info, outcome.result.energy)


SHARD_COLUMNS = {
    "reason": "string",
    "converged": "bool",
    **{name: "int64" for name in ("space_group_start", "calls_symmetric", "calls_free")},
    **{name: "double" for name in ("energy_start", "energy_symmetric", "energy_free", "fmax", "stress")},
}
"""Of ``crystals.parquet`` beside those of every crystal; units as above."""


def shard_rows(outcomes: Iterable[tuple[str, Outcome | Failed]]) -> Iterator[Row]:
    """``crystals.parquet``, crystal by crystal; those without a result give their reason."""
    for name, outcome in outcomes:
        if isinstance(outcome, Failed) or (result := outcome.result) is None:
            yield Row(name, None, f"not relaxed: {outcome.reason}", more={"reason": outcome.reason})
            continue
        more = {
            "reason": outcome.reason,
            "converged": outcome.converged,
            "space_group_start": outcome.start.space_group,
            "energy_start": outcome.energy_start,
            **{f"calls_{kind}": stage.calls for kind, stage in outcome.stages.items()},
            **{f"energy_{kind}": stage.energy for kind, stage in outcome.stages.items() if stage.sound},
            "fmax": result.fmax,
            "stress": result.stress,
        }
        yield Row(name, result.crystal, energy=result.energy, more=more)


def _volume(crystal: Crystal) -> float:
    return round(crystal.volume / crystal.n_atoms_conventional, 4)
