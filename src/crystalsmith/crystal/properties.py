"""Properties of the elements: place in the periodic table, valence, size, electronegativity and more.

Ward et al., npj Comput. Mater. 2, 16028 (2016); the table was written once by
``tools/make_element_table.py``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

import numpy as np


@lru_cache(maxsize=1)
def element_properties() -> dict[str, np.ndarray]:
    """Property -> (119,) values by atomic number, NaN where unknown and at index 0; 22 properties."""
    text = resources.files("crystalsmith.crystal").joinpath("properties.json").read_text(encoding="utf-8")
    result = {}
    for name, row in json.loads(text).items():
        values = np.array([np.nan, *(np.nan if x is None else x for x in row)])
        values.setflags(write=False)
        result[name] = values
    return result


_SIMILAR_BY = ("MendeleevNumber", "Electronegativity", "CovalentRadius", "Column", "Row", "NValence")


@lru_cache(maxsize=1)
def dissimilarity() -> np.ndarray:
    """(119, 119) how different two elements are for a crystal: 0 for the same, of order 1 for neighbours.

    Squared Euclidean distance in six standardised properties (of H to Pu): Mendeleev number,
    electronegativity, covalent radius, group, period and number of valence electrons.
    """
    table = np.stack([element_properties()[name] for name in _SIMILAR_BY], axis=1)
    common = table[1:95]
    table = np.where(np.isnan(table), np.nanmean(common, 0), table)
    table = (table - np.nanmean(common, 0)) / np.nanstd(common, 0)
    result = ((table[:, None] - table) ** 2).sum(-1)
    result.setflags(write=False)
    return np.asarray(result)
