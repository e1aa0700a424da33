"""Where to begin: strains of many cells that bring their lines near those of a pattern, found from afar.

The generator knows a cell to a few percent, which moves lines by more than their distances. On an axis of
ln(sin theta) a change of size is a mere shift, so all sizes are tried at once by a Fourier transform; the
other strains that a family allows are tried one by one, hundreds for each cell, against a blurred pattern.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from crystalsmith.diffraction.reflections import Reflections
from crystalsmith.graph import CrystalBatch

BIN = 0.003
"""Of ln(sin theta)."""

BLUR = 0.006
"""Standard deviation in ln(sin theta) by which pattern and lines are blurred."""

LARGEST = 0.075
"""Change of a cell's length (as a logarithm) up to which sizes are tried."""

SPREAD = 0.03
"""Standard deviation of the other strains that are tried, as logarithms."""

TRIALS = {1: 1, 2: 41, 3: 192, 4: 320, 6: 512}
"""Strains that are tried for a family with so many of them, sizes not counted."""

_APART = 0.004  # strains nearer than this lead to the same place
_CHUNK = 4_000_000  # numbers in the largest array


@dataclass(frozen=True)
class Starts:
    """Strains from which to fit each of B crystals, best first.

    Attributes:
        strain: (B, M, 6) to take the place of the batch's.
        likeness: (B, M) correlation with the blurred pattern; -1 where there are fewer than M.
    """

    strain: Tensor
    likeness: Tensor


@lru_cache(maxsize=8)
def trial_strains(allowed: int) -> np.ndarray:
    """(T, 6) strains of constant volume for a family that allows so many; the first is none at all.

    Two or more are spread as a normal distribution, evenly (Sobol's sequence).
    """
    trials = TRIALS[allowed]
    result = np.zeros((trials, 6))
    if allowed == 2:
        grid = np.linspace(-3, 3, trials) * SPREAD
        result[:, 1] = grid[np.argsort(np.abs(grid), kind="stable")]
    elif allowed > 2:
        with np.errstate(all="ignore"):
            points = qmc.Sobol(allowed - 1, scramble=True, rng=np.random.default_rng(1)).random_base2(
                math.ceil(math.log2(trials))
            )
        result[1:, 1:allowed] = SPREAD * ndtri(np.clip(points[: trials - 1], 1e-3, 1 - 1e-3))
    return result


