"""Known arrangements for what an order is filled in with, made to fit its sites."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from crystalsmith.assignments import Assignment, Request, Start, canonical, from_pairs
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import CrystalsmithError
from crystalsmith.symmetry import space_group

Key = tuple[int, ...]

MOST = 400
"""Known arrangements of one composition that are looked at."""

MOST_OF_ONE = 12
"""Known arrangements of one assignment that are looked at."""

_KEPT = 256  # compositions whose arrangements are at hand


class Template(Protocol):
    """A known arrangement with the elements asked for; as ``prototypes.Template``."""

    @property
    def crystal(self) -> Crystal: ...
    @property
    def weight(self) -> float: ...
    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def members(self) -> int: ...
    @property
    def spread(self) -> float: ...


class Templates(Protocol):
    """Where known arrangements come from; as ``prototypes.Library``."""

    def by_atoms(
        self, elements: Key, counts: Key, groups: Collection[int] | None, most: int
    ) -> Sequence[Template]:
        """Those with so many atoms of each element in the primitive cell, the most similar first."""
        ...

    def by_assignment(
        self, group: int, elements: Key, assignment: Assignment, most: int
    ) -> Sequence[Template]:
        """Those of one assignment or an equivalent one, the most similar first."""
        ...


class _Found(NamedTuple):
    """Of one composition."""

    of: dict[tuple[int, Assignment], list[Template]]
    cut: bool  # there may be more


class Arrangements:
    """Known arrangements, recipe by recipe.

    Args:
        templates: where from.
    """

    def __init__(self, templates: Templates) -> None:
        self.templates = templates
        self._found: OrderedDict[tuple[Key, Key], _Found] = OrderedDict()

    def starts(self, recipe: Request) -> list[Start]:
        """Those of a recipe's assignment, the best first, each with the recipe's sites; none is wreckage."""
        symbols, assignment = from_pairs(recipe.space_group, recipe.sites)
        number, assignment = recipe.space_group, canonical(recipe.space_group, assignment)
        elements = tuple(NUMBERS[s] for s in symbols)
        found = self._of(elements, _counts(recipe, symbols))
        own: Sequence[Template] = found.of.get((number, assignment), ())
        if not own and found.cut:
            own = self.templates.by_assignment(number, elements, assignment, MOST_OF_ONE)
        starts = []
        for t in own[:MOST_OF_ONE]:
            crystal = with_sites(t.crystal, recipe)
            if crystal is not None and fault(crystal) is None:
                # A single crystal with its own elements has its own cell; a prototype's is a mean of many.
                estimated = t.weight < 1 or t.source == "prototype"
                starts.append(Start(crystal, 0.0, t.source, t.name, t.weight, t.members, t.spread, estimated))
        return starts

    def _of(self, elements: Key, counts: Key) -> _Found:
        key = elements, counts
        if key not in self._found:
            templates = self.templates.by_atoms(elements, counts, None, MOST)
            of: dict[tuple[int, Assignment], list[Template]] = defaultdict(list)
            for t in templates:
                number = t.crystal.space_group
                of[number, canonical(number, from_pairs(number, _pairs(t.crystal))[1])].append(t)
            self._found[key] = _Found(dict(of), len(templates) >= MOST)
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return self._found[key]


def with_sites(crystal: Crystal, recipe: Request) -> Crystal | None:
    """A crystal described with a recipe's sites in their order; None where it cannot be.

    Args:
        crystal: of the recipe's group, and of its assignment up to the choice of origin and setting.
        recipe: what was asked for.
    """
    if sorted(_pairs(crystal)) != sorted(recipe.sites):
        from crystalsmith.prototypes import aligned

        found = aligned(_anywhere(crystal, recipe), crystal, same_elements=True)
        if found is None:
            return None
        crystal = found
    waiting: dict[tuple[str, str], list[Site]] = defaultdict(list)
    for site in crystal.sites:
        waiting[site.element, site.letter].append(site)
    try:
        return Crystal(recipe.space_group, crystal.cell, tuple(waiting[pair].pop(0) for pair in recipe.sites))
    except (CrystalsmithError, IndexError):
        return None


def _anywhere(crystal: Crystal, recipe: Request) -> Crystal:
    """Some crystal with a recipe's sites, for the description that they ask for."""
    group = crystal.group
    sites = tuple(
        Site(element, letter, tuple(0.1 + 0.07 * k for k in range(group.wyckoff[letter].dof)))
        for element, letter in recipe.sites
    )
    return Crystal(recipe.space_group, crystal.cell, sites)


def _pairs(crystal: Crystal) -> list[tuple[str, str]]:
    return [(site.element, site.letter) for site in crystal.sites]


def _counts(recipe: Request, symbols: Sequence[str]) -> Key:
    counts = dict.fromkeys(symbols, 0)
    group = space_group(recipe.space_group)
    for element, letter in recipe.sites:
        counts[element] += group.position(letter).multiplicity_primitive
    return tuple(counts[s] for s in symbols)
