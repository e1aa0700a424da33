"""Who sits where in known crystals, with their ids and distances to the hull."""

from __future__ import annotations

import numpy as np

from crystals import KNOWN
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import Occupations, both_occupations, occupations

NAMES = ["rock salt", "rutile", "anatase"]


def of(ids: list[str], above: list[float]) -> Occupations:
    return occupations(pack([KNOWN[n] for n in NAMES], ids, above))


def table(o: Occupations) -> dict[int, tuple[str, float]]:
    assert o.ids is not None and o.e_above_hull is not None
    rows = zip(o.space_group.tolist(), o.ids.tolist(), o.e_above_hull.tolist(), strict=True)
    return {group: (name, round(above, 3)) for group, name, above in rows}


def test_the_most_stable_of_repeats_lends_its_name():
    crystals = [KNOWN[n] for n in (*NAMES, "rutile", "rutile")]
    found = occupations(pack(crystals, ["a", "b", "c", "d", "e"], [0.0, 0.05, 0.02, np.nan, 0.01]))
    assert table(found) == {136: ("e", 0.01), 141: ("c", 0.02), 225: ("a", 0.0)}


def test_two_sets_together_keep_what_either_tells():
    silent = occupations(pack([KNOWN[n] for n in NAMES]))
    old = Occupations(silent.space_group, silent.start, silent.element, silent.wyckoff)
    told = of(["a", "b", "c"], [0.0, 0.05, 0.02])
    for both in (both_occupations(old, told), both_occupations(told, old)):
        assert table(both) == table(told)
    assert both_occupations(old, old).ids is None and both_occupations(old, old).e_above_hull is None
    assert both_occupations(old, old).observed is None
    better = both_occupations(told, of(["x", "y", "z"], [0.1, 0.03, 0.02]))
    assert table(better) == {136: ("y", 0.03), 141: ("c", 0.02), 225: ("a", 0.0)}


def test_what_was_observed_once_is_observed_and_what_is_not_known_is_not_computed_alone():
    crystals = [KNOWN[n] for n in (*NAMES, "rutile", "anatase")]
    flags = [0, 0, 0, 1, -1]
    found = occupations(pack(crystals, e_above_hull=[0.0, 0.0, 0.0, 0.1, 0.1], icsd=flags))
    assert dict(zip(found.space_group.tolist(), found.seen.tolist(), strict=True)) == {
        136: 1,
        141: -1,
        225: 0,
    }
    both = both_occupations(found, occupations(pack([KNOWN["rock salt"]], icsd=[1])))
    assert dict(zip(both.space_group.tolist(), both.seen.tolist(), strict=True)) == {136: 1, 141: -1, 225: 1}
