"""Likely and random crystals of an order: cells, space groups and assignments together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from crystalsmith.assignments import Assignment, Cells, Request, positions_of, to_pairs
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.prior.prior import TRUST_ATOMS, TRUST_SITES, AssignmentPrior, Cell, Key, total
from crystalsmith.prior.questions import Talk, each
from crystalsmith.prior.search import ask_beam, choose, draw

_NEGLIGIBLE = 1e-3
"""Cells that hold less than this share of the probability are not searched while others are."""

_PLACE = 0.1
"""Nor are those that hold less than this part of a place in the list."""


def likely_choices(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: Sequence[Cells], width: int
) -> list[Request]:
    """The likeliest assignments for a composition, the likeliest first.

    Their probabilities are exact; that none likelier is missing is not certain, as it is with all beams.

    Args:
        prior: whose probabilities.
        elements: atomic numbers, cations first.
        ratio: atoms of each in the smallest formula unit.
        cells: what is allowed; nothing else has a probability.
        width: about how many to find.
    """
    return prior.hear(ask_likely_choices(prior, elements, ratio, cells, width))


def ask_likely_choices(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: Sequence[Cells], width: int
) -> Talk[list[Request]]:
    """``likely_choices`` as a talk."""
    parts = yield from _shares(prior, elements, ratio, cells)
    least = np.log(max(_NEGLIGIBLE, _PLACE / width))
    searched = [part for k, part in enumerate(parts) if k == 0 or part[1] >= least]
    every = yield from each(_likely_within(prior, elements, ratio, *part, width) for part in searched)
    found = [one for inner in every for one in inner]
    for part in parts[len(searched) :]:
        if found:
            break
        found = yield from _likely_within(prior, elements, ratio, *part, width)
    return _likeliest_first(elements, found)


def _likely_within(
    prior: AssignmentPrior,
    elements: Key,
    ratio: Key,
    cell: Cells,
    share: float,
    groups: list[tuple[int, float]],
    width: int,
) -> Talk[list[tuple[float, int, Key, Assignment]]]:
    """Likely assignments of one cell; share and groups as of ``_shares``."""
    counts = tuple(n * cell.units for n in ratio)
    own = max(8, round(width * np.exp(share)))
    candidates = dict.fromkeys((yield from ask_beam(prior, elements, counts, groups, own)))
    lent = prior.prototypes.by_atoms(elements, counts)
    allowed = {g for g, _ in groups}
    by_weight = sorted((c for c in lent if c[0] in allowed), key=lambda c: -lent[c])
    candidates.update(dict.fromkeys(by_weight[: 2 * own]))
    log_group = dict(groups)
    listed = list(candidates)
    logs = yield from prior.ask_assignments(elements, counts, listed)
    return [(share + log_group[g] + log, g, counts, a) for (g, a), log in zip(listed, logs, strict=True)]


def draw_choice(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: Sequence[Cells], rng: np.random.Generator
) -> Request:
    """A random assignment for a composition, by its probability; arguments as of ``likely_choices``."""
    parts = prior.hear(_shares(prior, elements, ratio, cells))
    part, share, groups = parts[choose(np.exp([s for _, s, _ in parts]), rng)]
    counts = tuple(n * part.units for n in ratio)
    group, log = groups[choose(np.exp([log for _, log in groups]), rng)]
    lent = [(a, w) for (g, a), w in sorted(prior.prototypes.by_atoms(elements, counts).items()) if g == group]
    base = TRUST_ATOMS * float(np.exp(prior.hear(prior.ask_groups_of_network(elements, counts))[group]))
    k = choose(np.array([base, *(w for _, w in lent)]), rng)
    found = draw(prior, elements, counts, group, rng) if k == 0 else (group, lent[k - 1][0])
    inner = _inner(prior, elements, counts, found)
    return _request(elements, group, found[1], share + log + inner)


@lru_cache(maxsize=1 << 14)
def _inner(prior: AssignmentPrior, elements: Key, counts: Key, cell: Cell) -> float:
    """Logarithm of the probability of an assignment; likely ones are drawn again and again."""
    return float(prior.assignments(elements, counts, [cell])[0])


def likely_letters(
    prior: AssignmentPrior, space_group: int, elements: Key, sites: Key, max_atoms: int, width: int
) -> list[Request]:
    """The likeliest assignments for numbers of sites in a group; else as ``likely_choices``."""
    return prior.hear(ask_likely_letters(prior, space_group, elements, sites, max_atoms, width))


def ask_likely_letters(
    prior: AssignmentPrior, space_group: int, elements: Key, sites: Key, max_atoms: int, width: int
) -> Talk[list[Request]]:
    """``likely_letters`` as a talk."""
    found = yield from ask_beam(prior, elements, sites, [(space_group, 0.0)], width, max_atoms)
    candidates = dict.fromkeys(found)
    lent = prior.prototypes.by_sites(space_group, elements, sites)
    fitting = [c for c in sorted(lent, key=lambda c: -lent[c]) if sum(_counts(*c)) <= max_atoms]
    candidates.update(dict.fromkeys(fitting[: 2 * width]))
    listed = list(candidates)
    logs = yield from prior.ask_letters(elements, sites, listed, max_atoms)
    return _likeliest_first(elements, [(log, g, (), a) for (g, a), log in zip(listed, logs, strict=True)])


def draw_letters(
    prior: AssignmentPrior,
    space_group: int,
    elements: Key,
    sites: Key,
    max_atoms: int,
    rng: np.random.Generator,
) -> Request:
    """A random assignment for numbers of sites in a group, by its probability."""
    lent = [
        (c, w)
        for c, w in sorted(prior.prototypes.by_sites(space_group, elements, sites).items())
        if sum(_counts(*c)) <= max_atoms
    ]
    k = choose(np.array([TRUST_SITES, *(w for _, w in lent)]), rng)
    found = draw(prior, elements, sites, space_group, rng, max_atoms) if k == 0 else lent[k - 1][0]
    log = prior.letters(elements, sites, [found], max_atoms)[0]
    return _request(elements, space_group, found[1], log)


def _shares(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: Sequence[Cells]
) -> Talk[list[tuple[Cells, float, list[tuple[int, float]]]]]:
    """Cells with the logarithms of their share and of their groups' shares within them, largest first."""
    most = max(c.units for c in cells)
    units = yield from prior.ask_units(elements, ratio, most)
    every = yield from each(prior.ask_groups(elements, tuple(n * c.units for n in ratio)) for c in cells)
    parts = []
    for c, groups_of_cell in zip(cells, every, strict=True):
        logs = groups_of_cell[list(c.groups)]
        inner = total(logs)
        groups = [(g, float(log - inner)) for g, log in zip(c.groups, logs, strict=True)]
        parts.append((c, float(units[c.units - 1] + inner), groups))
    whole = total(np.array([share for _, share, _ in parts]))
    return sorted(((c, share - whole, g) for c, share, g in parts), key=lambda part: -part[1])


def _counts(space_group: int, assignment: Assignment) -> Key:
    size = positions_of(space_group).size
    return tuple(sum(size[p] for p in own) for own in assignment)


def _request(elements: Key, space_group: int, assignment: Assignment, log_p: float) -> Request:
    symbols = [SYMBOLS[z] for z in elements]
    return Request(space_group, to_pairs(space_group, symbols, assignment), float(log_p))


def _likeliest_first(elements: Key, found: list[tuple[float, int, Key, Assignment]]) -> list[Request]:
    return [_request(elements, g, a, log) for log, g, _, a in sorted(found, key=lambda c: (-c[0], *c[1:]))]
