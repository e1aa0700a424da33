"""The default network: equivariant message passing on the symmetry-reduced multigraph, with crystallographic
context.

Geometric path: scalars and Cartesian vectors on orbits (Schuett et al. 2021, PaiNN, is the nearest relative);
the vector features of a neighbour are turned by the operation that makes the image, so the reduced graph
gives what the full crystal would, and the vectors of a special position lie in its free space by themselves.
Context path: space group, Wyckoff position and structure factors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from crystalsmith.crystal.chemistry import element_features
from crystalsmith.crystal.elements import period_and_group
from crystalsmith.errors import ConfigError
from crystalsmith.graph import CrystalBatch, Guide, Multigraph, build_multigraph, merge_edges, scaled_cutoff
from crystalsmith.graph.ragged import segment_sum
from crystalsmith.networks.basis import RADIAL, covalent_radii, noise_features, radial_basis
from crystalsmith.networks.guidance import Guidance
from crystalsmith.networks.structure_factor import REFLECTIONS, StructureFactors, structure_factors
from crystalsmith.symmetry.tables import names, tables

NOISE = 32


@dataclass(frozen=True)
class DenoiserConfig:
    """Size of the network.

    Attributes:
        scalars: scalar channels of an orbit.
        vectors: vector channels of an orbit.
        edges: hidden channels of an edge.
        layers: rounds of message passing.
        cutoff: in units of the cube root of the volume per atom; 2.0 gives 33 edges an orbit.
        context: whether the network sees the space group, the Wyckoff position and structure factors.
        form_factors: channels of the crystal's structure factor.
        properties: whether the network sees the elements' properties (``crystal.chemistry``) beside what it
            learns of each element.
        feedforward: hidden channels of a perceptron that ends each layer; 0 for none. Orbits are few where
            edges are many, so it costs little.
        guide: whether the network can be told of a known crystal with similar elements, see
            ``networks.guidance``.
    """

    scalars: int = 128
    vectors: int = 32
    edges: int = 32
    layers: int = 4
    cutoff: float = 2.0
    context: bool = True
    form_factors: int = 8
    properties: bool = True
    feedforward: int = 0
    guide: bool = False


@dataclass(frozen=True)
class Edges:
    """What every layer needs of the multigraph: E edges between S orbits, over A atoms.

    Attributes:
        orbit, source: (E,) orbits at the two ends; atom: (E,) the image at the far end.
        direction: (E, 3) unit vectors; hidden: (E, edges) features of the length, times the edges that this
            one stands for.
        average: (S, 3, 3) mean of the site's Cartesian rotations, for row vectors.
        rotation: (A, 3, 3) Cartesian rotation, for row vectors, that makes each atom from its representative.
        atom_orbit: (A,).
    """

    orbit: Tensor
    source: Tensor
    atom: Tensor
    direction: Tensor
    hidden: Tensor
    average: Tensor
    rotation: Tensor
    atom_orbit: Tensor


def cartesian_rotations(batch: CrystalBatch, lattice: Tensor) -> Tensor:
    """(A, 3, 3) R with ``v @ R`` the row vector v of the representative turned onto the atom."""
    lay = batch.layout
    owner = lay.crystal[lay.atom_orbit]
    turned = lay.tables.rotations[lay.atom_op].transpose(1, 2)
    return torch.linalg.inv(lattice)[owner] @ turned @ lattice[owner]


def _silence(*modules: nn.Module) -> None:
    """Set all their weights to zero."""
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


class Interaction(nn.Module):
    """One round: messages along edges, then an update of each orbit."""

    def __init__(self, c: DenoiserConfig) -> None:
        super().__init__()
        self.scalars, self.vectors = c.scalars, c.vectors
        self.sizes = [c.scalars, c.vectors, c.vectors, c.vectors]
        total = sum(self.sizes)
        self.source = nn.Sequential(nn.Linear(c.scalars, c.scalars), nn.SiLU(), nn.Linear(c.scalars, total))
        self.filter = nn.Linear(c.edges, total, bias=False)
        self.mix = nn.Linear(c.vectors, 2 * c.vectors, bias=False)
        self.update = nn.Sequential(
            nn.Linear(2 * c.scalars + 2 * c.vectors, c.scalars),
            nn.SiLU(),
            nn.Linear(c.scalars, c.scalars + 2 * c.vectors),
        )
        self.norm = nn.LayerNorm(c.scalars)
        self.crystal = nn.Linear(c.scalars + NOISE, c.scalars)
        self.think: nn.Sequential | None = None
        if c.feedforward:
            self.think = nn.Sequential(
                nn.LayerNorm(c.scalars),
                nn.Linear(c.scalars, c.feedforward),
                nn.SiLU(),
                nn.Linear(c.feedforward, c.scalars),
            )

    def say_nothing(self) -> None:
        """Set the last weights of the layer to zero: what comes in goes out, until it is trained."""
        self.think_nothing()
        with torch.no_grad():
            self.filter.weight[self.scalars : self.scalars + 2 * self.vectors] = 0.0
        _silence(self.update[-1], self.crystal)

    def think_nothing(self) -> None:
        """Set the last weights of the perceptron to zero."""
        if self.think is not None:
            _silence(self.think[-1])

    def forward(
        self, s: Tensor, v: Tensor, edges: Edges, crystal: Tensor, weight: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scalars (S, C) and vectors (S, 3, V) after one round.

        Args:
            s: (S, C). v: (S, 3, V). edges: of the batch. crystal: (S,) crystal of each orbit.
            weight: (S,) share of each orbit in its crystal's atoms.
            noise: (B, NOISE) features of the noise levels.
        """
        n = len(s)
        pooled = segment_sum(s * weight[:, None], crystal, len(noise))
        s = s + self.crystal(torch.cat([pooled, noise], 1)).index_select(0, crystal)
        message = self.source(self.norm(s)).index_select(0, edges.source) * self.filter(edges.hidden)
        plain, turn, push, dot = message.split(self.sizes, 1)
        turned = torch.bmm(edges.rotation.transpose(1, 2), v.index_select(0, edges.atom_orbit)).index_select(
            0, edges.atom
        )
        arrow = edges.direction[:, :, None]
        along = (turned * arrow).sum(1) * dot
        gathered = segment_sum(torch.cat([plain, along], 1), edges.orbit, n) * 0.25
        flow = segment_sum(turned * turn[:, None] + arrow * push[:, None], edges.orbit, n) * 0.25
        v = v + torch.bmm(edges.average.transpose(1, 2), flow)
        left, right = self.mix(v).split(self.vectors, 2)
        length = torch.sqrt((right * right).sum(1) + 1e-8)
        change, gate, scale = self.update(torch.cat([self.norm(s), gathered, length], 1)).split(
            [self.scalars, self.vectors, self.vectors], 1
        )
        s = s + change
        if self.think is not None:
            s = s + self.think(s)
        return s, v * (1 + 0.1 * torch.tanh(scale))[:, None] + left * gate[:, None]


