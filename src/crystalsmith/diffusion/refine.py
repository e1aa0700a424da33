"""From general points to a crystal: coinciding images merged, sites set onto their special positions."""

from __future__ import annotations

import numpy as np

from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.crystal.orbits import find_wyckoff
from crystalsmith.errors import CrystalsmithError
from crystalsmith.graph import GeneralBatch, find_coincidence, operations
from crystalsmith.symmetry import space_group

TOLERANCE = 0.05
"""Angstrom that a merged site may be off the special position whose letter it gets: rounding, no more."""


def refine(batch: GeneralBatch, merge: float) -> list[Crystal | str]:
    """The crystals of a batch, with the Wyckoff letters that their sites have come to.

    Args:
        batch: B crystals.
        merge: Angstrom; images of a site closer than this are one atom, at their mean.

    Returns:
        B crystals, or in place of one a few words on why it is none.
    """
    same = find_coincidence(batch, merge)
    ops = operations(batch.position.device, batch.position.dtype)
    sizes = (ops.count[batch.group] // same.order).cpu().numpy()
    centre = same.centre.double().cpu().numpy()
    lengths = batch.lengths.double().cpu().numpy()
    lattices = batch.lattice().double().cpu().numpy()
    groups, owner, elements = (x.cpu().numpy() for x in (batch.space_group, batch.crystal, batch.element))
    result: list[Crystal | str] = []
    for b, number in enumerate(groups):
        rows = owner == b
        if not (np.isfinite(centre[rows]).all() and np.isfinite(lengths[b]).all()):
            result.append("not finite")
            continue
        group = space_group(int(number))
        angles = (90.0, 90.0, 120.0 if 143 <= number <= 194 else 90.0)
        cell = (*(float(x) for x in lengths[b]), *angles)
        try:
            found = find_wyckoff(group, centre[rows], sizes[rows], lattices[b], TOLERANCE)
            sites = tuple(
                Site(SYMBOLS[z], position.letter, tuple(float(v) for v in free))
                for z, (position, free) in zip(elements[rows], found, strict=True)
            )
            result.append(Crystal(int(number), cell, sites))
        except CrystalsmithError:
            result.append("sites on no position, or two on one")
    return result
