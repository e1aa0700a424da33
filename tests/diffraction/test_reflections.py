"""Reflections of space groups, against counting them all."""

import numpy as np
import pytest

from crystalsmith.diffraction.reflections import padded, reflections_of, unique_reflections
from crystalsmith.symmetry import reference_lattice


def _by_index(number: int, box: tuple[int, int, int]) -> dict[tuple[int, ...], int]:
    h, multiplicity = unique_reflections(number, box)
    return {
        tuple(sorted(map(abs, i), reverse=True)): m for i, m in zip(h.tolist(), multiplicity, strict=True)
    }


def test_cubic_multiplicities():
    found = _by_index(221, (3, 3, 3))
    assert found[1, 0, 0] == 6 and found[1, 1, 0] == 12 and found[1, 1, 1] == 8
    assert found[2, 1, 0] == 24 and found[3, 2, 1] == 48


@pytest.mark.parametrize(
    "number, absent, present",
    [
        (225, (1, 0, 0), (1, 1, 1)),  # F centring
        (227, (2, 0, 0), (4, 0, 0)),  # the diamond glide
        (229, (2, 1, 0), (1, 1, 0)),  # I centring
        (205, (1, 1, 0), (2, 1, 0)),  # glides of Pa-3 leave (210)
    ],
)
def test_extinctions(number, absent, present):
    found = _by_index(number, (4, 4, 4))
    assert absent not in found and present in found


def test_screw_axis_and_glide_of_a_hexagonal_group():
    h, _ = unique_reflections(194, (4, 4, 6))
    rows = {tuple(i) for i in np.abs(h).tolist()}
    assert (0, 0, 1) not in rows and (0, 0, 2) in rows
    assert not any(i == j and k % 2 for i, j, k in h.tolist())


@pytest.mark.parametrize(
    "number", [1, 2, 5, 10, 16, 47, 75, 89, 123, 143, 147, 149, 156, 162, 168, 191, 195, 200]
)
def test_symmorphic_primitive_groups_miss_nothing(number):
    """Multiplicities add up to all reflections of the shell, where no group element extinguishes any."""
    lattice = reference_lattice(number) @ np.diag([6.1, 6.1, 6.1 if number > 194 else 7.3])
    if number < 75:
        lattice = lattice @ np.diag([1.0, 1.13, 1.0])
    ((_, multiplicity),) = reflections_of([number], lattice[None], 0.9)
    reach = np.arange(-12, 13)
    h = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), -1).reshape(-1, 3)
    length = np.linalg.norm(h @ np.linalg.inv(lattice).T, axis=1)
    if number == 5:  # C centred
        length = length[(h[:, 0] + h[:, 1]) % 2 == 0]
    assert multiplicity.sum() == ((length <= 0.9) & (length > 0)).sum()


def test_padding_has_no_multiplicity():
    lattices = np.array([np.eye(3) * 4.0, np.eye(3) * 7.0])
    found = reflections_of([221, 225], lattices, 0.8)
    batch = padded(found)
    assert batch.multiplicity.count_nonzero(dim=1).tolist() == [len(h) for h, _ in found]
