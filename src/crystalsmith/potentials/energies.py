"""Single-point energies of many crystals: batched where the potential can, one by one where not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.calculators import chgnet_model, one_line, unknown_to
from crystalsmith.potentials.sevennet import energies as sevennet_energies
from crystalsmith.potentials.sevennet import is_sevennet

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

BATCH = 16
"""Crystals that a potential takes at once; more are hardly faster and take memory."""

BATCH_ATOMS = 256
"""Atoms at once, all crystals of a batch together; a larger crystal has one of its own."""

Together = Callable[[Sequence[Crystal]], Sequence[float]]
"""From crystals to eV per atom."""


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
        calculator: from ``load_calculator``; CHGNet's and SevenNet's are asked for batches, whose numbers are
            those of crystals one by one up to rounding (1e-6 eV per atom).

    Returns:
        n energies.
    """
    result: dict[int, Energy] = {}
    for i, crystal in enumerate(crystals):
        if unknown := unknown_to(calculator, crystal.counts):
            result[i] = Energy(math.nan, unknown)
    left = [i for i in range(len(crystals)) if i not in result]
    together = _batched(calculator)
    for part in _batches(left, [c.n_atoms for c in crystals]) if together is not None else ():
        try:
            found = together([crystals[i] for i in part]) if together is not None else ()
            result.update({i: _checked(value) for i, value in zip(part, found, strict=True)})
        except Exception:  # one crystal spoils a batch; alone, it spoils itself
            continue
    for i in left:
        if i not in result:
            result[i] = _alone(crystals[i], calculator)
    return [result[i] for i in range(len(crystals))]


def _batched(calculator: Calculator) -> Together | None:
    """How a potential takes many crystals at once; None for those that cannot."""
    if (model := chgnet_model(calculator)) is not None:
        return lambda crystals: _by_chgnet(crystals, model)
    if is_sevennet(calculator):
        return lambda crystals: _by_sevennet(crystals, calculator)
    return None


def _batches(places: Sequence[int], atoms: Sequence[int]) -> Iterator[list[int]]:
    part: list[int] = []
    size = 0
    for i in places:
        if part and (len(part) == BATCH or size + atoms[i] > BATCH_ATOMS):
            yield part
            part, size = [], 0
        part.append(i)
        size += atoms[i]
    if part:
        yield part


def _by_chgnet(crystals: Sequence[Crystal], model: Any) -> list[float]:
    structures = [crystal.to_structure(primitive=True) for crystal in crystals]
    found = model.predict_structure(structures, task="e", batch_size=BATCH)
    found = [found] if isinstance(found, dict) else found
    # Per atom already, as CHGNet is an intensive model; an extensive one gives the whole cell's.
    share = [1 if model.is_intensive else crystal.n_atoms for crystal in crystals]
    return [float(f["e"]) / n for f, n in zip(found, share, strict=True)]


def _by_sevennet(crystals: Sequence[Crystal], calculator: Calculator) -> list[float]:
    found = sevennet_energies([crystal.to_atoms(primitive=True) for crystal in crystals], calculator)
    return [float(e) / crystal.n_atoms for e, crystal in zip(found, crystals, strict=True)]


def _alone(crystal: Crystal, calculator: Calculator) -> Energy:
    try:
        atoms = crystal.to_atoms(primitive=True)
        atoms.calc = calculator
        return _checked(float(atoms.get_potential_energy()) / len(atoms))
    except Exception as error:
        return Energy(math.nan, f"the potential failed: {one_line(error)}")


def _checked(value: float) -> Energy:
    return Energy(value) if math.isfinite(value) else Energy(math.nan, "not finite")
