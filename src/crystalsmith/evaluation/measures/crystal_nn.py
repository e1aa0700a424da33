"""The CrystalNN fingerprint: order parameters of the coordination of every site, 61 numbers.

Zimmermann and Jain, RSC Adv. 10, 6063 (2020); neighbours, weights and order parameters are pymatgen's. What
is done here is the choice of parameters (the "ops" set of the published figures) and that equivalent sites
are computed once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.errors import StructureError
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.runs.warned import logged_warnings

LENGTH = 61

EQUIVALENT = 1e-3
"""Angstrom; sites equal within it under a symmetry of the crystal are computed once."""

DENSEST = 0.5
"""Angstrom^3 per atom; what is denser has so many neighbours that it would take for ever."""

_MAX_CN = 24

_MOTIFS: dict[int, tuple[str, ...]] = {
    1: ("sgl_bd",),
    2: ("L-shaped", "water-like", "bent 120 degrees", "bent 150 degrees", "linear"),
    3: ("trigonal planar", "trigonal non-coplanar", "T-shaped"),
    4: ("square co-planar", "tetrahedral", "rectangular see-saw-like", "see-saw-like", "trigonal pyramidal"),
    5: ("pentagonal planar", "square pyramidal", "trigonal bipyramidal"),
    6: ("hexagonal planar", "octahedral", "pentagonal pyramidal"),
    7: ("hexagonal pyramidal", "pentagonal bipyramidal"),
    8: ("body-centered cubic", "hexagonal bipyramidal"),
    9: ("q2", "q4", "q6"),
    10: ("q2", "q4", "q6"),
    11: ("q2", "q4", "q6"),
    12: ("cuboctahedral", "q2", "q4", "q6"),
}

# Asked for together the motifs of one coordination number share their angles; not so those of 4 and 6, whose
# values then influence each other.
_TOGETHER = (2, 3, 5, 7, 8, 9, 10, 11, 12)


@lru_cache(maxsize=1)
def _tools() -> tuple[Any, dict[int, list[Any]]]:
    """The neighbour finder, and the order parameters by coordination number."""
    try:
        from pymatgen.core.local_env import CN_OPT_PARAMS, CrystalNN, LocalStructOrderParams
    except ImportError:  # its home before 2025
        from pymatgen.analysis.local_env import CN_OPT_PARAMS, CrystalNN, LocalStructOrderParams

    parameters: dict[int, list[Any]] = {}
    for cn, names in _MOTIFS.items():
        types: list[Any] = []
        options: list[Any] = []
        for name in names:
            entry = CN_OPT_PARAMS.get(cn, {}).get(name, [name])
            types.append(entry[0])
            options.append(entry[1] if len(entry) > 1 else None)
        if cn in _TOGETHER:
            parameters[cn] = [LocalStructOrderParams(types, parameters=options)]
        else:
            parameters[cn] = [
                LocalStructOrderParams([t], parameters=[p]) for t, p in zip(types, options, strict=True)
            ]
    return CrystalNN(), parameters


def site_fingerprint(structure: Any, site: int) -> np.ndarray:
    """(61,) fingerprint of one site of a pymatgen Structure.

    For each coordination number from 1 to 24 its weight, followed by the order parameters of its motifs
    times that weight.
    """
    finder, parameters = _tools()
    data = finder.get_nn_data(structure, site)
    values: list[float] = []
    for cn in range(1, _MAX_CN + 1):
        weight = data.cn_weights.get(cn, 0)
        values.append(weight)
        if cn not in _MOTIFS:
            continue
        if weight == 0:
            values += [0.0] * len(_MOTIFS[cn])
            continue
        near = [neighbour["site"] for neighbour in data.cn_nninfo[cn]]
        sites, places = [structure[site], *near], list(range(1, len(near) + 1))
        for op in parameters[cn]:
            found = op.get_order_parameters(sites, 0, indices_neighs=places)
            values += [weight * (x or 0.0) for x in found]
    return np.array(values)


def crystal_nn(arrays: Arrays) -> np.ndarray:
    """(61,) fingerprints averaged over the atoms of the cell.

    Raises:
        StructureError: atoms packed so densely that it is no crystal.
    """
    n = len(arrays.numbers)
    if arrays.volume / n < DENSEST:
        raise StructureError(f"too dense: less than {DENSEST} Angstrom^3 per atom")
    first, weight = np.unique(_equivalent(arrays), return_index=True, return_counts=True)[1:]
    structure = arrays.to_structure()
    with logged_warnings():
        rows = np.array([site_fingerprint(structure, int(i)) for i in first])
    return np.asarray(weight @ rows / n)


def _equivalent(arrays: Arrays) -> np.ndarray:
    """(n,) for each atom the first one that a symmetry of the crystal takes to it."""
    import moyopy

    n = len(arrays.numbers)
    if n == 1:
        return np.zeros(1, dtype=int)
    try:
        cell = moyopy.Cell(arrays.lattice.tolist(), arrays.fractional.tolist(), arrays.numbers.tolist())
        return np.array(moyopy.MoyoDataset(cell, symprec=EQUIVALENT).orbits)
    except Exception:  # moyopy's own classes, and bare ones for overlapping atoms: no symmetry to use
        return np.arange(n)
