"""What a computation may use: libraries that must be there, calls of the potential, and time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.errors import PhononError
from crystalsmith.potentials.calculators import one_line, unknown_to
from crystalsmith.runs.extras import EXTRAS, need

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


def check_installed() -> None:
    """Refuse to begin without the libraries of the extra, without loading them.

    Raises:
        PhononError: one is missing.
    """
    need("phonons", *EXTRAS["phonons"], error=PhononError)


class Budget:
    """Counts calls of a potential, and stops between two of them when the time is over.

    Args:
        seconds: time from now on; no limit if None.

    Attributes:
        calls: evaluations so far.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self.calls = 0

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def check(self, doing: str) -> None:
        """Stop if the time is over.

        Args:
            doing: what is being done, such as ``displacement 3 of 12``.

        Raises:
            PhononError: it is.
        """
        if self._seconds is not None and self.spent >= self._seconds:
            raise PhononError(
                f"out of time: {self._seconds:g} s were over at {doing}; allow more seconds or fewer atoms"
            )

    def forces(self, atoms: Atoms, calculator: Calculator, doing: str) -> np.ndarray:
        """(n, 3) forces in eV/Angstrom.

        Raises:
            PhononError: the potential fails or gives numbers that are not finite, or the time is over.
        """
        self.check(doing)
        if unknown := unknown_to(calculator, atoms.get_chemical_symbols()):
            raise PhononError(unknown)
        self.calls += 1
        try:
            atoms.calc = calculator
            forces = np.array(atoms.get_forces(), dtype=float).reshape(len(atoms), 3)
        except Exception as error:  # whatever a potential makes of it
            raise PhononError(f"the potential failed at {doing}: {one_line(error)}") from error
        if not np.isfinite(forces).all():
            raise PhononError(f"the potential gave forces that are not finite at {doing}")
        return forces
