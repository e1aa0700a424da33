"""Powder patterns of crystals: batched and differentiable, and single ones as they would be measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import lines, profile
from crystalsmith.diffraction.pattern import Pattern, PeakList
from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.diffraction.reflections import Reflections, padded, reflections_of
from crystalsmith.errors import PatternError
from crystalsmith.graph import CrystalBatch, to_batch

MARGIN = 0.08
"""Reflections this far (relative) beyond the measured range are carried too: strains may bring them in."""

REACH = 12.0
"""Half-widths at half maximum to each side of a line over which its profile is summed."""

_UNIT_VOLUME = np.full(119, 10.0)  # Angstrom^3: reference of the strains; what it is does not matter


@dataclass(frozen=True)
class Optics:
    """What of an instrument and a sample shapes a pattern, for one crystal or (as tensors (B,)) for many.

    Attributes:
        width: full width of lines at half maximum at low angles, degrees.
        broadening: what grows with tan(theta): ``width(theta)^2 = width^2 + (broadening tan(theta))^2``.
        mixing: share of the Lorentzian, 0 to 1.
        zero: shift of all angles, degrees.
        displacement: shift by ``displacement * cos(theta)``, degrees, of a sample that lies too high.
        thermal: isotropic B in Angstrom^2 of all atoms.
        texture: March's r along ``axis``; 1 for crystallites spread at random.
        axis: Miller indices of the plane by which the crystallites lie.
    """

    width: float = 0.1
    broadening: float = 0.0
    mixing: float = 0.5
    zero: float = 0.0
    displacement: float = 0.0
    thermal: float = 0.0
    texture: float = 1.0
    axis: tuple[int, int, int] = (0, 0, 1)


@dataclass(frozen=True)
class Simulator:
    """Makes patterns of a batch's crystals; where they are may change, which they are may not.

    Attributes:
        reflections: those of the crystals, in the range and a little beyond.
        radiation: X-rays.
        grid: angles.
        anomalous: whether atoms scatter anomalously.
    """

    reflections: Reflections
    radiation: Radiation
    grid: profile.Grid
    anomalous: bool = True

    @staticmethod
    def of(
        batch: CrystalBatch,
        radiation: Radiation,
        grid: profile.Grid,
        anomalous: bool = True,
        margin: float = MARGIN,
    ) -> Simulator:
        """Look up which reflections the crystals of a batch have in a range of angles."""
        return Simulator(reflections_in(batch, radiation, grid, margin), radiation, grid, anomalous)

    def lines(self, batch: CrystalBatch, optics: Optics = Optics()) -> tuple[Tensor, Tensor, Tensor]:
        """Lines of every crystal, each wavelength's one after the other.

        Returns:
            sin(theta), 2 theta (degrees, shifted by the optics) and integrated intensity, (B, H wavelengths).
        """
        lattice = batch.lattice()
        square = lines.inverse_squares(lattice, self.reflections.indices)
        geometric = lines.geometric_factors(batch, self.reflections)
        wavelength = self.radiation.wavelength if self.anomalous else None
        strength = lines.strengths(batch, self.reflections, geometric, square, wavelength).value
        strength = strength * torch.exp(-0.5 * optics.thermal * square)
        if optics.texture != 1.0:
            axis = square.new_tensor(optics.axis).expand(len(square), 3)
            ratio = square.new_tensor(optics.texture).expand(len(square))
            strength = strength * lines.march_dollase(
                batch.layout.space_group, lattice, self.reflections.indices, axis, ratio
            )
        every_sine, every_strength = [], []
        for length, weight in zip(self.radiation.wavelengths, self.radiation.weights, strict=True):
            sine = lines.sines(square, length)
            every_sine.append(sine)
            every_strength.append(weight * strength * lines.lorentz_polarization(sine, self.radiation))
        sine = torch.cat(every_sine, 1)
        place = lines.two_theta_of(sine) + optics.zero + optics.displacement * (1 - sine**2).sqrt()
        return sine, place, torch.cat(every_strength, 1)

    def patterns(self, batch: CrystalBatch, optics: Optics = Optics()) -> Tensor:
        """(B, N) intensities on the grid, differentiable in the batch's w and strain."""
        sine, place, strength = self.lines(batch, optics)
        width = (optics.width**2 + (optics.broadening * sine) ** 2 / (1 - sine**2)).sqrt()
        half = profile.window(REACH / 2 * float(width.detach().max()), self.grid)
        with torch.no_grad():
            first = torch.round((place - self.grid.start) / self.grid.step).long() - half
        offset = torch.arange(2 * half + 1, device=place.device)
        angle = self.grid.start + self.grid.step * (first[:, :, None] + offset)
        mixing = place.new_tensor(optics.mixing)
        shape = profile.pseudo_voigt(angle - place[:, :, None], width[:, :, None], mixing)
        return profile.spread([(shape, strength[:, :, None])], first, self.grid)[:, :, 0]


def reflections_in(
    batch: CrystalBatch, radiation: Radiation, grid: profile.Grid, margin: float = MARGIN
) -> Reflections:
    """Reflections of a batch's crystals in a range of angles and a little beyond, padded."""
    lattice = batch.lattice().detach()
    longest, shortest = shell(radiation, grid, margin)
    found = reflections_of(
        batch.layout.space_group.tolist(), lattice.double().cpu().numpy(), longest, shortest
    )
    return padded(found, lattice.device, lattice.dtype)


