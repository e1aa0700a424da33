"""Simulated patterns against pymatgen's, gemmi's structure factors, and what is known of their parts."""

import gemmi
import numpy as np
import pytest
import torch
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from crystals import KNOWN
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.profile import Grid, spread, spread_apart
from crystalsmith.diffraction.simulation import (
    Optics,
    Simulator,
    Spoiling,
    batch_of,
    measured,
    peaks,
    simulate,
)
from crystalsmith.errors import PatternError

COPPER = radiation("CuKa1")
NAMES = ["rock salt", "quartz", "rutile", "corundum", "aragonite", "baddeleyite", "boric acid", "wurtzite"]


def _smooth(place: np.ndarray, strength: np.ndarray) -> np.ndarray:
    x = np.arange(5, 90, 0.05)
    y = (strength * np.exp(-(((x[:, None] - place) / 0.3) ** 2))).sum(1)
    return y / y.max()


@pytest.mark.parametrize("name", NAMES)
def test_as_pymatgen(name):
    crystal = KNOWN[name]
    own = peaks(crystal, COPPER, (5, 90), anomalous=False)
    theirs = XRDCalculator(wavelength=COPPER.wavelength).get_pattern(
        crystal.to_structure(), two_theta_range=(5, 90)
    )
    strong = theirs.x[theirs.y > 1]
    assert np.abs(own.two_theta[:, None] - strong).min(0).max() < 1e-3
    # Their form factors are of another table, so intensities agree to a percent or so.
    ours, other = _smooth(own.two_theta, own.intensity), _smooth(theirs.x, theirs.y)
    assert np.abs(ours - other).max() < 0.03
    assert ours @ other > 0.9995 * np.linalg.norm(ours) * np.linalg.norm(other)


@pytest.mark.parametrize("name", ["rock salt", "quartz", "aragonite"])
def test_structure_factors_as_gemmi(name):
    """The same form factors and the same sum: the ratio of |F|^2 is that of the cells, exactly."""
    crystal = KNOWN[name]
    batch = batch_of([crystal])
    simulator = Simulator.of(batch, COPPER, Grid(5, 1, 80), anomalous=False)
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*crystal.cell)
    small.spacegroup = gemmi.SpaceGroup("P 1")
    symbols, points = crystal.positions(primitive=False)
    for k, (symbol, point) in enumerate(zip(symbols, points, strict=True)):
        site = gemmi.SmallStructure.Site()
        site.label, site.type_symbol = f"{symbol}{k}", symbol
        site.element = gemmi.Element(symbol)
        site.occ, site.fract = 1.0, gemmi.Fractional(*point)
        small.add_site(site)
    small.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    sine, _, strength = (x[0].numpy() for x in simulator.lines(batch))
    strength = strength * sine**2 * np.sqrt(1 - sine**2) / (1 + (1 - 2 * sine**2) ** 2)
    multiplicity = simulator.reflections.multiplicity[0].numpy()
    indices = simulator.reflections.indices[0].numpy().astype(int).tolist()
    theirs = [abs(calculator.calculate_sf_from_small_structure(small, h)) ** 2 for h in indices]
    cells = len(crystal.group.centring)
    assert np.allclose(strength / multiplicity * cells**2, theirs, rtol=1e-4, atol=1e-3 * max(theirs))


def test_anomalous_scattering_is_the_mean_of_friedel_pairs():
    """Zinc blende has no centre: |F(h)| and |F(-h)| differ, and a powder shows their mean."""
    crystal = KNOWN["zinc blende"]
    batch = batch_of([crystal])
    iron = radiation("CuKa1")
    simulator = Simulator.of(batch, iron, Grid(20, 1, 60))
    sine, _, strength = (x[0].numpy() for x in simulator.lines(batch))
    symbols, points = crystal.positions(primitive=True)
    points = points @ crystal.group.primitive
    energy = 12398.419843 / iron.wavelength
    for k, h in enumerate(simulator.reflections.indices[0].numpy()):
        square = (2 * sine[k] / iron.wavelength) ** 2
        values = []
        for sign in (1, -1):
            total = 0j
            for symbol, point in zip(symbols, points, strict=True):
                element = gemmi.Element(symbol)
                f = element.it92.calculate_sf(square / 4)
                one, two = gemmi.cromer_liberman(z=element.atomic_number, energy=energy)
                total += (f + one + 1j * two) * np.exp(2j * np.pi * sign * (h @ point))
            values.append(abs(total) ** 2)
        factor = (1 + (1 - 2 * sine[k] ** 2) ** 2) / (sine[k] ** 2 * np.sqrt(1 - sine[k] ** 2))
        multiplicity = float(simulator.reflections.multiplicity[0, k])
        assert strength[k] == pytest.approx(multiplicity * factor * np.mean(values), rel=1e-5)


def test_the_second_line_of_a_tube():
    pattern = simulate(KNOWN["corundum"], radiation("CuKa"), (60, 80), 0.01, Optics(width=0.04))
    single = simulate(KNOWN["corundum"], COPPER, (60, 80), 0.01, Optics(width=0.04))
    top = single.two_theta[single.intensity.argmax()]
    second = 2 * np.degrees(np.arcsin(np.sin(np.radians(top) / 2) * 1.544427 / 1.540593))
    assert single.intensity[np.abs(single.two_theta - second).argmin()] < 5
    assert 40 < pattern.intensity[np.abs(pattern.two_theta - second).argmin()] < 65


