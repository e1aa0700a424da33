"""Symmetry determination: any cell of a crystal leads back to it, and nothing else is let through."""

from __future__ import annotations

import io
from collections.abc import Iterator

import ase.io
import numpy as np
import pytest
import spglib
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import NUMBERS, Crystal, crystal_from_arrays, standardize
from crystalsmith.errors import StructureError
from crystalsmith.symmetry import space_group

MATCHER = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5, scale=False, primitive_cell=False)


def primitive_cell(structure: Structure) -> Structure:
    """By spglib: pymatgen's own reduction now and then takes two cells of one crystal for different."""
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    lattice, points, numbers = spglib.find_primitive(cell, symprec=1e-2)
    return Structure(lattice, numbers, points)


def same(a: Structure, b: Structure) -> bool:
    """Whether two structures are one to a few thousandths of an Angstrom."""
    distance = MATCHER.get_rms_dist(primitive_cell(a), primitive_cell(b))
    return distance is not None and distance[1] < 2e-3


def arrays(crystal: Crystal, primitive: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    symbols, points = crystal.positions(primitive)
    lattice = crystal.primitive_lattice if primitive else crystal.lattice
    return lattice, points, np.array([NUMBERS[s] for s in symbols])


def orbits(crystal: Crystal) -> list[tuple[str, int]]:
    """Element and multiplicity of each orbit, sorted."""
    pairs = zip(crystal.sites, crystal.positions_of_sites, strict=True)
    return sorted((site.element, position.multiplicity) for site, position in pairs)


def spglib_number(structure: Structure, symprec: float) -> int:
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    return spglib.get_symmetry_dataset(cell, symprec=symprec).number


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("primitive", [True, False])
def test_known_crystals_come_back(name: str, primitive: bool) -> None:
    crystal = KNOWN[name]
    for back in (
        Crystal.from_structure(crystal.to_structure(primitive)),
        Crystal.from_structure(crystal.to_atoms(primitive)),
    ):
        assert back.space_group == crystal.space_group
        assert back.formula == crystal.formula
        assert orbits(back) == orbits(crystal)
        assert same(back.to_structure(), crystal.to_structure())


@pytest.mark.parametrize("number", range(1, 231))
def test_random_crystals_of_every_group_come_back(number: int) -> None:
    crystal = random_crystal(number, np.random.default_rng(1000 + number), max_sites=3, max_atoms=24)
    structure = crystal.to_structure(primitive=True)
    back = Crystal.from_structure(structure, symprec=1e-3)
    assert back.space_group == spglib_number(structure, 1e-3)
    assert len(space_group(back.space_group).rotations) >= len(space_group(number).rotations)
    assert same(back.to_structure(), structure)


@given(st.integers(1, 230), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_any_other_cell_of_a_crystal_leads_to_the_same(number: int, seed: int) -> None:
    """A supercell, sheared, turned, mirrored in its axes, shifted, its atoms in another order."""
    rng = np.random.default_rng(seed)
    crystal = random_crystal(number, rng, max_sites=3, max_atoms=16)
    lattice, points, numbers = arrays(crystal)
    plain = crystal_from_arrays(lattice, points, numbers, 1e-3)

    size = np.diag(rng.permutation([1, 1, 2]))
    shear = np.eye(3, dtype=int)
    shear[0, 1], shear[2, 0] = rng.integers(-1, 2, 2)
    change = size @ shear * np.where(rng.random() < 0.5, -1, 1)
    inverse = np.linalg.inv(change)
    corners = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    spread = ((points[:, None] + corners) @ inverse).reshape(-1, 3)
    inside = ((spread > -1e-6) & (spread < 1 - 1e-6)).all(axis=1)
    x, z = spread[inside], np.repeat(numbers, len(corners))[inside]
    assert len(x) == 2 * len(points)
    order = rng.permutation(len(x))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    other = crystal_from_arrays(change @ lattice @ turn, x[order] + rng.random(3), z[order], 1e-3)
    assert other.space_group == plain.space_group
    assert other.n_atoms == plain.n_atoms
    assert other.formula == plain.formula
    assert same(other.to_structure(), plain.to_structure())


def test_small_displacements_are_taken_for_symmetric(known: dict[str, Crystal]) -> None:
    rng = np.random.default_rng(3)
    for crystal in known.values():
        structure = crystal.to_structure()
        moved = structure.cart_coords + rng.uniform(-0.004, 0.004, (len(structure), 3))
        noisy = Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True)
        assert Crystal.from_structure(noisy, symprec=0.05).space_group == crystal.space_group


def test_a_real_distortion_is_not(known: dict[str, Crystal]) -> None:
    structure = known["perovskite"].to_structure()
    structure.translate_sites(1, [0, 0, 0.02])  # titanium along c: ferroelectric P4mm
    back = Crystal.from_structure(structure)
    assert back.space_group == 99
    assert same(back.to_structure(), structure)


def test_handedness_is_kept(known: dict[str, Crystal]) -> None:
    right = known["quartz"].to_structure()
    left = Structure(Lattice(right.lattice.matrix @ np.diag([1, 1, -1.0])), right.species, right.frac_coords)
    assert Crystal.from_structure(right).space_group == 154
    assert Crystal.from_structure(left).space_group == 152


def test_spglib_stands_in_for_moyopy(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> Iterator[None]:
        return iter(())

    monkeypatch.setattr(standardize, "_by_moyo", nothing)
    for number in range(1, 231, 3):
        crystal = random_crystal(number, np.random.default_rng(number), max_sites=3, max_atoms=16)
        back = crystal_from_arrays(*arrays(crystal), 1e-3)
        assert back.space_group == spglib_number(crystal.to_structure(), 1e-3)
        assert same(back.to_structure(), crystal.to_structure())


def test_a_wrong_description_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    find = standardize.find_wyckoff

    def off(*arguments: object, **options: object) -> list:
        return [(position, free + 0.05) for position, free in find(*arguments, **options)]

    monkeypatch.setattr(standardize, "find_wyckoff", off)
    with pytest.raises(StructureError, match=r"cannot be verified.*from its place"):
        crystal_from_arrays(*arrays(KNOWN["rutile"]))


def test_extended_xyz_round_trip(known: dict[str, Crystal]) -> None:
    for crystal in known.values():
        text = io.StringIO()
        ase.io.write(text, crystal.to_atoms(), format="extxyz")
        atoms = ase.io.read(io.StringIO(text.getvalue()), format="extxyz")
        back = Crystal.from_structure(atoms)
        assert back.space_group == crystal.space_group
        assert same(back.to_structure(), crystal.to_structure())


def test_ions_isotopes_and_deuterium_are_elements() -> None:
    structure = Structure(Lattice.cubic(4.0), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert Crystal.from_structure(structure).formula == "NaCl"
    heavy = Structure(Lattice.cubic(4.0), ["Li", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert Crystal.from_structure(heavy).formula == "LiH"


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        (Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]), "^disordered"),
        (Structure(Lattice.cubic(4), [{"Na": 0.9}], [[0, 0, 0]]), "^disordered"),
        (Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0, 0, 0.01]]), "^overlapping atoms"),
        (Structure(Lattice.cubic(4), ["X"], [[0, 0, 0]]), "^unknown element"),
        (Structure(Lattice.cubic(4), [], []), "^empty"),
        (Structure(Lattice([[4, 0, 0], [0, 4, 0], [4, 4, 1e-9]]), ["Na"], [[0, 0, 0]]), "^flat cell"),
        (Structure(Lattice.cubic(4), ["Na"], [[0, np.nan, 0]]), "^not finite"),
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), "^not periodic"),
        (Atoms("H", [[0, 0, 0]], cell=[4, 4, 4], pbc=[True, True, False]), "^not periodic"),
        ("NaCl", "neither a pymatgen Structure nor ASE Atoms"),
    ],
)
def test_what_is_no_crystal_is_refused(structure: object, says: str) -> None:
    with pytest.raises(StructureError, match=says):
        Crystal.from_structure(structure)


