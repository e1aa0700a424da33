"""The Magpie vector of a composition: statistics of elemental properties, 132 numbers.

Source: Ward et al., npj Comput. Mater. 2, 16028 (2016); scaled with the means and deviations of CDVAE, which
the published figures rest on (written once by ``tools/make_element_table.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources

import numpy as np

from crystalsmith.crystal.properties import element_properties

LENGTH = 132


@lru_cache(maxsize=1)
def _scaling() -> tuple[np.ndarray, np.ndarray]:
    text = (
        resources.files("crystalsmith.evaluation.measures")
        .joinpath("magpie.json")
        .read_text(encoding="utf-8")
    )
    data = json.loads(text)
    return np.array(data["mean"]), np.array(data["std"])


@lru_cache(maxsize=1)
def _properties() -> np.ndarray:
    """(119, 22) by atomic number."""
    return np.stack(list(element_properties().values()), axis=1)


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
    x = _properties()[z]  # (elements, 22)
    low, high = x.min(0), x.max(0)
    mean = weight @ x
    deviation = weight @ np.abs(x - mean)
    mode = x[np.isclose(weight, weight.max())].min(0)
    return np.stack([low, high, high - low, mean, deviation, mode], axis=1).ravel()


def scaled_magpie(compositions: Sequence[Mapping[int, int]]) -> np.ndarray:
    """(n, 132) Magpie vectors standardised as in CDVAE; gaps of the table count as average, 0."""
    if not compositions:
        return np.zeros((0, LENGTH))
    mean, deviation = _scaling()
    scaled = (np.array([magpie_vector(c) for c in compositions]) - mean) / deviation
    return np.where(np.isnan(scaled), 0.0, scaled)
