"""What the viewer is told of a crystal, held against its symmetry and against pymatgen."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Structure

from crystalsmith.errors import StructureError
from crystalsmith.pictures.ball_and_stick import VIEW
from crystalsmith.viewing import scene


def lengths(found: dict) -> dict[frozenset[str], list[float]]:
    """Lengths of the bonds by pair of elements, Angstrom."""
    lattice = np.array(found["lattice"])
    places = np.array([atom["position"] for atom in found["atoms"]])
    by_pair: dict[frozenset[str], list[float]] = {}
    for i, j, shift in found["bonds"]:
        pair = frozenset((found["atoms"][i]["element"], found["atoms"][j]["element"]))
        length = np.linalg.norm((places[j] + shift - places[i]) @ lattice)
        by_pair.setdefault(pair, []).append(float(length))
    return by_pair


def test_a_scene_is_plain_json_and_the_same_crystal(known):
    for crystal in known.values():
        found = json.loads(json.dumps(scene(crystal), allow_nan=False))
        structure = Structure(
            found["lattice"],
            [atom["element"] for atom in found["atoms"]],
            [atom["position"] for atom in found["atoms"]],
        )
        assert structure.matches(crystal.to_structure())
        assert found["formula"] == crystal.formula
        places = np.array([atom["position"] for atom in found["atoms"]])
        assert np.all((places > -1e-3) & (places < 1))
        assert set(found["elements"]) == set(crystal.counts)


def test_every_bond_stands_once_and_has_its_length(known):
    salt = scene(known["rock salt"])
    assert lengths(salt) == {frozenset("Na Cl".split()): pytest.approx([5.6402 / 2] * 24, abs=1e-4)}
    perovskite = lengths(scene(known["perovskite"]))
    assert perovskite == {frozenset("Ti O".split()): pytest.approx([3.905 / 2] * 6, abs=1e-4)}
    for crystal in known.values():
        bonds = scene(crystal)["bonds"]
        ends = [(i, j, *shift) for i, j, shift in bonds]
        ends += [(j, i, *(-s for s in shift)) for i, j, shift in bonds]
        assert len(set(ends)) == 2 * len(bonds)


def test_an_atom_bonds_to_its_own_image():
    found = scene(bulk("Po", "sc", a=3.35), bonds=True)
    assert sorted(shift for _, _, shift in found["bonds"]) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("name", "centre", "corners"),
    [
        ("rock salt", "Na", {6}),
        ("perovskite", "Ti", {6}),
        ("quartz", "Si", {4}),
        ("rutile", "Ti", {6}),
        ("zinc blende", "Zn", {4}),
        ("spinel", "Mg", {4}),
        ("spinel", "Al", {6}),
    ],
)
def test_cations_have_their_polyhedra(known, name, centre, corners):
    found = scene(known[name])
    atoms, lattice = found["atoms"], np.array(found["lattice"])
    solids = [s for s in found["polyhedra"] if atoms[s["centre"]]["element"] == centre]
    assert len(solids) == sum(atom["element"] == centre for atom in atoms)
    assert {len(s["corners"]) for s in solids} == corners
    for solid in solids:
        middle = np.array(atoms[solid["centre"]]["position"])
        points = np.array([np.add(atoms[j]["position"], c) - middle for j, c in solid["corners"]]) @ lattice
        for face in solid["faces"]:
            a, b, c = points[face]
            assert np.cross(b - a, c - a) @ a > 0  # seen from outside they turn left
        assert len(solid["faces"]) == 2 * len(points) - 4  # Euler, all triangles
        edges = Counter(frozenset((f[k], f[k - 1])) for f in solid["faces"] for k in range(3))
        assert set(edges.values()) == {2}


def test_metals_and_molecules_have_no_polyhedra(known):
    assert scene(bulk("Cu", cubic=True))["polyhedra"] == []
    assert scene(known["diamond"])["polyhedra"] == []


def test_labels_are_letters_of_sites(known):
    labels = [atom["label"] for atom in scene(known["perovskite"])["atoms"]]
    assert labels == ["Sr 1a", "Ti 1b", "O 3c", "O 3c", "O 3c"]
    assert [atom["label"] for atom in scene(bulk("NaCl", "rocksalt", a=5.64))["atoms"]] == ["Na1", "Cl2"]


def test_the_view_is_a_rotation_and_that_of_the_pictures(known):
    view = np.array(scene(known["quartz"])["view"])
    assert np.allclose(view, VIEW, atol=1e-5)
    assert np.allclose(view @ view.T, np.eye(3), atol=1e-5) and np.linalg.det(view) > 0


def test_a_cell_without_volume_is_refused():
    with pytest.raises(StructureError, match="volume"):
        scene(Atoms("H", positions=[[0, 0, 0]]))
    with pytest.raises(StructureError, match="finite"):
        scene(Atoms("H", positions=[[np.nan, 0, 0]], cell=[3, 3, 3], pbc=True))