class Blurred:
    """A pattern on an axis of ln(sin theta), blurred, its root taken: what likeness is measured by.

    Args:
        two_theta: (N,) degrees.
        intensity: (N,) without background.
        wavelength: mean, in Angstrom.
    """

    def __init__(self, two_theta: np.ndarray, intensity: np.ndarray, wavelength: float) -> None:
        self.wavelength = wavelength
        x = np.log(np.sin(np.radians(two_theta) / 2))
        self.low = float(x[0])
        self.size = int((x[-1] - x[0]) / BIN) + 1
        self.most = int(LARGEST / BIN)
        self.length = 1 << int(self.size + 2 * self.most + 1).bit_length()
        if self.length >= 2 * (self.size + 2 * self.most):
            self.length //= 2
        area = np.maximum(intensity, 0) * np.gradient(two_theta)
        place = (x - self.low) / BIN
        rows = np.clip(place.astype(int), 0, self.size - 1)
        histogram = np.bincount(rows, area, minlength=self.size)
        frequency = np.fft.rfftfreq(self.length)
        self.kernel = torch.tensor(np.exp(-2 * (math.pi * frequency * BLUR / BIN) ** 2), dtype=torch.float32)
        smooth = np.fft.irfft(np.fft.rfft(histogram, self.length) * self.kernel.numpy(), self.length)
        root = np.sqrt(np.maximum(smooth[: self.size], 0))
        root -= root.mean()
        root /= np.linalg.norm(root)
        self.root = torch.fft.rfft(torch.tensor(root, dtype=torch.float32), self.length)
        mask = torch.zeros(self.length)
        mask[: self.size] = 1
        self.mask = torch.fft.rfft(mask)

    def likeness(self, place: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation with sets of lines at the best change of their size.

        Args:
            place: (B, H) ln(sin theta).
            strength: (B, H) integrated intensities.

        Returns:
            (B,) correlation, and (B,) what to add to ln(sin theta).
        """
        at = (place - self.low) / BIN + self.most
        floor = at.floor()
        part = at - floor
        index = floor.long()
        inside = (index >= 0) & (index < self.length - 1)
        weight = torch.where(inside, strength, 0.0)
        index = index.clamp(0, self.length - 2)
        histogram = place.new_zeros((len(place), self.length))
        histogram.scatter_add_(1, index, weight * (1 - part))
        histogram.scatter_add_(1, index + 1, weight * part)
        smooth = torch.fft.irfft(torch.fft.rfft(histogram) * self.kernel, self.length).clamp(min=0)
        root = smooth.sqrt()
        spectrum = torch.fft.rfft(root)
        # What of the lines lies under the pattern's window, for every shift: its product with the pattern,
        # its square and its sum.
        shifts = 2 * self.most + 1

        def under(a: Tensor, b: Tensor) -> Tensor:
            return torch.fft.irfft(a * b.conj(), self.length)[:, :shifts]

        product = under(spectrum, self.root)
        square = under(torch.fft.rfft(smooth), self.mask)
        total = under(spectrum, self.mask)
        variance = (square - total**2 / self.size).clamp(min=1e-12 * float(smooth.max() + 1e-30))
        value, best = (product / variance.sqrt()).max(1)
        return value, (self.most - best) * BIN


def starting_strains(
    batch: CrystalBatch,
    reflections: Reflections,
    strength: Tensor,
    blurred: Blurred,
    most: int = 4,
) -> Starts:
    """Strains from which to fit, for every crystal of a batch.

    Args:
        batch: crystals with their own cells.
        reflections: theirs.
        strength: (B, H) integrated intensities with the Lorentz factor.
        blurred: the pattern.
        most: M, starts of each.
    """
    allowed = batch.layout.strain_mask.sum(1).tolist()
    rows: list[tuple[int, np.ndarray]] = [(b, trial_strains(int(n))) for b, n in enumerate(allowed)]
    owner = torch.tensor(np.repeat(np.arange(len(rows)), [len(t) for _, t in rows]))
    strain = torch.tensor(np.concatenate([t for _, t in rows]), dtype=batch.strain.dtype)
    strain = batch.strain[owner] + strain
    likeness = strain.new_empty(len(strain))
    shift = strain.new_empty(len(strain))
    step = max(1, _CHUNK // max(blurred.length, 4 * reflections.indices.shape[1]))
    strong = strength.float()
    for start in range(0, len(strain), step):
        piece = slice(start, start + step)
        own = owner[piece]
        square = _squares(batch, strain[piece], own, reflections.indices)
        place = (0.5 * torch.log(square) + math.log(0.5 * blurred.wavelength)).float()
        value, add = blurred.likeness(place, strong[own])
        likeness[piece] = value.to(likeness.dtype)
        shift[piece] = add.to(shift.dtype)
    # A larger cell has its lines at smaller angles: d ln(sin theta) = -d ln(length) = -strain_0 / sqrt(3).
    strain[:, 0] -= math.sqrt(3.0) * shift
    return _best(strain, likeness, [len(t) for _, t in rows], most)


def lattices_at(batch: CrystalBatch, owner: Tensor, strain: Tensor) -> Tensor:
    """(R, 3, 3) conventional lattices of the crystals ``owner`` (R,) at strains (R, 6)."""
    lay, t = batch.layout, batch.layout.tables
    group = lay.space_group[owner]
    scale = (lay.volume[owner] * t.cells[group] / t.reference_volume[group]) ** (1 / 3)
    matrix = torch.einsum("bk,kij->bij", strain, t.strain_basis)
    # torch has a path of its own for a single matrix, far less accurate in single precision.
    turn = torch.linalg.matrix_exp(torch.cat([matrix, matrix[:1]]))[:-1]
    return scale[:, None, None] * t.reference[group] @ turn


def _squares(batch: CrystalBatch, strain: Tensor, owner: Tensor, indices: Tensor) -> Tensor:
    """(R, H) 1/d^2 of the crystals ``owner`` (R,) at strains (R, 6)."""
    lay, t = batch.layout, batch.layout.tables
    group = lay.space_group[owner]
    scale = (lay.volume[owner] * t.cells[group] / t.reference_volume[group]) ** (1 / 3)
    # exp(-E) by its eigenvectors: the inverse of a lattice is wanted.
    matrix = torch.einsum("bk,kij->bij", strain, t.strain_basis)
    inverse = torch.linalg.matrix_exp(-matrix) @ torch.linalg.inv(t.reference[group])
    vector = indices[owner] @ (inverse / scale[:, None, None]).transpose(1, 2)
    return (vector * vector).sum(2).clamp(min=1e-8)


def _best(strain: Tensor, likeness: Tensor, counts: list[int], most: int) -> Starts:
    """The best of each crystal that are apart from each other."""
    result = strain.new_zeros((len(counts), most, 6))
    values = strain.new_full((len(counts), most), -1.0)
    first = 0
    for b, count in enumerate(counts):
        own, value = strain[first : first + count], likeness[first : first + count]
        first += count
        taken: list[int] = []
        for k in value.argsort(descending=True, stable=True).tolist():
            if all(float((own[k] - own[j]).abs().max()) > _APART for j in taken):
                taken.append(k)
                if len(taken) == most:
                    break
        result[b, : len(taken)] = own[taken]
        result[b, len(taken) :] = own[taken[0]]
        values[b, : len(taken)] = value[taken]
    return Starts(result, values)
