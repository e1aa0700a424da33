"""What rows of tables and objects of JSON say of a crystal beside its atoms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crystalsmith.symmetry.settings import settings_named

ID_KEYS = (
    *("id", "material_id", "task_id", "jid", "entry_id", "identifier", "structure_id", "mp_id", "name"),
    *("candidate", "order"),
)
HULL_KEYS = (
    *("e_above_hull", "energy_above_hull", "e_hull", "ehull", "above_hull"),
    "_crystalsmith_energy_above_hull",
)
ENERGY_KEYS = (
    *("energy_per_atom", "final_energy_per_atom", "uncorrected_energy_per_atom"),
    "_crystalsmith_energy_per_atom",
)
GROUP_KEYS = ("space_group", "sg", "spacegroup", "space_group_number", "spacegroup_number", "spg_number")


def first_of(row: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """The first value that is there and not empty, else None."""
    return next((row[key] for key in keys if row.get(key) not in (None, "") and _plain(row[key])), None)


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a ``Record`` that a row tells, by its keys in lower case; ``id`` only where it has one."""
    row = {str(key).strip().lower(): value for key, value in row.items()}
    facts: dict[str, Any] = {
        "e_above_hull": _number(first_of(row, HULL_KEYS)),
        "energy": _number(first_of(row, ENERGY_KEYS)),
        "icsd": _observed(row),
        "space_group": named_group(first_of(row, GROUP_KEYS)),
        "index": _index(row.get("index")),
    }
    name = first_of(row, ID_KEYS)
    if name is not None:
        facts["id"] = str(name)
    return facts


def _number(value: Any) -> float:
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _observed(row: Mapping[str, Any]) -> int:
    """1 if the row says that the crystal was observed in experiment, 0 if it denies it, else -1."""
    text = str(row.get("icsd", "")).lower()
    return {"true": 1, "t": 1, "1": 1, "1.0": 1, "false": 0, "f": 0, "0": 0, "0.0": 0}.get(text, -1)


def named_group(value: Any) -> int:
    """Space-group number of a source's statement (number or symbol), 0 where it is none."""
    text = str(value).strip().removesuffix(".0")
    numbers = {s.number for s in settings_named(text)} if len(text) <= 60 else set()
    return numbers.pop() if len(numbers) == 1 else 0


def _index(value: Any) -> int:
    """Place among the crystals of one order, -1 where the row does not say."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
