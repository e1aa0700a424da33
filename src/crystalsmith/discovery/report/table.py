"""``candidates.csv``: one row for each crystal of the short list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crystalsmith.crystal.io.rows import Row
from crystalsmith.dft.jobs import ranked_names
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.hull import KJ_PER_MOL
from crystalsmith.runs.csv_text import csv_text


def to_csv(candidates: Sequence[Candidate]) -> str:
    """The table as text; lengths in Angstrom, angles in degrees, what is not known is empty."""
    names = ranked_names(candidates)
    rows = (
        {**_row(c), "rank": rank, "cif": f"cif/{name}.cif"}
        for rank, (c, name) in enumerate(zip(candidates, names, strict=True), start=1)
    )
    return csv_text(rows, _COLUMNS)


_COLUMNS = (
    *(
        "rank",
        "name",
        "formula",
        "space_group",
        "space_group_symbol",
        "a",
        "b",
        "c",
        "alpha",
        "beta",
        "gamma",
    ),
    *("atoms_primitive", "volume_per_atom", "wyckoff", "energy_ev_atom", "above_hull_ev_atom"),
    *("above_hull_kj_mol_atoms", "formation_ev_atom", "formation_kj_mol_atoms", "decomposition"),
    *(
        "converged",
        "phonons_stable",
        "min_frequency_thz",
        "elastic_stable",
        "novelty",
        "nearest",
        "prototype",
    ),
    *("score", "log_prior", "dft_code", "dft_energy_ev_atom", "dft_above_hull_ev_atom", "dft_same"),
    *("dft_space_group", "seed", "cif"),
)


SHARD_COLUMNS = {
    **{n: "string" for n in ("order", "stage", "dropped_at", "why", "novelty", "nearest", "prototype")},
    **{n: "double" for n in ("score", "log_prior", "formation_energy")},
    "converged": "bool",
    "seed": "int64",
}
"""Of ``crystals.parquet`` beside those of every crystal; eV per atom."""


def shard_row(c: Candidate) -> Row:
    """A candidate as it stands, in ``crystals.parquet``."""
    dropped, novelty = c.dropped or (None, None), c.novelty
    more = {
        "order": str(c.order.get("id", "")),
        "stage": c.states[-1].stage,
        "dropped_at": dropped[0],
        "why": dropped[1],
        "novelty": novelty.verdict if novelty else None,
        "nearest": novelty.nearest if novelty else None,
        "prototype": novelty.prototype if novelty else None,
        "score": c.score,
        "log_prior": c.log_prior,
        "formation_energy": c.formation,
        "converged": c.states[-1].converged,
        "seed": c.seed,
    }
    return Row(c.name, c.crystal, energy=c.energy, above_hull=c.above_hull, more=more)


def _row(c: Candidate) -> dict[str, Any]:
    crystal, dft = c.crystal, c.dft or {}
    phonons, elastic = c.phonons or {}, c.elastic or {}
    row: dict[str, Any] = {
        "name": c.name,
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "space_group_symbol": crystal.group.symbol,
        "atoms_primitive": crystal.n_atoms,
        "volume_per_atom": _round(crystal.volume / crystal.n_atoms_conventional),
        "wyckoff": crystal.wyckoff,
        "energy_ev_atom": _round(c.energy),
        "above_hull_ev_atom": _round(c.above_hull),
        "above_hull_kj_mol_atoms": _kj(c.above_hull),
        "formation_ev_atom": _round(c.formation),
        "formation_kj_mol_atoms": _kj(c.formation),
        "decomposition": "; ".join(f"{share:.4f} {phase}" for phase, share in c.decomposition.items()),
        "converged": c.states[-1].converged,
        "phonons_stable": phonons.get("stable"),
        "min_frequency_thz": _round(phonons.get("min_frequency")),
        "elastic_stable": elastic.get("stable"),
        "novelty": c.novelty.verdict if c.novelty else "",
        "nearest": c.novelty.nearest if c.novelty else "",
        "prototype": c.novelty.prototype if c.novelty else "",
        "score": _round(c.score),
        "log_prior": _round(c.log_prior),
        "dft_code": dft.get("code", ""),
        "dft_energy_ev_atom": _round(dft.get("energy")),
        "dft_above_hull_ev_atom": _round(dft.get("above_hull")),
        "dft_same": dft.get("same"),
        "dft_space_group": dft.get("space_group") or "",
        "seed": c.seed,
    }
    row.update(zip(("a", "b", "c", "alpha", "beta", "gamma"), map(_round, crystal.cell), strict=True))
    return row


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6) + 0.0


def _kj(value: float | None) -> float | None:
    return None if value is None else round(value * KJ_PER_MOL, 4) + 0.0
