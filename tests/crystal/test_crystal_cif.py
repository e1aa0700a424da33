"""CIF: what we write is read by pymatgen, ASE and ourselves as the very same atoms."""

from __future__ import annotations

import io
import warnings

import ase.io
import numpy as np
import pytest
from pymatgen.io.cif import CifParser, CifWriter

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.errors import StructureError


def worst(crystal: Crystal, points: np.ndarray, numbers: np.ndarray) -> float:
    """Largest distance (Angstrom) of an atom to its partner; infinite if one has none."""
    symbols, ours = crystal.positions(primitive=False)
    if len(ours) != len(points):
        return np.inf
    difference = ours[:, None] - points
    distance = np.linalg.norm((difference - np.rint(difference)) @ crystal.lattice, axis=-1)
    distance[np.array([NUMBERS[s] for s in symbols])[:, None] != numbers] = np.inf
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


def assert_same_record(a: Crystal, b: Crystal) -> None:
    assert (a.space_group, a.wyckoff) == (b.space_group, b.wyckoff)
    assert a.cell == pytest.approx(b.cell, abs=1e-7)
    for one, other in zip(a.sites, b.sites, strict=True):
        assert one.free == pytest.approx(other.free, abs=1e-9)


@pytest.mark.parametrize("number", range(1, 231))
def test_every_group_is_read_as_written(number: int) -> None:
    crystal = random_crystal(number, np.random.default_rng(2000 + number), max_atoms=24)
    text = crystal.to_cif()
    assert_same_record(Crystal.from_cif(text), crystal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*coordinates rounded to ideal values")
        structure = CifParser.from_str(text).parse_structures(primitive=False)[0]
        assert worst(crystal, structure.frac_coords, np.array(structure.atomic_numbers)) < 1e-6
        assert structure.lattice.parameters == pytest.approx(crystal.cell, abs=1e-6)
        # ASE expands slowly: every third group, which takes in all lattice systems and centrings.
        if number % 3 == 0:
            atoms = ase.io.read(io.StringIO(text), format="cif")
            assert worst(crystal, atoms.get_scaled_positions(), atoms.numbers) < 1e-6
            assert atoms.info["spacegroup"].no == number


@pytest.mark.parametrize("name", KNOWN)
def test_known_crystals(name: str) -> None:
    crystal = KNOWN[name]
    assert_same_record(Crystal.from_cif(crystal.to_cif()), crystal)


def test_a_cif_says_what_it_is() -> None:
    text = KNOWN["spinel"].to_cif()
    for line in (
        "data_MgAl2O4",
        "_space_group_IT_number         227",
        "_space_group_name_H-M_alt      'F d -3 m :2'",
        "_chemical_formula_sum          'Mg8 Al16 O32'",
        "_cell_formula_units_Z          8",
        "192 'z+1/2, y+1/2, x'",
    ):
        assert line in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("Mg", "Al", "O"))]
    assert [(r[0], r[2], r[3]) for r in rows] == [("Mg1", "8", "a"), ("Al1", "16", "d"), ("O1", "32", "e")]


def test_thirds_are_exact() -> None:
    assert "0.333333333333 0.666666666667 0.000000000000" in KNOWN["wurtzite"].to_cif()


def test_symmetry_lower_than_the_atoms_is_kept() -> None:
    """Rock salt told as P1 with letters stays P1; without letters its symmetry is found."""
    structure = KNOWN["rock salt"].to_structure(primitive=True)
    found = Crystal.from_cif(str(CifWriter(structure)))
    assert found.space_group == 225
    low = Crystal(
        1,
        structure.lattice.parameters,
        tuple(_site(s.specie.symbol, s.frac_coords) for s in structure),
    )
    assert Crystal.from_cif(low.to_cif()).space_group == 1


def _site(symbol: str, point: np.ndarray) -> object:
    from crystalsmith.crystal import Site

    return Site(symbol, "a", tuple(point.tolist()))


@pytest.mark.parametrize("name", ["quartz", "corundum", "aragonite", "baddeleyite", "spinel"])
def test_other_programs_files_are_read(name: str) -> None:
    crystal = KNOWN[name]
    structure = crystal.to_structure()
    by_pymatgen = str(CifWriter(structure, symprec=0.01))
    by_ase = io.BytesIO()
    ase.io.write(by_ase, crystal.to_atoms(), format="cif")
    for text in (by_pymatgen, by_ase.getvalue().decode()):
        back = Crystal.from_cif(text)
        assert (back.space_group, back.formula) == (crystal.space_group, crystal.formula)
        assert back.volume == pytest.approx(crystal.volume, rel=1e-5)


def test_a_wrong_letter_is_not_believed() -> None:
    text = KNOWN["rutile"].to_cif()
    changed = text.replace("O1 O 4 f", "O1 O 4 g")
    assert changed != text
    assert Crystal.from_cif(changed).wyckoff == "Ti:a O:f"


def test_low_precision_and_uncertainties() -> None:
    text = KNOWN["wurtzite"].to_cif()
    text = text.replace("0.333333333333 0.666666666667", "0.3333 0.6667").replace(
        "0.374800000000", "0.3748(2)"
    )
    back = Crystal.from_cif(text)
    assert back.wyckoff == "Zn:b S:b"
    assert back.sites[1].free == pytest.approx((0.3748,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "^unreadable"),
        ("data_x\n_cell_length_a 4\n", "^unreadable"),
        ("not a cif at all", "^unreadable"),
        (KNOWN["rutile"].to_cif()[:1000], "^unreadable"),
        (KNOWN["rutile"].to_cif().replace("_cell_length_a ", "_cell_length_q "), "^unreadable"),
        (KNOWN["rutile"].to_cif().replace("000000 1.0", "000000 0.5"), "^disordered"),
        (KNOWN["rutile"].to_cif().replace("0.305700000000", "0.010000000000"), "^overlapping"),
    ],
)
def test_broken_files_are_refused(text: str, says: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(StructureError, match=says):
            Crystal.from_cif(text)
