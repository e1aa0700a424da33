"""The Magpie vector of a composition: statistics of elemental properties, 132 numbers.

Source: Ward et al., npj Comput. Mater. 2, 16028 (2016). The table of properties and the scaling of the
published figures were written once by ``tools/make_magpie_table.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources

import numpy as np

LENGTH = 132


@lru_cache(maxsize=1)
def _table() -> dict[str, np.ndarray]:
    text = resources.files("crystalsmith.evaluation").joinpath("magpie.json").read_text(encoding="utf-8")
    data = json.loads(text)
    rows = [[np.nan, *(np.nan if x is None else x for x in row)] for row in data["properties"].values()]
    return {
        "properties": np.array(rows, dtype=float).T,  # (119, 22) by atomic number
        "mean": np.array(data["mean"]),
        "std": np.array(data["std"]),
    }


def magpie_vector(counts: Mapping[int, int]) -> np.ndarray:
    """(132,) minimum, maximum, range, mean, mean absolute deviation and mode of each of 22 properties.

    Args:
        counts: atoms by atomic number; only their ratios matter.

    Returns:
        Property by property, its six statistics together; NaN where the table has a gap for an element. The
        mode is the smallest value among the most frequent elements.
    """
    z = np.array(sorted(counts), dtype=int)
    weight = np.fromiter((counts[k] for k in z), dtype=float)
    weight /= weight.sum()
    x = _table()["properties"][z]  # (elements, 22)
    low, high = x.min(0), x.max(0)
    mean = weight @ x
    deviation = weight @ np.abs(x - mean)
    mode = x[np.isclose(weight, weight.max())].min(0)
    return np.stack([low, high, high - low, mean, deviation, mode], axis=1).ravel()


def scaled_magpie(compositions: Sequence[Mapping[int, int]]) -> np.ndarray:
    """(n, 132) Magpie vectors standardised as in CDVAE; gaps of the table count as average, 0."""
    if not compositions:
        return np.zeros((0, LENGTH))
    t = _table()
    scaled = (np.array([magpie_vector(c) for c in compositions]) - t["mean"]) / t["std"]
    return np.where(np.isnan(scaled), 0.0, scaled)
