"""Statistics of a data set: counted right, drawn whole."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from crystals import KNOWN, random_crystal
from matplotlib.image import imread

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


def test_lattice_systems_are_pymatgens() -> None:
    from pymatgen.symmetry.groups import SpaceGroup

    for number in range(1, 231):
        group = SpaceGroup.from_int_number(number)
        rhombohedral = group.symbol.startswith("R")
        wanted = "rhombohedral" if rhombohedral else group.crystal_system.replace("trigonal", "hexagonal")
        assert lattice_system(number) == wanted
    assert len(LATTICE_SYSTEMS) == 7


@pytest.mark.parametrize("crystals", ["one", "many"])
def test_pictures(crystals: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    some = [KNOWN["diamond"]] if crystals == "one" else [random_crystal(n, rng) for n in range(1, 231, 5)]
    paths = draw_statistics(pack(some), tmp_path / "new" / "folder")
    assert sorted(p.name for p in paths) == sorted(
        f"{name}.{suffix}"
        for name in ("lattice_systems", "space_groups", "elements", "sites_per_element")
        for suffix in ("png", "svg")
    )
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir())
    for path in paths:
        if path.suffix == ".png":
            image = imread(path)[..., :3]
            assert min(image.shape[:2]) > 400
            assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20, "an empty picture"
        else:
            text = "".join(ElementTree.parse(path).getroot().itertext())
            assert ("structures" in text) and ("%" in text or "space_groups" in path.name)
    again = draw_statistics(pack(some), tmp_path / "again", formats=["svg"])
    for path in again:
        assert path.read_bytes() == (tmp_path / "new" / "folder" / path.name).read_bytes()


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from crystalsmith.data.stats import draw_statistics; from crystalsmith.data import pack;"
        "from crystalsmith.crystal import Crystal, Site;"
        "c = Crystal(225, (4, 4, 4, 90, 90, 90), (Site('Na', 'a'),));"
        f"draw_statistics(pack([c]), {str(tmp_path)!r}, ['png']); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_empty_and_unwritable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        draw_statistics(pack([]), tmp_path)
    (tmp_path / "file").write_text("x")
    dataset: Dataset = pack([KNOWN["diamond"]])
    with pytest.raises(DataError, match="cannot write"):
        draw_statistics(dataset, tmp_path / "file")
