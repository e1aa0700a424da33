"""Crystals described in subgroups of their space groups."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.subgroups import in_subgroups


@pytest.mark.parametrize("name", ["zinc blende", "quartz", "rutile", "pyrite", "tenorite"])
def test_every_description_is_the_same_crystal(name: str) -> None:
    crystal = KNOWN[name]
    found = in_subgroups(crystal)
    assert found[0].space_group == crystal.space_group
    assert found[-1].space_group == 1
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False)
    own = crystal.to_structure(primitive=True)
    for other in found:
        assert other.counts == crystal.counts
        assert matcher.fit(own, other.to_structure(primitive=True))
        # A subgroup has no operation that the group has not.
        assert len(crystal.group.rotations) % len(other.group.rotations) == 0


def test_translationengleiche_subgroups_of_known_groups() -> None:
    """Bilbao's tables: of F-43m, up to conjugation, one of each kind."""
    groups = sorted(c.space_group for c in in_subgroups(KNOWN["zinc blende"]))
    assert groups == [1, 5, 8, 22, 44, 82, 119, 146, 160, 196, 216]
    assert sorted(c.space_group for c in in_subgroups(KNOWN["quartz"])) == [1, 5, 145, 154]
    assert len(in_subgroups(KNOWN["perovskite"])) == 33  # classes of subgroups of m-3m


def test_translations_within_a_larger_cell_can_be_lost() -> None:
    """A doubled cell of a simple cubic crystal: groups with and without the half translation."""
    doubled = Crystal(
        1, (4.0, 4.0, 8.0, 90, 90, 90), (Site("Po", "a", (0, 0, 0)), Site("Po", "a", (0, 0, 0.5)))
    )
    found = in_subgroups(doubled)
    volumes = {round(abs(np.linalg.det(c.primitive_lattice))) for c in found}
    assert volumes == {128}
    assert found[0].space_group == 123 and found[0].counts == {"Po": 2}
    assert {c.wyckoff for c in found if c.space_group == 123} >= {"Po:a Po:b"}
