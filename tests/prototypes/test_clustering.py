"""Clusters: narrow ones first, and wide ones of what is left alone."""

from __future__ import annotations

import numpy as np
from test_alignment import disguised
from test_table import changed, shifted

from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.data import pack
from crystalsmith.prototypes.arrangements import arrangements_of
from crystalsmith.prototypes.clustering import clusters_of

RNG = np.random.default_rng(12)


def found(crystals: list[Crystal], **options: object) -> list[set[int]]:
    (members,) = arrangements_of(pack(crystals), np.full(119, 18.0))
    return [set(c.rows.tolist()) for c in clusters_of(members, **options)]  # type: ignore[arg-type]


def away(by: float, seed: int) -> Crystal:
    """A spinel whose oxygens are moved by so much of the cell's edge along x, y and z."""
    return disguised(shifted(KNOWN["spinel"], by), RNG, seed)


def test_the_alone_are_gathered_in_wider_clusters() -> None:
    # 0.01 of the edge moves the mean atom by 0.05 (volume / atoms)^(1/3).
    crystals = [away(0.0, 1), away(0.001, 2), away(0.002, 3), away(0.034, 4), away(0.060, 5)]
    assert found(crystals) == [{0, 1, 2}, {3, 4}]
    assert found(crystals, radii=((0.03, 0.08),)) == [{0, 1, 2}]
    assert found(crystals, radii=((0.03, 0.08),), least=3) == [{0, 1, 2}]


def test_cells_of_another_shape_are_other_clusters() -> None:
    tall = [changed(KNOWN["anatase"], {"Ti": e}) for e in ("Ti", "Sn")]
    flat = [Crystal(141, (5.2, 5.2, 5.0, 90, 90, 90), c.sites) for c in tall]
    assert found([tall[0], flat[0], tall[1], flat[1]]) in ([{0, 2}, {1, 3}], [{1, 3}, {0, 2}])


def test_each_crystal_is_in_one_cluster_at_most() -> None:
    rng = np.random.default_rng(3)
    crystals = [away(x, k) for k, x in enumerate(rng.uniform(-0.05, 0.05, 40))]
    clusters = found(crystals)
    assert sum(map(len, clusters)) == len(set().union(*clusters)) >= 38
    assert all(len(c) >= 2 for c in clusters)
