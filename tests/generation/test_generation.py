"""From orders to crystals: seeds, batches, tries."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import crystalsmith
import crystalsmith.api
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.generation import (
    BatchStep,
    Generated,
    crystal_seed,
    generate,
    generate_batches,
    generate_records,
)
from crystalsmith.generation.tries import Key
from crystalsmith.orders import Order, OrderWarning, check_orders
from fake_model import FakeModel

ORDERS = [
    {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 5},
    {"id": "perovskite", "space_group": 221, "wyckoff": [["Sr", "a"], ["Ti", "b"], ["O", "c"]], "count": 3},
    {"id": "clino", "space_group": 14, "sites": {"Zr": 1, "O": 2}, "count": 9},
    {"id": "low", "space_group": 1, "sites": {"H": 2, "O": 1, "K": 2}, "count": 4},
]


def by_name(records: Any) -> dict[tuple[str, int], Generated]:
    return {(r.order_id, r.index): r for r in records}


def test_every_crystal_asked_for_comes_once() -> None:
    records = list(generate_records(FakeModel(), ORDERS, seed=3))
    assert {(o["id"], i) for o in ORDERS for i in range(o["count"])} == set(by_name(records))
    assert len(records) == 21
    for r in records:
        assert r.crystal is not None and r.failure is None and r.final
        assert fault(r.crystal) is None
        assert r.seed == crystal_seed(3, r.order_id, r.index, r.tries)
        assert r.crystal.space_group == r.request.space_group
        assert [(s.element, s.letter) for s in r.crystal.sites] == list(r.request.sites)


def test_crystals_do_not_depend_on_batches_or_on_other_orders() -> None:
    whole = by_name(generate_records(FakeModel(bad=0.3), ORDERS, seed=7))
    small = by_name(generate_records(FakeModel(bad=0.3), ORDERS[::-1], seed=7, batch_atoms=10))
    alone = by_name(generate_records(FakeModel(bad=0.3), [ORDERS[2]], seed=7))
    assert small == whole
    assert alone == {k: v for k, v in whole.items() if k[0] == "clino"}
    assert whole != by_name(generate_records(FakeModel(bad=0.3), ORDERS, seed=8))


def test_crystal_does_not_depend_on_the_order_in_which_elements_are_named() -> None:
    one = Order(62, sites={"Li": 1, "O": 3}, id="x", count=4)
    two = Order(62, sites={"O": 3, "Li": 1}, id="x", count=4)
    assert list(generate(FakeModel(), [one])) == list(generate(FakeModel(), [two]))


@pytest.mark.parametrize("limit", [1, 12, 100, 10_000])
def test_batches_are_bounded_in_atoms_and_mix_orders(limit: int) -> None:
    model = FakeModel()
    list(generate(model, ORDERS, batch_atoms=limit))
    for batch in model.batches:
        assert sum(r.n_atoms for r in batch) <= limit or len(batch) == 1
    if limit == 10_000:
        assert len({r.space_group for r in model.batches[0]}) == 4


def test_batches_are_filled_up() -> None:
    letters = {"salt": [["Na", "a"], ["Cl", "b"]], "heusler": [["Cu", "c"], ["Mn", "a"], ["Al", "b"]]}
    orders = [{"id": k, "space_group": 225, "wyckoff": v, "count": 11} for k, v in letters.items()]
    model = FakeModel()
    list(generate(model, orders, batch_atoms=13))
    sizes = [sum(r.n_atoms for r in batch) for batch in model.batches]
    assert sum(sizes) == 11 * 2 + 11 * 4
    assert all(size + after[0].n_atoms > 13 for size, after in zip(sizes, model.batches[1:], strict=False))


def test_wreckage_is_made_again_with_another_seed() -> None:
    tries = [r for batch in generate_batches(FakeModel(bad=0.4), ORDERS) for r in batch]
    failed = [r for r in tries if r.failure is not None]
    assert len(failed) >= 5
    assert {r.failure for r in failed} <= {"absurd density", "atoms too close"}
    assert all(r.crystal is None and not r.final for r in failed)
    assert len({r.seed for r in tries}) == len(tries) == 21 + len(failed)
    per_crystal: dict[tuple[str, int], list[int]] = {}
    for r in tries:
        per_crystal.setdefault((r.order_id, r.index), []).append(r.tries)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in per_crystal.values())


def test_crystals_that_never_come_are_given_up_and_reported() -> None:
    model = FakeModel(volume=1.0)
    records = list(generate_records(model, ORDERS[:1], max_tries=3))
    assert [(r.tries, r.crystal, r.failure, r.final) for r in records] == [
        (3, None, "absurd density", True)
    ] * 5
    with pytest.warns(OrderWarning) as caught:
        assert list(generate(FakeModel(volume=1.0), ORDERS[:1], max_tries=2)) == []
    notes = [f"order salt, crystal {n}: given up after 2 tries (absurd density)" for n in range(5)]
    assert [str(w.message) for w in caught] == notes


def test_one_broken_crystal_does_not_break_its_batch() -> None:
    tries = [r for batch in generate_batches(FakeModel(broken=0.2), ORDERS) for r in batch]
    broken = [r for r in tries if r.failure == "not a crystal"]
    assert broken
    assert all(r.tries < 10 for r in broken)
    assert len([r for r in tries if r.crystal is not None]) == 21
    # Halving finds the same crystals as a model that fails nowhere near them.
    whole = by_name(r for r in tries if r.final and r.tries == 1)
    healthy = by_name(generate_records(FakeModel(), ORDERS))
    assert whole and all(healthy[k] == v for k, v in whole.items())


def test_batches_that_do_not_fit_into_memory_are_halved() -> None:
    class Small(FakeModel):
        def sample(self, requests: Any, seeds: Any, **options: Any) -> list[Crystal]:
            if sum(r.n_atoms for r in requests) > 60:
                raise MemoryError
            return super().sample(requests, seeds, **options)

    assert by_name(generate_records(Small(), ORDERS[:3])) == by_name(
        generate_records(FakeModel(), ORDERS[:3])
    )
    huge = {"space_group": 225, "wyckoff": [["Na", "l"], ["Cl", "l"]], "id": "huge"}
    (record,) = generate_records(Small(), [huge], max_tries=1)
    assert record.failure == "not enough memory"


def test_settings_are_checked_when_called_not_when_iterated() -> None:
    model = FakeModel()
    for options in (
        {"batch_atoms": 0},
        {"max_tries": 0},
        {"steps": 0},
        {"steps": 2.5},
        {"seed": 1.5},
        {"sampler": "magic"},
    ):
        with pytest.raises(ConfigError):
            generate(model, ORDERS, **options)  # type: ignore[arg-type]
    with pytest.raises(OrderError):
        generate(model, [{"space_group": 225}])
    with pytest.raises(OrderError, match="no orders"):
        generate(model, [])
    assert model.batches == []


def test_orders_beyond_the_model_are_refused_or_warned_of() -> None:
    model = FakeModel()
    with pytest.raises(OrderError, match=r"order big: .* at least 64 atoms .* limit is 52"):
        check_orders([Order(62, sites={"O": 16}, id="big")], model)
    assert check_orders([Order(62, sites={"O": 13})], model) == []
    (note,) = check_orders([Order(225, wyckoff=[("Na", "l"), ("Cl", "l")])], model)
    assert "96 atoms" in note and "52" in note
    with pytest.raises(OrderError, match="limit is 1000"):
        check_orders([Order(225, wyckoff=[("Na", "l")] * 30)], model)
    (note,) = check_orders([Order(225, sites={"Fm": 1, "Cl": 1})], model)
    assert "never seen Fm in training" in note
    with pytest.warns(OrderWarning, match="never seen Fm"):
        assert len(list(generate(model, [{"space_group": 225, "sites": {"Fm": 1}}]))) == 1


def test_sampler_steps_are_told() -> None:
    told: list[BatchStep] = []
    list(generate(FakeModel(), ORDERS[:1], steps=4, sampler="heun", on_event=told.append))
    assert told == [BatchStep(5, k, 4) for k in (1, 2, 3, 4)]


@pytest.mark.parametrize("cut", [0, 1, 4, 9, 15, 22])
def test_run_goes_on_from_any_of_its_tries(cut: int) -> None:
    """Batches of the rest are those of an undisturbed run, so that rounding is the same too."""
    options: dict[str, Any] = {"seed": 2, "batch_atoms": 40}
    model, again = FakeModel(bad=0.4), FakeModel(bad=0.4)
    tries = [r for batch in generate_batches(model, ORDERS, **options) for r in batch]
    done: dict[Key, str | None] = {r.key: r.failure for r in tries[:cut]}
    rest = [r for batch in generate_batches(again, ORDERS, done=done, **options) for r in batch]
    assert rest == tries[cut:]
    assert again.batches == model.batches[len(model.batches) - len(again.batches) :]


def test_seeds_are_those_of_every_other_machine() -> None:
    assert crystal_seed(0, "salt", 0) == 8336001033298993150
    assert (
        len({crystal_seed(s, i, n, t) for s in (0, 1, -1) for i in "ab" for n in (0, 1) for t in (1, 2)})
        == 24
    )


@pytest.mark.parametrize(
    ("cell", "sites", "expected"),
    [
        ((5.64,) * 3, [("Na", "a", ()), ("Cl", "b", ())], None),
        ((1.5,) * 3, [("Na", "a", ()), ("Cl", "b", ())], "absurd density"),
        ((12.0,) * 3, [("Na", "a", ()), ("Cl", "b", ())], "absurd density"),
        ((9.0,) * 3, [("Na", "a", ()), ("Cl", "e", (0.03,))], "atoms too close"),
        ((9.0,) * 3, [("Na", "a", ()), ("Cl", "e", (0.2,))], "bonds too short"),
        ((9.0,) * 3, [("Na", "a", ()), ("Cl", "e", (0.3,))], None),
    ],
)
def test_faults_of_cubic_crystals(cell: Any, sites: Any, expected: str | None) -> None:
    crystal = Crystal(225, (*cell, 90, 90, 90), tuple(Site(*s) for s in sites))
    assert fault(crystal) == expected


def test_flat_cell_is_a_fault_and_is_found_fast() -> None:
    assert (
        fault(Crystal(2, (1000, 1000, 0.01, 90, 90, 90), tuple([Site("C", "i", (0.1, 0.2, 0.3))] * 800)))
        == "flat cell"
    )


def test_public_names_load_lazily() -> None:
    assert crystalsmith.Crystal is Crystal
    assert crystalsmith.Order is Order
    assert crystalsmith.generate is crystalsmith.api.generate
    assert {"generate", "load_model", "Order", "Crystal"} <= set(dir(crystalsmith))
    with pytest.raises(AttributeError, match="no attribute 'generator'"):
        crystalsmith.generator  # noqa: B018
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crystals = generate(FakeModel(), [{"space_group": 225, "sites": {"Na": 1, "Cl": 1}}], seed=0)
        assert isinstance(next(crystals), Crystal)
