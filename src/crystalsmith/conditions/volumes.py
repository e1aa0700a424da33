"""How large a crystal of a composition is, roughly: which cells a formula can fill."""

from __future__ import annotations

from collections.abc import Mapping

from crystalsmith.crystal import NUMBERS

LEAST, MOST = 0.6, 1.8
"""Volume of a cell beside the sum of its atoms' volumes; 99.5 % of the crystals of the Materials Project with
up to 20 atoms lie within."""

# Angstrom^3 by atomic number, fitted to the cells of the Materials Project (data.volumes.fit_atomic_volumes).
_VOLUMES = (
    0.0, 6.1, 16.8, 11.1, 7.9, 6.4, 7.3, 7.0, 7.9, 11.2, 18.1, 19.8, 21.6, 16.1, 15.2, 17.2, 22.1, 29.5,
    18.6, 34.1, 25.2, 19.6, 14.1, 14.0, 11.1, 12.3, 11.1, 9.7, 9.4, 11.9, 15.9, 17.1, 18.3, 20.9, 28.2,
    37.0, 24.4, 40.4, 27.8, 27.1, 20.4, 17.1, 15.8, 14.2, 12.6, 12.7, 14.2, 19.5, 23.5, 25.6, 25.9,
    27.9, 36.5, 49.6, 23.7, 49.2, 35.4, 30.8, 29.1, 31.5, 30.0, 31.4, 28.8, 30.9, 26.8, 26.8, 26.5,
    26.1, 25.4, 24.5, 24.1, 23.7, 19.1, 16.6, 19.0, 15.1, 13.5, 13.8, 15.3, 18.7, 25.9, 30.3, 30.5,
    31.3, 31.3, 31.3, 31.3, 40.6, 40.6, 40.6, 30.5, 24.0, 22.8, 23.0, 23.9,
)  # fmt: skip
_OTHERS = 24.0


def volume_of(counts: Mapping[str, int]) -> float:
    """Expected volume of so many atoms of each element, Angstrom^3."""
    return sum(n * (_VOLUMES[z] if (z := NUMBERS[e]) < len(_VOLUMES) else _OTHERS) for e, n in counts.items())


def can_fill(counts: Mapping[str, int], volume: float) -> bool:
    """Whether so many atoms of each element may have a volume, Angstrom^3."""
    return LEAST <= volume / volume_of(counts) <= MOST
