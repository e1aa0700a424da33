"""The pure functions of an evaluation against closed forms, brute force and cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from crystals import KNOWN
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.figures import MEASURES, METRICS, Figure
from crystalsmith.evaluation.measures import coverage
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.evaluation.measures.bootstrap import distance_interval, mean_interval
from crystalsmith.evaluation.measures.distributions import densities, wasserstein
from crystalsmith.evaluation.measures.frechet import frechet_distance, gaussian_distance, moments
from crystalsmith.evaluation.measures.geometry import Geometry, geometry
from crystalsmith.evaluation.measures.matching import (
    FREEDOM_BINS,
    STOL,
    bin_label,
    collect_matches,
    corrected,
    pair_by_id,
    rms_displacement,
    root_mean,
    same_formula_pairs,
)
from crystalsmith.evaluation.measures.uniqueness import buckets, compare_bucket
from crystalsmith.evaluation.measures.validity import composition_is_valid, structure_is_valid
from crystalsmith.evaluation.samples import Sample, SampleSet


def test_frechet_distance_of_commuting_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    a, b = rng.uniform(0.1, 3, 5), rng.uniform(0.1, 3, 5)
    m1, m2 = rng.normal(size=5), rng.normal(size=5)
    s1, s2 = (q * a) @ q.T, (q * b) @ q.T
    expected = ((m1 - m2) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert gaussian_distance(m1, s1, m2, s2) == pytest.approx(expected, rel=1e-10)


@given(st.integers(0, 10_000))
def test_frechet_distance_is_that_of_the_matrix_root(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    y = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6)
    (m1, s1), (m2, s2) = moments(x), moments(y)
    root = np.real(sqrtm(s1 @ s2))
    expected = ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_frechet_distance_of_samples_of_known_gaussians():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (40_000, 3)), rng.normal(0.5, 2, (40_000, 3))
    assert frechet_distance(x, y) == pytest.approx(3 * (0.25 + 1), rel=0.03)


def test_frechet_distance_of_singular_covariances_is_sound():
    rng = np.random.default_rng(2)
    flat = np.zeros((30, 8))
    flat[:, :2] = rng.normal(size=(30, 2))
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-12)
    shifted = flat + np.eye(8)[7] * 3
    assert frechet_distance(flat, shifted) == pytest.approx(9, rel=1e-10)
    few = rng.normal(size=(3, 8))  # fewer vectors than dimensions
    assert np.isfinite(frechet_distance(few, flat)) and frechet_distance(few, few) < 1e-12
    constant = np.ones((5, 4))
    assert frechet_distance(constant, constant) == 0
    with pytest.raises(EvaluationError, match="at least two"):
        frechet_distance(few[:1], few)
    with pytest.raises(EvaluationError, match="finite"):
        frechet_distance(few * np.nan, few)
    with pytest.raises(EvaluationError, match="lengths 8 and 4"):
        frechet_distance(few, constant)


def test_coverage_by_hand():
    """Structure and composition may find their nearest in different crystals: that is CDVAE's definition."""
    structure = np.array([[0.0], [1.0], [5.0], [np.nan]])
    composition = np.array([[0.0], [100.0], [0.0], [0.0]])
    reference_structure, reference_composition = np.array([[0.3], [1.3]]), np.array([[50.0], [95.0]])
    near = coverage.nearest(structure, composition, reference_structure, reference_composition)
    assert near.structure.tolist() == pytest.approx([0.3, 0.3, 3.7, np.inf])
    assert near.composition.tolist() == pytest.approx([50, 5, 50, np.inf])
    assert coverage.precision(near).tolist() == [False, True, False, False]
    assert coverage.precision(near, 0.4, 60).tolist() == [True, True, False, False]
    assert near.reference_structure.tolist() == pytest.approx([0.3, 0.3])
    assert near.reference_composition.tolist() == pytest.approx([50, 5])
    assert coverage.recall(near).tolist() == [False, True]


@pytest.mark.parametrize("block", [1, 7 * 30, 10**9])
def test_coverage_is_brute_force_whatever_the_block(monkeypatch, block):
    monkeypatch.setattr(coverage, "_BLOCK", block)
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(23, 61)), rng.normal(size=(30, 61))
    u, v = rng.normal(size=(23, 132)) * 1e3, rng.normal(size=(30, 132)) * 1e3
    x[3] = y[5]
    near = coverage.nearest(x, u, y, v)
    assert np.allclose(near.structure, cdist(x, y).min(1)) and near.structure[3] == 0
    assert np.allclose(near.reference_structure, cdist(x, y).min(0))
    assert np.allclose(near.composition, cdist(u, v).min(1))
    assert np.allclose(near.reference_composition, cdist(u, v).min(0))


