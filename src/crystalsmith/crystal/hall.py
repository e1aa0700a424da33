"""Names of the standard settings in other programs: Hall number and symbol, Hermann-Mauguin symbol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import moyopy
import numpy as np

from crystalsmith.symmetry import SpaceGroup, space_group

OperationKeys = frozenset[tuple[int, ...]]

TWO_ORIGINS = frozenset(
    (
        *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130),
        *(133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228),
    )
)
"""Groups for which ITA gives two origins; the project's tables hold the second, at an inversion centre."""


@lru_cache(maxsize=1)
def _halls() -> dict[int, list[int]]:
    by_number: dict[int, list[int]] = {}
    for hall in range(1, 531):
        by_number.setdefault(moyopy.HallSymbolEntry(hall).number, []).append(hall)
    return by_number


def operation_keys(
    rotations: Sequence[Any] | np.ndarray, translations: Sequence[Any] | np.ndarray
) -> OperationKeys:
    """Operations (n, 3, 3) and (n, 3) as a set that can be compared: translations in 24ths, modulo 1."""
    whole = np.rint(rotations).astype(int).reshape(-1, 9)
    shifts = np.rint(24 * np.asarray(translations)).astype(int).reshape(-1, 3) % 24
    return frozenset(map(tuple, np.hstack([whole, shifts]).tolist()))


def group_keys(group: SpaceGroup) -> OperationKeys:
    """The operations of the conventional cell, centring included, as ``operation_keys``."""
    shifts = (group.centring[:, None] + group.translations).reshape(-1, 3)
    return operation_keys(np.tile(group.rotations, (len(group.centring), 1, 1)), shifts)


@lru_cache(maxsize=230)
def hall_number(number: int) -> int:
    """Hall number (1 to 530, as spglib and moyopy count) whose operations are those of the tables."""
    wanted = group_keys(space_group(number))
    for hall in _halls()[number]:
        found = moyopy.operations_from_number(number, setting=moyopy.Setting.hall_number(hall))
        if operation_keys(found.rotations, found.translations) == wanted:
            return hall
    raise AssertionError(f"no Hall symbol has the operations of space group {number}")


def hall_symbol(number: int) -> str:
    """Hall symbol of the standard setting, such as ``-F 4vw 2vw 3``."""
    symbol: str = moyopy.HallSymbolEntry(hall_number(number)).hall_symbol
    return symbol.replace("=", '"')


def hermann_mauguin(number: int) -> str:
    """Symbol with spaces and, where ITA has two, origin or axes: ``F d -3 m :2``, ``P 1 21/c 1``."""
    entry = moyopy.HallSymbolEntry(hall_number(number))
    if 3 <= number <= 15:
        return str(entry.hm_full).replace("_", "")
    symbol = str(entry.hm_short).replace("_", "")
    if symbol.startswith("R"):
        return f"{symbol} :H"
    return f"{symbol} :2" if number in TWO_ORIGINS else symbol
