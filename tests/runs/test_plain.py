"""Records as plain JSON data and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from crystalsmith.crystal import Crystal, Site
from crystalsmith.runs.plain import UNKEPT, from_plain, to_plain


@dataclass(frozen=True)
class Part:
    name: str
    values: tuple[float, ...]
    pair: tuple[int, str]


@dataclass(frozen=True, eq=False)
class Whole:
    crystal: Crystal
    parts: Mapping[str, Part]
    spare: Part | None
    table: np.ndarray
    energy: float
    sound: bool
    nested: tuple[tuple[int, int, int], ...]
    cache: Any = field(default=None, metadata=UNKEPT)


CRYSTAL = Crystal(152, (4.913, 4.913, 5.405, 90, 90, 120), (Site("Si", "a", (0.47,)),))
PART = Part("a", (1.5, 2.0), (3, "x"))


def whole(**more: Any) -> Whole:
    some = {"crystal": CRYSTAL, "parts": {"p": PART}, "spare": PART, "table": np.eye(2)}
    some |= {"energy": np.float64(-1)}
    return Whole(**{**some, "sound": np.bool_(True), "nested": ((1, 2, 3), (4, 5, 6)), "cache": open, **more})


@pytest.mark.parametrize("spare", [None, PART])
@pytest.mark.parametrize("energy", [1.5, math.nan, math.inf, np.float64("nan")])
def test_what_is_written_is_read_back(spare, energy):
    data = json.loads(json.dumps(to_plain(whole(spare=spare, energy=energy)), allow_nan=False))
    again = from_plain(Whole, {**data, "unknown": 1})
    assert (again.crystal, again.parts, again.spare) == (CRYSTAL, {"p": PART}, spare)
    assert again.energy == energy or (math.isnan(again.energy) and not math.isfinite(energy))
    assert (again.table == np.eye(2)).all() and again.nested == ((1, 2, 3), (4, 5, 6))
    assert again.sound is True and again.cache is None and "cache" not in data
    assert to_plain(again) == data


@pytest.mark.parametrize(
    "change",
    [
        *({"parts": [1]}, {"parts": {"p": 1}}, {"spare": {}}, {"energy": "x"}, {"energy": [1]}, {"sound": 1}),
        *({"crystal": None}, {"nested": [[1, 2]]}, {"nested": 3}, {"table": [[1], [2, 3]]}),
    ],
)
def test_what_is_no_such_record_is_refused(change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_plain(Whole, {**to_plain(whole()), **change})
    data = to_plain(whole())
    del data["energy"]
    with pytest.raises(KeyError):
        from_plain(Whole, data)
