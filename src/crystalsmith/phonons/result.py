"""The record of a crystal's phonons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.errors import DataError, PhononError
from crystalsmith.phonons.bandpath import BandPath
from crystalsmith.phonons.stability import STABLE, Stability
from crystalsmith.phonons.supercell import Supercell
from crystalsmith.runs.atomic import replacing

if TYPE_CHECKING:
    from phonopy import Phonopy


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
    phonopy: Phonopy | None = None

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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; ``from_json`` reads all of it back, phonopy's object apart."""
        cell = self.supercell
        return {
            "crystal": self.crystal.to_dict(),
            "supercell": {
                "matrix": [list(row) for row in cell.matrix],
                "n_atoms": cell.n_atoms,
                "shortest": cell.shortest,
                "halves": cell.halves,
                "cut": cell.cut,
            },
            "displacement": self.displacement,
            "tolerance": self.tolerance,
            "stability": self.stability.to_json(),
            "path": self.path.to_json(),
            "bands": self.bands.tolist(),
            "dos_frequency": self.dos_frequency.tolist(),
            "dos": self.dos.tolist(),
            "residual": self.residual,
            "calls": self.calls,
            "seconds": self.seconds,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Phonons:
        """Inverse of ``to_json``.

        Raises:
            DataError: a key is missing or of another type.
            StructureError: as ``Crystal.from_dict``.
        """
        try:
            cell = dict(data["supercell"])
            cell["matrix"] = tuple((int(a), int(b), int(c)) for a, b, c in cell["matrix"])
            return Phonons(
                crystal=Crystal.from_dict(data["crystal"]),
                supercell=Supercell(**cell),
                displacement=float(data["displacement"]),
                tolerance=float(data["tolerance"]),
                stability=Stability.from_json(data["stability"]),
                path=BandPath.from_json(data["path"]),
                bands=np.array(data["bands"], dtype=float),
                dos_frequency=np.array(data["dos_frequency"], dtype=float),
                dos=np.array(data["dos"], dtype=float),
                residual=float(data["residual"]),
                calls=int(data["calls"]),
                seconds=float(data["seconds"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not the data of phonons ({type(error).__name__}: {error})") from None
