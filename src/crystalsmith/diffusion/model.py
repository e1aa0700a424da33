"""The model: network, fields and the statistics they rest on, and how to draw crystals from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from crystalsmith.assignments import Request
from crystalsmith.conditions import Condition, Steering, conditions_of, finished
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import SYMBOLS, atomic_number
from crystalsmith.data.wyckoff import Occupations, no_occupations
from crystalsmith.diffusion.fields import Field, LatticeField, PositionField
from crystalsmith.diffusion.request import draw_by_crystal
from crystalsmith.diffusion.sampler_choice import resolve_sampler, times_of
from crystalsmith.diffusion.samplers import SAMPLERS, Sampler, State
from crystalsmith.diffusion.settling import settled
from crystalsmith.diffusion.starts import by_time, given
from crystalsmith.diffusion.steered import Steered
from crystalsmith.errors import OrderError
from crystalsmith.graph import CrystalBatch, Guide, Layout, make_layout, to_batch, to_crystals
from crystalsmith.networks import Denoiser
from crystalsmith.networks.assignment_network import AssignmentNetwork
from crystalsmith.prototypes.table import PrototypeTable
from crystalsmith.symmetry import space_group


@dataclass(frozen=True)
class Statistics:
    """What the training set says beside the weights.

    Attributes:
        atomic_volume: (119,) fitted volume of an atom of each element, Angstrom^3, index 0 unused.
        wyckoff_counts: (1731, B) how often each Wyckoff position occurs, by number of orbits in the crystal.
        elements: (119,) crystals in which each element occurs.
        max_atoms: largest primitive cell in training.
        occupations: who sits where in the training crystals; empty in checkpoints that lack it.
        prototypes: clusters of the training crystals with coordinates; None in checkpoints that lack them.
    """

    atomic_volume: np.ndarray
    wyckoff_counts: np.ndarray
    elements: np.ndarray
    max_atoms: int
    occupations: Occupations = field(default_factory=no_occupations)
    prototypes: PrototypeTable | None = None


@dataclass
class Model:
    """A network with everything needed to draw crystals from it.

    Attributes:
        network: the denoiser.
        position, lattice: the diffused fields.
        statistics: reference volumes and frequencies of the training set.
        prior: network of the prior over Wyckoff assignments; None in checkpoints that lack it.
        metadata: the checkpoint's own record (configuration, training), strings.
        hash: SHA-256 of the checkpoint file, empty for a model that was not loaded.
    """

    network: Denoiser
    position: PositionField
    lattice: LatticeField
    statistics: Statistics
    prior: AssignmentNetwork | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    hash: str = ""

    method = "default"
    least_group = 1

    @property
    def fields(self) -> dict[str, Field]:
        """The diffused fields by name."""
        return {"position": self.position, "lattice": self.lattice}

    @property
    def wyckoff_counts(self) -> np.ndarray:
        """(1731, B) frequencies of Wyckoff positions in training."""
        return self.statistics.wyckoff_counts

    @property
    def occupations(self) -> Occupations:
        """Who sits where in the training crystals."""
        return self.statistics.occupations

    @property
    def elements(self) -> set[str]:
        """Elements seen in training."""
        return {SYMBOLS[z] for z in np.flatnonzero(self.statistics.elements)}

    @property
    def max_atoms(self) -> int:
        """Largest primitive cell seen in training."""
        return self.statistics.max_atoms

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
        return steps

    def layout(self, requests: Sequence[Request]) -> Layout:
        """Batch requests.

        Raises:
            OrderError: if there is none, or one has no site.
        """
        if not requests or any(not r.sites for r in requests):
            raise OrderError("nothing to generate: give at least one order with at least one site")
        groups, owner, rows, numbers, volumes = [], [], [], [], []
        for b, r in enumerate(requests):
            group = space_group(r.space_group)
            volume = 0.0
            for element, letter in r.sites:
                position = group.position(letter)
                owner.append(b)
                rows.append(position.index)
                numbers.append(atomic_number(element))
                volume += float(self.statistics.atomic_volume[numbers[-1]]) * position.multiplicity_primitive
            groups.append(group.number)
            volumes.append(volume)

        def whole(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.long, device=self.device)

        volume_of_cells = torch.tensor(volumes, dtype=self.dtype, device=self.device)
        return make_layout(whole(groups), whole(owner), whole(rows), whole(numbers), volume_of_cells)

    def answer(
        self,
        batch: CrystalBatch,
        sigma: dict[str, Tensor],
        known: Tensor | None = None,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The network's outputs for positions (S, 3) and lattices (B, 6).

        Args:
            batch: B noised crystals with S orbits.
            sigma: field name -> (B,) noise levels.
            known: (S,) 0 for orbits whose element the network is not told; None for none.
            guide: known crystals that it may go by.
        """
        log_sigma = torch.stack([sigma["position"].log(), sigma["lattice"].log()], 1)
        unit = self.lattice.unit(batch.layout)
        spread = torch.sqrt(1 + sigma["lattice"] ** 2)[:, None] * unit
        if guide is not None:
            guide = replace(guide, strain=guide.strain / unit)
        position, lattice = self.network(batch, log_sigma, batch.strain / spread, known=known, guide=guide)
        return position, lattice

    def denoise(self, batch: CrystalBatch, sigma: dict[str, Tensor], guide: Guide | None = None) -> State:
        """Noise in each field of a batch, in units of its sigma.

        Args:
            batch: B crystals.
            sigma: field name -> (B,) noise levels.
            guide: known crystals that the network may go by.
        """
        lay = batch.layout
        out_position, out_lattice = self.answer(batch, sigma, guide=guide)
        return {
            "position": self.position.eps(lay, batch.w, out_position, sigma["position"][lay.crystal, None]),
            "lattice": self.lattice.eps(lay, batch.strain, out_lattice, sigma["lattice"][:, None]),
        }

    @torch.no_grad()
    def sample(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        guided: bool = True,
        conditions: Sequence[Condition] = (),
        callback: Callable[[int, CrystalBatch], None] | None = None,
    ) -> list[Crystal]:
        """Draw one crystal for each request.

        A request with a start of time 0 is answered with its crystal; one with a later time begins with that
        crystal, noised to that time, and takes as many steps as fall into what is left of the whole way. A
        start whose cell is an estimate gets a settled one before (``settling``). A crystal depends on its
        request and seed; what else is in the batch changes it by rounding alone, which the sampling
        amplifies.

        Args:
            requests: what to make.
            seeds: one for each request.
            steps: steps of the sampler for the whole way; if not given, those of 15 network calls with
                ``multistep`` and of 50 with others.
            sampler: a name in ``SAMPLERS``.
            guided: whether a network that knows guides is told of the starts; with a start of time 1 it is
                guided all the way.
            conditions: what all crystals are to satisfy, beside the conditions of their requests. Those that
                tell a misfit have no say in crystals that are taken as they are (starts of time 0).
            callback: called after each step with its number and the batch; where some requests bring a start,
                of those that have the longest way.

        Raises:
            OrderError: nothing to generate, not one seed for each request, a start that is not of its
                request's group and sites, or a condition that does not suit its request.
            ConfigError: unknown sampler or no steps.
        """
        if len(seeds) != len(requests):
            raise OrderError(f"{len(requests)} requests need as many seeds, not {len(seeds)}")
        name, steps = resolve_sampler(self.method, sampler, steps)
        times_of(name, steps)  # refused even where nothing is sampled
        if not requests:
            self.layout(requests)
        if conditions:
            asked = conditions_of(requests, conditions)
            requests = [replace(r, conditions=own) for r, own in zip(requests, asked, strict=True)]
        ways = by_time(requests)
        requests = settled(self, requests)
        made = given(requests)
        for k, (time, rows) in enumerate(ways):
            times = times_of(name, steps, time)
            part, own = [requests[i] for i in rows], [seeds[i] for i in rows]
            drawn = self._carry(part, own, SAMPLERS[name], times, guided, None if k else callback)
            made.update(zip(rows, drawn, strict=True))
        return [finished(made[i], r.conditions, known=r.kind == "prototype") for i, r in enumerate(requests)]

    def _carry(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        sampler: Sampler,
        times: Tensor,
        guided: bool,
        callback: Callable[[int, CrystalBatch], None] | None,
    ) -> list[Crystal]:
        """Carry requests through the same times: from noise, or all of them from their starts."""
        times = times.to(self.dtype).to(self.device)
        layout = self.layout(requests)
        numbers = draw_by_crystal(seeds, [(r.n_orbits, 3) for r in requests], 6, self.device, self.dtype)

        def draw(kind: Callable[..., Tensor]) -> State:
            position, lattice = numbers(kind)
            return {"position": position, "lattice": lattice}

        def normal() -> State:
            return draw(torch.randn)

        def batch_of(state: State) -> CrystalBatch:
            return CrystalBatch(layout, state["position"], state["lattice"])

        steering = Steering.of(
            [r.conditions for r in requests], layout, lambda rows: self.layout([requests[i] for i in rows])
        )

        def denoise(state: State, t: Tensor) -> State:
            sigma = {k: f.schedule.sigma(t).expand(layout.size) for k, f in self.fields.items()}
            if steering is not None:  # what is known has no noise, and the network is told so
                least = sigma["lattice"].clamp(max=self.lattice.schedule.low)
                sigma["lattice"] = torch.where(steering.cell_exact, least, sigma["lattice"])
            return self.denoise(batch_of(state), sigma, guide)

        steered = (
            None if steering is None else Steered(steering, self.position, self.lattice, layout, denoise)
        )
        gauss, flat = normal(), draw(torch.rand)
        starts = [r.start for r in requests if r.start is not None]
        guide = None
        if starts:
            crystals = [s.crystal for s in starts]
            clean = to_batch(crystals, self.statistics.atomic_volume, self.device, self.dtype)
            if guided and self.network.config.guide:
                weight = torch.tensor([s.weight for s in starts]).to(clean.strain)
                guide = Guide(clean.w, clean.strain, torch.ones_like(weight), weight)
            state = {"position": clean.w, "lattice": clean.strain}
            for k, f in self.fields.items():
                state[k] = f.noise(layout, state[k], f.schedule.sigma(times[0]) * gauss[k] * f.mask(layout))
        else:
            high = {k: f.schedule.sigma(times[0]) if times[0] < 1 else None for k, f in self.fields.items()}
            state = {k: f.prior(layout, gauss[k], flat[k], high[k]) for k, f in self.fields.items()}
        report = None if callback is None else (lambda i, s: callback(i, batch_of(s)))
        was_training = self.network.training
        self.network.eval()
        try:
            state = sampler(steered or denoise, self.fields, layout, state, times, normal, report)
        finally:
            self.network.train(was_training)
        return to_crystals(batch_of(state if steered is None else steered.keep(state)))


def parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
