"""Names of the standard settings in other programs: Hall number, Hall symbol, Hermann-Mauguin symbol with its setting."""

from __future__ import annotations

from functools import lru_cache

import moyopy
import numpy as np

from crystalsmith.symmetry import space_group

TWO_ORIGINS = frozenset(
    (48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228)
)
"""Groups for which ITA gives two origins; the project's tables hold the second, at an inversion centre."""


@lru_cache(maxsize=1)
def _halls() -> dict[int, list[int]]:
    by_number: dict[int, list[int]] = {}
    for hall in range(1, 531):
        by_number.setdefault(moyopy.HallSymbolEntry(hall).number, []).append(hall)
    return by_number


@lru_cache(maxsize=230)
def hall_number(number: int) -> int:
    """Hall number (1 to 530, the numbering of spglib and moyopy) whose operations are those of the project's tables."""
    group = space_group(number)
    wanted = {
        (*rotation.ravel().tolist(), *(np.rint(24 * (translation + centring)).astype(int) % 24).tolist())
        for centring in group.centring
        for rotation, translation in zip(group.rotations, group.translations, strict=True)
    }
    for hall in _halls()[number]:
        found = moyopy.operations_from_number(number, setting=moyopy.Setting.hall_number(hall))
        rotations = np.rint(found.rotations).astype(int).reshape(-1, 9)
        translations = np.rint(np.array(found.translations) * 24).astype(int) % 24
        if set(map(tuple, np.hstack([rotations, translations]).tolist())) == wanted:
            return hall
    raise AssertionError(f"no Hall symbol has the operations of space group {number}")


def hall_symbol(number: int) -> str:
    """Hall symbol of the standard setting, such as ``-F 4vw 2vw 3``."""
    symbol: str = moyopy.HallSymbolEntry(hall_number(number)).hall_symbol
    return symbol.replace("=", '"')


def hermann_mauguin(number: int) -> str:
    """Symbol with spaces and, where ITA has two, the origin or axes: ``F d -3 m :2``, ``R -3 m :H``, ``P 1 21/c 1``."""
    entry = moyopy.HallSymbolEntry(hall_number(number))
    if 3 <= number <= 15:
        return str(entry.hm_full).replace("_", "")
    symbol = str(entry.hm_short).replace("_", "")
    if symbol.startswith("R"):
        return f"{symbol} :H"
    return f"{symbol} :2" if number in TWO_ORIGINS else symbol
