"""The paper's model: DimeNet++, ten noise levels, two scores, and how to draw crystals from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import SYMBOLS, atomic_number
from crystalsmith.diffusion.annealed_langevin import ANNEALED, annealed_langevin, first_state
from crystalsmith.diffusion.edge_scores import lattice_eps, position_eps
from crystalsmith.diffusion.refine import refine
from crystalsmith.diffusion.request import draw_by_crystal
from crystalsmith.diffusion.sampler_choice import resolve_sampler
from crystalsmith.errors import OrderError
from crystalsmith.graph import Coincidence, GeneralBatch, ImageGraph, torch_tables
from crystalsmith.graph.general import FIRST_GROUP
from crystalsmith.networks import DimeNet
from crystalsmith.symmetry import space_group


@dataclass(frozen=True)
class Levels:
    """Noise levels, log-spaced, the same number for both processes.

    Attributes:
        number: of levels.
        position: lowest and highest variance of the positions, Angstrom^2.
        lattice: lowest and highest variance of the transformed lengths, Angstrom^2.
    """

    number: int = 10
    position: tuple[float, float] = (0.001, 36.0)
    lattice: tuple[float, float] = (0.1, 36.0)

    def sigmas(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(number,) standard deviations of positions and of lengths, ascending."""
        both = [np.geomspace(low, high, self.number) ** 0.5 for low, high in (self.position, self.lattice)]
        position, lattice = (torch.tensor(s, device=device, dtype=dtype) for s in both)
        return position, lattice


@dataclass
class PaperModel:
    """A network with everything needed to draw crystals from it by the paper's method.

    Attributes:
        network: DimeNet++.
        levels: noise levels.
        joint: whether the network was trained to tell both scores from one state with both noised; else, as
            in the paper, that of the positions in the clean lattice.
        elements_seen: (119,) crystals in which each element occurs in training.
        max_atoms: largest primitive cell in training.
        metadata: the checkpoint's own record, strings.
        hash: SHA-256 of the checkpoint file, empty for a model that was not loaded.
    """

    network: DimeNet
    levels: Levels
    joint: bool
    elements_seen: np.ndarray
    max_atoms: int
    metadata: dict[str, str] = field(default_factory=dict)
    hash: str = ""

    method = "paper"
    least_group = FIRST_GROUP

    @property
    def elements(self) -> set[str]:
        """Elements seen in training."""
        return {SYMBOLS[z] for z in np.flatnonzero(self.elements_seen)}

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the network."""
        return next(self.network.parameters()).dtype

    def callbacks(self, steps: int) -> int:
        """How often ``sample`` calls back."""
        return self.levels.number * steps

    def layout(self, requests: Sequence[Request]) -> GeneralBatch:
        """Batch requests, positions and cells yet to be drawn; Wyckoff letters play no part.

        Raises:
            OrderError: if there is none, one has no site, or a space group below ``FIRST_GROUP``.
        """
        if not requests or any(not r.sites for r in requests):
            raise OrderError("nothing to generate: give at least one order with at least one site")
        groups = [space_group(r.space_group).number for r in requests]
        if min(groups) < FIRST_GROUP:
            raise OrderError(
                f"the paper's method has cells with fixed angles only, space groups {FIRST_GROUP} to 230, not"
                f" {min(groups)}; use the default method"
            )
        owner = [b for b, r in enumerate(requests) for _ in r.sites]
        numbers = [atomic_number(element) for r in requests for element, _ in r.sites]

        def whole(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.long, device=self.device)

        return GeneralBatch(
            space_group=whole(groups),
            crystal=whole(owner),
            element=whole(numbers),
            position=torch.zeros(len(owner), 3, device=self.device, dtype=self.dtype),
            lengths=torch.ones(len(groups), 3, device=self.device, dtype=self.dtype),
            tables=torch_tables(self.device, self.dtype),
        )

    def run(
        self, batch: GeneralBatch, level: Tensor, sigma: Tensor
    ) -> tuple[Tensor, ImageGraph, Coincidence]:
        """Outputs on the edges (E, 2), and the graph.

        Args:
            batch: B crystals.
            level: (B,) noise levels, from 0; sigma: (B,) their noise of the positions, Angstrom.
        """
        same, graph = self.network.graph(batch, sigma)
        return self.network(batch, level, same, graph), graph, same

    @torch.no_grad()
    def sample(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        callback: Callable[[int, GeneralBatch], None] | None = None,
    ) -> list[Crystal | str]:
        """Draw one crystal for each request, whose letters are left aside: the crystal finds its own.

        Args:
            requests: what to make.
            seeds: one for each request.
            steps: at every noise level.
            sampler: a name in ``ANNEALED``.
            callback: called after each step with its number and the batch.

        Returns:
            Crystals, or in place of one a few words on why there is none.

        Raises:
            OrderError: nothing to generate, a space group below 16, or not one seed for each request.
            ConfigError: unknown sampler.
        """
        if len(seeds) != len(requests):
            raise OrderError(f"{len(requests)} requests need as many seeds, not {len(seeds)}")
        name, steps = resolve_sampler(self.method, sampler, steps)
        batch = self.layout(requests)
        draw = draw_by_crystal(seeds, [(r.n_orbits, 3) for r in requests], 3, self.device, self.dtype)
        position_sigma, lattice_sigma = self.levels.sigmas(self.device, self.dtype)
        was_training = self.network.training
        self.network.eval()
        try:
            _, gauss = draw(torch.randn)
            flat, _ = draw(torch.rand)
            end = annealed_langevin(
                self,
                first_state(batch, gauss, flat),
                position_sigma,
                lattice_sigma,
                steps,
                lambda: draw(torch.randn),
                joint=self.joint,
                denoise=ANNEALED[name],
                callback=callback,
            )
        finally:
            self.network.train(was_training)
        return refine(end, self.network.config.merge)

    def position(self, batch: GeneralBatch, level: int) -> Tensor:
        """(S, 3) noise of the points at a level, Cartesian, in units of its sigma."""
        output, graph = self._at(batch, level)
        return position_eps(graph, output[:, 0], len(batch.element))

    def lattice(self, batch: GeneralBatch, level: int) -> Tensor:
        """(B, 3) noise of the transformed lengths at a level, in units of its sigma."""
        output, graph = self._at(batch, level)
        return lattice_eps(batch, graph, output[:, 1])

    def both(self, batch: GeneralBatch, level: int) -> tuple[Tensor, Tensor]:
        """Both, from one network call."""
        output, graph = self._at(batch, level)
        return position_eps(graph, output[:, 0], len(batch.element)), lattice_eps(batch, graph, output[:, 1])

    def _at(self, batch: GeneralBatch, level: int) -> tuple[Tensor, ImageGraph]:
        sigma = self.levels.sigmas(self.device, self.dtype)[0][level]
        levels = torch.full((batch.size,), level, device=self.device)
        output, graph, _ = self.run(batch, levels, sigma.expand(batch.size))
        return output, graph
