"""The record of a crystal's phonons."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.errors import PhononError
from crystalsmith.phonons.bandpath import BandPath
from crystalsmith.phonons.stability import STABLE, Stability
from crystalsmith.phonons.supercell import Supercell
from crystalsmith.runs.atomic import replacing
from crystalsmith.runs.plain import UNKEPT


@dataclass(frozen=True, eq=False)
class Phonons:
    """Phonons of a crystal of n atoms in the primitive cell; frequencies in THz, imaginary ones negative.

    Attributes:
        crystal: as computed.
        supercell: in which atoms were displaced.
        displacement: Angstrom.
        tolerance: THz below zero from which on a mode counts as imaginary.
        stability: verdict, number of imaginary modes, lowest frequencies.
        path: k q points between special points.
        bands: (k, 3n) frequencies along the path, ascending.
        dos_frequency: (d,) frequencies of the density of states.
        dos: (d,) states per THz and primitive cell; its integral is 3n.
        residual: largest force on an atom of the undisplaced supercell, eV/Angstrom.
        calls: evaluations of the potential.
        seconds: that it took.
        phonopy: phonopy's own object, with forces and force constants; None when read back from JSON.
    """

    crystal: Crystal
    supercell: Supercell
    displacement: float
    tolerance: float
    stability: Stability
    path: BandPath
    bands: np.ndarray
    dos_frequency: np.ndarray
    dos: np.ndarray
    residual: float
    calls: int
    seconds: float
    phonopy: Any = field(default=None, metadata=UNKEPT)

    @property
    def stable(self) -> bool:
        """No imaginary mode, and none suspected: the verdict is ``stable``."""
        return self.stability.verdict == STABLE

    def write_phonopy(self, path: Path) -> None:
        """Write ``phonopy_params.yaml``: cells, displacements, forces and force constants.

        Raises:
            PhononError: the object was read back from JSON, which does not hold them.
        """
        if self.phonopy is None:
            raise PhononError(
                "forces are not kept in JSON; phonopy's file is written where they are computed"
            )
        with replacing(path) as partial:
            self.phonopy.save(partial, settings={"force_constants": True})
