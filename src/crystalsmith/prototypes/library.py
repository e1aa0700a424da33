"""Templates: known arrangements with the elements asked for, the likeliest first."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from crystalsmith.assignments import Assignment, canonical, from_pairs, positions_of
from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, Site
from crystalsmith.crystal.elements import formula_order
from crystalsmith.crystal.hidden import hidden_group
from crystalsmith.data.volumes import fit_atomic_volumes
from crystalsmith.errors import StructureError
from crystalsmith.prior import Prototypes
from crystalsmith.prior.prototypes import Match, as_match, joined
from crystalsmith.prototypes.alignment import Move, fit, move, moves
from crystalsmith.prototypes.arrangements import canonical_move
from crystalsmith.prototypes.files import Aflow, KnownFile
from crystalsmith.prototypes.records import Record, Source, cell_volume
from crystalsmith.prototypes.table import PrototypeTable
from crystalsmith.symmetry import lattice_to_cell, space_group, strain_to_lattice, tables

Key = tuple[int, ...]

LOOKED = 400
"""Known crystals of each source, the most similar ones, among which templates are found."""

LOOKED_MERGED = 40
"""The same of those two of whose elements stand for one that is asked for."""

STABLE, UNKNOWN_ABOVE, SHARE = 0.05, 0.03, 0.1
"""Energy (eV/atom) over which a known crystal's place above the hull makes a template e times less likely,
what counts where it is unknown, and the power of the number of known crystals.

Between the best of a coarse grid on mp20_val and on large crystals; see docs/explanation/prototypes.md.
"""

SAME_POSITIONS, SAME_STRAIN, SAME_VOLUME = 0.1, 0.02, 0.3
"""Templates of one assignment are one: atoms (Angstrom), log-strains and log-volumes as close as these.

