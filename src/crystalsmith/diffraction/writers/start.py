"""Where a refinement begins: a crystal, its pattern, and what is known of the instrument."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.crystal import wrap
from crystalsmith.diffraction.background import Prepared
from crystalsmith.diffraction.pattern import Pattern
from crystalsmith.diffraction.peaks import PeakWidth
from crystalsmith.symmetry import lattice_family

BACKGROUND_POINTS = 24
"""Points by which a background is handed over."""

THERMAL = 0.6
"""Isotropic B of all atoms in Angstrom^2, to begin with."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a refinement begins.

    Attributes:
        crystal: the structure.
        pattern: as measured.
        width: full width at half maximum of one line, by angle.
        mixing: of the profiles, 0 for Gaussians, 1 for Lorentzians.
        background: (K, 2) angles and intensities of the background.
        zero: shift of all angles in degrees: what was measured at 2 theta belongs at 2 theta - zero.
        thermal: isotropic B of all atoms in Angstrom^2.
    """

    crystal: Crystal
    pattern: Pattern
    width: PeakWidth
    mixing: float
    background: np.ndarray
    zero: float = 0.0
    thermal: float = THERMAL

    @classmethod
    def of(cls, crystal: Crystal, prepared: Prepared, zero: float = 0.0, thermal: float = THERMAL) -> Start:
        """From a pattern that was made ready."""
        at = np.linspace(prepared.two_theta[0], prepared.two_theta[-1], BACKGROUND_POINTS)
        heights = np.interp(at, prepared.two_theta, prepared.background)
        mixing = float(np.clip(prepared.mixing, 0, 1))
        background = np.stack([at, heights], 1)
        return cls(crystal, prepared.pattern, prepared.width, mixing, background, zero, thermal)

    @property
    def limits(self) -> tuple[float, float]:
        """First and last angle in degrees."""
        return float(self.pattern.two_theta[0]), float(self.pattern.two_theta[-1])

    @property
    def ratio(self) -> float:
        """Intensity of the second line over that of the first; 0 if there is one."""
        weights = self.pattern.radiation.weights
        return weights[1] / weights[0] if len(weights) > 1 else 0.0


@dataclass(frozen=True)
class Atom:
    """One site of a crystal, as refinement programs want it.

    Attributes:
        label: element and a number.
        element: symbol.
        multiplicity: atoms in the conventional cell.
        place: (3,) fractional coordinates.
        slopes: (3, d) how they change with the site's d free parameters.
        offsets: (3,) what is left when those are 0, in the same period as ``place``.
        free: (d,) the parameters.
    """

    label: str
    element: str
    multiplicity: int
    place: tuple[float, float, float]
    slopes: np.ndarray
    offsets: tuple[float, float, float]
    free: tuple[float, ...]


def atoms_of(crystal: Crystal) -> list[Atom]:
    """All sites, labelled; coordinates in [0, 1)."""
    count: Counter[str] = Counter()
    atoms = []
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        count[site.element] += 1
        raw = position.position(np.array(site.free))
        place = wrap(raw)
        offsets = position.origin + np.round(place - raw)
        atoms.append(
            Atom(
                f"{site.element}{count[site.element]}",
                site.element,
                position.multiplicity,
                _triple(place),
                position.basis,
                _triple(offsets),
                tuple(map(float, site.free)),
            )
        )
    return atoms


def tied_cell(crystal: Crystal) -> tuple[int | None, ...]:
    """For a, b, c and the angles: the number of the free parameter, from 0; None if symmetry fixes it."""
    return {
        "triclinic": (0, 1, 2, 3, 4, 5),
        "monoclinic": (0, 1, 2, None, 3, None),
        "orthorhombic": (0, 1, 2, None, None, None),
        "tetragonal": (0, 0, 1, None, None, None),
        "hexagonal": (0, 0, 1, None, None, None),
        "cubic": (0, 0, 0, None, None, None),
    }[lattice_family(crystal.space_group)]


def widths_of_parts(width: float, mixing: float) -> tuple[float, float]:
    """Full widths of a Gaussian and a Lorentzian whose convolution is a pseudo-Voigt (Thompson et al. 1987).

    Args:
        width: of the pseudo-Voigt.
        mixing: its Lorentzian part.
    """
    m = mixing
    gaussian = math.sqrt(max(1 - 0.74417 * m - 0.24781 * m**2 - 0.0081 * m**3, 0.0))
    return width * gaussian, width * (0.72928 * m + 0.19289 * m**2 + 0.07783 * m**3)


def plain_name(text: str) -> str:
    """Letters, digits and - _ . of a name, for files and programs that take no more."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-")[:60] or "crystal"


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(v) + 0.0 for v in values)
    return x, y, z
