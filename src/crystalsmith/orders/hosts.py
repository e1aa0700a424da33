"""Orders for what a host takes up: its atoms stay, others are added."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crystalsmith.assignments import Pairs, Request, canonical, from_pairs
from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, Site
from crystalsmith.crystal.bonds import bond_limits, neighbour_distances
from crystalsmith.crystal.elements import formula_order
from crystalsmith.errors import CrystalsmithError, ImpossibleOrder, OrderError
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.sources import Source
from crystalsmith.orders.values import ELEMENT, name_groups, parse_count, parse_element, short
from crystalsmith.symmetry import lattice_to_cell, space_group

if TYPE_CHECKING:
    from crystalsmith.prior import Talk

ANY = "any"
"""As many as the host may hold."""

MOST_ADDED = 200
"""Atoms of one element that can be asked for."""

MOST_SITES = 16
"""Sites that added atoms of one element take at most."""

_PLACEMENTS = 300  # of one subgroup
_MOST_RECIPES = 1500
_CLOSE = 0.8  # of the shortest bond known of two elements, closer than which no atom is put
_ROOM = 0.15  # spread of the logarithm of the volume beside that expected
_CHARGED = -4.0  # for compositions that no common oxidation states make neutral
# For each halving of the host's symmetry by what is added: of 250 crystals of mp20_val without their hydrogen
# or lithium 6 had one.
_HALVED = -3.0


@dataclass(frozen=True)
class Host:
    """A crystal whose atoms stay where they are, and the atoms that are added to it.

    Attributes:
        crystal: the host; its primitive cell is that of the crystals.
        add: elements and atoms of each that are added to the primitive cell, 0 for any number.
    """

    key: ClassVar[str] = "host"
    takes: ClassVar[tuple[str, ...]] = ("max_atoms",)
    needs_group: ClassVar[bool] = False
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "properties": {
                    "space_group": {"type": "integer", "minimum": 1, "maximum": 230},
                    "cell": {"type": "array", "items": {"type": "number"}, "minItems": 6, "maxItems": 6},
                    "sites": {"type": "array", "minItems": 1},
                },
                "required": ["space_group", "cell", "sites"],
            },
        ],
        "description": "file of the crystal to which atoms are added, or the crystal itself as the journal"
        " of a run writes it",
    }
    added_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": ELEMENT,
        "additionalProperties": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_ADDED}, {"enum": [ANY]}]
        },
        "description": "atoms of each element that are added to the host's primitive cell, or any",
    }
    crystal: Crystal
    add: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> Host:
        """Read (host, add).

        Raises:
            OrderError: no crystal, or nothing to add.
        """
        assert isinstance(value, tuple)
        host, add = value
        return cls(_crystal(host), _added(add))

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.crystal.counts, *(e for e, _ in self.add)]))

    @property
    def value(self) -> dict[str, Any]:
        return self.crystal.to_dict()

    @property
    def added(self) -> dict[str, int | str]:
        """The value of ``add``."""
        return {element: n or ANY for element, n in self.add}

    @property
    def tag(self) -> str:
        more = "".join(f"-{e}{n or ANY}" for e, n in self.add)
        return f"{self.crystal.formula}{more}"

    def check(self, bounds: Bounds, limit: int) -> int:
        if not any(True for _ in self._placements(bounds, limit)):
            where = f" in {name_groups(bounds.groups)}" if bounds.groups else ""
            raise ImpossibleOrder(
                f"there is no room for {self._words} in {self.crystal.formula}{where}: no positions of its"
                " space group or a subgroup make so many atoms; give another number or space group"
            )
        return self.crystal.n_atoms + sum(max(n, 1) for _, n in self.add)

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the largest primitive cell that is looked at."""
        return self.crystal.n_atoms + max(sum(c) for c in self._counts(bounds, limit))

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        return None

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        found = list(self._placements(bounds, limit))[:_MOST_RECIPES]
        log_p = np.zeros(len(found))
        by_counts: dict[tuple[int, ...], list[int]] = {}
        for k, (_, _, counts) in enumerate(found):
            by_counts.setdefault(counts, []).append(k)
        weight = self._weights(list(by_counts))
        for counts, rows in by_counts.items():
            log_p[rows] = self._likelihoods([found[k][:2] for k in rows], source) + weight[counts]
        operations = np.array([len(host.group.rotations) for host, _, _ in found])
        log_p += _HALVED * np.log2(operations.max(initial=1) / operations)
        order = np.argsort(-log_p, kind="stable")[:number]
        return [self._request(found[k][0], found[k][1], float(log_p[k])) for k in order]

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> Talk[list[Request]] | None:
        return None

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        recipes = self.likely(bounds, source, limit, _MOST_RECIPES) or []
        logs = np.array([r.log_prior or 0.0 for r in recipes])
        weight = np.exp(logs - logs.max())
        return recipes[int(rng.choice(len(recipes), p=weight / weight.sum()))]

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        return []

    @property
    def _words(self) -> str:
        return ", ".join(f"{n or 'any number of'} {e}" for e, n in self.add)

    def _counts(self, bounds: Bounds, limit: int) -> list[tuple[int, ...]]:
        """Numbers of atoms of the added elements that are looked at."""
        room = bounds.largest(max(limit, self.crystal.n_atoms + 1)) - self.crystal.n_atoms
        most = min(room, max(1, 2 * self.crystal.n_atoms), MOST_ADDED)
        ranges = [range(n, n + 1) if n else range(1, most + 1) for _, n in self.add]
        return [c for c in product(*ranges) if bounds.max_atoms is None or sum(c) <= room]

    def _placements(self, bounds: Bounds, limit: int) -> Iterator[tuple[Crystal, Pairs, tuple[int, ...]]]:
        """The host in a subgroup, added sites, and how many atoms of each element these are."""
        for counts in self._counts(bounds, limit):
            for host in hosts_of(self.crystal):
                if bounds.groups and host.space_group not in bounds.groups:
                    continue
                for sites in _sites(host, tuple(e for e, _ in self.add), counts):
                    yield host, sites, counts

    def _likelihoods(self, found: list[tuple[Crystal, Pairs]], source: Source) -> np.ndarray:
        """(n,) log-probabilities of recipes of one composition, up to a constant."""
        cells = []
        elements: tuple[str, ...] = ()
        for host, sites in found:
            elements, assignment = from_pairs(host.space_group, [*_pairs(host), *sites])
            cells.append((host.space_group, canonical(host.space_group, assignment)))
        group = space_group(found[0][0].space_group)
        counts: Counter[str] = Counter()
        for element, letter in [*_pairs(found[0][0]), *found[0][1]]:
            counts[element] += group.position(letter).multiplicity_primitive
        numbers = tuple(counts[e] for e in elements)
        return source.rate(tuple(NUMBERS[e] for e in elements), numbers, cells)

    def _weights(self, counts: list[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
        """Logarithms of how likely numbers of added atoms are: by charges, and by the room in the cell."""
        if len(counts) == 1:
            return {counts[0]: 0.0}
        from crystalsmith.conditions.volumes import volume_of
        from crystalsmith.prior.compositions import is_neutral

        volume = float(abs(np.linalg.det(self.crystal.primitive_lattice)))
        result = {}
        for c in counts:
            atoms = Counter(self.crystal.counts)
            for (element, _), n in zip(self.add, c, strict=True):
                atoms[element] += n
            symbols = sorted(atoms, key=formula_order)
            units = gcd(*atoms.values())
            neutral = is_neutral(
                tuple(NUMBERS[e] for e in symbols), tuple(atoms[e] // units for e in symbols)
            )
            tight = math.log(volume / volume_of(atoms)) / _ROOM
            result[c] = (0.0 if neutral else _CHARGED) - 0.5 * tight**2
        return result

    def _request(self, host: Crystal, sites: Pairs, log_p: float) -> Request:
        from crystalsmith.conditions import FixedCell, FixedSites

        places = tuple((k, site.free) for k, site in enumerate(host.sites))
        conditions = (FixedCell(host.cell), FixedSites(places))
        return Request(host.space_group, (*_pairs(host), *sites), log_p, conditions=conditions)


def _crystal(value: object) -> Crystal:
    """The host of an order: a crystal, its plain data, or a file.

    Raises:
        OrderError: none of these, or a file that does not hold one crystal.
    """
    if isinstance(value, Crystal):
        return value
    try:
        if isinstance(value, Mapping):
            return Crystal.from_dict(value)
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise OrderError(f"host must be a file that holds a crystal, not {short(value)}")
        if os.path.isdir(value):
            raise OrderError(f"host {os.fspath(value)} is a folder; give a file that holds a crystal")
        from crystalsmith.crystal.io import readable_records

        records = list(islice(readable_records(value), 2))
        if len(records) > 1:
            raise OrderError(f"host {os.fspath(value)} holds several crystals; give a file of one")
        record = records[0]
        crystal = record.symmetrized()
    except OrderError:
        raise
    except (CrystalsmithError, ValueError, TypeError) as error:
        raise OrderError(f"host: {error}") from None
    atoms = len(record.numbers)
    if record.lattice is None or atoms in (crystal.n_atoms, crystal.n_atoms_conventional):
        return crystal
    # A cell of its own choice: its translations are those that count, its symmetry is found again.
    sites = tuple(
        Site(SYMBOLS[int(z)], "a", tuple(x.tolist()))
        for z, x in zip(record.numbers, record.fractional, strict=True)
    )
    return Crystal(1, tuple(lattice_to_cell(record.lattice).tolist()), sites)


def _added(value: object) -> tuple[tuple[str, int], ...]:
    if value is None:
        raise OrderError("host goes with add, which names the atoms to be added, such as {Li: 4}")
    if not isinstance(value, Mapping) or not value:
        raise OrderError(f"add must map elements to numbers of atoms, such as {{Li: 4}}, not {short(value)}")
    return tuple(
        (
            parse_element(element),
            0 if number == ANY else parse_count(number, f"atoms of {short(element)} to add", MOST_ADDED),
        )
        for element, number in value.items()
    )


@lru_cache(maxsize=64)
def hosts_of(crystal: Crystal) -> tuple[Crystal, ...]:
    """A host in its space group and in the subgroups that keep its primitive cell."""
    from crystalsmith.crystal.subgroups import in_subgroups

    try:
        return tuple(in_subgroups(crystal))
    except CrystalsmithError as error:
        raise OrderError(f"host: {error}") from None


def _pairs(crystal: Crystal) -> Pairs:
    return tuple((site.element, site.letter) for site in crystal.sites)


def _sites(host: Crystal, elements: tuple[str, ...], counts: tuple[int, ...]) -> list[Pairs]:
    """Ways to put so many atoms of each element onto the positions of a host's group, few sites first."""
    ways: list[Pairs] = [()]
    for element, count in zip(elements, counts, strict=True):
        more = []
        for way in ways:
            taken = {letter for _, letter in (*_pairs(host), *way)}
            free = [
                (p.multiplicity_primitive, letter, not p.dof)
                for letter, p in host.group.wyckoff.items()
                if p.dof or (letter not in taken and _has_room(host, element, letter))
            ]
            for letters in _letters(tuple(free), count):
                more.append((*way, *((element, letter) for letter in letters)))
        ways = sorted(more, key=len)[:_PLACEMENTS]
    return ways


@lru_cache(maxsize=4096)
def _letters(positions: tuple[tuple[int, str, bool], ...], count: int) -> tuple[tuple[str, ...], ...]:
    """Sets of letters that make so many atoms, those of few sites first; fixed ones are taken once.

    Args:
        positions: (atoms, letter, whether it is fixed).
        count: atoms.
    """
    found: list[tuple[str, ...]] = []
    large = sorted(positions, key=lambda p: (-p[0], p[1]))

    def look(first: int, left: int, sites: int, letters: tuple[str, ...]) -> None:
        if not left and not sites:
            found.append(letters)
        if not left or not sites or len(found) >= _PLACEMENTS:
            return
        for k in range(first, len(large)):
            size, letter, fixed = large[k]
            if size * sites < left:
                return  # those that follow are no larger
            if size <= left:
                look(k + fixed, left - size, sites - 1, (*letters, letter))

    for sites in range(1, MOST_SITES + 1):
        look(0, count, sites, ())
        if len(found) >= _PLACEMENTS:
            break
    return tuple(found[:_PLACEMENTS])


@lru_cache(maxsize=4096)
def _has_room(host: Crystal, element: str, letter: str) -> bool:
    """Whether an atom on a letter without freedom is about as far from the host's as known pairs are."""
    try:
        crystal = Crystal(host.space_group, host.cell, (*host.sites, Site(element, letter)))
    except CrystalsmithError:
        return False
    limits = {z: float(bond_limits(element, SYMBOLS[z])[0]) for z in map(NUMBERS.__getitem__, crystal.counts)}
    _, numbers, rows = neighbour_distances(crystal, max(limits.values()))
    nearest = rows[-1].min(axis=1)
    return all(nearest[numbers == z].min() >= _CLOSE * limit for z, limit in limits.items())
