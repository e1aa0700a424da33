"""Contact sheets: what is drawn in a cell, what stands under it and how the file is written."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from matplotlib.image import imread

from crystalsmith.pictures import cell_filled, contact_sheet
from crystalsmith.pictures.cell_contents import half_bonds
from crystalsmith.pictures.contact_sheet import sheet_figure


def rock_salt() -> Atoms:
    return bulk("NaCl", "rocksalt", a=5.64, cubic=True)


def perovskite() -> Atoms:
    return Atoms(
        "SrTiO3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=[3.905] * 3,
        pbc=True,
    )


def texts(structures: list[Atoms], **options: object) -> list[str]:
    return [text.get_text() for text in sheet_figure(structures, **options).axes[0].texts]  # type: ignore[arg-type]


def test_rock_salt_cell_is_filled_to_27_atoms() -> None:
    filled = cell_filled(rock_salt())
    assert len(filled) == 27
    assert filled.get_chemical_formula() == "Cl13Na14"
    assert not filled.pbc.any()
    assert np.bincount(filled.arrays["site"]).max() == 8  # the corner atom


def test_filling_wraps_atoms_and_forgives_rounding() -> None:
    atoms = rock_salt()
    shifted = atoms.copy()
    shifted.positions += shifted.cell.array @ np.array([2.0, -1.0, 3.0]) - 1e-7
    places = np.round(cell_filled(shifted).get_scaled_positions(wrap=False), 5) + 0.0
    expected = np.round(cell_filled(atoms).get_scaled_positions(wrap=False), 5) + 0.0
    assert {tuple(place) for place in places} == {tuple(place) for place in expected}


def test_atoms_inside_the_cell_are_not_repeated() -> None:
    atoms = Atoms("Si", scaled_positions=[(0.4, 0.5, 0.6)], cell=[4, 4, 4], pbc=True)
    assert len(cell_filled(atoms)) == 1


def test_bonds_of_rock_salt_join_neighbours_only() -> None:
    atoms = rock_salt()
    filled = cell_filled(atoms)
    bonds = half_bonds(atoms, filled)
    assert len(bonds.starts) == 2 * 54  # a 3 x 3 x 3 grid has 54 links, each seen from both ends
    np.testing.assert_allclose(np.linalg.norm(bonds.vectors, axis=1), 2.82)
    assert np.all(bonds.numbers != filled.numbers[bonds.starts])


def test_large_cations_get_no_bonds() -> None:
    atoms = perovskite()
    filled = cell_filled(atoms)
    bonds = half_bonds(atoms, filled)
    pairs = {frozenset(pair) for pair in zip(filled.numbers[bonds.starts], bonds.numbers, strict=True)}
    assert pairs == {frozenset({22, 8})}  # Ti and O


def test_bonds_that_leave_the_cell_are_kept_for_inner_atoms() -> None:
    wurtzite = bulk("ZnS", "wurtzite", a=3.82, c=6.26)
    wurtzite.translate([0.3, 0.4, 0.5])  # off all cell faces
    bonds = half_bonds(wurtzite, cell_filled(wurtzite))
    assert np.bincount(bonds.starts).tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize("count", [1, 5])
def test_png_has_the_size_of_its_grid_and_ink_in_every_tile(tmp_path: Path, count: int) -> None:
    path = contact_sheet(
        [rock_salt(), perovskite()] * 2 + [bulk("Cu")] if count == 5 else [bulk("Cu")], tmp_path / "sheet.png"
    )
    assert path == tmp_path / "sheet.png"
    pixels = imread(path)[..., :3]
    columns, rows = (3, 2) if count == 5 else (1, 1)
    assert pixels.shape[1] == pytest.approx(200 * (0.25 + 2.55 * columns), abs=1)
    tiles = [tile for band in np.array_split(pixels, rows) for tile in np.array_split(band, columns, axis=1)]
    assert sum(bool((tile < 0.9).any()) for tile in tiles) == count
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_vector_formats_follow_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = contact_sheet([rock_salt()], str(tmp_path / f"sheet.{suffix}"), title="Salt")
    assert (b"<svg" if suffix == "svg" else b"%PDF") in path.read_bytes()[:1000]


def test_columns_are_respected() -> None:
    wide, high = (sheet_figure([bulk("Cu")] * 4, columns=columns).get_size_inches() for columns in (4, 1))
    assert wide[0] > wide[1] and high[0] < high[1]


def test_each_structure_gets_formula_label_and_legend() -> None:
    written = texts([rock_salt(), perovskite()], labels=["Fm-3m (225)", "cubic, $5 & up"], title="Two")
    assert written[0] == "Two"
    assert {"NaCl", "SrTiO$_{3}$", "$Fm\\bar{3}m$ (225)", "cubic, \\$5 & up"} <= set(written)
    assert [word for word in written if word in {"Na", "Cl", "Sr", "Ti", "O"}] == [
        "Na",
        "Cl",
        "Sr",
        "Ti",
        "O",
    ]
    assert [written.count(f"${axis}$") for axis in "abc"] == [2, 2, 2]


def test_labels_come_from_info_and_do_not_repeat_the_formula() -> None:
    atoms = rock_salt()
    plain = len(texts([atoms]))
    atoms.info["label"] = "NaCl P2_1/c"
    written = texts([atoms])
    assert len(written) == plain + 1
    assert "$P2_1/c$" in written


def test_long_labels_are_cut_to_three_lines() -> None:
    atoms = rock_salt()
    written = texts([atoms], labels=["word " * 60])
    lines = [line for line in written if line.startswith("word")]
    assert len(lines) == 3
    assert lines[-1].endswith("…")


def test_impossible_sheets_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    broken = rock_salt()
    broken.positions[0] = np.nan
    refused = [
        lambda: contact_sheet([], path),
        lambda: contact_sheet([rock_salt()], path, labels=["one", "two"]),
        lambda: contact_sheet([rock_salt()], path, columns=0),
        lambda: contact_sheet([rock_salt()], tmp_path / "sheet.doc"),
        lambda: contact_sheet([Atoms(cell=[3, 3, 3])], path),
        lambda: contact_sheet([Atoms("H")], path),
        lambda: contact_sheet([broken], path),
    ]
    for call in refused:
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) and "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_unwritable_path_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        contact_sheet([rock_salt()], tmp_path / "missing" / "sheet.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError):
        contact_sheet([rock_salt()], tmp_path / "folder.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.png"]


def test_input_is_left_as_it_was(tmp_path: Path) -> None:
    atoms = rock_salt()
    before = atoms.copy()
    contact_sheet([atoms], tmp_path / "sheet.png")
    assert atoms == before
