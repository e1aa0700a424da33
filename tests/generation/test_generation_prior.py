"""Wyckoff letters drawn for sites: never impossible, as frequent as in training, fixed by the seed."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest

from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import count_wyckoff
from crystalsmith.errors import CheckpointError, OrderError
from crystalsmith.orders.frequencies import (
    SITE_BINS,
    WyckoffPrior,
    count_choices,
    fewest_atoms,
    site_bin,
)
from crystalsmith.symmetry import space_group

NOTHING_SEEN = np.zeros((1731, len(SITE_BINS)), dtype=np.int32)


def atoms_of(number: int, letters: list[str]) -> int:
    return sum(space_group(number).wyckoff[letter].multiplicity_primitive for letter in letters)


def possible(number: int, letters: tuple[str, ...]) -> bool:
    fixed = [letter for letter in letters if space_group(number).wyckoff[letter].dof == 0]
    return len(fixed) == len(set(fixed))


def brute_force(number: int, n_sites: int) -> list[tuple[str, ...]]:
    """All possible multisets of letters."""
    sets = combinations_with_replacement(space_group(number).wyckoff, n_sites)
    return [letters for letters in sets if possible(number, letters)]


@pytest.mark.parametrize("number", range(1, 231))
def test_draws_are_possible_in_every_group(number: int) -> None:
    rng = np.random.default_rng(number)
    prior = WyckoffPrior(NOTHING_SEEN)
    for sites in ({"Na": 1}, {"O": 3, "Ti": 1}, {"Si": 2, "Al": 4, "O": 6}):
        least = fewest_atoms(space_group(number), sum(sites.values()))
        for limit in (None, least, least + 20):
            drawn = prior.draw(number, sites, rng, limit)
            letters = [letter for _, letter in drawn]
            assert Counter(element for element, _ in drawn) == sites
            assert possible(number, tuple(letters))
            assert limit is None or atoms_of(number, letters) <= limit


@pytest.mark.parametrize("number", [1, 2, 47, 62, 139, 166, 194, 216, 225, 230])
@pytest.mark.parametrize("n_sites", [1, 2, 3])
def test_fewest_atoms_against_all_sets(number: int, n_sites: int) -> None:
    group = space_group(number)
    assert fewest_atoms(group, n_sites) == min(
        atoms_of(number, list(s)) for s in brute_force(number, n_sites)
    )
    without_a = [s for s in brute_force(number, n_sites) if "a" not in s or group.wyckoff["a"].dof]
    assert fewest_atoms(group, n_sites, {"a"}) == min(atoms_of(number, list(s)) for s in without_a)


@pytest.mark.parametrize(("number", "limit"), [(221, 8), (225, 12), (62, 24), (2, 6), (194, 10)])
def test_number_of_choices_against_all_sets(number: int, limit: int) -> None:
    letters = list(space_group(number).wyckoff)
    pairs = [
        (x, *oo)
        for x in letters
        for oo in combinations_with_replacement(letters, 2)
        if possible(number, (x, *oo)) and atoms_of(number, [x, *oo]) <= limit
    ]
    assert count_choices(space_group(number), {"Ti": 1, "O": 2}, limit) == len(pairs)


def test_every_choice_is_drawn_and_no_other() -> None:
    prior, rng = WyckoffPrior(NOTHING_SEEN), np.random.default_rng(0)
    seen = {prior.draw(216, {"Zn": 1, "S": 1}, rng, 2) for _ in range(300)}
    assert len(seen) == count_choices(space_group(216), {"Zn": 1, "S": 1}, 2) == 12


def test_draw_depends_on_the_seed_alone() -> None:
    prior = WyckoffPrior(NOTHING_SEEN)
    one = [prior.draw(62, {"Li": 2, "O": 3}, np.random.default_rng(s)) for s in range(20)]
    two = [prior.draw("Pnma", {"O": 3, "Li": 2}, np.random.default_rng(s)) for s in range(20)]
    assert one == two
    assert len(set(one)) > 10


def test_single_letters_come_as_often_as_in_training() -> None:
    counts = NOTHING_SEEN.copy()
    group = space_group(221)
    for letter, n in {"a": 6000, "b": 3000, "c": 1000}.items():
        counts[group.wyckoff[letter].index, 0] = n
    rng, prior = np.random.default_rng(1), WyckoffPrior(counts)
    drawn = Counter(prior.draw(221, {"Po": 1}, rng)[0][1] for _ in range(4000))
    assert drawn["a"] / 4000 == pytest.approx(0.6, abs=0.03)
    assert drawn["b"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert drawn["c"] / 4000 == pytest.approx(0.1, abs=0.02)


def test_smoothing_goes_from_near_numbers_of_sites_to_far_ones() -> None:
    counts = NOTHING_SEEN.copy()
    group = space_group(225)
    counts[group.wyckoff["a"].index, 1] = 100
    counts[group.wyckoff["e"].index, 5] = 100
    prior = WyckoffPrior(counts)
    letters = list(group.wyckoff)
    for n_sites, likelier in ((1, "a"), (2, "a"), (3, "a"), (6, "e"), (20, "e")):
        p = dict(zip(letters, prior.probabilities(225, n_sites), strict=True))
        assert max(p, key=lambda k: p[k]) == likelier
        assert min(p.values()) > 0 and sum(p.values()) == pytest.approx(1)
    unseen = dict(zip(letters, WyckoffPrior(NOTHING_SEEN).probabilities(225, 2), strict=True))
    assert unseen["a"] > unseen["c"] > unseen["l"]


def test_no_element_has_the_first_pick() -> None:
    counts = NOTHING_SEEN.copy()
    for letter, n in {"a": 900, "b": 100}.items():
        counts[space_group(225).wyckoff[letter].index, 1] = n
    rng, prior = np.random.default_rng(2), WyckoffPrior(counts)
    drawn = Counter(prior.draw(225, {"Na": 1, "Cl": 1}, rng, 2) for _ in range(1000))
    assert drawn[("Na", "a"), ("Cl", "b")] == pytest.approx(500, abs=70)


def test_columns_are_those_of_the_training_counts() -> None:
    crystals = []
    for n in range(1, 10):
        sites = tuple(Site("Ca", "i", (0.1, 0.2, 0.05 * k)) for k in range(n))
        crystals.append(Crystal(2, (4, 5, 6 + n, 80, 85, 95), sites))
    counts = count_wyckoff(pack(crystals))
    row = space_group(2).wyckoff["i"].index
    assert counts.shape == (1731, len(SITE_BINS))
    assert counts[row].tolist() == [1, 2, 3, 4, 5 + 6, 7 + 8 + 9]
    assert counts.sum() == counts[row].sum()
    assert site_bin(np.arange(1, 10)).tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 5]


def test_too_many_sites_for_the_limit_are_refused() -> None:
    with pytest.raises(OrderError, match="at least 16 atoms"):
        WyckoffPrior(NOTHING_SEEN).draw(225, {"Na": 5}, np.random.default_rng(0), 15)


@pytest.mark.parametrize("counts", [np.zeros((1731, 1)), np.zeros((3, 6)), -np.ones((1731, 6))])
def test_counts_of_another_version_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(CheckpointError, match="checkpoint"):
        WyckoffPrior(counts)
