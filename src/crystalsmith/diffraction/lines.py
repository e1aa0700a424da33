"""Lines of many crystals at once: where their reflections lie, and how strong they are; differentiable.

Everything here is a function of tensors, so that torch can differentiate it; where Gauss-Newton steps need
all derivatives at once, they are given in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.diffraction.reflections import Reflections
from crystalsmith.diffraction.scattering import anomalous_table, form_factors
from crystalsmith.graph import CrystalBatch
from crystalsmith.graph.ragged import segment_sum
from crystalsmith.symmetry import space_group as space_group_of


@dataclass(frozen=True)
class Geometric:
    """Structure factors of orbits of point atoms, per orbit (S) and reflection (H): sums, not means.

    Attributes:
        real, imag: (S, H).
        real_slope, imag_slope: (S, H, 3) derivatives with respect to the orbit's torus coordinates w, zero
            beyond its freedom; None where they were not asked for.
    """

    real: Tensor
    imag: Tensor
    real_slope: Tensor | None = None
    imag_slope: Tensor | None = None


def geometric_factors(batch: CrystalBatch, reflections: Reflections, slopes: bool = False) -> Geometric:
    """Structure factors of the orbits of a batch, without form factors."""
    lay, t = batch.layout, batch.layout.tables
    h = reflections.indices[lay.crystal[lay.atom_orbit]]
    phase = 2 * math.pi * (h @ batch.atom_positions()[:, :, None])[:, :, 0]
    cosine, sine = phase.cos(), phase.sin()
    orbits = len(lay.wyckoff)
    real, imag = segment_sum(cosine, lay.atom_orbit, orbits), segment_sum(sine, lay.atom_orbit, orbits)
    if not slopes:
        return Geometric(real, imag)
    basis = t.free_basis[lay.wyckoff] * lay.free_mask[:, None, :]
    turned = 2 * math.pi * (h @ (t.rotations[lay.atom_op] @ basis[lay.atom_orbit]))
    return Geometric(
        real,
        imag,
        segment_sum(-sine[:, :, None] * turned, lay.atom_orbit, orbits),
        segment_sum(cosine[:, :, None] * turned, lay.atom_orbit, orbits),
    )


@dataclass(frozen=True)
class Strengths:
    """Squared structure factors with multiplicities.

    Attributes:
        value: (B, H).
        slope: (S, H, 3) derivative of the value of the orbit's crystal with respect to w; or None.
    """

    value: Tensor
    slope: Tensor | None = None


def strengths(
    batch: CrystalBatch,
    reflections: Reflections,
    geometric: Geometric,
    square: Tensor,
    anomalous: float | None = None,
) -> Strengths:
    """Multiplicity times |F|^2, h and -h averaged, without Lorentz, polarization or thermal factors.

    Args:
        batch: the crystals.
        reflections: theirs.
        geometric: of the same crystals and reflections.
        square: (B, H) 1/d^2 in 1/Angstrom^2.
        anomalous: wavelength in Angstrom at which atoms scatter anomalously; None leaves that out.
    """
    lay = batch.layout
    own = square[lay.crystal]
    factor = form_factors(lay.element, own)
    # The mean of h and -h is |sum Re(f) G|^2 + |sum Im(f) G|^2; the second part is anomalous.
    parts = [factor]
    if anomalous is not None:
        table = own.new_tensor(anomalous_table(anomalous))[lay.element]
        parts = [factor + table[:, :1], table[:, 1:].expand_as(factor)]
    value, slope = torch.zeros_like(square), None
    for f in parts:
        real = segment_sum(f * geometric.real, lay.crystal, lay.size)
        imag = segment_sum(f * geometric.imag, lay.crystal, lay.size)
        value = value + real**2 + imag**2
        if geometric.real_slope is not None and geometric.imag_slope is not None:
            own_slope = (2 * f * real[lay.crystal])[:, :, None] * geometric.real_slope
            own_slope = own_slope + (2 * f * imag[lay.crystal])[:, :, None] * geometric.imag_slope
            slope = own_slope if slope is None else slope + own_slope
    if slope is not None:
        slope = slope * reflections.multiplicity[lay.crystal][:, :, None]
    return Strengths(value * reflections.multiplicity, slope)


def inverse_squares(lattice: Tensor, indices: Tensor) -> Tensor:
    """(B, H) 1/d^2 in 1/Angstrom^2 of indices (B, H, 3) in lattices (B, 3, 3)."""
    vector = indices @ torch.linalg.inv(lattice).transpose(1, 2)
    return (vector * vector).sum(2)


def sines(square: Tensor, wavelength: float) -> Tensor:
    """sin(theta) at 1/d^2 (1/Angstrom^2); at most just below 1, where no line is."""
    return (0.5 * wavelength * square.clamp(min=1e-12).sqrt()).clamp(max=0.9999)


def two_theta_of(sine: Tensor) -> Tensor:
    """2 theta in degrees."""
    return torch.rad2deg(2 * torch.asin(sine))


def lorentz_polarization(sine: Tensor, radiation: Radiation) -> Tensor:
    """Lorentz and polarization factor of a powder, without a constant."""
    square = sine * sine
    cosine_two = 1 - 2 * square
    return (1 + radiation.polarization * cosine_two**2) / (square * (1 - square).sqrt())


def march_dollase(
    space_group: Tensor, lattice: Tensor, indices: Tensor, axis: Tensor, ratio: Tensor
) -> Tensor:
    """(B, H) factors by which crystallites that are not spread at random change intensities.

    Args:
        space_group: (B,) numbers.
        lattice: (B, 3, 3) conventional.
        indices: (B, H, 3).
        axis: (B, 3) indices of the plane by which the crystallites lie.
        ratio: (B,) March's r: 1 leaves all as it is, below 1 are plates.
    """
    cosine = orientation_cosines(space_group, lattice, indices, axis)
    r = ratio[:, None, None]
    return ((r**2 * cosine + (1 - cosine) / r) ** -1.5).mean(2)


def orientation_cosines(space_group: Tensor, lattice: Tensor, indices: Tensor, axis: Tensor) -> Tensor:
    """(B, H, R) squared cosines between reflections and the planes that the groups make of ``axis`` (B, 3).

    R is a common multiple of the orders of their point groups; each repeats its planes equally often.
    """
    groups = [space_group_of(int(g)).rotations for g in space_group.tolist()]
    orders = {len(r) for r in groups}
    most = math.lcm(*orders) if orders else 1
    rotation = lattice.new_tensor(np.array([np.tile(r, (most // len(r), 1, 1)) for r in groups]))
    inverse = torch.linalg.inv(lattice).transpose(1, 2)
    planes = torch.einsum("bi,brij->brj", axis, rotation) @ inverse
    vectors = indices @ inverse
    planes = planes / torch.linalg.vector_norm(planes, dim=2, keepdim=True).clamp(min=1e-12)
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=2, keepdim=True).clamp(min=1e-12)
    return (vectors @ planes.transpose(1, 2)) ** 2
