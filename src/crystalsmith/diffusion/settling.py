"""Cells of known arrangements settled by the network: with other elements, their size is a guess.

Volumes of atoms add up only roughly: half of all arrangements are 5 % off in volume, one in ten 17 %. The
network knows better and is asked a few times at falling noise, as if the cell were noised and the atoms with
it, but what it says of the atoms is left alone. Constants were chosen on mp20_val and on crystals of 21 to 52
atoms; docs/explanation/prototypes.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from crystalsmith.assignments import Request
from crystalsmith.conditions import FixedCell
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.graph import to_batch, to_crystals

if TYPE_CHECKING:
    from crystalsmith.diffusion.model import Model

TIMES = (0.6, 0.5, 0.4)
"""Times of the schedules at which the network is asked."""

FREEDOM = 8
"""Free parameters of the positions up to which the cell's shape is settled as well.

With more, atoms are so far off in known arrangements that they would lead the shape astray.
"""


def settled(model: Model, requests: Sequence[Request]) -> list[Request]:
    """Requests with the cells of their starts settled where these are estimates; the others as they are.

    Args:
        model: network and fields.
        requests: any; a known cell stays as it is.
    """
    rows = [
        i
        for i, r in enumerate(requests)
        if r.start is not None
        and r.start.estimated_cell
        and not any(isinstance(c, FixedCell) for c in r.conditions)
    ]
    result = list(requests)
    if rows:
        crystals = settle(model, [r.start.crystal for i in rows if (r := requests[i]).start is not None])
        for i, crystal in zip(rows, crystals, strict=True):
            start = requests[i].start
            assert start is not None
            result[i] = replace(requests[i], start=replace(start, crystal=crystal, estimated_cell=False))
    return result


@torch.no_grad()
def settle(model: Model, crystals: Sequence[Crystal]) -> list[Crystal]:
    """Crystals with their positions in cells that the network holds for likely.

    Where that comes to no sound crystal, the crystal stays as it was.

    Args:
        model: network and fields.
        crystals: at least one.
    """
    field = model.lattice
    batch = to_batch(crystals, model.statistics.atomic_volume, model.device, model.dtype)
    lay = batch.layout
    free = torch.tensor([sum(p.dof for p in c.positions_of_sites) for c in crystals], device=model.device)
    chosen = (free <= FREEDOM)[:, None] | (torch.arange(6, device=model.device) == 0)
    was_training = model.network.training
    model.network.eval()
    try:
        for time in TIMES:
            sigma = {k: f.schedule.sigma(batch.strain.new_tensor(time)) for k, f in model.fields.items()}
            noise = model.denoise(batch, {k: s.expand(lay.size) for k, s in sigma.items()})["lattice"]
            moved = field.noise(lay, batch.strain, -sigma["lattice"] * noise * chosen)
            batch = batch.with_state(batch.w, torch.where(moved.isfinite(), moved, batch.strain))
    finally:
        model.network.train(was_training)
    cells = [c.cell for c in to_crystals(batch)]
    found = [replace(c, cell=cell) for c, cell in zip(crystals, cells, strict=True)]
    return [new if fault(new) is None else old for new, old in zip(found, crystals, strict=True)]
