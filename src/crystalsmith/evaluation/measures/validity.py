"""Validity of structures and compositions, as the field counts it (CDVAE, Xie et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping

from crystalsmith.crystal import SYMBOLS
from crystalsmith.errors import EvaluationError
from crystalsmith.runs.extras import need
from crystalsmith.runs.warned import logged_warnings

SHORTEST, SMALLEST = 0.5, 0.1
"""Smallest distance (Angstrom) and volume (Angstrom^3) of a structure that counts as valid."""

SMACT = "smact14 oxidation states, Pauling test, alloys and elements valid"
"""The options behind the published figures; SMACT's newer default states give about 65 % in place of 91 %."""


def structure_is_valid(shortest: float, volume: float) -> bool:
    """Whether no two atoms are closer than 0.5 Angstrom and the cell is at least 0.1 Angstrom^3."""
    return shortest >= SHORTEST and volume >= SMALLEST


def composition_is_valid(counts: Mapping[int, int]) -> bool:
    """Whether SMACT finds charge neutrality and an order of electronegativities.

    Args:
        counts: atoms by atomic number.

    Raises:
        EvaluationError: smact is not installed.
    """
    need("the validity of compositions", "smact", error=EvaluationError)
    from smact.screening import smact_validity

    formula = "".join(f"{SYMBOLS[z]}{n}" for z, n in sorted(counts.items()))
    try:
        with logged_warnings():
            return bool(
                smact_validity(
                    formula, use_pauling_test=True, include_alloys=True, oxidation_states_set="smact14"
                )
            )
    except (TypeError, KeyError, NameError):  # an element without oxidation states
        return False