class Context(nn.Module):
    """Scalars of an orbit from its place in the space group; outputs in the basis of its free coordinates."""

    site_class: Tensor
    point_class: Tensor

    def __init__(self, c: DenoiserConfig) -> None:
        super().__init__()
        t, n = tables(), names()
        symmetries = sorted(set(n["site_symmetry"]))
        points = sorted(set(n["point_group"]))
        self.register_buffer(
            "site_class", torch.tensor([symmetries.index(s) for s in n["site_symmetry"]]), persistent=False
        )
        self.register_buffer(
            "point_class", torch.tensor([points.index(p) for p in n["point_group"]]), persistent=False
        )
        size = 48
        self.group = nn.Embedding(231, size)
        self.point = nn.Embedding(len(points), size)
        self.position = nn.Embedding(len(t.dof), size)
        self.site = nn.Embedding(len(symmetries), size)
        self.form = nn.Linear(c.scalars, c.form_factors)
        self.channels = c.form_factors
        self.place = nn.Linear(2 * REFLECTIONS, c.scalars)
        self.patterson = nn.Linear(REFLECTIONS * c.form_factors, c.scalars)
        self.encode = nn.Linear(2 * size + 6, c.scalars)
        for e in (self.group, self.point, self.position, self.site):
            nn.init.normal_(e.weight, std=0.3)
        self.out = nn.Sequential(
            nn.Linear(c.scalars, c.scalars),
            nn.SiLU(),
            nn.Linear(c.scalars, REFLECTIONS * (2 + c.form_factors)),
        )

    def forward(
        self, s: Tensor, batch: CrystalBatch, weight: Tensor, strain: Tensor, factors: StructureFactors
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scalars (S, C) with the context in them, and the crystals' structure factors.

        Args:
            s: (S, C).
            batch: the crystals.
            weight: (S,) share of each orbit in its crystal's atoms.
            strain: (B, 6) scaled.
            factors: of the orbits.

        Returns:
            Scalars, and real and imaginary parts (B, channels, H).
        """
        lay = batch.layout
        group = self.group(lay.space_group) + self.point(self.point_class[lay.space_group])
        place = self.position(lay.wyckoff) + self.site(self.site_class[lay.wyckoff])
        s = s + self.encode(torch.cat([group[lay.crystal], place, strain[lay.crystal]], 1))
        s = s + self.place(torch.cat([factors.real, factors.imag], 1))
        q = (self.form(s) * weight[:, None])[:, :, None]
        real = segment_sum(q * factors.real[:, None], lay.crystal, lay.size)
        imag = segment_sum(q * factors.imag[:, None], lay.crystal, lay.size)
        product = real[lay.crystal] * factors.real[:, None] + imag[lay.crystal] * factors.imag[:, None]
        return s + self.patterson(product.flatten(1)), real, imag

    def field(
        self, s: Tensor, batch: CrystalBatch, factors: StructureFactors, real: Tensor, imag: Tensor
    ) -> Tensor:
        """(S, 3) output in orthonormal free coordinates: gradients of structure factors.

        The scalars s (S, C) and the crystals' structure factors, real and imag, weigh them.
        """
        owner = batch.layout.crystal
        weights = self.out(s).view(len(s), 2 + self.channels, REFLECTIONS)
        on_real = weights[:, 0] + (weights[:, 2:] * real[owner]).sum(1)
        on_imag = weights[:, 1] + (weights[:, 2:] * imag[owner]).sum(1)
        return (
            on_real[:, :, None] * factors.real_gradient + on_imag[:, :, None] * factors.imag_gradient
        ).sum(1)


class Denoiser(nn.Module):
    """The network. Call it with a noised batch and its noise levels; see ``forward``."""

    period_group: Tensor
    features: Tensor

    def __init__(self, config: DenoiserConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DenoiserConfig()
        self.mixed_precision = False
        places = [(0, 0)] + [period_and_group(z) for z in range(1, 119)]
        self.register_buffer("period_group", torch.tensor(places), persistent=False)
        self.element = nn.Embedding(119, c.scalars)
        self.period = nn.Embedding(8, c.scalars)
        self.family = nn.Embedding(19, c.scalars)
        for e in (self.element, self.period, self.family):
            nn.init.normal_(e.weight, std=0.3)
        self.properties = None
        if c.properties:
            table = torch.tensor(element_features(), dtype=torch.float32)
            self.register_buffer("features", table, persistent=False)
            # At first they say nothing.
            self.properties = nn.utils.skip_init(nn.Linear, table.shape[1], c.scalars, bias=False)
            nn.init.zeros_(self.properties.weight)
        self.multiplicity = nn.Linear(3, c.scalars)
        self.noise = nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, NOISE))
        self.edge = nn.Sequential(nn.Linear(RADIAL, c.edges), nn.SiLU(), nn.Linear(c.edges, c.edges))
        self.context = Context(c) if c.context else None
        self.layers = nn.ModuleList(Interaction(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.scalars)
        self.vector_out = nn.Linear(c.vectors, 1, bias=False)
        self.vector_gate = nn.Linear(c.scalars, c.vectors)
        self.stretch_from = nn.Linear(c.scalars, c.edges)
        self.stretch_to = nn.Linear(c.scalars, c.edges)
        self.strain_out = nn.Sequential(
            nn.Linear(c.scalars + NOISE, c.scalars), nn.SiLU(), nn.Linear(c.scalars, 6 if c.context else 1)
        )
        self.guidance = Guidance(c.scalars, c.vectors, NOISE, c.context) if c.guide else None

    def config_dict(self) -> dict[str, object]:
        """The configuration as plain values, for a checkpoint's metadata."""
        return asdict(self.config)

    def grown(self, config: DenoiserConfig) -> Denoiser:
        """A larger network that says the same: layers, perceptrons, guidance; what is new says nothing yet.

        Raises:
            ConfigError: if the sizes differ in anything else, or a layer would be lost.
        """
        own = self.config
        like = replace(own, layers=config.layers, feedforward=config.feedforward, guide=config.guide)
        lost = config.layers < own.layers or config.guide < own.guide
        if like != config or lost or own.feedforward not in (0, config.feedforward):
            raise ConfigError(
                f"a network of {own} cannot grow into one of {config}; only by layers, feedforward and guide"
            )
        example = next(self.parameters())
        larger = Denoiser(config).to(example.device, example.dtype)
        for number, layer in enumerate(larger.layers):
            assert isinstance(layer, Interaction)
            if number >= own.layers:
                layer.say_nothing()
            elif own.feedforward == 0:
                layer.think_nothing()
        larger.load_state_dict({**larger.state_dict(), **self.state_dict()})
        return larger

    def forward(
        self,
        batch: CrystalBatch,
        log_sigma: Tensor,
        strain: Tensor,
        graph: Multigraph | None = None,
        known: Tensor | None = None,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs for a noised batch.

        Args:
            batch: B crystals, S orbits.
            log_sigma: (B, 2) logarithms of the noise levels of positions and lattice.
            strain: (B, 6) scaled strain coordinates for the context path.
            graph: the multigraph of the batch, if it is at hand.
            known: (S,) 0 where only an element's place in the periodic table and its properties are told, 1
                where it is itself; all are if not given.
            guide: known crystals to go by, their strain in units of the lattice field; without effect on a
                network that knows no guides.

        Returns:
            (S, 3) in orthonormal free coordinates (zero beyond the degrees of freedom) and (B, 6) in the
            strain basis (zero where forbidden).
        """
        lay, t = batch.layout, batch.layout.tables
        if graph is None:
            graph = build_multigraph(batch, scaled_cutoff(batch, self.config.cutoff))
        dtype = batch.w.dtype
        weight = t.multiplicity[lay.wyckoff] / lay.atoms[lay.crystal].to(dtype)
        noise = self.noise(noise_features(log_sigma).flatten(1))
        size = torch.stack(
            [
                weight,
                t.multiplicity[lay.wyckoff].to(dtype).log() / 4,
                lay.atoms[lay.crystal].to(dtype).log() / 4,
            ],
            1,
        )
        s = self.embed(lay.element, known) + self.multiplicity(size)
        factors = None
        if self.context is not None:
            factors = structure_factors(batch)
            s, real, imag = self.context(s, batch, weight, strain, factors)

        mask = lay.free_mask
        step = (t.free_basis @ t.unit)[lay.wyckoff].transpose(1, 2) @ graph.lattice[lay.crystal]
        volume = torch.linalg.det(graph.lattice) / t.cells[lay.space_group]
        step = step / volume[lay.crystal, None, None] ** (1 / 3)
        edges = self._edges(batch, graph)
        v = s.new_zeros(len(s), 3, self.config.vectors)
        hints = None
        if self.guidance is not None and guide is not None:
            told, hints = self.guidance(batch, guide, log_sigma, strain, noise)
            s, v = s + told, v + self.guidance.vectors(hints, step)
        # Geometry needs single precision; the messages do not.
        with torch.autocast(s.device.type, torch.bfloat16, enabled=self.mixed_precision):
            for layer in self.layers:
                s, v = layer(s, v, edges, lay.crystal, weight, noise)
        s, v = s.to(dtype), v.to(dtype)
        s = self.norm(s)

        arrow = self.vector_out(v * self.vector_gate(s)[:, None])[:, :, 0]
        position = torch.einsum("sij,sj->si", step, arrow)
        pooled = torch.cat([segment_sum(s * weight[:, None], lay.crystal, lay.size), noise], 1)
        direct = self.strain_out(pooled)
        if self.context is not None and factors is not None:
            position = position + self.context.field(s, batch, factors, real, imag)
        else:
            direct = torch.nn.functional.pad(direct, (0, 5))
        if self.guidance is not None and hints is not None:
            position = position + self.guidance.position(s, hints)
            direct = direct + self.guidance.lattice(pooled, hints)
        return position * mask, (direct + self._stretch(s, edges, batch, weight)) * lay.strain_mask

    def embed(self, element: Tensor, known: Tensor | None = None) -> Tensor:
        """(S, scalars) what the network knows of elements (S,); ``known`` as of ``forward``."""
        period, family = self.period_group[element].unbind(1)
        own = self.element(element)
        if known is not None:
            own = own * known[:, None]
        s = own + self.period(period) + self.family(family)
        return s if self.properties is None else s + self.properties(self.features[element])

    def _edges(self, batch: CrystalBatch, graph: Multigraph) -> Edges:
        lay = batch.layout
        merged = merge_edges(batch, graph)
        graph = merged.graph
        source = lay.atom_orbit[graph.atom]
        radius = covalent_radii(graph.distance.device, graph.distance.dtype)[lay.element]
        cutoff = graph.cutoff[lay.crystal[graph.orbit]]
        basis = radial_basis(graph.distance, cutoff, radius[graph.orbit] + radius[source])
        fade = (graph.distance / cutoff).clamp(max=1.0)
        return Edges(
            orbit=graph.orbit,
            source=source,
            atom=graph.atom,
            direction=graph.vector / graph.distance.clamp(min=1e-3)[:, None],
            hidden=self.edge(basis) * (0.5 * (torch.cos(torch.pi * fade) + 1) * merged.members)[:, None],
            average=merged.average,
            rotation=cartesian_rotations(batch, graph.lattice),
            atom_orbit=lay.atom_orbit,
        )

    def _stretch(self, s: Tensor, edges: Edges, batch: CrystalBatch, weight: Tensor) -> Tensor:
        """(B, 6) stretches along the edges, summed to a strain: a lattice score for all families."""
        lay, t = batch.layout, batch.layout.tables
        amount = (
            (
                self.stretch_from(s).index_select(0, edges.orbit)
                + self.stretch_to(s).index_select(0, edges.source)
            )
            * edges.hidden
        ).sum(1)
        d = edges.direction
        dyad = torch.stack(
            [
                d[:, 0] ** 2,
                d[:, 1] ** 2,
                d[:, 2] ** 2,
                d[:, 0] * d[:, 2],
                d[:, 1] * d[:, 2],
                d[:, 0] * d[:, 1],
            ],
            1,
        )
        basis = t.strain_basis
        onto = torch.stack(
            [
                basis[:, 0, 0],
                basis[:, 1, 1],
                basis[:, 2, 2],
                2 * basis[:, 0, 2],
                2 * basis[:, 1, 2],
                2 * basis[:, 0, 1],
            ],
            1,
        )
        per_orbit = segment_sum(amount[:, None] * dyad, edges.orbit, len(s)) * (0.1 * weight)[:, None]
        return segment_sum(per_orbit, lay.crystal, lay.size) @ onto.T
