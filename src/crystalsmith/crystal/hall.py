"""Names of the standard settings in other programs: Hall number and symbol, Hermann-Mauguin symbol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crystalsmith.symmetry import SpaceGroup
from crystalsmith.symmetry.settings import all_settings, standard_setting

OperationKeys = frozenset[tuple[int, ...]]


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


def hall_number(number: int) -> int:
    """Hall number (1 to 530, as spglib and moyopy count) whose operations are those of the tables."""
    return all_settings().index(standard_setting(number)) + 1


def hall_symbol(number: int) -> str:
    """Hall symbol of the standard setting, such as ``-F 4vw 2vw 3``."""
    return standard_setting(number).hall


def hermann_mauguin(number: int) -> str:
    """Symbol with spaces and, where ITA has two, origin or axes: ``F d -3 m :2``, ``P 1 21/c 1``."""
    setting = standard_setting(number)
    symbol = setting.symbols[0]
    return f"{symbol} :{setting.choice}" if setting.choice in ("2", "H") else symbol
