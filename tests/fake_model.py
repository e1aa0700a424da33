"""A model without a network: what generation needs of one, made of random numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from crystalsmith.conditions import finished
from crystalsmith.crystal import SYMBOLS, Crystal, Site
from crystalsmith.crystal.validity import fault
from crystalsmith.data.wyckoff import Occupations, no_occupations
from crystalsmith.diffusion import Request
from crystalsmith.errors import StructureError
from crystalsmith.networks.assignment_network import AssignmentNetwork
from crystalsmith.symmetry import lattice_to_cell, space_group, strain_mask, strain_to_lattice


class FakeModel:
    """Draws crystals of random cells and positions, the same for the same request and seed.

    Args:
        bad: share of crystals that are far too dense, by their seed.
        broken: share of seeds for which the whole batch fails.
        seconds: time that each crystal takes.
        volume: Angstrom^3 per atom.
        prior: network of the prior over Wyckoff assignments; letters come from frequencies without it.
        occupations: what the prior knows beside its network; nothing if None.
    """

    method, least_group = "default", 1
    hash = "f" * 64
    max_atoms = 52
    elements = frozenset(SYMBOLS[1:95])

    def __init__(
        self,
        bad: float = 0.0,
        broken: float = 0.0,
        seconds: float = 0.0,
        volume: float = 20.0,
        prior: AssignmentNetwork | None = None,
        occupations: Occupations | None = None,
    ) -> None:
        self.prior = prior
        self.bad, self.broken, self.seconds, self.volume = bad, broken, seconds, volume
        self.wyckoff_counts = np.zeros((1731, 6), dtype=np.int32)
        self.occupations = no_occupations() if occupations is None else occupations
        self.batches: list[list[Request]] = []

    def sample(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        callback: Callable[..., None] | None = None,
    ) -> list[Crystal]:
        """As ``Model.sample``."""
        assert len(requests) == len(seeds)
        self.batches.append(list(requests))
        time.sleep(self.seconds * len(requests))
        if callback is not None:
            for step in range(steps or 0):
                callback(step, None)
        made = [self._crystal(r, s) for r, s in zip(requests, seeds, strict=True)]
        return [
            finished(crystal, r.conditions, known=r.kind == "prototype")
            for crystal, r in zip(made, requests, strict=True)
        ]

    def callbacks(self, steps: int) -> int:
        """As ``Model.callbacks``."""
        return steps

    def _crystal(self, request: Request, seed: int) -> Crystal:
        if request.start is not None and not request.start.time:
            return request.start.crystal
        rng = np.random.default_rng(seed)
        luck = rng.random()
        if luck < self.broken:
            raise StructureError("no crystal for this seed")
        if request.start is not None:
            begun = request.start.crystal
            scale = 1 + 0.01 * request.start.time * rng.random()
            cell = (*(x * scale for x in begun.cell[:3]), *begun.cell[3:])
            return Crystal(begun.space_group, cell, begun.sites)
        volume = self.volume * (0.05 if luck > 1 - self.bad else 1.0)
        # Atoms of random positions may lie close together: the best of some draws, in an ever larger cell.
        for draw in range(60):
            crystal = self._draw(request, volume * 1.02**draw, rng)
            if volume < self.volume or fault(crystal) is None:
                break
        return crystal

    def _draw(self, request: Request, volume: float, rng: np.random.Generator) -> Crystal:
        group = space_group(request.space_group)
        total = volume * request.n_atoms * round(1 / np.linalg.det(group.primitive))
        strain = rng.normal(0, 0.05, 6) * strain_mask(group.number)
        cell = lattice_to_cell(strain_to_lattice(group.number, strain, total))
        sites = []
        for element, letter in request.sites:
            position = group.position(letter)
            sites.append(Site(element, letter, tuple((position.period @ rng.random(position.dof)).tolist())))
        return Crystal(group.number, tuple(cell.tolist()), tuple(sites))
