"""Statistics of a data set: counted right, drawn whole."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import moyopy
import numpy as np
import pytest
from matplotlib.image import imread

from crystals import KNOWN, random_crystal
from crystalsmith.data import Dataset, pack
from crystalsmith.data.counts import LATTICE_SYSTEMS, lattice_system, statistics
from crystalsmith.data.stats import draw_statistics
from crystalsmith.errors import DataError


def test_counts_of_known_crystals() -> None:
    names = ["rock salt", "diamond", "quartz", "corundum", "aragonite", "boric acid"]
    s = statistics(pack([KNOWN[n] for n in names]))
    assert s.structures == 6
    assert s.lattice_systems == {
        "triclinic": 1,
        "monoclinic": 0,
        "orthorhombic": 1,
        "tetragonal": 0,
        "rhombohedral": 1,
        "hexagonal": 1,
        "cubic": 2,
    }
    assert {int(n): int(s.space_groups[n]) for n in np.flatnonzero(s.space_groups)} == {
        2: 1,
        62: 1,
        154: 1,
        167: 1,
        225: 1,
        227: 1,
    }
    assert s.structures_with[8] == 4 and s.structures_with[6] == 2 and s.structures_with[1] == 0
    # Primitive cells: quartz 6, corundum 6, aragonite 12, boric acid 12 oxygen atoms.
    assert s.atoms_of[8] == 36 and s.atoms == sum(KNOWN[n].n_atoms for n in names)
    # Oxygen has 1, 1, 2, 6 sites; boron 2; the other eight elements of a structure one each.
    assert s.sites_of_an_element.tolist() == [0, 9, 2, 0, 0, 0, 1]


def test_lattice_systems_are_moyopys() -> None:
    for number in range(1, 231):
        assert lattice_system(number) == moyopy.SpaceGroupType(number).lattice_system.lower()
    assert len(LATTICE_SYSTEMS) == 7


@pytest.fixture(scope="module")
def many() -> Dataset:
    rng = np.random.default_rng(0)
    return pack([random_crystal(n, rng) for n in range(1, 231, 5)])


def test_pictures(many: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = draw_statistics(many, folder)
    names = ("elements", "lattice_systems", "sites_per_element", "space_groups")
    assert sorted(p.name for p in paths) == [
        f"{name}.{suffix}" for name in names for suffix in ("png", "svg")
    ]
    assert sorted(paths) == sorted(folder.iterdir())
    for path in paths:
        if path.suffix == ".png":
            image = imread(path)[..., :3]
            assert min(image.shape[:2]) > 400
            assert len({tuple(color) for color in image[::5, ::5].reshape(-1, 3)}) > 10, "an empty picture"
        else:
            text = "".join(ElementTree.parse(path).getroot().itertext())
            assert f"{len(many)} structures" in text


def test_same_data_same_picture(tmp_path: Path) -> None:
    dataset = pack([KNOWN["diamond"]])
    one, two = (draw_statistics(dataset, tmp_path / name, formats=["svg"]) for name in "ab")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from crystalsmith.data.stats import draw_statistics; from crystalsmith.data import pack;"
        "from crystalsmith.crystal import Crystal, Site;"
        "c = Crystal(225, (4, 4, 4, 90, 90, 90), (Site('Na', 'a'),));"
        f"draw_statistics(pack([c]), {str(tmp_path)!r}, ['png'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_empty_and_unwritable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        draw_statistics(pack([]), tmp_path)
    (tmp_path / "file").write_text("x")
    dataset: Dataset = pack([KNOWN["diamond"]])
    with pytest.raises(DataError, match="cannot write"):
        draw_statistics(dataset, tmp_path / "file")
