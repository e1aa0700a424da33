"""All that is asked of one crystal: relaxed, its phonons, its elastic constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import DataError, PhononError
from crystalsmith.phonons.budget import Budget, check_installed
from crystalsmith.phonons.elastic import Elasticity, compute_elasticity
from crystalsmith.phonons.result import Phonons
from crystalsmith.phonons.settings import PhononSettings
from crystalsmith.phonons.vibrations import compute_phonons, relax_tightly
from crystalsmith.runs.plain import from_plain, to_plain

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True, eq=False)
class Study:
    """What came of it.

    Attributes:
        phonons: of the crystal, relaxed if that was asked for.
        elasticity: None if not asked for, or if it failed.
        elastic_failure: why it failed; "" otherwise.
        calls: evaluations of the potential in all.
        seconds: in all.
    """

    phonons: Phonons
    elasticity: Elasticity | None
    elastic_failure: str
    calls: int
    seconds: float

    @property
    def stable(self) -> bool:
        """All modes are real and, where elastic constants are known, the Born criteria hold."""
        return self.phonons.stable and (self.elasticity is None or self.elasticity.stable)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; ``from_json`` reads it back, phonopy's object apart."""
        return dict(to_plain(self))

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Study:
        """Inverse of ``to_json``; further keys do no harm.

        Raises:
            DataError: a key is missing or of another type.
            StructureError: as ``Crystal.from_dict``.
        """
        try:
            return from_plain(Study, data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not the data of a study ({type(error).__name__}: {error})") from None


def study_crystal(crystal: Crystal, calculator: Calculator, settings: PhononSettings | None = None) -> Study:
    """Relax a crystal, then compute its phonons and elastic constants.

    Args:
        crystal: n atoms in the primitive cell.
        calculator: ASE calculator with energy, forces and stress.
        settings: the defaults if not given.

    Raises:
        PhononError: as ``relax_tightly`` and ``compute_phonons``. What goes wrong with the elastic constants
            alone is told in the result.
    """
    check_installed()
    settings = settings or PhononSettings()
    budget = Budget(settings.seconds)
    if settings.relax:
        relaxed = relax_tightly(crystal, calculator, settings.seconds)
        crystal = relaxed.crystal
        budget.calls += relaxed.calls
    phonons = compute_phonons(crystal, calculator, settings, budget=budget)
    elasticity, failure = None, ""
    if settings.elastic:
        try:
            elasticity = compute_elasticity(crystal, calculator, budget=budget)
        except PhononError as error:
            failure = str(error)
    return Study(phonons, elasticity, failure, budget.calls, budget.spent)
