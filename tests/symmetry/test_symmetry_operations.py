"""Operations, centring and primitive cells of all 230 space groups against spglib's database."""

import itertools
from functools import cache

import numpy as np
import pytest
import spglib

from crystalsmith.symmetry import SpaceGroup, lattice_family, space_group, tables

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's own
GROUPS = [space_group(number) for number in range(1, 231)]


@cache
def standard_halls() -> dict[int, int]:
    """Hall numbers of axis b, cell choice 1, origin choice 2, hexagonal axes: the first, or choice 2."""
    halls: dict[int, int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind.number not in halls or kind.choice == "2":
            halls[kind.number] = hall
    return halls


def over24(x: np.ndarray) -> np.ndarray:
    whole = np.rint(np.asarray(x) * 24)
    assert np.allclose(whole, np.asarray(x) * 24, atol=1e-6)
    return whole.astype(int) % 24


def with_centring(group: SpaceGroup) -> list[tuple[int, ...]]:
    """Every operation of the conventional cell as 12 integers."""
    return [
        (*w.ravel().tolist(), *over24(t + c).tolist())
        for w, t in zip(group.rotations, group.translations, strict=True)
        for c in group.centring
    ]


def in_lattice(group: SpaceGroup, shift: np.ndarray) -> np.ndarray:
    """Which rows of ``shift`` are lattice translations."""
    steps = shift @ np.linalg.inv(group.primitive)
    return np.all(np.abs(steps - np.rint(steps)) < 1e-9, axis=-1)


def test_the_settings_are_those_of_the_docstring():
    kinds = [spglib.get_spacegroup_type(standard_halls()[number]) for number in range(1, 231)]
    assert {kind.choice for kind in kinds} == {"", "b", "b1", "2", "H"}
    assert sum(kind.choice == "2" for kind in kinds) == 24
    assert sum(kind.choice == "H" for kind in kinds) == 7


def test_operations_equal_those_of_spglib():
    wrong = []
    for group in GROUPS:
        database = spglib.get_symmetry_from_database(standard_halls()[group.number])
        theirs = {
            (*w.ravel().tolist(), *over24(t).tolist())
            for w, t in zip(database["rotations"], database["translations"], strict=True)
        }
        ours = with_centring(group)
        if len(set(ours)) != len(ours) or set(ours) != theirs:
            wrong.append(group.symbol)
    assert not wrong


def test_one_operation_for_each_coset_and_the_identity_first():
    for group in GROUPS:
        assert np.array_equal(group.rotations[0], np.eye(3)) and not group.translations[0].any(), group.symbol
        assert len({tuple(w.ravel()) for w in group.rotations}) == len(group.rotations), group.symbol
        assert group.rotations.dtype.kind == "i"
        assert (group.translations >= 0).all() and (group.translations < 1).all(), group.symbol


def test_operations_are_closed_modulo_the_lattice():
    wrong = []
    for group in GROUPS:
        rotations, translations = group.rotations, group.translations
        row = {tuple(w.ravel()): k for k, w in enumerate(rotations)}
        products = np.einsum("aij,bjk->abik", rotations, rotations)
        shifts = np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]
        known = np.array([row.get(tuple(p), -1) for p in products.reshape(-1, 9)]).reshape(shifts.shape[:2])
        if (known < 0).any() or not in_lattice(group, shifts - translations[known]).all():
            wrong.append(group.symbol)
    assert not wrong


@pytest.mark.parametrize(
    ("letter", "centring"),
    [
        ("P", [(0, 0, 0)]),
        ("A", [(0, 0, 0), (0, 12, 12)]),
        ("C", [(0, 0, 0), (12, 12, 0)]),
        ("I", [(0, 0, 0), (12, 12, 12)]),
        ("F", [(0, 0, 0), (0, 12, 12), (12, 0, 12), (12, 12, 0)]),
        ("R", [(0, 0, 0), (16, 8, 8), (8, 16, 16)]),  # obverse
    ],
)
def test_centring(letter, centring):
    members = [group for group in GROUPS if group.symbol[0] == letter]
    assert members
    for group in members:
        assert {tuple(c) for c in over24(group.centring)} == set(centring), group.symbol
        assert len(group.centring) == len(centring), group.symbol
        assert not group.centring[0].any(), group.symbol


