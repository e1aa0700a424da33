"""Relaxation under the symmetry of a crystal, and later without it."""

from __future__ import annotations

from dataclasses import replace

from crystalsmith.discovery.candidate import State
from crystalsmith.discovery.stages.duplicates import by_height, relaxed_alike
from crystalsmith.discovery.stages.work import (
    HOLE,
    IN_A_HOLE,
    NO_TIME,
    Gone,
    Group,
    Work,
    all_over,
    came_to,
    share_out,
)
from crystalsmith.potentials import Outcome, RelaxSettings, relax_many
from crystalsmith.runs.pool import Failed


def relax_symmetric(group: Group) -> None:
    """Under the symmetry of each."""
    _relax(group, "symmetric relaxation", "symmetric", 0)


def relax_free(group: Group) -> None:
    """In all atoms and the whole cell."""
    _relax(group, "free relaxation", "free", 1)


def symmetric(work: Work, came: list[str]) -> Gone:
    """Those that came to nothing under their symmetry."""
    return _failed(work, "symmetric", came)


def free(work: Work, came: list[str]) -> Gone:
    """Those that came to nothing without symmetry, or to the same as another one."""
    gone = _failed(work, "free", came)
    ranked = by_height(work, [n for n in came if n not in gone], "free")
    return gone | relaxed_alike(work, ranked, "free")


def _failed(work: Work, kind: str, came: list[str]) -> Gone:
    gone = {}
    for n in came:
        state = work.find(n, kind)
        if state is None:
            gone[n] = NO_TIME
        elif state.energy is None:
            gone[n] = f"relaxation failed: {state.reason}"
        elif work.above(state) < -HOLE:
            gone[n] = IN_A_HOLE
    return gone


def _relax(group: Group, stage: str, kind: str, which: int) -> None:
    work, _ = group[0]
    settings = work.settings
    todo = share_out(group, lambda w, came: [n for n in came if w.find(n, kind) is None])
    total = came_to(group)
    before = total - len(todo)

    def take(key: str, outcome: Outcome | Failed, seconds: float) -> None:
        own, name = todo[key]
        c = own.candidates[name]
        if isinstance(outcome, Failed):
            state = State(kind, c.crystal, None, False, outcome.reason)
        else:
            done = outcome.stages[kind]
            energy = done.energy if outcome.sound else None
            state = State(kind, done.crystal, energy, done.converged, done.reason, done.calls)
        own.put([replace(c, states=(*c.states, state))])

    relax_many(
        {key: own.candidates[name].crystal for key, (own, name) in todo.items()},
        settings.potential,
        RelaxSettings(
            only=kind,
            fmax=settings.fmax,
            smax=settings.smax,
            max_calls=settings.max_calls[which],
            max_volume_change=None,
            seconds=settings.seconds,
        ),
        stage=stage,
        engine=work.engine,
        on_done=take,
        progress=lambda stage, done, _: work.progress(stage, before + done, total),
        over=lambda: all_over(group),
    )
