"""Paths between the special points of the Brillouin zone, and the names of these points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.runs.warned import logged_warnings

SPACING = 0.03
"""1/Angstrom (2 pi included) between neighbouring q points of a path."""


@dataclass(frozen=True, eq=False)
class BandPath:
    """The path that seekpath recommends (Hinuma et al., Comput. Mater. Sci. 128, 140 (2017)).

    Attributes:
        q: (k, 3) in fractions of the reciprocal cell of the crystal's primitive cell.
        distance: (k,) along the path, 1/Angstrom.
        names: (k,) names of special points, "" between them.
        segments: first and last + 1 row of each stretch without a kink.
    """

    q: np.ndarray
    distance: np.ndarray
    names: tuple[str, ...]
    segments: tuple[tuple[int, int], ...]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Place and name of the special points; two that share a place where the path jumps: ``U|K``."""
        ticks: list[tuple[float, str]] = []
        for place, name in zip(self.distance, self.names, strict=True):
            if not name:
                continue
            if ticks and abs(place - ticks[-1][0]) < 1e-6:
                before = ticks[-1][1]
                if name not in before.split("|"):
                    ticks[-1] = (ticks[-1][0], f"{before}|{name}")
            else:
                ticks.append((float(place), name))
        return ticks


def band_path(crystal: Crystal) -> BandPath:
    """The path for the crystal's own primitive cell, whatever cell seekpath would prefer."""
    import seekpath

    with logged_warnings():  # of cells whose path is only one of several possible
        found = seekpath.get_explicit_k_path_orig_cell(_cell(crystal), reference_distance=SPACING)
    return BandPath(
        np.asarray(found["explicit_kpoints_rel"], dtype=float).round(10),
        np.asarray(found["explicit_kpoints_linearcoord"], dtype=float).round(8),
        tuple(_name(label) for label in found["explicit_kpoints_labels"]),
        tuple((int(a), int(b)) for a, b in found["explicit_segments"]),
    )


def name_of(q: np.ndarray, path: BandPath, crystal: Crystal) -> str:
    """Name of a special point that symmetry makes the same as q (3,), or ""."""
    primitive = crystal.group.primitive
    turns = primitive @ crystal.group.rotations.transpose(0, 2, 1) @ np.linalg.inv(primitive)
    # q . p is the same after both turn, p -> p @ t, q -> q @ inv(t).T; and the group holds the inverses.
    star = np.concatenate([q @ turns.transpose(0, 2, 1), -q @ turns.transpose(0, 2, 1)])
    for special, name in zip(path.q, path.names, strict=True):
        if name:
            difference = star - special
            if (abs(difference - np.rint(difference)) < 1e-4).all(axis=1).any():
                return name
    return ""


def _cell(crystal: Crystal) -> tuple[Any, Any, Any]:
    from crystalsmith.crystal import NUMBERS

    symbols, fractional = crystal.positions()
    return crystal.primitive_lattice, fractional, [NUMBERS[s] for s in symbols]


def _name(label: str) -> str:
    """``GAMMA`` as a letter, ``S_0`` with its index below."""
    letter, _, index = label.partition("_")
    return {"GAMMA": "Γ", "SIGMA": "Σ", "DELTA": "Δ", "LAMBDA": "Λ"}.get(letter, letter) + index.translate(
        str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    )