def shell(radiation: Radiation, grid: profile.Grid, margin: float = MARGIN) -> tuple[float, float]:
    """Largest and smallest 1/d in 1/Angstrom that a range of angles shows, and a little beyond."""
    low = 2 * math.sin(math.radians(max(grid.start, 0.0)) / 2) / max(radiation.wavelengths)
    high = 2 * math.sin(math.radians(min(grid.stop, 179.0)) / 2) / min(radiation.wavelengths)
    return high * (1 + margin), low * (1 - margin)


def batch_of(crystals: Sequence[Crystal], dtype: torch.dtype = torch.float64) -> CrystalBatch:
    """Crystals as a batch whose strains start from a cell of their own size.

    Raises:
        StructureError: no crystals.
    """
    return to_batch(crystals, _UNIT_VOLUME, dtype=dtype)


def simulate(
    crystal: Crystal,
    radiation: Radiation,
    two_theta: tuple[float, float] = (5.0, 80.0),
    step: float = 0.02,
    optics: Optics = Optics(),
    anomalous: bool = True,
) -> Pattern:
    """The pattern of a crystal without noise or background, its highest point 100.

    Args:
        crystal: any.
        radiation: X-rays.
        two_theta: first and last angle, degrees.
        step: between neighbouring points, degrees.
        optics: widths, shifts, temperature, texture.
        anomalous: whether atoms scatter anomalously; pymatgen's and many other programs' do not.

    Raises:
        PatternError: an impossible range, or no line lies in it.
    """
    low, high = two_theta
    if not (0 <= low < high < 180 and 0 < step <= (high - low) / 10):
        raise PatternError(f"there is no pattern from {low:g} to {high:g} degrees in steps of {step:g}")
    first = max(low, step)
    grid = profile.Grid(first, step, math.floor((high - first) / step + 1e-9) + 1)
    batch = batch_of([crystal])
    simulator = Simulator.of(batch, radiation, grid, anomalous, margin=0.02)
    y = simulator.patterns(batch, optics)[0].numpy()
    if not y.max() > 0:
        raise PatternError(f"{crystal.formula} has no line between {low:g} and {high:g} degrees")
    y = 100 * y / y.max()
    sigma = np.sqrt(np.maximum(y, 0.01)) * 0.1
    return Pattern(grid.values().numpy(), y, sigma, radiation, crystal.formula)


def peaks(
    crystal: Crystal,
    radiation: Radiation,
    two_theta: tuple[float, float] = (5.0, 80.0),
    anomalous: bool = True,
) -> PeakList:
    """The lines of a crystal for the principal wavelength, equal distances taken together, strongest 100.

    Raises:
        PatternError: fewer lines than a list of peaks needs.
    """
    grid = profile.Grid(two_theta[0], two_theta[1] - two_theta[0], 2)
    batch = batch_of([crystal])
    simulator = Simulator.of(batch, radiation.principal, grid, anomalous, margin=0.0)
    _, place, strength = (x[0].numpy() for x in simulator.lines(batch))
    kept = (place >= two_theta[0]) & (place <= two_theta[1])
    place, strength = place[kept], strength[kept]
    order = np.argsort(place, kind="stable")
    place, strength = place[order], strength[order]
    group = np.cumsum(np.diff(place, prepend=-1.0) > 1e-4) - 1
    total = np.bincount(group, strength)
    mean = np.bincount(group, place) / np.bincount(group)
    seen = total > 1e-6 * total.max(initial=0.0)
    d = radiation.d(mean[seen])
    return PeakList(d, 100 * total[seen] / total.max(initial=1e-300), radiation.principal, crystal.formula)


@dataclass(frozen=True)
class Spoiling:
    """What is added to a simulated pattern so that it looks measured.

    Attributes:
        counts: of the highest point, background left out; counting noise follows from it.
        background: constant part of the background, as a share of the highest point.
        impurity: height of the strongest of a few foreign lines, as a share of the highest point.
        impurities: how many foreign lines there are.
        seed: of noise and foreign lines.
    """

    counts: float = 10000.0
    background: float = 0.02
    impurity: float = 0.0
    impurities: int = 4
    seed: int = 0


def measured(pattern: Pattern, spoiling: Spoiling, width: float = 0.1) -> Pattern:
    """A simulated pattern with a background that falls with the angle, foreign lines and counting noise.

    Args:
        pattern: without background or noise.
        spoiling: what to add.
        width: of foreign lines, degrees.
    """
    random = np.random.default_rng(spoiling.seed)
    x = pattern.two_theta
    y = pattern.intensity / pattern.intensity.max()
    if spoiling.impurity > 0:
        span = x[-1] - x[0]
        for k in range(spoiling.impurities):
            place = x[0] + span * random.uniform(0.15, 0.95)
            height = spoiling.impurity * (1.0 if k == 0 else random.uniform(0.2, 1.0))
            y = y + height * np.exp(-4 * math.log(2) * ((x - place) / width) ** 2)
    slope = np.exp(-(x - x[0]) / 20)
    y = spoiling.counts * (y + spoiling.background * (1 + 2 * slope))
    counts = random.poisson(y).astype(float)
    return replace(pattern, intensity=counts, sigma=np.sqrt(np.maximum(counts, 1.0)))
