"""Assignments against brute force from the tables, and against PyXtal's list."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystalsmith.assignments import (
    Assignment,
    Cell,
    CompositionPlan,
    Plan,
    SitePlan,
    canonical,
    count_assignments,
    from_pairs,
    images,
    list_assignments,
    nearest_possible,
    open_sites,
    parse_formula,
    positions_of,
    possible_cells,
    to_pairs,
)
from crystalsmith.assignments.counting import count_in_all
from crystalsmith.assignments.listing import list_plan
from crystalsmith.assignments.nearest import cell_counts
from crystalsmith.assignments.open_sites import walk
from crystalsmith.assignments.possible_groups import is_possible, possible_groups
from crystalsmith.errors import OrderError, SymmetryError
from crystalsmith.orders import parse_order
from crystalsmith.orders.frequencies import count_choices
from crystalsmith.symmetry import space_group, tables

# Groups of all families and centrings, with many equivalent positions, polar and chiral ones.
CASES = [
    (1, (3, 2)),
    (2, (1, 1, 3)),
    (2, (2, 4)),
    (4, (2, 4)),
    (8, (2, 1)),
    (12, (2, 3)),
    (14, (2, 2, 4)),
    (16, (1, 2)),
    (19, (4, 8)),
    (25, (1, 2, 1)),
    (44, (1, 2, 2)),
    (47, (1, 1, 2)),
    (47, (2, 3)),
    (62, (4, 4, 12)),
    (63, (2, 2, 4)),
    (69, (1, 3)),
    (75, (1, 2)),
    (99, (1, 1, 3)),
    (123, (1, 1, 2)),
    (129, (2, 2, 4)),
    (136, (2, 4)),
    (139, (1, 2, 2)),
    (142, (8, 8)),
    (146, (1, 1)),
    (148, (1, 3)),
    (152, (3, 6)),
    (156, (1, 1, 2)),
    (166, (1, 2, 3)),
    (167, (2, 6)),
    (187, (1, 1, 3)),
    (189, (1, 2, 6)),
    (191, (1, 2, 3)),
    (194, (2, 2, 6)),
    (198, (4, 4, 4)),
    (205, (4, 8)),
    (216, (1, 1, 4)),
    (221, (1, 1, 3)),
    (221, (4, 4, 12)),
    (225, (1, 1, 2)),
    (227, (2, 4, 8)),
    (229, (1, 3, 4)),
    (230, (8, 12)),
]


@cache
def brute_sets(group: int, atoms: int | None, sites: int | None) -> list[tuple[int, ...]]:
    """Multisets of positions of one element: of so many atoms, or of so many sites."""
    t = tables()
    rows = range(t.wyckoff_start[group - 1], t.wyckoff_start[group])
    found: list[tuple[int, ...]] = []

    def extend(chosen: tuple[int, ...], k: int) -> None:
        total = sum(int(t.multiplicity_primitive[rows[j]]) for j in chosen)
        if (atoms is not None and total == atoms) or (sites is not None and len(chosen) == sites):
            found.append(chosen)
        if (atoms is not None and total >= atoms) or (sites is not None and len(chosen) >= sites):
            return
        for j in range(k, len(rows)):
            extend((*chosen, j), j + (t.dof[rows[j]] == 0))

    extend((), 0)
    return found


def disjoint(group: int, assignment: Assignment) -> bool:
    """No position without freedom is taken twice."""
    t = tables()
    first = t.wyckoff_start[group - 1]
    taken = Counter(p for own in assignment for p in own if t.dof[first + p] == 0)
    return all(n == 1 for n in taken.values())


def brute_force(group: int, counts: tuple[int, ...]) -> list[Assignment]:
    choices = itertools.product(*(brute_sets(group, n, None) for n in counts))
    return [a for a in choices if disjoint(group, a)]


def brute_images(group: int, assignment: Assignment) -> set[Assignment]:
    """One for each element of the normaliser, row by row of the tables."""
    t = tables()
    first = t.wyckoff_start[group - 1]
    elements = t.normalizer_start[group] - t.normalizer_start[group - 1]
    return {
        tuple(
            tuple(sorted(int(t.map_to[t.map_start[first + p] + k] - first) for p in own))
            for own in assignment
        )
        for k in range(elements)
    }


def brute_classes(group: int, every: list[Assignment]) -> list[Assignment]:
    return sorted({min(brute_images(group, a)) for a in every})


@st.composite
def small_orders(draw: st.DrawFn) -> tuple[int, tuple[int, ...]]:
    """Any group, and a composition made of a few of its positions, so that it mostly is possible."""
    group = draw(st.integers(1, 230))
    sizes = sorted(positions_of(group).size)
    # The smaller half, so that brute force ends.
    small = st.sampled_from(sizes[: max(1, (len(sizes) + 1) // 2)])
    of_one = st.lists(small, min_size=1, max_size=2).map(sum)
    counts = tuple(draw(st.lists(of_one, min_size=1, max_size=3)))
    ways = np.prod([float(len(brute_sets(group, n, None))) for n in counts])
    assume(ways <= 5000)
    return group, counts


def check_against_brute_force(group: int, counts: tuple[int, ...]) -> None:
    every = brute_force(group, counts)
    classes = brute_classes(group, every)
    assert list(walk(CompositionPlan(group, counts))) == sorted(every)
    assert list(list_assignments(group, counts)) == classes
    assert count_assignments(group, counts, distinct=False) == len(every)
    assert count_assignments(group, counts) == len(classes)
    assert CompositionPlan(group, counts).is_possible() == bool(every)


@pytest.mark.parametrize(("group", "counts"), CASES)
def test_counts_and_lists_are_those_of_brute_force(group: int, counts: tuple[int, ...]) -> None:
    assert count_assignments(group, counts) > 0
    check_against_brute_force(group, counts)


@settings(max_examples=200)
@given(order=small_orders())
def test_counts_and_lists_are_those_of_brute_force_in_any_group(order: tuple[int, tuple[int, ...]]) -> None:
    check_against_brute_force(*order)


@pytest.mark.parametrize(
    ("group", "counts"),
    [(47, (1,) * 9), (194, (1, 1, 3)), (221, (2, 1)), (225, (1, 1, 1)), (230, (4,)), (19, (2,)), (1, (-1,))],
)
def test_the_impossible_is_counted_and_listed_as_nothing(group: int, counts: tuple[int, ...]) -> None:
    assert count_assignments(group, counts) == count_assignments(group, counts, distinct=False) == 0
    plan = CompositionPlan(group, counts)
    assert not plan.is_possible() and not any(plan.allowed(plan.start))
    assert list(list_assignments(group, counts)) == list(walk(plan)) == []


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (0, 0), (), (0, 3, 0, 1, 0)])
def test_an_element_without_atoms_takes_no_position(counts: tuple[int, ...]) -> None:
    check_against_brute_force(221, counts)
    plan = SitePlan(221, counts, max_atoms=40)
    every = brute_sites(221, counts, 40)
    assert list(walk(plan)) == sorted(every) and every


def brute_sites(group: int, sites: tuple[int, ...], max_atoms: int) -> list[Assignment]:
    t = tables()
    first = t.wyckoff_start[group - 1]
    return [
        a
        for a in itertools.product(*(brute_sets(group, None, n) for n in sites))
        if disjoint(group, a)
        and sum(int(t.multiplicity_primitive[first + p]) for own in a for p in own) <= max_atoms
    ]


def check_sites(group: int, numbers: tuple[int, ...], spare: int) -> None:
    everything = brute_sites(group, numbers, 10**6)
    size = positions_of(group).size
    limit = min(sum(size[p] for own in a for p in own) for a in everything) + spare
    plan, every = SitePlan(group, numbers, limit), brute_sites(group, numbers, limit)
    assert plan.is_possible() == bool(every) == (spare >= 0)
    assert list(walk(plan)) == sorted(every)
    assert list(list_plan(plan)) == brute_classes(group, every)
    check_no_dead_ends(plan, every)
    if limit > 0:
        named = dict(zip("ABC", numbers, strict=False))
        assert count_choices(space_group(group), named, limit) == len(every)


@settings(max_examples=100)
@given(
    group=st.integers(1, 230),
    sites=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    spare=st.integers(-2, 12),
)
def test_numbers_of_sites_within_a_limit(group: int, sites: tuple[int, ...], spare: int) -> None:
    """Limits around the smallest cell, where they are tight, and above."""
    assume(np.prod([float(len(brute_sets(group, None, n))) for n in sites]) <= 5000)
    check_sites(group, sites, spare)


@pytest.mark.parametrize("group", [63, 129, 147, 166, 177, 194, 217, 224])
@pytest.mark.parametrize("sites", [(3,), (4,), (2, 1), (1, 2, 1)])
def test_positions_without_freedom_larger_than_some_with(group: int, sites: tuple[int, ...]) -> None:
    for spare in (-1, 0, 1, 4):
        check_sites(group, sites, spare)


def check_no_dead_ends(plan: Plan, every: list[Assignment]) -> None:
    """At every place in the filling the allowed positions are those with which some assignment goes on."""
    goes_on = defaultdict(set)
    for assignment in every:
        steps = [p for own in assignment for p in own]
        for k, p in enumerate(steps):
            goes_on[tuple(steps[:k])].add(p)
    waiting = [(plan.start, ())]
    seen = set()
    while waiting:
        state, steps = waiting.pop()
        seen.add(steps)
        if plan.finished(state):
            assert steps not in goes_on
            continue
        allowed = {p for p, ok in enumerate(plan.allowed(state)) if ok}
        assert allowed == goes_on[steps]
        waiting += [(plan.advance(state, p), (*steps, p)) for p in allowed]
    assert seen >= {tuple(p for own in a for p in own) for a in every}


@pytest.mark.parametrize(("group", "counts"), CASES)
def test_allowed_leads_into_no_dead_end_and_forbids_nothing(group: int, counts: tuple[int, ...]) -> None:
    check_no_dead_ends(CompositionPlan(group, counts), brute_force(group, counts))


@settings(max_examples=100)
@given(order=small_orders())
def test_allowed_is_right_in_any_group(order: tuple[int, tuple[int, ...]]) -> None:
    check_no_dead_ends(CompositionPlan(*order), brute_force(*order))


def test_a_walk_goes_on_from_any_place() -> None:
    plan = CompositionPlan(221, (4, 4, 12))
    every = list(walk(plan))
    for one in every:
        state, taken = plan.start, [0, 0, 0]
        for element, p in [(k, p) for k, own in enumerate(one) for p in own]:
            same = [a for a in every if all(a[k][:n] == one[k][:n] for k, n in enumerate(taken))]
            rest = [tuple(own[n:] for own, n in zip(a, taken, strict=True)) for a in same]
            assert list(walk(plan, state)) == rest
            state, taken[element] = plan.advance(state, p), taken[element] + 1
        assert plan.finished(state) and list(walk(plan, state)) == [((), (), ())]


def test_what_a_plan_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(walk(CompositionPlan(47, (1, 1, 2))))
    monkeypatch.setattr(open_sites, "_REMEMBERED", 5)
    plan = CompositionPlan(47, (1, 1, 2))
    assert list(walk(plan)) == expected
    assert len(plan._known) <= 5


def test_a_thousand_sites_are_no_deeper_than_one() -> None:
    (only,) = list_assignments(1, (400, 600))
    assert only == ((0,) * 400, (0,) * 600)


@given(order=small_orders(), data=st.data())
def test_equivalent_assignments_are_a_class(order: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    group, _ = order
    every = brute_force(*order)
    assume(every)
    one = data.draw(st.sampled_from(every))
    all_of_them = images(group, one)
    assert all_of_them[0] == one and len(set(all_of_them)) == len(all_of_them)
    assert set(all_of_them) == brute_images(group, one) <= set(every)
    assert len({canonical(group, other) for other in all_of_them}) == 1
    assert canonical(group, one) in all_of_them
    assert canonical(group, canonical(group, one)) == canonical(group, one)
    for other in all_of_them:
        assert set(images(group, other)) == set(all_of_them)


def test_the_normaliser_permutes_positions_of_a_kind_and_is_a_group() -> None:
    for number in range(1, 231):
        p = positions_of(number)
        moves = set(p.permutations)
        assert len(moves) == len(p.permutations), number
        assert p.permutations[0] == tuple(range(len(p))), number
        for move in moves:
            assert sorted(move) == list(range(len(p))), number
            assert [p.size[k] for k in move] == list(p.size), number
            assert [p.fixed[k] for k in move] == list(p.fixed), number
            for other in moves:
                assert tuple(move[k] for k in other) in moves, number


def test_positions_are_those_of_the_space_groups() -> None:
    for number in range(1, 231):
        p, group = positions_of(number), space_group(number)
        wyckoff = list(group.wyckoff.values())
        assert p.size == tuple(w.multiplicity_primitive for w in wyckoff)
        assert p.fixed == tuple(w.dof == 0 for w in wyckoff)
        assert p.centring * p.size[-1] == wyckoff[-1].multiplicity and p.first == wyckoff[0].index


@pytest.mark.parametrize(
    ("group", "in_conventional_cell"),
    [
        (2, (2, 2)),
        (12, (4, 6)),
        (14, (2, 4, 6)),
        (47, (1, 2)),
        (62, (4, 4, 12)),
        (123, (1, 1, 3)),
        (139, (2, 4)),
        (148, (3, 9)),
        (166, (3, 6)),
        (194, (2, 2, 6)),
        (216, (4, 4, 16)),
        (221, (1, 1, 3)),
        (221, (3, 8)),
        (225, (4, 4, 24)),
        (227, (8, 16, 32)),
        (230, (16, 24)),
    ],
)
def test_pyxtal_lists_the_same(group: int, in_conventional_cell: tuple[int, ...]) -> None:
    """PyXtal's numbers are of the conventional cell; it tells elements apart and equivalent ones too."""
    symmetry = pytest.importorskip("pyxtal.symmetry")
    combinations, _, _ = symmetry.Group(group).list_wyckoff_combinations(list(in_conventional_cell))
    theirs = sorted(tuple(tuple(sorted(map(str, own))) for own in one) for one in combinations)
    centring = positions_of(group).centring
    counts = tuple(n // centring for n in in_conventional_cell)
    assert tuple(n * centring for n in counts) == in_conventional_cell
    wyckoff = list(space_group(group).wyckoff.values())
    ours = sorted(
        tuple(tuple(sorted(f"{wyckoff[p].multiplicity}{wyckoff[p].letter}" for p in own)) for own in one)
        for one in walk(CompositionPlan(group, counts))
    )
    assert ours == theirs and ours
    assert count_assignments(group, counts, distinct=False) == len(theirs)


def test_known_crystals_are_among_those_listed(known) -> None:  # type: ignore[no-untyped-def]
    for name, crystal in known.items():
        pairs = [(site.element, site.letter) for site in crystal.sites]
        elements, assignment = from_pairs(crystal.space_group, pairs)
        size = positions_of(crystal.space_group).size
        counts = tuple(sum(size[p] for p in own) for own in assignment)
        if count_assignments(crystal.space_group, counts) > 20_000:
            continue
        assert canonical(crystal.space_group, assignment) in list_assignments(crystal.space_group, counts), (
            name
        )
        assert sorted(to_pairs(crystal.space_group, elements, assignment)) == sorted(pairs), name


@pytest.mark.parametrize(
    ("group", "counts"),
    [
        (47, (8, 8, 24)),
        (47, (100, 100, 300)),
        (16, (20, 30, 50, 60)),
        (123, (16, 16, 48, 20)),
        (221, (100, 100, 300)),
        (225, (200, 300, 500)),
        (191, (60, 120, 240, 80)),
        (47, (10,) * 10),
    ],
)
def test_huge_numbers_of_assignments_are_answered_at_once(group: int, counts: tuple[int, ...]) -> None:
    """Without listing them: more than 10^9 would take hours."""
    distinct, total = count_assignments(group, counts), count_assignments(group, counts, distinct=False)
    first = list(itertools.islice(list_assignments(group, counts), 20))
    assert total >= distinct > 10**9 and distinct * len(positions_of(group).permutations) >= total
    assert first == sorted(set(first)) and len(first) == 20
    size = positions_of(group).size
    for one in first:
        assert canonical(group, one) == one
        assert tuple(sum(size[p] for p in own) for own in one) == counts


def test_pairs_are_what_orders_take() -> None:
    formula = parse_formula("BaTiO3")
    pairs = [to_pairs(221, formula.elements, a) for a in list_assignments(221, (1, 1, 3))]
    assert pairs == [
        (("Ba", "a"), ("Ti", "b"), ("O", "c")),
        (("Ba", "a"), ("Ti", "b"), ("O", "d")),
    ]
    order = parse_order({"space_group": 221, "wyckoff": [list(pair) for pair in pairs[0]]})
    assert order.wyckoff == pairs[0]


@given(order=small_orders(), data=st.data())
def test_pairs_and_back(order: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    group, counts = order
    found = list(itertools.islice(list_assignments(group, counts), 20))
    assume(found)
    assignment = data.draw(st.sampled_from(found))
    elements = ("Ba", "Ti", "O")[: len(counts)]
    pairs = to_pairs(group, elements, assignment)
    shuffled = data.draw(st.permutations(pairs))
    assert from_pairs(group, shuffled) == (elements, assignment)
    assert from_pairs(group, [list(pair) for pair in shuffled]) == (elements, assignment)


@pytest.mark.parametrize(
    ("pairs", "error", "words"),
    [
        ([("Ba", "a"), ("Ti", "a")], OrderError, "letter a of Pm-3m (221) has no free parameter"),
        ([("Ba", "a"), ("Ba", "a")], OrderError, "twice"),
        ([("Xx", "a")], OrderError, "unknown element 'Xx'"),
        ([("Ba", "z")], SymmetryError, "no Wyckoff letter 'z'"),
    ],
)
def test_wrong_pairs_are_refused(pairs: list[tuple[str, str]], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        from_pairs(221, pairs)
    assert words in str(caught.value)


def test_as_many_elements_as_the_assignment_has() -> None:
    with pytest.raises(ValueError):
        to_pairs(221, ("Ba",), ((0,), (1,)))


@pytest.mark.parametrize(
    ("text", "counts", "name"),
    [
        ("BaTiO3", (("Ba", 1), ("Ti", 1), ("O", 3)), "BaTiO3"),
        ("O3TiBa", (("Ba", 1), ("Ti", 1), ("O", 3)), "BaTiO3"),
        (" Ba Ti O3 ", (("Ba", 1), ("Ti", 1), ("O", 3)), "BaTiO3"),
        ("TiO₂", (("Ti", 1), ("O", 2)), "TiO2"),
        ("C₆₀", (("C", 60),), "C"),
        ("Ti2O4", (("Ti", 2), ("O", 4)), "TiO2"),
        ("(TiO2)2", (("Ti", 2), ("O", 4)), "TiO2"),
        ("Ca(OH)2", (("Ca", 1), ("H", 2), ("O", 2)), "CaH2O2"),
        ("Fe2(S(O2)2)3", (("Fe", 2), ("S", 3), ("O", 12)), "Fe2S3O12"),
        ("K4[Fe(CN)6]", (("K", 4), ("Fe", 1), ("C", 6), ("N", 6)), "K4FeC6N6"),
        ("CH3OH", (("H", 4), ("C", 1), ("O", 1)), "H4CO"),
        ("CO", (("C", 1), ("O", 1)), "CO"),
        ("Co", (("Co", 1),), "Co"),
        ("H1000", (("H", 1000),), "H"),
    ],
)
def test_formulas(text: str, counts: tuple[tuple[str, int], ...], name: str) -> None:
    formula = parse_formula(text)
    assert formula.counts == counts and formula.name == name
    assert formula.elements == tuple(element for element, _ in counts)
    assert formula.n_atoms == sum(n for _, n in counts)
    assert tuple(n * formula.units for n in formula.ratio) == tuple(n for _, n in counts)
    assert parse_formula(str(formula)) == formula


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("Ba0.5TiO3", "fractional"),
        ("Ba.5TiO3", "fractional"),
        ("Xx2O3", "Xx is no chemical element"),
        ("D2O", "D is no chemical element; write H"),
        ("H0", "no atom of H"),
        ("NaCl0", "no atom of Cl"),
        ("(H)0", "no atom of H"),
        ("()", "not understood"),
        ("12", "not understood"),
        ("(H", "not understood"),
        ("H)2", "not understood"),
        (")(", "not understood"),
        ("h2o", "not understood"),
        ("Na-Cl", "system: Na-Cl"),
        ("H²", "not understood"),
        ("H٣", "not understood"),
        ("TiO2\x00", "not understood"),
        ("H1001", "more than 1000 atoms"),
        pytest.param("(" * 90 + "H" + ")9" * 50, "not understood", id="nested"),
        pytest.param("H9" * 150, "too long", id="long"),
        (None, "not None"),
        (5, "not 5"),
        pytest.param(10**5000, "a huge number", id="huge"),
        (b"H", "not b'H'"),
        (["Ba", "Ti"], "not ['Ba', 'Ti']"),
    ],
)
def test_what_is_no_formula_is_refused_in_one_line(text: object, words: str) -> None:
    with pytest.raises(OrderError) as caught:
        parse_formula(text)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 250


@settings(max_examples=500)
@given(
    text=st.text(max_size=40)
    | st.text(alphabet="HOCNaBD()[]0123456789₂. xX", max_size=30)
    | st.text(alphabet="()[]H9", max_size=250)
)
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        formula = parse_formula(text)
    except OrderError as error:
        assert "\n" not in str(error)
        return
    assert formula.counts and all(n >= 1 for _, n in formula.counts) and formula.n_atoms <= 1000
    assert len(set(formula.elements)) == len(formula.elements)
    assert parse_formula(str(formula)) == formula


def possible(group: int, counts: tuple[int, ...] | None) -> bool:
    """Found by walking, not by counting."""
    return counts is not None and any(True for _ in walk(CompositionPlan(group, counts)))


@pytest.mark.parametrize(
    ("text", "group", "z"),
    [
        ("BaTiO3", 221, 2),
        ("BaTiO3", 194, 1),
        ("NaCl", 225, 1),
        ("NaCl", 225, 12),
        ("Al2O3", 167, 5),
        ("H", 230, 1),
        ("K4[Fe(CN)6]", 47, 5),
        ("K4[Fe(CN)6]", 225, 2),
        ("BaTiO3", 221, 60),
    ],
)
def test_what_is_proposed_is_possible_and_the_nearest(text: str, group: int, z: int) -> None:
    formula = parse_formula(text)
    counts = cell_counts(formula, group, z)
    near = nearest_possible(formula, group, z, max_atoms=60, most=3)
    centring = positions_of(group).centring
    good = [
        k
        for k in range(1, 60 * centring // formula.n_atoms + 1)
        if possible(group, cell_counts(formula, group, k))
    ]
    assert near.z == tuple(sorted(good, key=lambda k: (abs(k - z), k))[:3])
    for other in near.space_groups:
        inside = cell_counts(formula, other, z) if counts is None else counts
        assert possible(other, inside) and other != group
    if sum(n * z for _, n in formula.counts) <= 60 and near.space_groups:
        far = max(abs(g - group) for g in near.space_groups)
        between = {g for g in range(1, 231) if 0 < abs(g - group) < far} - set(near.space_groups)
        for other in between:
            assert not possible(other, cell_counts(formula, other, z) if counts is None else counts)


def test_cells_up_to_a_size() -> None:
    formula = parse_formula("NaCl")
    assert possible_cells(formula, 225) == [
        Cell(4, (1, 1)),
        Cell(8, (2, 2)),
        *possible_cells(formula, 225)[2:],
    ]
    for cell in possible_cells(formula, 225, max_atoms=30):
        assert possible(225, cell.counts) and cell.atoms <= 30 and cell.counts[0] * 4 == cell.z
    assert possible_cells(formula, 225, z=4) == possible_cells(formula, 225, atoms=2) == [Cell(4, (1, 1))]
    assert possible_cells(parse_formula("Na4Cl4"), 225, atoms=2) == [Cell(1, (1, 1))]
    assert possible_cells(formula, 225, max_atoms=2) == [Cell(4, (1, 1))]


@pytest.mark.parametrize(
    ("text", "group", "size", "words"),
    [
        ("NaCl", 225, {"z": 1}, "does not fill the 4 primitive cells"),
        ("NaCl", 225, {"z": 1}, "possible in Fm-3m (225): z = 4, 8"),
        ("NaCl", 225, {"z": 1}, "z = 1 is possible in Pm-3m (221)"),
        ("BaTiO3", 221, {"atoms": 7}, "no multiple of the 5 atoms of BaTiO3"),
        ("BaTiO3", 221, {"atoms": 7}, "possible in Pm-3m (221): 5, 15, 20"),
        ("Na2Cl2", 1, {"atoms": 2}, "z = 1/2 of Na2Cl2; write it as NaCl"),
        ("BaTiO3", 194, {"z": 1}, "no combination of the Wyckoff positions of P6_3/mmc (194)"),
        ("BaTiO3", 194, {"z": 1}, "none makes 1 Ba"),
        ("BaTiO3", 194, {"z": 1}, "this primitive cell is possible in"),
        ("NaClBrIF", 123, {"z": 1}, "none serves all elements"),
        ("BaTiO3", 221, {"z": 1000}, "5000 atoms, more than the limit of 1000"),
        ("BaTiO3", 221, {"z": 4, "max_atoms": 15}, "20 atoms, more than the limit of 15"),
        ("BaTiO3", 221, {"z": 4, "max_atoms": 15}, "possible in Pm-3m (221): z = 1, 3"),
        ("BaTiO3", 221, {"atoms": 20, "max_atoms": 15}, "more than the limit of 15"),
        ("BaTiO3", 221, {"max_atoms": 4}, "the smallest possible has 5 atoms, z = 1"),
        ("NaCl", 230, {"max_atoms": 15}, "no primitive cell of up to 15 atoms in Ia-3d (230) holds NaCl"),
        ("H997O", 230, {}, "nor does one of up to 1000"),
        ("NaCl", 225, {"z": 0}, "z must be at least 1, not 0"),
        ("NaCl", 225, {"atoms": 0}, "atoms must be at least 1"),
        ("NaCl", 225, {"max_atoms": 0}, "max_atoms must be at least 1"),
        ("NaCl", 225, {"z": -4}, "at least 1, not -4"),
        ("NaCl", 225, {"z": True}, "whole number"),
        ("NaCl", 225, {"z": 4.0}, "whole number"),
        ("NaCl", 225, {"z": "4"}, "whole number"),
        ("NaCl", 225, {"z": 10**5000}, "at most"),
        ("NaCl", 225, {"z": 4, "atoms": 2}, "give one of them"),
        ("NaCl", 225, {"max_atoms": 1001}, "at most 1000"),
    ],
)
def test_no_cell_is_refused_with_its_reason(text: str, group: int, size: dict[str, int], words: str) -> None:
    with pytest.raises(OrderError) as caught:
        possible_cells(parse_formula(text), group, **size)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("z", [0, -1, True, 1.5, "1", None])
def test_z_is_a_whole_number_from_one(z: int) -> None:
    formula = parse_formula("NaCl")
    with pytest.raises(OrderError, match="z must be"):
        cell_counts(formula, 225, z)
    with pytest.raises(OrderError, match="z must be"):
        nearest_possible(formula, 225, z)
    assert cell_counts(formula, 225, np.int64(4)) == (1, 1)


@settings(max_examples=60)
@given(
    group=st.integers(1, 230),
    text=st.sampled_from(["H", "NaCl", "Al2O3", "BaTiO3", "Ti2O4", "K4[Fe(CN)6]"]),
    size=st.fixed_dictionaries({}, optional={"z": st.integers(1, 40), "max_atoms": st.integers(1, 80)})
    | st.fixed_dictionaries({"atoms": st.integers(1, 80)}),
)
def test_cells_or_a_reason(group: int, text: str, size: dict[str, int]) -> None:
    """Whatever is asked for: a cell that can be filled, or none can."""
    formula = parse_formula(text)
    z, atoms, limit = size.get("z"), size.get("atoms"), size.get("max_atoms")
    limit = limit or (20 if z is None and atoms is None else 1000)
    wanted = []
    for k in [z] if z else range(1, limit * positions_of(group).centring // formula.n_atoms + 1):
        counts = cell_counts(formula, group, k)
        if counts and sum(counts) <= limit and atoms in (None, sum(counts)) and possible(group, counts):
            wanted.append(Cell(k, counts))
    try:
        assert possible_cells(formula, group, **size) == wanted
    except OrderError as error:
        assert not wanted, error


@pytest.mark.parametrize("number", [2, 47, 62, 166, 194, 221, 225])
def test_assignments_of_all_cells_together(number: int) -> None:
    """The sum over all compositions of up to six atoms with two and three elements."""
    for elements in (1, 2, 3):
        every = sum(
            count_assignments(number, counts)
            for counts in itertools.product(range(1, 7), repeat=elements)
            if sum(counts) <= 6
        )
        assert count_in_all(number, elements, 6) == every


@pytest.mark.parametrize(
    "counts", [(1,), (2, 2), (1, 1, 3), (3, 1, 5), (4, 2), (8, 12, 12, 48), (7, 7, 7, 7)]
)
def test_the_groups_that_can_hold_a_composition_are_those_with_an_assignment(counts: tuple[int, ...]) -> None:
    found = possible_groups(counts)
    assert not found[0]
    for number in range(1, 231):
        assert found[number] == (count_assignments(number, counts, distinct=False) > 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 230))
def test_whether_a_group_can_hold_a_composition_does_not_hang_on_its_order(counts: list[int], g: int) -> None:
    found = is_possible(g, tuple(counts))
    assert found == is_possible(g, tuple(reversed(counts)))
    assert found == (count_assignments(g, tuple(counts), distinct=False) > 0)


def test_elements_share_positions_without_freedom() -> None:
    # Fm-3m has two single points, a and b: enough for NaCl, not for three elements of one atom each.
    assert is_possible(225, (1, 1)) and not is_possible(225, (1, 1, 1))
    assert is_possible(225, (1, 1, 2)) and not is_possible(225, (1, 1, 2, 2))


def test_a_large_cell_is_counted_and_listed() -> None:
    # Garnet: 80 atoms in the primitive cell, on 24c, 16a, 24d and 96h.
    assert is_possible(230, (12, 8, 12, 48))
    number = count_assignments(230, (12, 8, 12, 48))
    listed = list(list_assignments(230, (12, 8, 12, 48)))
    assert len(listed) == len(set(listed)) == number
    letters = {tuple(to_pairs(230, ("Mg", "Al", "Si", "O"), a)) for a in listed}
    assert (("Mg", "c"), ("Al", "a"), ("Si", "d"), ("O", "h")) in letters
    size = positions_of(230).size
    for a in listed:
        assert tuple(sum(size[p] for p in own) for own in a) == (12, 8, 12, 48)
