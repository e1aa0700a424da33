"""Single-point energies of many crystals: batched where the potential can, one by one where not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.calculators import chgnet_model, one_line, unknown_to

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

BATCH = 16
"""Crystals that CHGNet takes at once; more are hardly faster and take memory."""


@dataclass(frozen=True)
class Energy:
    """Energy of one crystal.

    Attributes:
        value: eV per atom; NaN where there is none.
        reason: why there is none, in a few words; None where there is one.
    """

    value: float
    reason: str | None = None


def single_points(crystals: Sequence[Crystal], calculator: Calculator) -> list[Energy]:
    """Energies of crystals as they are, in their primitive cells; never raises for what a potential does.

    Args:
        crystals: n of them.
        calculator: from ``load_calculator``; CHGNet's is asked for batches.

    Returns:
        n energies.
    """
    result: list[Energy] = []
    model = chgnet_model(calculator)
    for start in range(0, len(crystals), BATCH):
        part = crystals[start : start + BATCH]
        found: list[Energy] = []
        try:
            if model is not None and not any(unknown_to(calculator, c.counts) for c in part):
                found = _together(part, model)
        except Exception:  # one crystal spoils a batch; alone, it spoils itself
            found = []
        result += found or [_alone(crystal, calculator) for crystal in part]
    return result


def _together(crystals: Sequence[Crystal], model: Any) -> list[Energy]:
    structures = [crystal.to_structure(primitive=True) for crystal in crystals]
    found = model.predict_structure(structures, task="e", batch_size=BATCH)
    found = [found] if isinstance(found, dict) else found
    # Per atom already, as CHGNet is an intensive model; an extensive one gives the whole cell's.
    share = [1 if model.is_intensive else crystal.n_atoms for crystal in crystals]
    return [_checked(float(f["e"]) / n) for f, n in zip(found, share, strict=True)]


def _alone(crystal: Crystal, calculator: Calculator) -> Energy:
    if unknown := unknown_to(calculator, crystal.counts):
        return Energy(math.nan, unknown)
    try:
        atoms = crystal.to_atoms(primitive=True)
        atoms.calc = calculator
        return _checked(float(atoms.get_potential_energy()) / len(atoms))
    except Exception as error:
        return Energy(math.nan, f"the potential failed: {one_line(error)}")


def _checked(value: float) -> Energy:
    return Energy(value) if math.isfinite(value) else Energy(math.nan, "not finite")