def test_area_of_lines_is_their_intensity():
    batch = batch_of([KNOWN["rutile"]])
    grid = Grid(20, 0.01, 6001)
    simulator = Simulator.of(batch, COPPER, grid, margin=0.0)
    _, place, strength = simulator.lines(batch)
    pattern = simulator.patterns(batch, Optics(width=0.1, mixing=0.0))
    inside = (place > 20.5) & (place < 79.5)
    assert float(pattern.sum() * grid.step) == pytest.approx(float(strength[inside].sum()), rel=0.02)


def test_preferred_orientation_along_its_own_axis():
    """March: reflections of the plane itself are r^-3 as strong, those normal to it r^(3/2)."""
    batch = batch_of([KNOWN["rutile"]])
    simulator = Simulator.of(batch, COPPER, Grid(20, 1, 60))
    _, _, plain = simulator.lines(batch)
    _, _, textured = simulator.lines(batch, Optics(texture=0.8, axis=(0, 0, 1)))
    ratio = (textured / plain)[0]
    rows = {tuple(h): k for k, h in enumerate(simulator.reflections.indices[0].int().tolist())}
    assert float(ratio[rows[0, 0, 2]]) == pytest.approx(0.8**-3, rel=1e-6)
    assert float(ratio[rows[1, 1, 0]]) == pytest.approx(0.8**1.5, rel=1e-6)


def test_gradients():
    batch = batch_of([KNOWN["quartz"], KNOWN["rutile"]])
    simulator = Simulator.of(batch, COPPER, Grid(15, 0.05, 900))

    def patterns(w, strain):
        return simulator.patterns(batch.with_state(w, strain), Optics(width=0.3))

    w = (batch.w + 0.01 * batch.layout.free_mask).requires_grad_()
    strain = batch.strain.clone().requires_grad_()
    weight = torch.linspace(0, 1, 900, dtype=torch.float64)
    by_w, by_strain = torch.autograd.grad((patterns(w, strain) @ weight).sum(), (w, strain))
    w, strain = w.detach(), strain.detach()
    for k in range(len(w)):
        step = torch.zeros_like(w)
        step[k, 0] = 1e-5 * batch.layout.free_mask[k, 0]
        rise = ((patterns(w + step, strain) - patterns(w - step, strain)) @ weight).sum() / 2e-5
        assert float(by_w[k, 0]) == pytest.approx(float(rise), rel=1e-3, abs=1.0)
    step = torch.tensor([[1e-6, 0, 0, 0, 0, 0.0]] * 2, dtype=w.dtype)
    rise = ((patterns(w, strain + step) - patterns(w, strain - step)) @ weight).sum() / 2e-6
    assert float(by_strain[:, 0].sum()) == pytest.approx(float(rise), rel=1e-3)


def test_a_batch_is_its_crystals():
    names = ["rock salt", "boric acid", "quartz"]
    grid = Grid(10, 0.05, 1000)
    together = batch_of([KNOWN[n] for n in names])
    every = Simulator.of(together, COPPER, grid).patterns(together)
    for k, name in enumerate(names):
        alone = batch_of([KNOWN[name]])
        assert torch.allclose(every[k], Simulator.of(alone, COPPER, grid).patterns(alone)[0], rtol=1e-9)


def test_shifts_move_all_lines():
    crystal = KNOWN["rock salt"]
    plain = simulate(crystal, COPPER, (20, 80), 0.01)
    moved = simulate(crystal, COPPER, (20, 80), 0.01, Optics(zero=0.1, displacement=0.1))
    for low, high in ((30, 33), (44, 47), (74, 77)):
        rows = (plain.two_theta > low) & (plain.two_theta < high)
        x = plain.two_theta[rows]
        before, after = x[plain.intensity[rows].argmax()], x[moved.intensity[rows].argmax()]
        assert after - before == pytest.approx(0.1 + 0.1 * np.cos(np.radians(before) / 2), abs=0.011)


def test_measured_patterns_are_reproducible_counts():
    pattern = simulate(KNOWN["rutile"], COPPER)
    one, two = (measured(pattern, Spoiling(impurity=0.05, seed=3)) for _ in range(2))
    assert (one.intensity == two.intensity).all() and (one.intensity == one.intensity.round()).all()
    other = measured(pattern, Spoiling(impurity=0.05, seed=4))
    assert (one.intensity != other.intensity).any()


@pytest.mark.parametrize("two_theta", [(80, 5), (5, 200), (-5, 80), (5, 5.01)])
def test_impossible_ranges(two_theta):
    with pytest.raises(PatternError, match="no pattern"):
        simulate(KNOWN["rutile"], COPPER, two_theta)


def test_a_range_without_lines():
    with pytest.raises(PatternError, match="no line"):
        simulate(KNOWN["diamond"], COPPER, (5, 20))


def test_both_ways_to_sum_lines_are_the_same():
    random = torch.Generator().manual_seed(0)
    first = torch.randint(-20, 190, (2, 7), generator=random)
    kernels = [
        (torch.rand(2, 7, 31, generator=random), torch.rand(2, 7, columns, generator=random))
        for columns in (3, 1)
    ]
    grid = Grid(10, 0.1, 200)
    one, other = spread(kernels, first, grid), spread_apart(kernels, first, grid)
    assert one.shape == other.shape == (2, 200, 4)
    assert torch.allclose(one, other, rtol=1e-5)
