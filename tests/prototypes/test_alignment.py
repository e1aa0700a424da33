"""Crystals of one arrangement laid on each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher

from batches import batch_of, every_group
from crystals import KNOWN, random_crystal
from crystalsmith.crystal import Crystal, Site
from crystalsmith.graph import to_crystals
from crystalsmith.prototypes import aligned
from crystalsmith.prototypes.alignment import described, moves, nearest_description
from crystalsmith.symmetry import space_group, tables
from crystalsmith.training.examples import equivalent

SAME = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.01, primitive_cell=False, scale=False)


def disguised(crystal: Crystal, rng: np.random.Generator, seed: int) -> Crystal:
    """Another origin or setting, other points of the orbits, whole periods added, sites in another order."""
    moved = to_crystals(equivalent(batch_of(crystal), torch.Generator().manual_seed(seed)))[0]
    t = tables()
    sites = []
    for site, p in zip(moved.sites, moved.positions_of_sites, strict=True):
        row = int(rng.integers(t.self_start[p.index], t.self_start[p.index + 1]))
        w = np.zeros(3)
        w[: p.dof] = np.linalg.solve(p.period, site.free) if p.dof else []
        w = t.self_linear[row] @ w + t.self_offset[row] + rng.integers(-1, 2, 3)
        sites.append(Site(site.element, site.letter, tuple((p.period @ w[: p.dof]).tolist())))
    return replace(moved, sites=tuple(sites[k] for k in rng.permutation(len(sites))))


def farthest(a: Crystal, b: Crystal) -> float:
    """Largest difference of a free parameter."""
    assert [s.letter for s in a.sites] == [s.letter for s in b.sites]
    return max(
        (
            abs(x - y)
            for s, t in zip(a.sites, b.sites, strict=True)
            for x, y in zip(s.free, t.free, strict=True)
        ),
        default=0.0,
    )


@pytest.mark.parametrize("draw", range(2))
def test_every_group_finds_its_own_description_again(draw: int) -> None:
    rng = np.random.default_rng([5, draw])
    letters_changed = 0
    for seed, crystal in enumerate(every_group(seed=21 + draw, max_sites=4, max_atoms=48)):
        other = disguised(crystal, rng, 1000 * draw + seed)
        found, distance = nearest_description(crystal, other)
        assert found is not None and distance < 1e-6, crystal
        assert farthest(crystal, found) < 1e-6, (crystal, other)
        letters_changed += sorted(s.letter for s in other.sites) != sorted(s.letter for s in crystal.sites)
    assert letters_changed > 50


def test_a_changed_crystal_stays_itself_and_comes_as_near_as_its_change() -> None:
    rng = np.random.default_rng(6)
    for number in range(1, 231, 3):
        crystal = random_crystal(number, rng, max_sites=5, max_atoms=40)
        shaken = replace(
            crystal,
            sites=tuple(
                replace(s, free=tuple((np.array(s.free) + rng.normal(0, 0.004, len(s.free))).tolist()))
                for s in crystal.sites
            ),
        )
        moved = np.array([p.multiplicity_primitive for p in crystal.positions_of_sites], float)
        change = [
            np.linalg.norm((p.basis @ (np.array(a.free) - b.free)) @ crystal.lattice)
            for p, a, b in zip(crystal.positions_of_sites, crystal.sites, shaken.sites, strict=True)
        ]
        rms = np.sqrt(moved @ np.square(change) / moved.sum())
        other = disguised(shaken, rng, number)
        found, distance = nearest_description(crystal, other)
        assert found is not None and distance <= rms + 1e-9
        assert farthest(crystal, found) < 0.1
        assert SAME.fit(found.to_structure(True), other.to_structure(True))


@pytest.mark.parametrize("name", ["perovskite", "spinel", "aragonite", "quartz", "wurtzite"])
def test_elements_may_differ_and_keep_to_their_slots(name: str) -> None:
    crystal = KNOWN[name]
    change = dict(zip(dict.fromkeys(s.element for s in crystal.sites), ("K", "Ta", "F", "Se"), strict=False))
    other = replace(crystal, sites=tuple(Site(change[s.element], s.letter, s.free) for s in crystal.sites))
    other = disguised(other, np.random.default_rng(1), 3)
    found = aligned(crystal, other)
    assert found is not None
    assert farthest(crystal, found) < 1e-6
    assert [s.element for s in found.sites] == [change[s.element] for s in crystal.sites]
    assert aligned(crystal, other, same_elements=True) is None


def test_elements_on_equal_slots_change_places_only_when_they_may() -> None:
    salt = KNOWN["rock salt"]
    other = replace(salt, sites=(Site("Cl", "a"), Site("Na", "b")))
    kept = aligned(salt, other, same_elements=True)
    assert kept is not None and [s.element for s in kept.sites] == ["Na", "Cl"]
    blende = KNOWN["zinc blende"]
    anti = replace(blende, sites=(Site("S", "a"), Site("Zn", "c")))
    same, free = aligned(blende, anti, same_elements=True), aligned(blende, anti)
    assert same is not None and [s.element for s in same.sites] == ["Zn", "S"]
    assert free is not None


def test_two_arrangements_have_no_common_description() -> None:
    assert aligned(KNOWN["rock salt"], KNOWN["diamond"]) is None
    assert (
        aligned(KNOWN["rock salt"], replace(KNOWN["rock salt"], sites=(Site("Na", "a"), Site("Cl", "c"))))
        is None
    )
    # One element on two positions is another arrangement than two elements.
    salt = KNOWN["rock salt"]
    assert aligned(salt, replace(salt, sites=(Site("Na", "a"), Site("Na", "b")))) is None


def test_many_sites_of_one_position() -> None:
    """Garnet-sized and larger blocks of one letter: matched as sets, not in their order."""
    rng = np.random.default_rng(9)
    for number in (1, 2, 14, 19, 33, 62, 148):
        letter = list(space_group(number).wyckoff)[-1]
        sites = tuple(Site("O" if k % 3 else "Si", letter, tuple(rng.random(3))) for k in range(9))
        crystal = replace(random_crystal(number, rng), sites=sites)
        found, distance = nearest_description(crystal, disguised(crystal, rng, number))
        assert found is not None and distance < 1e-6 and farthest(crystal, found) < 1e-6


def test_moves_are_the_automorphisms() -> None:
    """Rock salt's two positions can be exchanged by the normaliser: one move for each way to see it."""
    slots, w, order = described(KNOWN["rock salt"])
    assert {m.slots for m in moves(225, slots, slots)} == {(0, 1), (1, 0)}
    assert w.shape == (2, 3) and sorted(order.tolist()) == [0, 1]
