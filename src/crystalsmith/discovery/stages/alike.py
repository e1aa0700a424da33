"""Candidates that are one and the same crystal."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.ranking.agreement import SAME
from crystalsmith.ranking.fingerprint import fingerprint

ENERGY_WINDOW = 0.02
"""eV per atom; relaxed crystals farther apart are not compared."""


def first_alike(crystals: Sequence[Crystal], same: float = SAME) -> list[int]:
    """For each crystal the first one that is nearly the same, itself if there is none before it.

    By fingerprints of distances (``ranking.fingerprint``), between crystals with the same numbers of atoms in
    the primitive cell only; cheap enough for thousands.

    Args:
        crystals: n of them; earlier ones stand for later ones.
        same: largest root mean square difference of fingerprints.
    """
    stands = list(range(len(crystals)))
    alike: dict[tuple[tuple[str, int], ...], list[int]] = defaultdict(list)
    for i, crystal in enumerate(crystals):
        alike[tuple(sorted(crystal.counts.items()))].append(i)
    for rows in alike.values():
        if len(rows) < 2:
            continue
        kept: list[int] = []
        prints: np.ndarray | None = None
        for i in rows:
            own = fingerprint(crystals[i])
            if prints is not None and kept:
                away = prints[: len(kept)] - own
                square = (away[:, :-1] ** 2).mean(1) + away[:, -1] ** 2
                near = int(square.argmin())
                if square[near] < same**2:
                    stands[i] = kept[near]
                    continue
            if prints is None:
                prints = np.empty((len(rows), len(own)))
            prints[len(kept)] = own
            kept.append(i)
    return stands


def first_matching(crystals: Sequence[Crystal], energies: Sequence[float]) -> list[int]:
    """As ``first_alike`` for relaxed crystals, whatever their cells: pymatgen's StructureMatcher.

    Args:
        crystals: n of them.
        energies: (n,) eV per atom; crystals farther apart than ``ENERGY_WINDOW`` are taken for different.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    stands = list(range(len(crystals)))
    alike: dict[str, list[int]] = defaultdict(list)
    for i, crystal in enumerate(crystals):
        alike[crystal.formula].append(i)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in alike.values():
            kept: list[int] = []
            structures = {i: crystals[i].to_structure(primitive=True) for i in rows} if len(rows) > 1 else {}
            for i in rows:
                near = [k for k in kept if abs(energies[k] - energies[i]) < ENERGY_WINDOW]
                found = next((k for k in near if matcher.fit(structures[i], structures[k])), None)
                if found is None:
                    kept.append(i)
                else:
                    stands[i] = found
    return stands
