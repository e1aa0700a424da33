"""Which cells of a composition are worth a look: those that the prior gives weight.

A formula of two atoms has a hundred cells of up to 200 atoms, nearly all of which no crystal has. The number
of formula units has a probability of its own, one question for all cells, and that is enough to leave most of
them alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystalsmith.assignments import Cells
from crystalsmith.prior.prior import AssignmentPrior, Key, total

LEFT_OUT = 1e-3
"""Share of the probability that the cells that are left out hold together, at most."""

FEW = 12
"""So many cells are all looked at."""


def worth_a_look(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: Sequence[Cells]
) -> tuple[Cells, ...]:
    """The cells that hold nearly all of the probability, in their order.

    Args:
        prior: whose probabilities.
        elements: atomic numbers, cations first.
        ratio: atoms of each in the smallest formula unit.
        cells: what is allowed.
    """
    if len(cells) <= FEW:
        return tuple(cells)
    units = np.exp(prior.units(elements, ratio, max(c.units for c in cells)))
    chance = np.array([units[c.units - 1] for c in cells])
    open_groups = max(len(c.groups) for c in cells) > _SEVERAL
    kept, mass, rest = [], 0.0, float(chance.sum())
    for k in np.argsort(-chance, kind="stable"):
        if rest <= LEFT_OUT * mass:
            break
        kept.append(int(k))
        rest -= float(chance[k])
        mass += float(chance[k]) * (1.0 if open_groups else _inside(prior, elements, ratio, cells[k]))
    return tuple(cells[k] for k in sorted(kept))


_SEVERAL = 50  # groups beyond which it is taken for granted that they hold most of a cell's probability


def _inside(prior: AssignmentPrior, elements: Key, ratio: Key, cell: Cells) -> float:
    """Probability that a cell has one of the groups that are allowed."""
    counts = tuple(n * cell.units for n in ratio)
    return float(np.exp(total(prior.groups(elements, counts)[list(cell.groups)])))