def test_coverage_of_failures_alone_is_nothing():
    near = coverage.nearest(
        np.full((2, 61), np.nan), np.zeros((2, 132)), np.zeros((3, 61)), np.zeros((3, 132))
    )
    assert not coverage.precision(near).any() and not coverage.recall(near).any()


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    hits = 0
    for k in range(200):
        low, high = mean_interval(rng.random(200) < 0.3, resamples=300, seed=k)
        hits += low <= 0.3 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_samples_of_one_order_are_no_independent_evidence():
    values = np.repeat(np.random.default_rng(6).random(50) < 0.5, 20).astype(float)
    names = np.repeat(np.arange(50), 20).astype(str).tolist()
    alone, together = mean_interval(values), mean_interval(values, names)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])
    assert mean_interval(values, names) == together  # seeded
    assert np.isnan(mean_interval(np.zeros(0))).all()


def test_interval_of_a_distance_holds_the_distance():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(300, 4)), rng.normal(size=(3000, 4))
    mean, covariance = moments(y)

    def statistic(rows):
        return gaussian_distance(*moments(x[rows]), mean, covariance)

    value = statistic(np.arange(300))
    low, high = distance_interval(statistic, 300, value)
    assert 0 <= low < value < high
    assert np.isnan(distance_interval(statistic, 1, value)).all()


def test_wasserstein_and_density():
    assert wasserstein(np.array([0.0, 1.0, np.nan]), np.array([1.0, 2.0])) == pytest.approx(1)
    assert np.isnan(wasserstein(np.array([np.nan]), np.array([1.0])))
    salt = crystal_arrays(KNOWN["rock salt"])
    assert densities([salt.numbers], np.array([salt.volume]))[0] == pytest.approx(2.165, abs=0.005)


def test_validity_of_structures():
    assert (
        structure_is_valid(0.5, 0.1) and not structure_is_valid(0.499, 10) and not structure_is_valid(1, 0.09)
    )
    assert not structure_is_valid(float("nan"), float("nan"))
    salt = KNOWN["rock salt"]
    squeezed = Crystal(225, (0.9, 0.9, 0.9, 90, 90, 90), salt.sites)
    found = Geometry(*geometry(crystal_arrays(squeezed)))
    assert found.shortest == pytest.approx(0.45) and not structure_is_valid(found.shortest, found.volume)


@pytest.mark.parametrize(
    ("formula", "valid"),
    [
        ({"Na": 1, "Cl": 1}, True),
        ({"Sr": 1, "Ti": 1, "O": 3}, True),
        ({"Na": 1, "Cl": 3}, False),
        ({"Fe": 3, "Al": 1}, True),  # an alloy
        ({"C": 1}, True),  # an element
        ({"Li": 1, "F": 2}, False),
        ({"Xe": 1, "Na": 1}, False),
    ],
)
def test_validity_of_compositions(formula, valid):
    assert composition_is_valid({NUMBERS[k]: n for k, n in formula.items()}) is valid


def test_geometry_of_known_crystals():
    quartz = Geometry(*geometry(crystal_arrays(KNOWN["quartz"])))
    assert (quartz.group_tight, quartz.group_loose, quartz.freedom) == (154, 154, 4)
    assert (quartz.atoms, quartz.orbits) == (9, 2) and quartz.shortest == pytest.approx(1.605, abs=0.01)
    thin = Arrays(np.diag([5, 5, 0.01]), np.zeros((1, 3)), np.array([1]))
    assert Geometry(*geometry(thin)).group_loose == 0


def test_geometry_tells_a_distorted_crystal_from_a_perfect_one():
    salt = crystal_arrays(KNOWN["perovskite"])
    shift = np.zeros((5, 3))
    shift[0, 2] = 0.012  # 0.05 Angstrom of 3.9
    found = Geometry(*geometry(Arrays(salt.lattice, salt.fractional + shift, salt.numbers)))
    assert found.group_loose == 221 and found.group_tight == 99


def named(*rows: tuple[str, str | None]) -> SampleSet:
    samples, seen = [], {}
    for name, crystal in rows:
        arrays = None if crystal is None else crystal_arrays(KNOWN[crystal])
        seen[name] = seen.get(name, -1) + 1
        samples.append(Sample(name, seen[name], arrays, "" if arrays else "failed"))
    return SampleSet("set", tuple(samples))


def test_rms_displacement_of_a_pair():
    rutile = crystal_arrays(KNOWN["rutile"])
    assert rms_displacement((rutile, rutile))[0] == pytest.approx(0, abs=1e-9)
    scaled = Arrays(rutile.lattice * 1.1, rutile.fractional, rutile.numbers)
    assert rms_displacement((scaled, rutile))[0] == pytest.approx(0, abs=1e-9)  # volumes are made equal
    assert rms_displacement((crystal_arrays(KNOWN["anatase"]), rutile))[0] == np.inf
    moved = Crystal(136, KNOWN["rutile"].cell, (KNOWN["rutile"].sites[0], Site("O", "f", (0.3057 + 0.01,))))
    # Four of six atoms moved by 0.01 sqrt(2) a; in units of (volume / atoms)^(1/3).
    expected = np.sqrt(4 / 6) * 0.01 * np.sqrt(2) * 4.5941 / (62.45 / 6) ** (1 / 3)
    assert rms_displacement((crystal_arrays(moved), rutile))[0] == pytest.approx(expected, rel=0.02)


