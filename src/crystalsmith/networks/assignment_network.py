"""The network behind the prior over Wyckoff assignments: what crystals do with a composition.

Three questions, one stack of attention layers over a handful of tokens (elements as a set; then, for the
third, the sites one after another):

* how many formula units the primitive cell holds, given their elements and ratio;
* which space group, given the composition of the primitive cell;
* which Wyckoff position the next site takes, given the group, what every element needs in all (atoms or
  sites), and the sites so far.

Elements enter by their properties beside an embedding, positions by their site symmetry, multiplicity and
freedom beside one, groups by their point group and lattice beside one: the rare learn from the common.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crystalsmith.crystal.chemistry import element_features
from crystalsmith.crystal.elements import period_and_group
from crystalsmith.errors import ConfigError
from crystalsmith.symmetry.tables import names, tables

SHARED = 64
"""Where networks of the first kind have no more embeddings of numbers; theirs is the same from here on."""

DIVISORS = (2, 3, 4, 6, 8, 12, 16, 24, 48)
"""Divisibility by these is told of numbers of atoms: positions have such sizes."""

RATIO, ATOMS, SITES = 0, 1, 2
"""What numbers beside the elements are: of the smallest formula unit, of the primitive cell's atoms, or of
its inequivalent sites."""


@dataclass(frozen=True)
class AssignmentNetworkConfig:
    """Size of the network.

    Attributes:
        width: channels of a token.
        heads: attention heads.
        layers: attention layers.
        dropout: share of channels that are dropped in training.
        most: numbers of atoms, sites and formula units from this one on share an embedding.
        figures: whether numbers enter by their logarithm and their divisors beside an embedding: large ones
            are rare, each by itself.
    """

    width: int = 96
    heads: int = 4
    layers: int = 3
    dropout: float = 0.1
    most: int = 256
    figures: bool = True

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.layers) < 1 or self.width % self.heads:
            raise ConfigError(
                f"width must be a multiple of heads and layers positive, not {self.width}, {self.heads} and"
                f" {self.layers}"
            )
        if self.most < 1:
            raise ConfigError(f"most must be at least 1, not {self.most}")


@dataclass(frozen=True)
class Elements:
    """The elements of B compositions, padded to E.

    Attributes:
        number: (B, E) atomic numbers, 0 where padded.
        count: (B, E) what there is of each, see ``kind``; 0 where padded.
        kind: (B,) RATIO, ATOMS or SITES.
        known: (B, E) 0 where an element is told by its properties alone; all are known if None.
    """

    number: Tensor
    count: Tensor
    kind: Tensor
    known: Tensor | None = None


@dataclass(frozen=True)
class Steps:
    """T places in the filling of each of B assignments, padded; see ``assignments.open_sites``.

    Attributes:
        element: (B, T) index into the composition's elements of the one that is being filled.
        owed: (B, T) what it still needs.
        previous: (B, T) row in ``symmetry.Tables`` of the site before; -1 for none.
        previous_element: (B, T) index of its element; 0 for none.
    """

    element: Tensor
    owed: Tensor
    previous: Tensor
    previous_element: Tensor


class Layer(nn.Module):
    """Attention and a perceptron, norms first."""

    def __init__(self, c: AssignmentNetworkConfig) -> None:
        super().__init__()
        self.heads, self.dropout = c.heads, c.dropout
        self.before, self.between = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.take = nn.Linear(c.width, 3 * c.width)
        self.give = nn.Linear(c.width, c.width)
        self.think = nn.Sequential(
            nn.Linear(c.width, 3 * c.width), nn.GELU(), nn.Dropout(c.dropout), nn.Linear(3 * c.width, c.width)
        )
        self.drop = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, sees: Tensor) -> Tensor:
        """(B, L, width) from the same, where token i sees token j if ``sees`` (B, L, L) says so."""
        b, n, width = x.shape
        q, k, v = self.take(self.before(x)).view(b, n, 3, self.heads, width // self.heads).unbind(2)
        mixed = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=sees[:, None]
        )
        x = x + self.drop(self.give(mixed.transpose(1, 2).reshape(b, n, width)))
        return x + self.drop(self.think(self.between(x)))


class AssignmentNetwork(nn.Module):
    """The network. ``units``, ``groups`` and ``positions`` answer the three questions with logits."""

    features: Tensor
    numbers: Tensor
    place: Tensor
    group_class: Tensor
    position_class: Tensor
    position_size: Tensor
    position_group: Tensor

    def __init__(self, config: AssignmentNetworkConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or AssignmentNetworkConfig()
        d = c.width
        self._constants()
        self.element = nn.Embedding(119, d)
        self.period, self.family = nn.Embedding(8, d), nn.Embedding(19, d)
        self.properties = nn.Linear(self.features.shape[1], d)
        self.count, self.kind = nn.Embedding(c.most + 1, d), nn.Embedding(3, d)
        self.amount = nn.Linear(2, d)
        self.question = nn.Parameter(torch.zeros(2, d))
        self.group = nn.Embedding(231, d)
        self.point, self.centring = nn.Embedding(33, d), nn.Embedding(7, d)
        self.row = nn.Embedding(len(self.position_group), d)
        self.symmetry = nn.Embedding(int(self.position_class[:, 0].max()) + 1, d)
        self.freedom = nn.Embedding(4, d)
        self.size = nn.Linear(2, d)
        self.owed = nn.Embedding(c.most + 1, d)
        self.mix = nn.Sequential(nn.Linear(3 * d, d), nn.GELU(), nn.Linear(d, d))
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(d)
        self.unit_key, self.total_key = nn.Embedding(c.most + 1, d), nn.Embedding(c.most + 1, d)
        self.group_key = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))
        self.position_key = nn.Sequential(nn.Linear(2 * d, d), nn.GELU(), nn.Linear(d, d))
        self.group_bias = nn.Parameter(torch.zeros(231))
        self.drop = nn.Dropout(c.dropout)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.1)
        self.figures = None
        if c.figures:
            wide = self.numbers.shape[1]
            self.figures = nn.ModuleDict(
                {name: nn.Linear(wide, d, bias=False) for name in ("count", "owed", "total", "unit")}
            )

    def _constants(self) -> None:
        t, n = tables(), names()
        points = sorted(set(n["point_group"]))
        symmetries = sorted(set(n["site_symmetry"]))
        centring = [0] + [
            "PABCFIR".index(next(ch for ch in n["symbol"][g] if ch in "PABCFIR")) for g in range(1, 231)
        ]
        group_class = [[points.index(p), c] for p, c in zip(n["point_group"], centring, strict=True)]
        position_class = [
            [symmetries.index(s), d] for s, d in zip(n["site_symmetry"], t.dof.tolist(), strict=True)
        ]
        size = torch.tensor(t.multiplicity_primitive, dtype=torch.float32)
        whole = torch.tensor(t.multiplicity, dtype=torch.float32)
        places = [(0, 0)] + [period_and_group(z) for z in range(1, 119)]
        whole_numbers = torch.arange(self.config.most + 1)
        divided = [(whole_numbers % k == 0).float() for k in DIVISORS]
        numbers = torch.stack([whole_numbers.clamp(min=1).log2() / 3, *divided], 1)
        for name, value in (
            ("numbers", numbers),
            ("features", torch.tensor(element_features(), dtype=torch.float32)),
            ("place", torch.tensor(places)),
            ("group_class", torch.tensor(group_class)),
            ("position_class", torch.tensor(position_class)),
            ("position_size", torch.stack([size.log2() / 3, whole.log2() / 3], 1)),
            ("position_group", torch.tensor(t.wyckoff_group)),
        ):
            self.register_buffer(name, value, persistent=False)

    def config_dict(self) -> dict[str, object]:
        """The configuration as plain values, for a checkpoint's metadata."""
        return asdict(self.config)

    def grown(self, config: AssignmentNetworkConfig) -> AssignmentNetwork:
        """A network that says the same and can tell more numbers apart once it is trained further.

        Raises:
            ConfigError: if the sizes differ in anything but ``most``, ``figures`` and ``dropout``, or
                something would be lost.
        """
        own = self.config
        like = replace(own, most=config.most, figures=config.figures, dropout=config.dropout)
        if like != config or config.most < own.most or own.figures > config.figures:
            raise ConfigError(
                f"a prior of {own} cannot go on as one of {config}; only most, figures and dropout may change"
            )
        larger = AssignmentNetwork(config)
        weights = dict(self.state_dict())
        for name in ("count", "owed", "unit_key", "total_key"):
            old = weights[f"{name}.weight"]
            weights[f"{name}.weight"] = torch.cat([old, old[-1:].expand(config.most - own.most, -1)])
        if larger.figures is not None and self.figures is None:
            names = (f"figures.{k}.weight" for k in larger.figures)
            weights |= {name: torch.zeros_like(larger.state_dict()[name]) for name in names}
        larger.load_state_dict(weights)
        return larger

    def units(self, elements: Elements, most: int) -> Tensor:
        """(B, most) logits of 1, 2, ... formula units in the primitive cell; the counts are RATIO."""
        h = self._ask(elements, self.question[0].expand(len(elements.number), 1, -1))
        k = torch.arange(1, most + 1, device=h.device)
        total = elements.count.sum(1)[:, None] * k
        keys = self._number("unit", self.unit_key, k) + self._number("total", self.total_key, total)
        return (keys @ h[:, :, None])[:, :, 0] / math.sqrt(self.config.width)

    def groups(self, elements: Elements) -> Tensor:
        """(B, 231) logits of the space groups, 0 unused; the counts are ATOMS."""
        h = self._ask(elements, self.question[1].expand(len(elements.number), 1, -1))
        keys = self.group_key(self._group(torch.arange(231, device=h.device)))
        return h @ keys.T / math.sqrt(self.config.width) + self.group_bias

    def positions(self, elements: Elements, group: Tensor, steps: Steps, candidates: Tensor) -> Tensor:
        """(B, T, P) logits of the next position at every step.

        Args:
            elements: the counts are ATOMS or SITES.
            group: (B,) space groups.
            steps: where the filling stands; a step sees those before it.
            candidates: (B, P) rows in ``symmetry.Tables`` of the group's positions, padded at will; the same
                for rows of the same group.
        """
        tokens = self._elements(elements)
        own = torch.gather(tokens, 1, steps.element[:, :, None].expand(-1, -1, tokens.shape[2]))
        before = torch.gather(tokens, 1, steps.previous_element[:, :, None].expand(-1, -1, tokens.shape[2]))
        some = (steps.previous >= 0)[:, :, None].to(tokens.dtype)
        row = self._position(steps.previous.clamp(min=0))
        owed = self._number("owed", self.owed, steps.owed)
        step = self.mix(torch.cat([own + owed, before * some, row * some], 2))
        given = self._group(group)
        x = torch.cat([given[:, None], tokens, step], 1)
        real = torch.cat([group[:, None] > 0, elements.number > 0, torch.ones_like(steps.owed) > 0], 1)
        n, first = x.shape[1], 1 + tokens.shape[1]
        place = torch.arange(n, device=x.device)
        # Elements see one another, steps what came before.
        sees = real[:, None, :] & ((place[None, :] < first) | (place[None, :] <= place[:, None]))[None]
        h = self._through(x, sees)[:, first:]
        if not self.training:  # rows of one group share their keys
            kinds, which = torch.unique(group, return_inverse=True)
            one = torch.empty_like(kinds).scatter_(0, which, torch.arange(len(group), device=group.device))
            candidates, given = candidates[one], given[one]
        keys = self.position_key(
            torch.cat([self._position(candidates), given[:, None].expand(-1, candidates.shape[1], -1)], 2)
        )
        if not self.training:
            keys = keys[which]
        return h @ keys.transpose(1, 2) / math.sqrt(self.config.width)

    def _ask(self, elements: Elements, question: Tensor) -> Tensor:
        tokens = self._elements(elements)
        x = torch.cat([question, tokens], 1)
        real = torch.cat([question.new_ones(len(x), 1) > 0, elements.number > 0], 1)
        return self._through(x, real[:, None, :].expand(-1, x.shape[1], -1))[:, 0]

    def _through(self, x: Tensor, sees: Tensor) -> Tensor:
        x = self.drop(x)
        for layer in self.layers:
            x = layer(x, sees)
        return self.norm(x)

    def _elements(self, e: Elements) -> Tensor:
        own = self.element(e.number)
        if e.known is not None:
            own = own * e.known[:, :, None]
        period, family = self.place[e.number].unbind(2)
        count = e.count.to(own.dtype)
        share = count / count.sum(1, keepdim=True).clamp(min=1)
        amount = torch.stack([count.clamp(min=1).log2() / 3, share], 2)
        return (
            own
            + self.period(period)
            + self.family(family)
            + self.properties(self.features[e.number])
            + self._number("count", self.count, e.count)
            + self.amount(amount)
            + self.kind(e.kind)[:, None]
        )

    def _number(self, name: str, embedding: nn.Embedding, n: Tensor) -> Tensor:
        """(..., width) what the network sees of whole numbers."""
        n = n.clamp(max=self.config.most)
        return embedding(n) if self.figures is None else embedding(n) + self.figures[name](self.numbers[n])

    def _group(self, group: Tensor) -> Tensor:
        point, centring = self.group_class[group].unbind(-1)
        return self.group(group) + self.point(point) + self.centring(centring)

    def _position(self, row: Tensor) -> Tensor:
        symmetry, freedom = self.position_class[row].unbind(-1)
        return (
            self.row(row)
            + self.symmetry(symmetry)
            + self.freedom(freedom)
            + self.size(self.position_size[row])
        )
