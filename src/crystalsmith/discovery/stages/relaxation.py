"""Relaxation under the symmetry of a crystal, and later without it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from crystalsmith.discovery.candidate import State
from crystalsmith.discovery.stages.duplicates import by_height, relaxed_alike
from crystalsmith.discovery.stages.work import HOLE, IN_A_HOLE, NO_TIME, Gone, Work
from crystalsmith.potentials import Outcome, RelaxSettings, relax_many
from crystalsmith.runs.pool import Failed


def symmetric(work: Work, came: list[str]) -> Gone:
    """Those that came to nothing under their symmetry."""
    return _relax(work, "symmetric relaxation", "symmetric", came, work.settings.max_calls[0])


def free(work: Work, came: list[str]) -> Gone:
    """Those that came to nothing without symmetry, or to the same as another one."""
    gone = _relax(work, "free relaxation", "free", came, work.settings.max_calls[1])
    ranked = by_height(work, [n for n in came if n not in gone], "free")
    return gone | relaxed_alike(work, ranked, "free")


def _relax(work: Work, stage: str, kind: str, came: list[str], calls: int) -> Gone:
    if not work.closed(stage):
        _compute(work, stage, kind, came, calls)
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


def _compute(work: Work, stage: str, kind: str, came: list[str], calls: int) -> None:
    settings = work.settings
    todo = {n: work.candidates[n].crystal for n in came if work.find(n, kind) is None}

    def take(name: str, outcome: Outcome | Failed, seconds: float) -> None:
        c = work.candidates[name]
        if isinstance(outcome, Failed):
            state = State(kind, c.crystal, None, False, outcome.reason)
        else:
            done = outcome.stages[kind]
            energy = done.energy if outcome.sound else None
            state = State(kind, done.crystal, energy, done.converged, done.reason, done.calls)
        work.put([replace(c, states=(*c.states, state))])

    relax_many(
        todo,
        settings.potential,
        RelaxSettings(
            only=kind,
            fmax=settings.fmax,
            smax=settings.smax,
            max_calls=calls,
            max_volume_change=None,
            seconds=settings.seconds,
        ),
        stage=stage,
        engine=work.engine,
        on_done=take,
        progress=partial(_tell, work, len(came) - len(todo), len(came)),
        over=work.over,
    )


def _tell(work: Work, before: int, came: int, stage: str, done: float, total: float) -> None:
    work.progress(stage, before + done, came)