def test_primitive_cell_spans_exactly_the_lattice():
    for group in GROUPS:
        assert np.linalg.det(group.primitive) == pytest.approx(1 / len(group.centring)), group.symbol
        assert in_lattice(group, np.vstack([np.eye(3), group.centring])).all(), group.symbol
        for point in group.primitive:  # no finer than the centring allows
            assert any(np.allclose(point - c, np.rint(point - c)) for c in group.centring), group.symbol
        turned = group.primitive @ group.rotations.swapaxes(1, 2)
        assert in_lattice(group, turned.reshape(-1, 3)).all(), group.symbol


def test_point_groups_equal_those_spglib_finds():
    for group in GROUPS:
        symbol, _, _ = spglib.get_pointgroup(group.rotations)
        assert group.point_group == symbol.strip(), group.symbol


def test_lattice_families_follow_from_the_operations():
    """The rotation axes decide the crystal family, by the definition of ITA."""
    for group in GROUPS:
        proper = [w * round(np.linalg.det(w)) for w in group.rotations]
        turns = {tuple(w.ravel()): round(np.trace(w)) for w in proper}  # an inversion centre repeats them
        count = {trace: list(turns.values()).count(trace) for trace in (-1, 0, 1, 2)}  # orders 2, 3, 4, 6
        if count[0] == 8:
            family = "cubic"
        elif count[0]:
            family = "hexagonal"
        elif count[1]:
            family = "tetragonal"
        else:
            family = {0: "triclinic", 1: "monoclinic", 3: "orthorhombic"}[count[-1]]
        assert lattice_family(group.number) == family, group.symbol


POLAR = {
    "1": (True, True, True),
    "2": (False, True, False),
    "m": (True, False, True),
    **dict.fromkeys(("mm2", "4", "4mm", "3", "3m", "6", "6mm"), (False, False, True)),
}


def test_polar_directions_are_those_of_the_ten_polar_point_groups():
    assert len({group.point_group for group in GROUPS}) == 32
    for group in GROUPS:
        expected = POLAR.get(group.point_group, (False, False, False))
        assert tuple(group.polar.tolist()) == expected, group.symbol


def test_polar_directions_are_the_whole_space_that_no_rotation_moves():
    for group in GROUPS:
        moved = (group.rotations - np.eye(3, dtype=int)).reshape(-1, 3)
        assert 3 - np.linalg.matrix_rank(moved) == group.polar.sum(), group.symbol
        assert not moved[:, group.polar].any(), group.symbol


def test_flat_tables_hold_the_same_groups():
    t = tables()
    assert t.op_start[-1] == len(t.rotations) == len(t.translations) == sum(len(g.rotations) for g in GROUPS)
    assert t.centring_start[-1] == len(t.centring)
    assert len(t.wyckoff_group) == t.wyckoff_start[-1] == sum(len(g.wyckoff) for g in GROUPS) == 1731
    for group in GROUPS:
        ops = slice(t.op_start[group.number - 1], t.op_start[group.number])
        assert np.array_equal(t.rotations[ops], group.rotations)
        assert np.array_equal(t.primitive[group.number], group.primitive)
        for position in group.wyckoff.values():
            y = position.index
            assert t.wyckoff_group[y] == group.number and t.multiplicity[y] == position.multiplicity
            assert t.map_start[y + 1] - t.map_start[y] == np.diff(t.normalizer_start)[group.number - 1]
    for name in ("op", "centring", "wyckoff", "image", "self", "normalizer", "map"):
        starts = getattr(t, f"{name}_start")
        assert starts[0] == 0 and (np.diff(starts) > 0).all(), name


def test_tables_are_read_only():
    t = tables()
    for name, array in vars(t).items():
        with pytest.raises(ValueError, match="read-only"):
            array[(0,) * array.ndim] = 0
        assert not array.flags.writeable, name
    for group, name in itertools.product(GROUPS[:3], ("rotations", "translations", "centring", "primitive")):
        assert not getattr(group, name).flags.writeable
