"""Structure factors against sums over all atoms of the conventional cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from batches import batch_of, every_group, noised
from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.graph import CrystalBatch, to_crystals
from crystalsmith.networks.structure_factor import REFLECTIONS, reflections, structure_factors

H = np.array(reflections())


def test_reflections_are_half_of_a_ball() -> None:
    both = {tuple(h) for h in H} | {tuple(-h) for h in H}
    ball = {h for h in itertools.product(range(-3, 4), repeat=3) if 0 < sum(x * x for x in h) <= 9}
    assert both == ball
    assert len(H) == REFLECTIONS == len(ball) / 2
    assert (np.diff((H**2).sum(1)) >= 0).all()


def direct(crystal: Crystal) -> np.ndarray:
    """(S, H) means of exp(2 pi i h . x) over all points of each orbit in the conventional cell."""
    points, orbit = crystal.positions(primitive=False)[1], crystal.orbit_of_atom(primitive=False)
    waves = np.exp(2j * np.pi * points @ H.T)
    return np.stack([waves[orbit == k].mean(0) for k in range(len(crystal.sites))])


def test_direct_sums_over_the_cell() -> None:
    batch = noised(batch_of(*every_group(), *KNOWN.values()), strain=0.3)
    factors = structure_factors(batch)
    truth = np.concatenate([direct(c) for c in to_crystals(batch)])
    np.testing.assert_allclose(factors.real.numpy(), truth.real, atol=1e-9)
    np.testing.assert_allclose(factors.imag.numpy(), truth.imag, atol=1e-9)


def visible(crystal: Crystal) -> set[tuple[int, int, int]]:
    """Reflections that a crystal shows."""
    factors = structure_factors(batch_of(crystal))
    strength = (factors.real.square() + factors.imag.square()).sum(0)
    return {tuple(int(x) for x in h) for h, s in zip(H, strength.tolist(), strict=True) if s > 1e-16}


@pytest.mark.parametrize(
    ("number", "letter", "rule"),
    [
        (225, "l", lambda h, k, i: h % 2 == k % 2 == i % 2),
        (229, "l", lambda h, k, i: (h + k + i) % 2 == 0),
        (227, "a", lambda h, k, i: h % 2 == k % 2 == i % 2 and (h % 2 or (h + k + i) % 4 == 0)),
        (166, "i", lambda h, k, i: (-h + k + i) % 3 == 0),
        (14, "e", lambda h, k, i: (h or i or k % 2 == 0) and (k or i % 2 == 0)),
        (19, "a", lambda h, k, i: sum(x == 0 for x in (h, k, i)) < 2 or (h + k + i) % 2 == 0),
        (76, "a", lambda h, k, i: h or k or i % 4 == 0),
    ],
)
def test_extinctions(number: int, letter: str, rule: Callable[[int, int, int], bool]) -> None:
    """Conditions for reflection as the International Tables print them."""
    source = every_group()[number - 1]
    free = tuple(np.random.default_rng(0).random(source.group.wyckoff[letter].dof))
    crystal = Crystal(number, source.cell, (Site("Na", letter, free),))
    assert visible(crystal) == {tuple(int(x) for x in h) for h in H if rule(*h)}


def shifted(batch: CrystalBatch, coordinate: int, step: float) -> CrystalBatch:
    z = torch.zeros_like(batch.w)
    z[:, coordinate] = step
    lay = batch.layout
    step_of_w = torch.einsum("sij,sj->si", lay.tables.unit[lay.wyckoff], z) * lay.free_mask
    return batch.with_state(batch.w + step_of_w, batch.strain)


@pytest.mark.parametrize("coordinate", [0, 1, 2])
def test_gradients_against_finite_differences(coordinate: int) -> None:
    batch = noised(batch_of(*every_group()), seed=2, strain=0.3)
    factors, step = structure_factors(batch), 1e-6
    up, down = (structure_factors(shifted(batch, coordinate, x)) for x in (step, -step))
    unit = 2 * math.pi * torch.tensor(H).double().norm(dim=1)
    free = batch.layout.free_mask[:, coordinate, None]

    def difference(a: Tensor, b: Tensor) -> Tensor:
        return (a - b) / (2 * step) / unit * free

    real, imag = factors.real_gradient[:, :, coordinate], factors.imag_gradient[:, :, coordinate]
    torch.testing.assert_close(real, difference(up.real, down.real), rtol=0, atol=1e-7)
    torch.testing.assert_close(imag, difference(up.imag, down.imag), rtol=0, atol=1e-7)
