"""Letters by analogy: from the right crystals, with the right chances, never beyond the limit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.crystal.properties import dissimilarity, element_properties
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import no_occupations, occupations
from crystalsmith.generation.analogues import _FREQUENCIES, _POWER, _WIDTH, Analogues
from crystalsmith.generation.wyckoff_prior import WyckoffPrior
from crystalsmith.symmetry import space_group

CUBE = (4.0, 4.0, 4.0, 90, 90, 90)


def cubic(a: str, b: str, o: str, letters: str = "abc") -> Crystal:
    return Crystal(221, CUBE, tuple(Site(e, x) for e, x in zip((a, b, o), letters, strict=True)))


PEROVSKITES = [cubic("Sr", "Ti", "O"), cubic("K", "Nb", "O"), cubic("Cs", "Pb", "Cl")]


def analogues(*crystals: Crystal) -> Analogues:
    return Analogues(occupations(pack(crystals)))


def test_occupations_hold_every_kind_once_by_space_group():
    crystals = [*KNOWN.values(), KNOWN["quartz"], PEROVSKITES[0]]
    o = occupations(pack(crystals))
    assert len(o) == len(KNOWN)  # quartz again, and SrTiO3 with another cell
    assert (np.diff(o.space_group.astype(int)) >= 0).all()
    for i in range(len(o)):
        rows = slice(o.start[i], o.start[i + 1])
        assert sorted(o.element[rows].tolist()) == o.element[rows].tolist()
        same = [c for c in KNOWN.values() if c.space_group == o.space_group[i]]
        sites = sorted(zip(o.element[rows].tolist(), o.wyckoff[rows].tolist(), strict=True))
        assert sites in [
            sorted((NUMBERS[s.element], p.index) for s, p in zip(c.sites, c.positions_of_sites, strict=True))
            for c in same
        ]
    assert len(no_occupations()) == 0


def test_similar_elements_take_similar_places():
    """Barium goes where strontium sits, zirconium where titanium does."""
    prior = analogues(*PEROVSKITES)
    rng = np.random.default_rng(0)
    drawn = Counter(prior.draw(space_group(221), {"O": 1, "Zr": 1, "Ba": 1}, rng) for _ in range(300))
    assert drawn.most_common(1)[0][0] == (("Ba", "a"), ("Zr", "b"), ("O", "c"))
    assert drawn.most_common(1)[0][1] > 200


def test_chances_are_those_of_the_weights():
    prior = analogues(PEROVSKITES[0])
    frequencies, chances = prior.probability(space_group(221), {"O": 1, "Zr": 1, "Ba": 1})
    d = dissimilarity()

    def weight(a: str, b: str, o: str) -> float:  # who stands for Sr, Ti and O
        total = sum(d[NUMBERS[x], NUMBERS[y]] for x, y in zip((a, b, o), ("Sr", "Ti", "O"), strict=True))
        return (1 + total / (2 * _POWER * _WIDTH**2)) ** -_POWER

    orders = [
        ("Ba", "Zr", "O"),
        ("Ba", "O", "Zr"),
        ("Zr", "Ba", "O"),
        ("Zr", "O", "Ba"),
        ("O", "Ba", "Zr"),
        ("O", "Zr", "Ba"),
    ]
    weights = {x: weight(*x) for x in orders}
    total = sum(weights.values()) + _FREQUENCIES
    assert frequencies == pytest.approx(_FREQUENCIES / total)
    assert len(chances) == 6 and sum(chances.values()) + frequencies == pytest.approx(1)
    group = space_group(221)
    for (a, b, o), w in weights.items():
        place = {a: group.wyckoff["a"].index, b: group.wyckoff["b"].index, o: group.wyckoff["c"].index}
        choice = tuple((place[e],) for e in ("O", "Zr", "Ba"))  # one site each: by atomic number
        assert chances[choice] == pytest.approx(w / total)


def test_draws_follow_the_chances_and_the_seed():
    prior = analogues(*PEROVSKITES, cubic("Ba", "O", "Zr", "acb"[::-1]))
    group, sites = space_group(221), {"Ca": 1, "Sn": 1, "S": 1}
    frequencies, chances = prior.probability(group, sites)
    rng = np.random.default_rng(1)
    draws = [prior.draw(group, sites, rng) for _ in range(4000)]
    assert np.mean([d is None for d in draws]) == pytest.approx(frequencies, abs=0.02)
    found = Counter(d for d in draws if d is not None)
    order = sorted(sites, key=lambda e: NUMBERS[e])
    for choice, chance in chances.items():
        letters = {
            e: next(x for x, p in group.wyckoff.items() if p.index == y[0])
            for e, y in zip(order, choice, strict=True)
        }
        name = tuple(sorted(letters.items(), key=lambda pair: pair[1]))
        assert found[name] / 4000 == pytest.approx(chance, abs=0.03)
    again = [prior.draw(group, dict(reversed(sites.items())), np.random.default_rng(5)) for _ in range(3)]
    assert len(set(again)) == 1


def test_sites_of_one_element_stay_together():
    rutile, marcasite = KNOWN["rutile"], KNOWN["aragonite"]
    prior = analogues(rutile, marcasite)
    drawn = prior.draw(space_group(62), {"Sr": 1, "C": 1, "O": 2}, np.random.default_rng(0))
    assert drawn == (("C", "c"), ("O", "c"), ("Sr", "c"), ("O", "d"))
    assert prior.draw(space_group(62), {"Sr": 1, "C": 2, "O": 1}, np.random.default_rng(0)) != drawn
    assert prior.draw(space_group(62), {"Sr": 3}, np.random.default_rng(0)) is None


def test_larger_cells_than_the_limit_are_no_analogues():
    prior = analogues(KNOWN["spinel"], KNOWN["diamond"])
    group, sites = space_group(227), {"Mg": 1, "Al": 1, "O": 1}
    assert prior.draw(group, sites, np.random.default_rng(0), 14) is not None
    assert prior.draw(group, sites, np.random.default_rng(0), 13) is None
    assert prior.probability(group, sites, 13) == (1.0, {})


def test_frequencies_decide_where_nothing_is_alike():
    prior = WyckoffPrior(np.zeros((1731, 6)), analogues(*PEROVSKITES))
    plain = WyckoffPrior(np.zeros((1731, 6)))
    for sites in ({"Na": 1}, {"Na": 1, "Cl": 2}):
        for seed in range(5):
            drawn = prior.draw(221, sites, np.random.default_rng(seed), 20)
            assert len(drawn) == sum(sites.values())
    assert prior.draw(99, {"Ba": 1, "Ti": 1}, np.random.default_rng(3)) == plain.draw(
        99, {"Ba": 1, "Ti": 1}, np.random.default_rng(3)
    )
    many = {e: 1 for e in ("H", "He", "Li", "Be", "B", "C", "N", "O", "F")}
    assert analogues(*PEROVSKITES).draw(space_group(1), many, np.random.default_rng(0)) is None


def test_elements_are_alike_as_chemists_have_it():
    d = dissimilarity()
    z = NUMBERS
    assert np.array_equal(d, d.T) and not d.diagonal().any() and np.isfinite(d[1:, 1:]).all()
    for near, far, element in [
        ("Br", "Na", "Cl"),
        ("Sr", "Br", "Ba"),
        ("Hf", "Rn", "Zr"),
        ("Nd", "Cl", "Pr"),
    ]:
        assert d[z[element], z[near]] < 0.5 * d[z[element], z[far]]
    assert element_properties()["AtomicWeight"][26] == pytest.approx(55.845, abs=1e-3)
    assert len(element_properties()) == 22


def test_a_crystal_that_fails_with_the_letters_of_its_analogue_gets_others() -> None:
    """One analogue, whose letters always fail: frequencies take over before all tries are spent."""
    from crystalsmith.diffusion import Request
    from crystalsmith.generation import generate_records
    from crystalsmith.generation.drafts import ANALOGUE_TRIES
    from fake_model import FakeModel

    class Stubborn(FakeModel):
        def _crystal(self, request: Request, seed: int) -> Crystal:
            self.volume = 0.5 if dict(request.sites) == {"Ba": "a", "Ti": "b", "O": "c"} else 20.0
            return super()._crystal(request, seed)

    model = Stubborn()
    model.occupations = occupations(pack([cubic("Ba", "Ti", "O")]))
    order = {"id": "x", "space_group": 221, "sites": {"Ba": 1, "Ti": 1, "O": 1}, "count": 3}
    for record in generate_records(model, [order], seed=0):
        assert record.crystal is not None and record.tries > ANALOGUE_TRIES
    for record in generate_records(model, [order], seed=0, letters="frequencies"):
        assert record.crystal is not None and record.tries <= ANALOGUE_TRIES
