"""The paper's network: DimeNet++ on the multigraph of general points, with outputs on edges.

Source: Gasteiger et al. 2020 (DimeNet++), changed as in section 4.2 of the paper: output blocks act on edges
and are not pooled, the noise level is an input. Messages live on directed edges i -> j; a message hears of
those that leave the atom it ends on, each with the angle between the two bonds, seen from that atom: edges
that leave orbit j are turned by the operation that makes the atom. The sum over all such pairs (triplets of
sites) is carried out without listing them: with the addition theorem of the spherical harmonics it is a sum
over the edges that leave j, and then one over the edges that end there, with the very same value.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from crystalsmith.graph import (
    Coincidence,
    GeneralBatch,
    ImageGraph,
    build_image_graph,
    find_coincidence,
    operations,
)
from crystalsmith.graph.ragged import segment_sum
from crystalsmith.networks.basis import envelope
from crystalsmith.networks.spherical import FourierBessel, radial_bessel, spherical_harmonics

OUTPUTS = 2
"""Numbers on each edge: one for the positions, one for the lattice."""


@dataclass(frozen=True)
class DimeNetConfig:
    """Size of the network and of its graph; the paper's values, but for ``crowd``, which it does not have.

    Attributes:
        embedding: channels of a message.
        output: channels inside the output blocks.
        triplet: channels of the interaction of two bonds.
        basis: channels that the bases are squeezed to.
        blocks: interaction blocks.
        spherical, radial: numbers of angular and of radial basis functions.
        before_skip, after_skip: residual layers of a block before and after its skip connection.
        dense: layers of an output block.
        cutoff: Angstrom.
        crowd: edges that leave a point at most, on average over a crystal; see ``build_image_graph``.
        merge: Angstrom; images of a site closer than this are one atom.
        levels: noise levels that are told apart.
    """

    embedding: int = 64
    output: int = 128
    triplet: int = 64
    basis: int = 10
    blocks: int = 4
    spherical: int = 7
    radial: int = 10
    before_skip: int = 1
    after_skip: int = 2
    dense: int = 3
    cutoff: float = 6.0
    crowd: float = 24.0
    merge: float = 0.4
    levels: int = 10


MERGE_NOISE, MERGE_MOST = 3.0, 1.2
"""Images closer than so many times the noise of the positions, and than so many Angstrom, are one atom too:
noise of that size parts what belongs together, into up to 48 images a site."""


def merge_tolerance(c: DimeNetConfig, sigma: Tensor) -> Tensor:
    """Angstrom, same shape as sigma (Angstrom): images closer than this are one atom at that noise."""
    return (MERGE_NOISE * sigma).clamp(min=c.merge, max=max(MERGE_MOST, c.merge))


@dataclass(frozen=True)
class Bonds:
    """What every block needs of the graph: E edges between S orbits, M at most leaving or N ending on one.

    Attributes:
        source, target: (E,).
        radial: (E, radial) basis of the length.
        filters: (E, spherical, radial) radial part of the angular basis.
        around: (S, M, spherical^2) by the orbit that they leave, the spherical harmonics of edges, averaged
            over its site symmetry, zero where there are no more edges; start: (E,) where in (S, M) each edge
            stands.
        back: (S, N, spherical^2) by the orbit that they end on, the spherical harmonics of their ``back``;
            end: (E,) where in (S, N) each edge stands.
    """

    source: Tensor
    target: Tensor
    radial: Tensor
    filters: Tensor
    around: Tensor
    start: Tensor
    back: Tensor
    end: Tensor


def _grouped(values: Tensor, index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Rows (E, K) by the group (E,) that they belong to: (size, M, K), filled up with zeros; and each row's
    place in (size, M).
    """
    order = torch.argsort(index, stable=True)
    count = torch.bincount(index, minlength=size)
    most = int(count.max()) if len(index) else 0
    rank = torch.arange(len(index), device=index.device) - (torch.cumsum(count, 0) - count)[index[order]]
    place = torch.empty_like(index)
    place[order] = index[order] * most + rank
    table = values.new_zeros(size * most, values.shape[1])
    table[place] = values
    return table.view(size, most, values.shape[1]), place


