"""What a refinement is held by beside the pattern: no bond shorter than real crystals have.

A pattern says little of light atoms, and a model that is a little wrong gains by moving them: into places
where no atom can be. The limits are those that generated crystals are held to (``crystal.bonds``); as a term
of the least squares they are soft, so that a way around may lead through them, but not end there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crystalsmith.crystal.bonds import NEIGHBOURS, limits_by_number
from crystalsmith.graph import CrystalBatch
from crystalsmith.graph.neighbours import near_pairs

SHORT = 0.1
"""Angstrom by which one bond may be too short for what ``PRICE`` says."""

PRICE = 1 / 40
"""Of the points of a pattern: so many of them may then be off by their uncertainty."""


class Restraint(NamedTuple):
    """What short bonds add to the normal equations of R fits.

    Attributes:
        cost: (R,).
        matrix: (R, C, C) of the free coordinates, by columns of one unit for each Angstrom.
        gradient: (R, C) downhill.
    """

    cost: Tensor
    matrix: Tensor
    gradient: Tensor


def short_bonds(batch: CrystalBatch, lattice: Tensor, column: Tensor, unit: Tensor, points: int) -> Restraint:
    """Squares of what bonds are too short by, as part of a sum over the points of a pattern.

    Args:
        batch: R crystals where they are now, one for each fit.
        lattice: (R, 3, 3) conventional, rows, as the fits have them.
        column: (S, 3) of each orbit's free coordinates, -1 for what is not free.
        unit: (S, 3) Angstrom that one unit of each torus coordinate moves an atom.
        points: of the pattern.
    """
    lay, t = batch.layout, batch.layout.tables
    most = int(column.max()) + 1
    cost = lattice.new_zeros(lay.size)
    matrix, gradient = lattice.new_zeros((lay.size, most, most)), lattice.new_zeros((lay.size, most))
    limits = lattice.new_tensor(limits_by_number())
    z = lay.element
    atom_z = z[lay.atom_orbit]
    least = limits[z[lay.pair_orbit], atom_z[lay.pair_atom], NEIGHBOURS - 1]
    reach = lattice.new_zeros(lay.size).scatter_reduce_(0, lay.crystal[lay.pair_orbit], least, "amax")
    position = batch.atom_positions()
    first = lay.first_atom[lay.pair_orbit]
    pair, vector, square = near_pairs(
        lattice,
        t.primitive[lay.space_group] @ lattice,
        reach,
        position[lay.pair_atom] - position[first],
        lay.crystal[lay.pair_orbit],
        lay.pair_atom == first,
    )
    orbit, atom, distance = lay.pair_orbit[pair], lay.pair_atom[pair], square.clamp(min=1e-6).sqrt()
    limit = limits[z[orbit], atom_z[atom], _place(orbit, atom_z[atom], distance)]
    near = torch.nonzero(distance < limit)[:, 0]
    if not len(near):
        return Restraint(cost, matrix, gradient)
    orbit, atom, distance = orbit[near], atom[near], distance[near]
    row, other = lay.crystal[orbit], lay.atom_orbit[atom]
    lack = limit[near] - distance
    weight = PRICE * points / SHORT**2
    cost.index_add_(0, row, weight * lack**2)
    basis = t.free_basis[lay.wyckoff] * lay.free_mask[:, None, :]
    unit_vector = vector[near] / distance[:, None]
    along = unit_vector[:, None] @ lattice[row].transpose(1, 2)  # by fractional coordinates
    there = (along @ t.rotations[lay.atom_op[atom]] @ basis[other])[:, 0] / unit[other]
    here = -(along @ basis[orbit])[:, 0] / unit[orbit]
    slope = lattice.new_zeros((len(near), most))
    for which, value in ((other, there), (orbit, here)):
        slope.scatter_add_(1, column[which].clamp(min=0), torch.where(column[which] >= 0, value, 0.0))
    matrix.index_add_(0, row, weight * slope[:, :, None] * slope[:, None, :])
    gradient.index_add_(0, row, weight * lack[:, None] * slope)
    return Restraint(cost, matrix, gradient)


def _place(orbit: Tensor, element: Tensor, distance: Tensor) -> Tensor:
    """(E,) of an edge among those from its orbit to one element, by distance, 0 to ``NEIGHBOURS - 1``."""
    order = torch.argsort(distance, stable=True)
    kind = orbit * 128 + element
    order = order[torch.argsort(kind[order], stable=True)]
    number = torch.arange(len(order))
    fresh = torch.ones(len(order), dtype=torch.bool)
    fresh[1:] = kind[order][1:] != kind[order][:-1]
    begin = torch.where(fresh, number, 0).cummax(0).values
    place = torch.empty_like(order)
    place[order] = (number - begin).clamp(max=NEIGHBOURS - 1)
    return place
