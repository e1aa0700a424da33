"""All 530 settings of the 230 groups: written without operators, or with them, and read to the same atoms.

The operations, and with them the atoms that are right, are spglib's; the reader makes its own by gemmi.
"""

from __future__ import annotations

from functools import cache

import moyopy
import numpy as np
import pytest
import spglib

from crystalsmith.crystal import SYMBOLS
from crystalsmith.crystal.io.cif import read_cif
from crystalsmith.crystal.io.cif_symmetry import triplet
from crystalsmith.crystal.io.records import Record
from crystalsmith.symmetry import lattice_to_cell

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's own

HALLS: dict[int, list[int]] = {}
for _hall in range(1, 531):
    HALLS.setdefault(moyopy.HallSymbolEntry(_hall).number, []).append(_hall)


def distinct(points: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    shift = points[:, None] - points
    shift -= np.rint(shift)
    near = np.linalg.norm(shift @ lattice, axis=-1) < 1e-3
    return points[near.argmax(axis=1) == np.arange(len(points))]


@cache
def example(hall: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lattice, one Si anywhere and one Ca at the origin, and all atoms of the cell, in a setting."""
    operations = spglib.get_symmetry_from_database(hall)
    w, t = operations["rotations"], operations["translations"]
    for seed in range(100):
        rng = np.random.default_rng(1000 * hall + seed)
        base = np.diag(rng.uniform(0.8, 1.3, 3)) @ (np.eye(3) + rng.uniform(-0.25, 0.25, (3, 3)))
        metric = np.einsum("nki,kl,nlj->ij", w, base @ base.T, w) / len(w)
        lattice = np.linalg.cholesky(metric)
        lattice *= (20.0 * 1.5 * len(w) / np.linalg.det(lattice)) ** (1 / 3)
        # Away from all special places: two settings that differ there alone would be one.
        general = (rng.integers(24, size=3) + rng.uniform(0.3, 0.7, 3)) / 24
        sites = np.array([general.round(4), np.zeros(3)])
        blocks = [distinct((w @ site + t) % 1.0, lattice) for site in sites]
        points = np.concatenate(blocks)
        numbers = np.repeat([14, 20], [len(b) for b in blocks])
        shift = points[:, None] - points
        shift -= np.rint(shift)
        distance = np.linalg.norm(shift @ lattice, axis=-1) + 9 * np.eye(len(points))
        if len(blocks[0]) == len(w) and distance.min() > 0.7:
            return lattice, sites, points, numbers, w
    raise AssertionError(f"no example of Hall number {hall}")


def cif(hall: int, symmetry: str) -> str:
    lattice, sites, _, numbers, _ = example(hall)
    a, b, c, alpha, beta, gamma = lattice_to_cell(lattice)
    silicon, calcium = (numbers == 14).sum(), (numbers == 20).sum()
    units = np.gcd(silicon, calcium)
    rows = "\n".join(
        f"{name}1 {name} {x:.4f} {y:.4f} {z:.4f}" for name, (x, y, z) in zip(("Si", "Ca"), sites, strict=True)
    )
    return (
        f"data_x\n_chemical_formula_sum 'Ca{calcium // units} Si{silicon // units}'\n"
        f"_cell_formula_units_Z {units}\n"
        f"_cell_length_a {a:.6f}\n_cell_length_b {b:.6f}\n_cell_length_c {c:.6f}\n"
        f"_cell_angle_alpha {alpha:.5f}\n_cell_angle_beta {beta:.5f}\n_cell_angle_gamma {gamma:.5f}\n"
        f"{symmetry}\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        f"_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{rows}\n"
    )


def same_atoms(hall: int, record: Record) -> bool:
    lattice, _, points, numbers, _ = example(hall)
    if record.failure or sorted(record.numbers) != sorted(numbers):
        return False
    shift = record.fractional[:, None] - points
    shift -= np.rint(shift)
    distance = np.linalg.norm(shift @ lattice, axis=-1)
    distance[record.numbers[:, None] != numbers] = np.inf
    return bool(distance.min(axis=0).max() < 1e-3 and distance.min(axis=1).max() < 1e-3)


def names(hall: int) -> dict[str, str]:
    """What states the setting without doubt."""
    entry = moyopy.HallSymbolEntry(hall)
    full = entry.hm_full.replace("_", "")
    origin = f" :{entry.setting[0]}" if entry.setting[:1] in ("1", "2", "H", "R") and entry.setting else ""
    hall_symbol = entry.hall_symbol.replace("=", '"')
    operations = spglib.get_symmetry_from_database(hall)
    xyz = [triplet(w, t) for w, t in zip(operations["rotations"], operations["translations"], strict=True)]
    return {
        "Hall symbol": f"_space_group_name_Hall\n;{hall_symbol}\n;",
        "full symbol": f"_space_group_name_H-M_alt '{full}{origin}'",
        "symbol, number": f"_symmetry_space_group_name_H-M '{full}{origin}'\n"
        f"_symmetry_Int_Tables_number {entry.number}",
        "number and setting": f"_space_group_IT_number {entry.number}\n"
        f"_space_group_IT_coordinate_system_code {entry.setting or '?'}",
        "operators": "loop_\n_space_group_symop_operation_xyz\n" + "\n".join(f"'{x}'" for x in xyz),
    }


@pytest.mark.parametrize("number", HALLS)
def test_every_setting_by_every_name_is_the_same_crystal(number: int) -> None:
    for hall in HALLS[number]:
        for how, symmetry in names(hall).items():
            record = read_cif(cif(hall, symmetry))[0]
            if number in (67, 68) and record.failure.startswith("ambiguous"):
                continue  # with e for a glide, two settings of these groups have one symbol
            assert same_atoms(hall, record), (hall, how, symmetry[:90], record.failure)
            assert record.space_group == (number if number > 1 else 0)


@pytest.mark.parametrize("number", HALLS)
def test_short_and_old_symbols_are_the_same_crystal_or_left_out(number: int) -> None:
    """Where a symbol leaves origin, axes or cell open, metric, sum formula and Z decide or nothing does."""
    read = 0
    for hall in HALLS[number]:
        entry, kind = moyopy.HallSymbolEntry(hall), spglib.get_spacegroup_type(hall)
        for symbol in {entry.hm_full.replace("_", ""), *kind.international.replace("_", "").split(" = ")}:
            if 3 <= number <= 15 and symbol.count(" ") == 1:
                continue  # the standard symbol, which spglib gives to all cells
            record = read_cif(cif(hall, f"_space_group_name_H-M_alt '{symbol}'"))[0]
            if record.failure:
                assert record.failure.startswith("ambiguous"), (hall, symbol, record.failure)
            else:
                assert same_atoms(hall, record), (hall, symbol)
                read += 1
    # Two origins, or two glides by one e, that this crystal's formula does not tell apart.
    assert read or len(HALLS[number]) == 2 or number == 67, number


@pytest.mark.parametrize("number", [n for n in HALLS if n > 1])
def test_no_number_is_read_as_another_crystal(number: int) -> None:
    """A number without a symbol: the tables' setting; other settings only where nothing contradicts."""
    entry = next(
        h for h in HALLS[number] if moyopy.HallSymbolEntry(h).setting in ("", "b", "b1", "2", "H", "-b1")
    )
    record = read_cif(cif(entry, f"_symmetry_Int_Tables_number {number}"))[0]
    assert same_atoms(entry, record) or record.failure.startswith("ambiguous"), (number, record.failure)


def test_symbols_of_the_record_are_elements() -> None:
    record = read_cif(cif(525, "_space_group_name_Hall 'F 4d 2 3 -1d'"))[0]
    assert {SYMBOLS[z] for z in record.numbers} == {"Si", "Ca"}