@torch.no_grad()
def make_bonds(
    c: DimeNetConfig, bessel: FourierBessel, batch: GeneralBatch, same: Coincidence, graph: ImageGraph
) -> Bonds:
    """Bases and groupings of the edges of a graph."""
    ops = operations(batch.position.device, batch.position.dtype)
    size = len(batch.element)
    cutoff = graph.cutoff[batch.crystal[graph.source]]
    x = graph.distance / c.cutoff
    angular = torch.sqrt((2 * torch.arange(c.spherical, device=x.device) + 1) / (4 * math.pi))
    filters = bessel(x) * (envelope(graph.distance / cutoff)[:, None] * angular)[:, :, None]
    direction = graph.vector / graph.distance.clamp(min=1e-6)[:, None]
    around = spherical_harmonics(direction, c.spherical)
    special = torch.nonzero(same.order[graph.source] > 1)[:, 0]
    if len(special):
        pair = torch.nonzero(same.stays[graph.source[special]])
        orbit = graph.source[special][pair[:, 0]]
        turn = ops.cartesian[ops.first[batch.group[orbit]] + pair[:, 1]]
        turned = torch.einsum("pij,pj->pi", turn, direction[special][pair[:, 0]])
        total = segment_sum(spherical_harmonics(turned, c.spherical), pair[:, 0], len(special))
        around[special] = total / same.order[graph.source[special]][:, None]
    around, start = _grouped(around, graph.source, size)
    back, end = _grouped(spherical_harmonics(graph.back, c.spherical), graph.target, size)
    return Bonds(
        source=graph.source,
        target=graph.target,
        radial=radial_bessel(graph.distance, cutoff, c.cutoff, c.radial),
        filters=filters,
        around=around,
        start=start,
        back=back,
        end=end,
    )


def _linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer with the initialisation of DimeNet: orthogonal, scaled to Glorot's variance."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight *= math.sqrt(2.0 / ((inputs + outputs) * layer.weight.var(correction=0)))
        if bias:
            layer.bias.zero_()
    return layer


class Residual(nn.Module):
    """Two dense layers around a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _linear(channels, channels), _linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(E, channels) from (E, channels)."""
        return x + silu(self.second(silu(self.first(x))))


class InteractionBlock(nn.Module):
    """Messages hear of the bonds of the atom that they end on."""

    def __init__(self, c: DimeNetConfig) -> None:
        super().__init__()
        self.c = c
        n = c.embedding
        self.radial = nn.Sequential(_linear(c.radial, c.basis, False), _linear(c.basis, n, False))
        self.angular_in = _linear(c.radial * c.spherical, c.basis, False)
        self.angular_out = _linear(c.basis, c.triplet, False)
        self.own, self.other = _linear(n, n), _linear(n, n)
        self.down, self.up = _linear(n, c.triplet, False), _linear(c.triplet, n, False)
        self.before = nn.ModuleList(Residual(n) for _ in range(c.before_skip))
        self.skip = _linear(n, n)
        self.after = nn.ModuleList(Residual(n) for _ in range(c.after_skip))

    def gather(self, x: Tensor, bonds: Bonds) -> Tensor:
        """(E, triplet) for every edge the sum over the bonds of the atom it ends on.

        Args:
            x: (E, triplet) what the bonds have to say.
            bonds: of the batch.
        """
        c = self.c
        weight = self.angular_out.weight @ self.angular_in.weight
        weight = weight.view(c.triplet, c.spherical, c.radial)
        said = torch.einsum("eln,cln->lec", bonds.filters, weight) * x
        orbits, most = bonds.around.shape[:2]
        table = said.new_zeros(c.spherical, orbits * most, c.triplet).index_copy(1, bonds.start, said)
        table = table.view(c.spherical, orbits, most, c.triplet)
        heard = torch.cat(
            [
                torch.bmm(bonds.around[:, :, n * n : (n + 1) ** 2].transpose(1, 2), table[n])
                for n in range(c.spherical)
            ],
            1,
        )
        return torch.bmm(bonds.back, heard).flatten(0, 1).index_select(0, bonds.end)

    def forward(self, m: Tensor, bonds: Bonds) -> Tensor:
        """Messages (E, embedding) after the block."""
        own, other = silu(self.own(m)), silu(self.other(m))
        said = silu(self.down(other * self.radial(bonds.radial)))
        update = own + silu(self.up(self.gather(said, bonds)))
        for layer in self.before:
            update = layer(update)
        m = m + silu(self.skip(update))
        for layer in self.after:
            m = layer(m)
        return m


