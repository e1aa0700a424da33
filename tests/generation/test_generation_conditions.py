"""Orders that know something of their crystals: made in every way, all of them obey."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.assignments import KINDS, Request, Start
from crystalsmith.conditions import FixedCell, FixedSites, GivenCell
from crystalsmith.conditions.cell import mass_of
from crystalsmith.conditions.distances import MinDistance
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.generation import Generated
from crystalsmith.generation.conditioned import settings, starts_under, under
from crystalsmith.generation.generator import generate_batches
from crystalsmith.orders import parse_order
from crystalsmith.prototypes import aligned
from fake_library import FakeLibrary
from fake_model import FakeModel
from priors import clever

LIBRARY = FakeLibrary(KNOWN.values(), members=50, weight=0.9)
QUARTZ, RUTILE, ARAGONITE = (KNOWN[name] for name in ("quartz", "rutile", "aragonite"))
RUTILE_CELL = [4.6, 4.6, 2.97, 90, 90, 90]


def made(order: Mapping[str, Any], **options: Any) -> list[Generated]:
    options = {"prototypes": LIBRARY, "seed": 3, "max_tries": 5, **options}
    batches = generate_batches(clever(), [{"id": "one", "count": 20, **order}], **options)
    return [r for batch in batches for r in batch if r.final]


def crystals(order: Mapping[str, Any], **options: Any) -> list[Crystal]:
    found = [r.crystal for r in made(order, **options) if r.crystal is not None]
    assert found
    return found


CELLS: dict[str, dict[str, Any]] = {
    "formula": {"formula": "GeO2", "space_group": 136},
    "open formula": {"formula": "TiO2"},
    "sites": {"space_group": 136, "sites": {"Sn": 1, "O": 1}},
    "letters": {"space_group": 136, "wyckoff": [["Sn", "a"], ["O", "f"]]},
    "system": {"system": "Ti-O"},
}


@pytest.mark.parametrize("kind", CELLS)
def test_every_crystal_of_every_kind_of_order_has_the_cell(kind: str) -> None:
    records = made({**CELLS[kind], "cell": RUTILE_CELL})
    assert {r.request.kind for r in records} == set(KINDS) or kind == "system"
    given = GivenCell(tuple(RUTILE_CELL))
    for r in records:
        if r.crystal is not None:
            cells = given.settings(r.crystal.space_group)
            assert min(np.abs(np.array(c) - r.crystal.cell).max() for c in cells) < 1e-6
            assert [(s.element, s.letter) for s in r.crystal.sites] == list(r.request.sites)


def test_axes_are_those_that_known_arrangements_have() -> None:
    """Aragonite's cell in the order of Pmcn: Pnma's own, as the known crystal has it, is found."""
    a, b, c = ARAGONITE.cell[:3]
    order = parse_order({"formula": "SrCO3", "space_group": 62, "cell": [b, c, a, 90, 90, 90], "count": 4})
    for crystal in crystals(order.to_mapping()):
        assert np.allclose(crystal.cell, ARAGONITE.cell, rtol=1e-6)


def test_a_cell_speaks_for_the_recipes_whose_known_arrangements_have_one_like_it() -> None:
    recipes = [
        Request(c.space_group, tuple((s.element, s.letter) for s in c.sites), log_prior)
        for c, log_prior in ((QUARTZ, -0.1), (RUTILE, -3.0))
    ]
    starts = {r.space_group: [Start(c)] for r, c in zip(recipes, (QUARTZ, RUTILE), strict=True)}
    cell = GivenCell(tuple(RUTILE_CELL))
    assert settings(recipes[1], cell, lambda r: starts[r.space_group])[0][1] > -1.0
    order = parse_order({"formula": "TiO2", "cell": RUTILE_CELL})
    found = under(order, [recipes[1]], lambda r: starts[r.space_group])
    assert found[0].conditions == (FixedCell(tuple(RUTILE_CELL)),)
    # An arrangement whose cell is far away has nothing to say.
    far = Crystal(136, (4.6, 4.6, 9.0, 90, 90, 90), RUTILE.sites)
    assert settings(recipes[1], cell, lambda r: [Start(far)])[0][1] < -1.0
    adapted = starts_under(lambda r: [Start(far), Start(RUTILE)])
    assert adapted is not None
    assert [s.crystal.cell for s in adapted(found[0])] == [tuple(map(float, RUTILE_CELL))]


def test_volume_and_density() -> None:
    order = {"formula": "GeO2", "atoms": 6}
    for crystal in crystals({**order, "space_group": 136, "volume": 60.0}):
        assert crystal.volume == pytest.approx(60.0, rel=1e-6)
    for crystal in crystals({**order, "density": 5.0}):
        cells = crystal.n_atoms_conventional / crystal.n_atoms
        density = mass_of(crystal.counts) * cells / crystal.volume / 0.602214076
        assert density == pytest.approx(5.0, rel=1e-6)


def test_what_comes_too_near_is_made_again() -> None:
    order = {"formula": "GeO2", "space_group": 136, "z": 2}
    limit = MinDistance((("", "", 1.75),))
    records = made({**order, "min_distance": 1.75})
    assert any(limit.fault(c) for c in crystals(order))
    assert all(limit.fault(r.crystal) is None for r in records if r.crystal is not None)
    assert any(r.failure == "distance too short" or r.tries > 1 for r in records)


def test_a_host_stays_as_it_is() -> None:
    layers = Crystal(164, (3.142, 3.142, 4.766, 90, 90, 120), (Site("Mg", "a"), Site("O", "d", (0.2203,))))
    for crystal in crystals({"host": layers, "add": {"H": 2}}, max_tries=10):
        assert crystal.counts == {"Mg": 1, "O": 2, "H": 2}
        bare = Crystal(crystal.space_group, crystal.cell, tuple(s for s in crystal.sites if s.element != "H"))
        distances = [np.sort(distance_matrix(c).ravel()) for c in (bare, layers)]
        assert np.abs(distances[0] - distances[1]).max() < 1e-6
        assert bare.volume / bare.n_atoms_conventional == pytest.approx(layers.volume / 3, rel=1e-6)


def distance_matrix(crystal: Crystal) -> np.ndarray:
    return np.asarray(crystal.to_structure(primitive=True).distance_matrix)


def test_a_run_that_was_cut_off_goes_on_the_same() -> None:
    order = {"formula": "TiO2", "cell": RUTILE_CELL, "count": 12}
    whole = made(order, batch_atoms=12)
    done = {r.key: r.failure for r in whole[:5]}
    rest = made(order, batch_atoms=12, done=done)
    assert [(r.key, r.crystal) for r in rest] == [(r.key, r.crystal) for r in whole[5:]]


def test_requests_travel_to_other_processes() -> None:
    places = FixedSites(((0, (0.1, 0.2)),), 0.05)
    request = Request(14, (("Zr", "e"),), conditions=(FixedCell((5.1, 5.2, 5.3, 90, 99, 90), 0.01), places))
    assert pickle.loads(pickle.dumps(request)) == request


def test_what_is_impossible_is_refused() -> None:
    with pytest.raises(ImpossibleOrder, match="no whole number of TiO2"):
        made({"formula": "TiO2", "cell": [2.2, 2.2, 2.2, 90, 90, 90]})
    with pytest.raises(OrderError, match="has the cell"):
        made({"formula": "TiO2", "space_group": 225, "cell": RUTILE_CELL})
    paper = FakeModel()
    paper.method = "paper"  # type: ignore[misc]
    with pytest.raises(ImpossibleOrder, match="knows no volume"):
        list(generate_batches(paper, [{"space_group": 136, "sites": {"Ti": 1}, "volume": 60}]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["aragonite", "quartz", "rutile", "tenorite", "spinel"])
def test_known_arrangements_are_laid_onto_the_host(name: str) -> None:
    """Whatever their origin and axes: what is not of the host comes to lie where it is in the crystal."""
    crystal = KNOWN[name]
    taken = crystal.sites[0].element
    rng = np.random.default_rng(0)
    anywhere = tuple(replace(s, free=tuple(rng.random(len(s.free)).tolist())) for s in crystal.sites)
    other = aligned(replace(crystal, sites=anywhere), crystal, same_elements=True)
    assert other is not None
    sites = sorted(crystal.sites, key=lambda s: s.element == taken)  # those of the host first
    places = FixedSites(tuple((k, s.free) for k, s in enumerate(sites) if s.element != taken))
    recipe = Request(
        crystal.space_group,
        tuple((s.element, s.letter) for s in sites),
        conditions=(places, FixedCell(crystal.cell)),
    )
    waiting = {k: s for k, s in enumerate(other.sites)}
    start = Start(replace(other, sites=tuple(waiting[crystal.sites.index(s)] for s in sites)))
    adapted = starts_under(lambda r: [start])
    assert adapted is not None
    (found,) = adapted(recipe)
    whole = replace(crystal, sites=tuple(sites)).to_structure(primitive=True)
    made = found.crystal.to_structure(primitive=True)
    apart = whole.lattice.get_all_distances(whole.frac_coords, made.frac_coords)
    same = np.array([[a.species == b.species for b in made] for a in whole])
    assert np.where(same, apart, 9.0).min(1).max() < 1e-6