def test_match_rates_by_hand():
    reference = named(("a", "rutile"), ("b", "quartz"), ("c", "anatase"), ("d", "pyrite"))
    made = named(
        ("a", "anatase"), ("a", "rutile"), ("b", None), ("b", "quartz"), ("d", "marcasite"), ("d", None)
    )
    target = pair_by_id(made, reference)
    assert target.tolist() == [0, 0, 1, 1, 3, 3]
    rms_of = {(0, 0): np.inf, (1, 0): 0.1, (3, 1): 0.2, (4, 3): np.inf, (0, 2): 0.3}
    matches = collect_matches(target, [s.index for s in made], rms_of)
    assert matches.targets.tolist() == [0, 1, 3] and matches.samples == 2
    assert matches.rms.tolist() == [[np.inf, 0.1], [np.inf, 0.2], [np.inf, np.inf]]
    assert np.isfinite(matches.best_of(1)).mean() == 0 and np.isfinite(matches.best_of(2)).mean() == 2 / 3
    assert root_mean(matches.best_of(2)) == pytest.approx(0.15) and np.isnan(root_mean(matches.best_of(1)))
    assert corrected(matches.best_of(2)).mean() == pytest.approx((0.1 + 0.2 + STOL) / 3)


def test_metre_lets_any_crystal_match_any_target():
    """Two orders whose crystals came out exchanged: no match by id, all matched by METRe."""
    reference = named(("a", "rutile"), ("b", "anatase"), ("c", "quartz"))
    made = named(("a", "anatase"), ("b", "rutile"), ("c", "pyrite"))
    target = pair_by_id(made, reference)
    pairs = same_formula_pairs(made, reference, [0, 1, 2])
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    rms_of = {
        (k, row): float(rms_displacement((made.samples[k].arrays, reference.samples[row].arrays))[0])
        for k, row in pairs
    }
    matches = collect_matches(target, [s.index for s in made], rms_of)
    assert not np.isfinite(matches.best_of(1)).any()
    assert np.isfinite(matches.best_of_all).tolist() == [True, True, False]
    assert corrected(matches.best_of_all).mean() == pytest.approx(STOL / 3, abs=1e-6)


def test_pairing_by_id():
    reference = named(("mp-1", "rutile"), ("x_1", "quartz"))
    made = named(("mp-1_0", "rutile"), ("mp-1_12", "rutile"), ("x_1", "quartz"), ("x", "quartz"))
    assert pair_by_id(made, reference).tolist() == [0, 0, 1, -1]
    with pytest.raises(EvaluationError, match="two crystals have the id a"):
        pair_by_id(made, named(("a", "rutile"), ("a", "quartz")))
    assert [bin_label(*b) for b in FREEDOM_BINS] == ["0", "1", "2", "3", "4-5", "6-8", ">=9"]


def test_kinds_in_a_bucket():
    rutile, scaled = crystal_arrays(KNOWN["rutile"]), None
    scaled = Arrays(rutile.lattice * 1.02, rutile.fractional, rutile.numbers)
    other = Crystal(136, (4.6, 4.6, 2.96, 90, 90, 90), (Site("Ti", "a", ()), Site("O", "f", (0.12,))))
    crystals = [rutile, crystal_arrays(other), scaled, rutile, crystal_arrays(other)]
    kind, known = compare_bucket((crystals, [scaled]))
    assert kind.tolist() == [0, 1, 0, 0, 1] and known.tolist() == [True, False, True, True, False]
    found = buckets([rutile, None, crystal_arrays(KNOWN["anatase"]), scaled], [136, 0, 141, 136])
    assert found == {("TiO2", 136): [0, 3], ("TiO2", 141): [2]}


def test_a_crowd_of_one_kind_needs_no_square_of_comparisons():
    salt = crystal_arrays(KNOWN["rock salt"])
    rng = np.random.default_rng(8)
    crowd = [Arrays(salt.lattice * s, salt.fractional, salt.numbers) for s in rng.uniform(0.9, 1.1, 300)]
    kind, _ = compare_bucket((crowd, []))
    assert not kind.any()


def test_figures_are_shown_with_their_interval():
    share = Figure(MEASURES["cov_p"], 0.98, 0.97, 0.99, 100)
    assert share.text() == "98.0 [97.0, 99.0]"
    assert Figure(MEASURES["fd_cgcnn"], 0.0123, 0.01, 0.014, 100).text() == "0.0123 [0.0100, 0.0140]"
    assert Figure(MEASURES["fd_cgcnn"], 12.34, np.nan, np.nan, 100).text() == "12.3"
    assert Figure(MEASURES["cov_p"], float("nan"), np.nan, np.nan, 0).text() == "-"
    assert METRICS[0] == "validity" and len(METRICS) == 9
    assert all(m.about.endswith(".") for m in MEASURES.values())
