"""In which order answers stand: those that convince, then the best by pattern and by generator in turn.

Where no candidate fits, misfits are all near 1 and say little, and what the generator thinks of candidates
without the pattern says more. So places behind the answers that convince are shared by both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from crystalsmith.generation.alike import first_alike

if TYPE_CHECKING:
    from crystalsmith.solving.answers import Answer

APART = 0.3
"""How far atoms of two answers may be apart, in units of the cube root of the volume per atom, for one to
stand behind all others where it does not convince; what StructureMatcher calls the same."""


def placed(answers: Sequence[Answer], p: Sequence[float], none: float) -> list[int]:
    """Which answer stands in which place.

    Args:
        answers: distinct structures.
        p: their probabilities.
        none: that none of them is right.

    Returns:
        Numbers of all answers: the likeliest; others that are likelier than ``none``; the rest by probability
        and by the generator's figure in turn, those last that differ little from one before.
    """
    by_p = sorted(range(len(answers)), key=lambda i: -p[i])
    convincing = [i for k, i in enumerate(by_p) if not k or p[i] > none]
    rest = by_p[len(convincing) :]
    if len(rest) < 2:
        return by_p
    by_figure = sorted(rest, key=lambda i: -(answers[i].trial.figure or 0.0))
    order = list(dict.fromkeys(i for pair in zip_longest(rest, by_figure) for i in pair if i is not None))
    order = [*convincing, *order]
    stands = first_alike([answers[i].crystal for i in order], [0] * len(order), APART)
    new = [k < len(convincing) or stands[k] == k for k in range(len(order))]
    return [order[k] for k in sorted(range(len(order)), key=lambda k: not new[k])]