@pytest.mark.parametrize("value", [1e7, 1e16, 1e154, 1e300, -1e308, 1.7e308])
@pytest.mark.parametrize("where", ["coordinate", "lattice"])
def test_numbers_beyond_all_measure_are_one_reason(value: float, where: str) -> None:
    lattice, points = 4 * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    (points if where == "coordinate" else lattice)[0, 0] = value
    with pytest.raises(StructureError, match=r"^out of range"):
        crystal_from_arrays(lattice, points, np.array([11, 17]))


def test_a_panic_of_the_symmetry_program_is_one_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic in Rust arrives as a BaseException of a class that cannot be imported; others go on up."""

    def raising(kind: type[BaseException]) -> None:
        def dataset(*args: object, **kwargs: object) -> None:
            raise kind("index out of bounds")

        monkeypatch.setattr(standardize.moyopy, "MoyoDataset", dataset)

    raising(type("PanicException", (BaseException,), {}))
    assert crystal_from_arrays(*arrays(KNOWN["rutile"])).space_group == 136  # spglib is asked next
    raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        crystal_from_arrays(*arrays(KNOWN["rutile"]))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(StructureError, match="wrong shape"):
        crystal_from_arrays(np.eye(2), np.zeros((1, 3)), np.array([1]))
    with pytest.raises(StructureError, match="wrong shape"):
        crystal_from_arrays(4 * np.eye(3), np.zeros((2, 3)), np.array([1]))
