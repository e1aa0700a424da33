"""Sampling that begins with known arrangements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from crystals import KNOWN
from crystalsmith.assignments import KINDS, Request, Start
from crystalsmith.conditions import FixedCell
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import SAMPLERS, Model
from crystalsmith.diffusion.samplers import State
from crystalsmith.diffusion.settling import FREEDOM, settle
from crystalsmith.errors import OrderError
from crystalsmith.graph import CrystalBatch, to_batch, to_crystals
from diffusion.test_diffusion_model import REQUESTS, SEEDS, difference, small_model

CRYSTALS = list(KNOWN.values())


def begun(time: float, rows: range | None = None) -> list[Request]:
    return [replace(REQUESTS[i], start=Start(CRYSTALS[i], time)) for i in rows or range(len(REQUESTS))]


def test_kinds() -> None:
    assert REQUESTS[0].kind == "network"
    assert begun(0.0)[0].kind == "prototype"
    assert begun(0.4)[0].kind == "refined"
    assert set(KINDS) == {"network", "prototype", "refined"}
    assert begun(0.4)[0] == REQUESTS[0]  # what is asked for is the same


@pytest.mark.parametrize("time", [-0.1, 1.5, float("nan")])
def test_times_beyond_the_schedules(time: float) -> None:
    with pytest.raises(OrderError, match="from 0 to 1"):
        Start(CRYSTALS[0], time)


def test_a_start_of_time_0_is_the_crystal_itself() -> None:
    assert small_model().sample(begun(0.0), SEEDS, steps=3) == CRYSTALS


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_short_way_stays_near_its_start(name: str) -> None:
    # Random weights do not find back, so the noise is what one sees.
    model = small_model()
    near = model.sample(begun(0.02), SEEDS, steps=50, sampler=name)
    far = model.sample(begun(0.6), SEEDS, steps=50, sampler=name)
    moved = [np.median([difference(a, b) for a, b in zip(c, CRYSTALS, strict=True)]) for c in (near, far)]
    assert 1e-4 < moved[0] < 0.05
    assert moved[1] > 3 * moved[0]


def test_mixed_batches_change_nothing() -> None:
    model = small_model()
    kinds = [*begun(0.0, range(2)), *begun(0.3, range(2, 6)), *begun(0.5, range(6, 9)), *REQUESTS[9:]]
    together = model.sample(kinds, SEEDS, steps=4)
    backwards = model.sample(kinds[::-1], SEEDS[::-1], steps=4)[::-1]
    for k, request in enumerate(kinds):
        alone = model.sample([request], [SEEDS[k]], steps=4)[0]
        assert difference(alone, together[k]) < 1e-8
        assert difference(backwards[k], together[k]) < 1e-8
    # Those without a start come out as they do by themselves.
    assert difference(together[9], model.sample(REQUESTS, SEEDS, steps=4)[9]) < 1e-8


def test_seeds_count_where_there_is_noise() -> None:
    model = small_model()
    one, other = (
        model.sample(begun(0.4), [s + k for s in SEEDS], steps=6, sampler="stochastic") for k in (0, 1)
    )
    assert all(difference(a, b) > 1e-4 for a, b in zip(one, other, strict=True))


def test_calls_are_those_of_the_way_that_is_left() -> None:
    model, calls = small_model(), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    model.network.register_forward_hook(count)
    model.sample(begun(0.0), SEEDS, steps=10)
    assert calls == 0
    # Three of ten steps lie below 0.3, or two of those that few calls place; then the last without noise.
    for sampler, steps in (("euler", 3), ("multistep", 2)):
        told: list[int] = []
        calls = 0
        model.sample(
            begun(0.3), SEEDS, steps=10, sampler=sampler, callback=lambda i, _, told=told: told.append(i)
        )
        assert (calls, told) == (steps + 1, list(range(steps)))


def test_a_start_of_other_sites() -> None:
    salt = CRYSTALS[0]
    wrong = Crystal(salt.space_group, salt.cell, salt.sites[::-1])
    with pytest.raises(OrderError, match="does not suit"):
        small_model().sample([replace(REQUESTS[0], start=Start(wrong))], [1])


def knowing(monkeypatch: pytest.MonkeyPatch, truth: dict[Any, Crystal]) -> Model:
    """A model whose network knows the cells of some crystals and says of all atoms that they are wrong."""
    model = small_model()

    def denoise(batch: CrystalBatch, sigma: dict[str, Tensor], guide: object = None) -> State:
        crystals = [truth[kind(c)] for c in to_crystals(batch)]
        clean = to_batch(crystals, model.statistics.atomic_volume, dtype=batch.strain.dtype).strain
        away = (batch.strain - clean) / model.lattice.unit(batch.layout) / sigma["lattice"][:, None]
        return {"position": 1 + batch.w, "lattice": away}

    monkeypatch.setattr(model, "denoise", denoise)
    return model


def blown_up(crystal: Crystal, by: float, longer: float) -> Crystal:
    """Larger by a factor in each direction, and once more along c where the family lets it."""
    a, b, c, *angles = crystal.cell
    return replace(
        crystal, cell=(a * by, b * by, c * by * (longer if crystal.space_group < 195 else 1), *angles)
    )


def test_a_cell_that_is_an_estimate_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {kind(c): c for c in CRYSTALS}
    model = knowing(monkeypatch, truth)
    wrong = [blown_up(c, 1.07, 1.05) for c in CRYSTALS]
    requests = [replace(r, start=Start(c, estimated_cell=True)) for r, c in zip(REQUESTS, wrong, strict=True)]
    made = model.sample(requests, SEEDS)
    for found, right, begun_with in zip(made, CRYSTALS, wrong, strict=True):
        assert found.sites == begun_with.sites
        if freedom_of(right) <= FREEDOM:
            assert found.cell == pytest.approx(right.cell, rel=1e-6)
        else:  # of a cell with many free positions the size alone
            assert found.volume < 0.99 * begun_with.volume
            assert found.cell[2] / found.cell[0] == pytest.approx(begun_with.cell[2] / begun_with.cell[0])
    assert {freedom_of(c) > FREEDOM for c in CRYSTALS} == {True, False}


def kind(crystal: Crystal) -> tuple[Any, ...]:
    return crystal.space_group, tuple((s.element, s.letter) for s in crystal.sites)


def freedom_of(crystal: Crystal) -> int:
    return sum(p.dof for p in crystal.positions_of_sites)


def test_a_cell_that_is_known_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {kind(c): c for c in CRYSTALS}
    model, wrong = knowing(monkeypatch, truth), blown_up(CRYSTALS[0], 1.07, 1.0)
    plain = replace(REQUESTS[0], start=Start(wrong))
    held = replace(plain, start=Start(wrong, estimated_cell=True), conditions=(FixedCell(wrong.cell),))
    assert [c.volume for c in model.sample([plain, held], [0, 1])] == pytest.approx([wrong.volume] * 2)


def test_a_cell_is_left_alone_where_settling_makes_no_sound_crystal(monkeypatch: pytest.MonkeyPatch) -> None:
    salt = CRYSTALS[0]
    small = blown_up(salt, 0.3, 1.0)  # what a network that is astray might say
    model = knowing(monkeypatch, {kind(salt): small})
    wrong = blown_up(salt, 1.02, 1.0)
    assert settle(model, [wrong]) == [wrong]