class OutputBlock(nn.Module):
    """Numbers on edges from messages."""

    def __init__(self, c: DimeNetConfig) -> None:
        super().__init__()
        self.radial = _linear(c.radial, c.embedding, False)
        self.up = _linear(c.embedding, c.output, False)
        self.norm = nn.LayerNorm(c.output)
        self.dense = nn.ModuleList(_linear(c.output, c.output) for _ in range(c.dense))
        self.last = nn.Linear(c.output, OUTPUTS, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, m: Tensor, bonds: Bonds) -> Tensor:
        """(E, OUTPUTS) from messages (E, embedding)."""
        x = self.norm(self.up(m * self.radial(bonds.radial)))
        for layer in self.dense:
            x = silu(layer(x))
        return self.last(x)


class DimeNet(nn.Module):
    """DimeNet++ with outputs on edges."""

    def __init__(self, config: DimeNetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DimeNetConfig()
        self.mixed_precision = False
        self.bessel = FourierBessel(c.spherical, c.radial)
        n = c.embedding
        self.element = nn.Embedding(119, n)
        self.level = nn.Embedding(c.levels, n)
        self.own = nn.Embedding(2, n)
        self.radial = _linear(c.radial, n)
        self.source, self.target = _linear(n, n, False), _linear(n, n, False)
        self.length, self.kind = _linear(n, n), _linear(2 * n, n, False)
        self.interactions = nn.ModuleList(InteractionBlock(c) for _ in range(c.blocks))
        self.outputs = nn.ModuleList(OutputBlock(c) for _ in range(c.blocks + 1))
        nn.init.uniform_(self.element.weight, -math.sqrt(3), math.sqrt(3))

    def config_dict(self) -> dict[str, object]:
        """The configuration as plain values, for a checkpoint's metadata."""
        return asdict(self.config)

    def graph(self, batch: GeneralBatch, sigma: Tensor) -> tuple[Coincidence, ImageGraph]:
        """What coincides, and the edges.

        Args:
            batch: B crystals.
            sigma: (B,) noise of the positions, Angstrom.
        """
        c = self.config
        same = find_coincidence(batch, merge_tolerance(c, sigma)[batch.crystal])
        return same, build_image_graph(batch, same, c.cutoff, c.crowd)

    def forward(self, batch: GeneralBatch, level: Tensor, same: Coincidence, graph: ImageGraph) -> Tensor:
        """(E, OUTPUTS) numbers on the edges.

        Args:
            batch: B crystals.
            level: (B,) noise level of each, from 0.
            same, graph: of the batch, from ``graph``.
        """
        bonds = make_bonds(self.config, self.bessel, batch, same, graph)
        orbit_level = level[batch.crystal][graph.source]
        with torch.autocast(bonds.radial.device.type, torch.bfloat16, enabled=self.mixed_precision):
            return self.run(batch.element, orbit_level, graph.own.long(), bonds).to(bonds.radial.dtype)

    def run(self, element: Tensor, level: Tensor, own: Tensor, bonds: Bonds) -> Tensor:
        """(E, OUTPUTS) from elements (S,), the level and whether it is an own image of every edge (E,)."""
        h = self.element(element)
        kind = torch.cat(
            [
                self.level.weight[:, None].expand(-1, 2, -1),
                self.own.weight.expand(len(self.level.weight), -1, -1),
            ],
            2,
        )
        kind = self.kind(kind).flatten(0, 1)
        m = silu(
            self.source(h).index_select(0, bonds.source)
            + self.target(h).index_select(0, bonds.target)
            + self.length(silu(self.radial(bonds.radial)))
            + kind.index_select(0, 2 * level + own)
        )
        out = self.outputs[0](m, bonds)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            m = interaction(m, bonds)
            out = out + output(m, bonds)
        return out
