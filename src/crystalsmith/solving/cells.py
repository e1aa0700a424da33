"""Cells that a pattern may have, and crystals brought onto them.

A cell that was given or indexed may be a primitive or a centred one, with its axes in any order. So lattices
are compared and not cells: those that the cell spans alone or with the centring of any Bravais lattice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell

STRETCH = 0.12
"""How far the lengths of a crystal's cell may be from those of the cell that it is brought onto."""

FOUND = "found"
"""Source of a cell that a candidate had which was wrong otherwise."""

_BEND = 0.14  # the same of the cosines of its angles
_ANGLE = 1.5  # degrees by which a cell may miss what a family demands
_REACH = 3  # multiples of each vector that are looked at

CENTRINGS = {
    "P": np.eye(3),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "F": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "A": np.array([[1, 0, 0], [0, 0.5, 0.5], [0, -0.5, 0.5]]),
    "B": np.array([[0.5, 0, 0.5], [0, 1, 0], [-0.5, 0, 0.5]]),
    "C": np.array([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}
"""Rows: primitive vectors in terms of the cell's."""


@dataclass(frozen=True)
class Cell:
    """A cell that the sample may have.

    Attributes:
        values: a, b, c (Angstrom), alpha, beta, gamma (degrees).
        source: ``given``, ``indexed`` or ``found``.
        system: crystal system that an indexer names, or the family; empty for one that was given.
        figures: figures of merit, by name.
    """

    values: tuple[float, ...]
    source: str = "given"
    system: str = ""
    figures: tuple[tuple[str, float], ...] = ()

    @property
    def lattice(self) -> np.ndarray:
        """(3, 3) rows in Angstrom."""
        return cell_to_lattice(1, np.array(self.values))

    @property
    def volume(self) -> float:
        """Angstrom^3."""
        return float(abs(np.linalg.det(self.lattice)))

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types; ``from_dict`` reads it back."""
        return {
            "values": list(self.values),
            "source": self.source,
            "system": self.system,
            "figures": dict(self.figures),
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Cell:
        """Inverse of ``to_dict``."""
        figures = tuple((str(k), float(v)) for k, v in data["figures"].items())
        return Cell(tuple(map(float, data["values"])), str(data["source"]), str(data["system"]), figures)


@lru_cache(maxsize=64)
def lattices(cell: Cell) -> tuple[np.ndarray, ...]:
    """(3, 3) reduced lattices that a cell can stand for: its own, and those with the cell centred."""
    return tuple(reduced(rows @ cell.lattice) for rows in CENTRINGS.values())


def reduced(lattice: np.ndarray) -> np.ndarray:
    """The same lattice in short vectors of positive volume, so that few multiples need be looked at."""
    rows = lattice.copy()
    for _ in range(50):
        before = rows.copy()
        for i in range(3):
            for j in range(3):
                if i != j:
                    rows[i] -= np.rint(rows[i] @ rows[j] / (rows[j] @ rows[j])) * rows[j]
        if np.allclose(before, rows):
            break
    rows = rows[np.argsort(np.linalg.norm(rows, axis=1), kind="stable")]
    return rows if np.linalg.det(rows) > 0 else -rows


@lru_cache(maxsize=1)
def _multiples() -> np.ndarray:
    """(n, 3) whole numbers up to ``_REACH``, without the origin."""
    axis = np.arange(-_REACH, _REACH + 1)
    found = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return found[np.abs(found).sum(1) > 0]


def on_cell(crystal: Crystal, cell: Cell, stretch: float = STRETCH) -> Crystal | None:
    """The crystal with its lattice strained to that of a cell; the least strain where several will do.

    Args:
        crystal: its cell is near the other one, whatever the description.
        cell: given or indexed.
        stretch: how far lengths may be off.

    Returns:
        The crystal with the same coordinates; None where its lattice is none of the cell's, or the cell's has
        not the symmetry of its family.
    """
    group = crystal.group
    own = _reduced_with(crystal.primitive_lattice)
    back = np.linalg.inv(group.primitive) @ np.linalg.inv(own[1])
    best: tuple[float, Crystal] | None = None
    for lattice in lattices(cell):
        ratio = np.linalg.det(lattice) / abs(np.linalg.det(own[0]))
        if not (1 - stretch) ** 2.5 < ratio < (1 + stretch) ** 2.5:
            continue
        for rows in _alike(own[0], lattice, stretch):
            found = _in_family(group.number, back @ rows)
            if found is None:
                continue
            strain = _strain(crystal.cell, found)
            if best is None or strain < best[0] - 1e-9:
                best = strain, Crystal(group.number, found, crystal.sites)
    return None if best is None else best[1]


def _reduced_with(lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A reduced lattice, and the (3, 3) whole numbers that make it of the one given."""
    rows = reduced(lattice)
    return rows, np.rint(rows @ np.linalg.inv(lattice))


def _alike(own: np.ndarray, lattice: np.ndarray, stretch: float) -> Iterator[np.ndarray]:
    """(3, 3) bases of a lattice that are alike a lattice's own rows in lengths and angles."""
    vectors = _multiples() @ lattice
    length = np.linalg.norm(vectors, axis=1)
    wanted = np.linalg.norm(own, axis=1)
    near = [np.flatnonzero(np.abs(length / w - 1) < stretch) for w in wanted]
    cos = own @ own.T / np.outer(wanted, wanted)
    unit = vectors / length[:, None]
    volume = np.linalg.det(lattice)
    for i in near[0]:
        seconds = near[1][np.abs(unit[near[1]] @ unit[i] - cos[0, 1]) < _BEND]
        thirds = near[2][np.abs(unit[near[2]] @ unit[i] - cos[0, 2]) < _BEND]
        for j in seconds:
            for k in thirds[np.abs(unit[thirds] @ unit[j] - cos[1, 2]) < _BEND]:
                rows = vectors[[i, j, k]]
                if abs(abs(np.linalg.det(rows)) / volume - 1) < 1e-6:
                    yield rows


def _in_family(number: int, lattice: np.ndarray) -> tuple[float, ...] | None:
    """The cell of a conventional lattice, made exact for the group's family; None where it is too far."""
    raw = lattice_to_cell(lattice)
    exact = lattice_to_cell(cell_to_lattice(number, raw))
    if (np.abs(raw[:3] / exact[:3] - 1) > 0.01).any() or (np.abs(raw[3:] - exact[3:]) > _ANGLE).any():
        return None
    return tuple(float(x) for x in exact)


def _strain(first: Sequence[float], second: Sequence[float]) -> float:
    """How far two cells are apart: logarithms of lengths, and angles in radians."""
    a, b = np.array(first), np.array(second)
    return float(np.sqrt((np.log(a[:3] / b[:3]) ** 2).sum() + (np.radians(a[3:] - b[3:]) ** 2).sum()))
