"""What chemistry knows of the elements, as networks and samplers of compositions take it.

Oxidation states and radii are pymatgen's, written once by ``tools/make_chemistry_table.py``; the rest are the
properties of Ward et al., see ``crystal.properties``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from crystalsmith.crystal.properties import element_properties

_PROPERTIES = (
    "MendeleevNumber",
    "Electronegativity",
    "CovalentRadius",
    "Column",
    "Row",
    "NsValence",
    "NpValence",
    "NdValence",
    "NfValence",
    "NValence",
    "NpUnfilled",
    "NdUnfilled",
    "NUnfilled",
    "GSvolume_pa",
    "MeltingT",
)
_STATES = range(-4, 8)
_COMMON = slice(1, 95)  # H to Pu, what there is data of


@lru_cache(maxsize=1)
def _table() -> dict[str, list[Any]]:
    text = resources.files("crystalsmith.crystal").joinpath("chemistry.json").read_text(encoding="utf-8")
    table: dict[str, list[Any]] = json.loads(text)
    return table


@lru_cache(maxsize=1)
def oxidation_states() -> tuple[tuple[int, ...], ...]:
    """(119,) common oxidation states by atomic number, ascending; empty where none is known and at 0."""
    return ((), *(tuple(states) for states in _table()["common_oxidation_states"]))


def ionic_radii() -> np.ndarray:
    """(119,) mean ionic radii in Angstrom by atomic number, NaN where unknown."""
    return _radii("ionic_radius")


def _radii(key: str) -> np.ndarray:
    return np.array([np.nan, *(np.nan if x is None else x for x in _table()[key])])


@lru_cache(maxsize=1)
def element_features() -> np.ndarray:
    """(119, 29) features of the elements by atomic number, each of order one; row 0 is zero.

    Place in the periodic table, Mendeleev number, electronegativity, radii, numbers of valence electrons and
    the common oxidation states, standardised over H to Pu; 0, the mean, where unknown.
    """
    p = element_properties()
    radii = [_radii(key) for key in _RADII]
    states = np.array([[k in known for k in _STATES] for known in oxidation_states()], dtype=float)
    table = np.column_stack([*(p[name] for name in _PROPERTIES), *radii, states])
    common = table[_COMMON]
    scale = np.nanstd(common, 0)
    table = (table - np.nanmean(common, 0)) / np.where(scale > 0, scale, 1.0)
    # Rare oxidation states have a small deviation, and so a large value where they occur.
    result = np.clip(np.nan_to_num(table), -3.0, 3.0)
    result[0] = 0.0
    result.setflags(write=False)
    return np.asarray(result)


_RADII = ("ionic_radius", "atomic_radius")