A volume is soon mended, so that it alone makes no other template."""


@dataclass(frozen=True)
class Template:
    """A known arrangement with the elements asked for.

    Attributes:
        crystal: sites element after element, cations first, on the canonical letters in ascending order; its
            volume is that of its atoms times the known crystal's ratio to the volume of its own.
        weight: similarity of the elements, in (0, 1], as in ``prior.prototypes``.
        source: one of ``assignments.start.SOURCES``.
        name: what it was taken from, in words.
        members: known crystals that it stands for.
        spread: root mean square spread of their atoms, Angstrom; 0 for single crystals.
        support: sum of the weights of all known elements on this arrangement, its own among them.
        e_above_hull: of the known crystal of that name, eV/atom, NaN where unknown.
    """

    crystal: Crystal
    weight: float
    source: str
    name: str
    members: int = 1
    spread: float = 0.0
    support: float = 1.0
    e_above_hull: float = math.nan

    @property
    def score(self) -> float:
        """What templates are sorted by: see ``score``."""
        return score(self.weight, self.e_above_hull, self.members)


def score(weight: float, e_above_hull: float, members: int) -> float:
    """How likely a template is the right one, up to a factor.

    Similar elements make it likely, and so does a known crystal that is stable itself, and one that many
    others are like.

    Args:
        weight: similarity of the elements.
        e_above_hull: of the known crystal, eV/atom, NaN where unknown.
        members: known crystals.
    """
    above = UNKNOWN_ABOVE if math.isnan(e_above_hull) else max(e_above_hull, 0.0)
    return weight * math.exp(-above / STABLE) * members**SHARE


@dataclass(frozen=True, eq=False)
class _Laid:
    """A template before it is a crystal: slots are those of the elements asked for, cations first."""

    weight: float
    order: tuple[int, int]  # source and row: what decides between equal weights
    kind: str
    name: str
    members: int
    number: int
    elements: Key
    slots: Assignment
    w: np.ndarray  # (n, 3)
    strain: np.ndarray  # (6,)
    volume: float  # of the conventional cell, Angstrom^3
    spread: float  # Angstrom
    support: float
    e_above_hull: float
    merged: bool  # two elements of the known crystal stand for one

    @property
    def key(self) -> tuple[bool, float, tuple[int, int]]:
        """What they are sorted by: a single crystal with its own elements is no guess and comes first."""
        guess = self.weight < 1 or self.kind == "prototype"
        return guess, -score(self.weight, self.e_above_hull, self.members), self.order


class Library:
    """Sources of templates together.

    Args:
        sources: in the order of preference between equals.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    @staticmethod
    def of(
        table: PrototypeTable | None = None,
        known: Sequence[str | os.PathLike[str]] = (),
        aflow: bool = False,
        atomic_volume: np.ndarray | None = None,
    ) -> Library:
        """Open sources.

        Args:
            table: the prototypes that came with a model, or none.
            known: files of known crystals, in any form.
            aflow: also AFLOW's prototypes.
            atomic_volume: (119,) Angstrom^3, of files and AFLOW; the table's, or the first file's, if not
                given.

        Raises:
            DataError: a file is missing, damaged, or holds no crystal.
        """
        volume = table.atomic_volume if atomic_volume is None and table is not None else atomic_volume
        typical = np.full(119, 18.0)
        files = [KnownFile.open(path, typical if volume is None else volume) for path in known]
        if volume is None and files:
            volume = fit_atomic_volumes(files[0].dataset)
            for file in files:
                file.atomic_volume = volume
        # What a user brings comes before what is known of many, where the elements are the same.
        sources: list[Source] = [*files, *([table] if table is not None and len(table) else [])]
        if aflow:
            sources.append(Aflow(typical if volume is None else volume))
        return Library(sources)

    def __bool__(self) -> bool:
        return bool(self.sources)

    @cached_property
    def hash(self) -> str:
        """Of everything in it; empty for an empty one."""
        if not self.sources:
            return ""
        return hashlib.sha256("\n".join(f"{s.kind} {s.hash}" for s in self.sources).encode()).hexdigest()

    def lacking(self, elements: Collection[str]) -> list[str]:
        """The files that hold no crystal of exactly these elements (symbols), one sentence each."""
        system = frozenset(elements)
        shown = "-".join(sorted(system, key=formula_order))
        return [
            f"{s.name} holds no crystal of {shown}; its crystals of other elements lend their arrangements"
            for s in self.sources
            if isinstance(s, KnownFile) and system not in s.systems
        ]

    def by_atoms(
        self, elements: Key, counts: Key, groups: Collection[int] | None = None, most: int = 20
    ) -> list[Template]:
        """Templates of a composition of the primitive cell, the likeliest first.

        Args:
            elements: atomic numbers.
            counts: atoms of each.
            groups: only these space groups.
            most: templates at most.
        """
        divisor = math.gcd(*counts)
        ratio = tuple(sorted(n // divisor for n in counts))
        laid: list[_Laid] = []
        for place, source in enumerate(self.sources):
            prototypes = source.of_ratio(ratio)
            found = [as_match(m) for m in prototypes.matches_by_atoms(elements, counts, groups)[:LOOKED]]
            found += prototypes.merged_by_atoms(elements, counts, groups)[:LOOKED_MERGED]
            laid += self._laid(place, prototypes, elements, found)
        return self._distinct(laid, most)

    def by_assignment(
        self, group: int, elements: Key, assignment: Assignment, most: int = 20
    ) -> list[Template]:
        """Templates on given positions, up to origin and setting, the likeliest first.

        Args:
            group: space group.
            elements: atomic numbers.
            assignment: positions of each, counted within the group from 0.
            most: templates at most.
        """
        size = positions_of(group).size
        counts = [sum(size[p] for p in own) for own in assignment]
        divisor = math.gcd(*counts)
        ratio = tuple(sorted(n // divisor for n in counts))
        wanted = canonical(group, tuple(tuple(sorted(own)) for own in assignment))
        laid: list[_Laid] = []
        for place, source in enumerate(self.sources):
            prototypes = source.of_ratio(ratio)
            found = []
            sites = tuple(map(len, assignment))
            matches = [as_match(m) for m in prototypes.matches_by_sites(group, elements, sites)]
            for weight, row, match in [*matches, *prototypes.merged_by_sites(group, elements, sites)]:
                slots = prototypes.known[row].assignment
                if canonical_move(group, tuple(joined(slots, own) for own in match))[0] == wanted:
                    found.append((weight, row, match))
                    if len(found) == LOOKED:
                        break
            laid += self._laid(place, prototypes, elements, found)
        return self._distinct(laid, most)

    def of_crystal(self, crystal: Crystal, most: int = 20) -> list[Template]:
        """Templates on a crystal's own positions."""
        symbols, assignment = from_pairs(crystal.space_group, [(s.element, s.letter) for s in crystal.sites])
        return self.by_assignment(crystal.space_group, tuple(NUMBERS[e] for e in symbols), assignment, most)

    def _laid(
        self,
        place: int,
        prototypes: Prototypes,
        elements: Key,
        matches: Sequence[tuple[float, int, Match]],
    ) -> list[_Laid]:
        """Known crystals with exchanged elements, on canonical positions; of one cluster the likeliest."""
        source = self.sources[place]
        order = sorted(range(len(elements)), key=lambda k: formula_order(SYMBOLS[elements[k]]))
        asked = [elements[k] for k in order]
        result: list[_Laid] = []
        seen: dict[object, int] = {}
        for weight, row, match in matches:
            r = source.record(prototypes, row)
            chosen = [match[k] for k in order]
            slots = tuple(joined(r.slots, own) for own in chosen)
            identity = (r.space_group, slots, r.ratio, r.strain.tobytes(), r.w.tobytes())
            if identity in seen:
                other = result[seen[identity]]
                total = other.support + weight
                if score(weight, r.e_above_hull, 1) > score(other.weight, other.e_above_hull, 1):
                    other = replace(
                        other, weight=weight, name=r.name, e_above_hull=r.e_above_hull, order=(place, row)
                    )
                result[seen[identity]] = replace(other, support=total)
                continue
            seen[identity] = len(result)
            start = np.cumsum([0, *map(len, r.slots)])
            w = np.concatenate([_coordinates(r, start, own) for own in chosen])
            wanted, way = canonical_move(r.space_group, slots)
            moved, _ = move(r.space_group, slots, w[None], way)
            volume = cell_volume(r.space_group, wanted, asked, source.atomic_volume) * math.exp(r.ratio)
            size, first = tables().multiplicity, positions_of(r.space_group).first
            atoms = sum(int(size[first + p]) for slot in wanted for p in slot)
            result.append(
                _Laid(
                    weight=weight,
                    order=(place, row),
                    kind=source.kind,
                    name=r.name,
                    members=r.members,
                    number=r.space_group,
                    elements=tuple(asked),
                    slots=wanted,
                    w=moved[0],
                    strain=r.strain,
                    volume=volume,
                    spread=r.spread * (volume / atoms) ** (1 / 3),
                    support=weight,
                    e_above_hull=r.e_above_hull,
                    merged=any(len(own) > 1 for own in match),
                )
            )
        return result

    def _distinct(self, laid: Sequence[_Laid], most: int) -> list[Template]:
        """One template of those that are nearly the same, the likeliest first."""
        groups: dict[tuple[int, Assignment], list[_Laid]] = {}
        for one in sorted(laid, key=lambda x: x.key):
            groups.setdefault((one.number, one.slots), []).append(one)
        leaders: list[_Laid] = []
        for (number, slots), rest in groups.items():
            ways = tuple(m for m in moves(number, slots, slots) if m.slots == tuple(range(len(slots))))
            kept = 0
            while rest and kept < most:
                leader, others = rest[0], rest[1:]
                kept += 1
                if others:
                    same = self._same(leader, others, ways)
                    added = [o for o, is_same in zip(others, same, strict=True) if is_same]
                    rest = [o for o, is_same in zip(others, same, strict=True) if not is_same]
                    support = leader.support + sum(o.support for o in added)
                    leader = replace(leader, members=_together(leader, added), support=support)
                else:
                    rest = []
                leaders.append(leader)
        leaders.sort(key=lambda x: x.key)
        result: list[Template] = []
        for one in leaders:
            try:
                template = self._template(one)
            except StructureError:
                continue  # a cell too flat to be one
            # With two elements made one, it may have become the crystal of a larger group or a smaller cell.
            if not (one.merged and hidden_group(template.crystal)[1]):
                result.append(template)
            if len(result) == most:
                break
        return result

    def _same(self, leader: _Laid, others: Sequence[_Laid], ways: Sequence[Move]) -> np.ndarray:
        """(N,) whether others are the same arrangement as the leader's, nearly."""
        lattice = strain_to_lattice(leader.number, leader.strain, leader.volume)
        shape = np.array([np.linalg.norm(o.strain - leader.strain) for o in others]) < SAME_STRAIN
        size = np.array([abs(math.log(o.volume / leader.volume)) for o in others]) < SAME_VOLUME
        same = shape & size
        if same.any():
            w = np.stack([o.w for o, near in zip(others, same, strict=True) if near])
            fitted = fit(
                leader.number, leader.slots, leader.w, lattice, leader.slots, w, ways, SAME_POSITIONS
            )
            same[same] = fitted.distance < SAME_POSITIONS
        return same

    def _template(self, one: _Laid) -> Template:
        """The crystal of a template."""
        group = space_group(one.number)
        positions = list(group.wyckoff.values())
        sites = []
        rows = iter(one.w)
        for z, slot in zip(one.elements, one.slots, strict=True):
            for p in slot:
                position, w = positions[p], next(rows)
                w = w[: position.dof] - np.floor(w[: position.dof])
                free = tuple((position.period @ w).tolist()) if position.dof else ()
                sites.append(Site(SYMBOLS[z], position.letter, free))
        cell = lattice_to_cell(strain_to_lattice(one.number, one.strain, one.volume))
        crystal = Crystal(one.number, tuple(cell.tolist()), tuple(sites))
        return Template(
            crystal, one.weight, one.kind, one.name, one.members, one.spread, one.support, one.e_above_hull
        )


def _coordinates(record: Record, start: np.ndarray, own: Key) -> np.ndarray:
    """(n, 3) torus coordinates of some elements of a record, as ``joined`` has them; where each begins."""
    positions = [p for m in own for p in record.slots[m]]
    w = np.concatenate([record.w[start[m] : start[m + 1]] for m in own])
    return w if len(own) == 1 else w[np.argsort(positions, kind="stable")]


def _together(leader: _Laid, added: Sequence[_Laid]) -> int:
    """Crystals that a template stands for: a table's clusters count their own, single crystals one by one."""
    return leader.members if leader.kind == "prototype" else leader.members + len(added)
