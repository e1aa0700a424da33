"""One crystal of several that are the same stays: the first as generated, the lowest once relaxed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.ranking.agreement import SAME
from crystalsmith.ranking.fingerprint import fingerprint
from crystalsmith.runs.warned import logged_warnings

ENERGY_WINDOW = 0.02
"""eV per atom; relaxed crystals farther apart are not compared."""


def duplicates(work: Work, came: list[str]) -> Gone:
    """Those that are another one as they were generated."""
    crystals = [work.candidates[n].states[0].crystal for n in came]
    gone = {}
    for name, first in zip(came, first_alike(crystals), strict=True):
        if came[first] != name:
            one = work.candidates[name].order["id"] == work.candidates[came[first]].order["id"]
            gone[name] = f"same as another of {'its' if one else 'another'} order: {came[first]}"
    return gone


def duplicates_relaxed(work: Work, came: list[str]) -> Gone:
    """Those that relaxed to another one under their symmetry; of the rest the best stay."""
    ranked = by_height(work, came, "symmetric")
    gone = relaxed_alike(work, ranked, "symmetric")
    return gone | work.best((n for n in ranked if n not in gone), work.settings.keep_relaxed)


def by_height(work: Work, names: Sequence[str], kind: str) -> list[str]:
    """The lowest above the hull first."""
    return sorted(names, key=lambda n: (work.above(work.state(n, kind)), n))


def relaxed_alike(work: Work, ranked: Sequence[str], kind: str) -> Gone:
    """Those that relaxed to one before them."""
    crystals = [work.state(n, kind).crystal for n in ranked]
    found = first_matching(crystals, [work.energy(n, kind) for n in ranked])
    pairs = zip(ranked, (ranked[k] for k in found), strict=True)
    return {name: f"relaxed to the same: {first}" for name, first in pairs if name != first}


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
    with logged_warnings():
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
