"""What all stages work on: the candidates of a run, its clock, and its means."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.clock import Clock
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.generation.batching import in_turn
from crystalsmith.generation.known import KnownPhases
from crystalsmith.hull import Hull
from crystalsmith.runs.engines import Engine, Local
from crystalsmith.runs.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    from crystalsmith.diffusion import Model
    from crystalsmith.orders import Order

HOLE = 1.0
"""eV per atom below the hull of known phases, where no crystal is but the potential has a hole."""

IN_A_HOLE = "a hole of the potential"

COMPETING = 0.25
"""Places for crystals of the subsystems, beside those of the whole system."""

NO_TIME = "no time left"

Gone = dict[str, str]
"""Who goes, and why."""

T = TypeVar("T")


@dataclass
class Work:
    """A run in hand.

    Attributes:
        settings: what it is asked for.
        model: the network, with its prior.
        orders: what to make.
        hull: reference phases of the potential.
        known: what is known.
        database: where everything goes.
        clock: times the stages.
        candidates: by name, as they stand.
        failures: (order id, index, try, reason) of tries that came to nothing.
        folder: of the run.
        engine: where the work is done.
        progress: told of progress.
        notes: what the reader of the report must know of orders and references.
    """

    settings: DiscoverySettings
    model: Model
    orders: Sequence[Order]
    hull: Hull
    known: KnownPhases
    database: CrystalDatabase
    clock: Clock
    candidates: dict[str, Candidate]
    failures: list[tuple[str, int, int, str]]
    folder: Path
    engine: Engine = field(default_factory=Local)
    progress: Progress = silent
    notes: tuple[str, ...] = ()

    def closed(self, stage: str) -> bool:
        """Whether a stage was over in an earlier process; it computes nothing more."""
        return stage in self.clock.closed

    def over(self) -> bool:
        """Whether the stage at work has had its share of the time."""
        return self.clock.over

    def put(self, changed: Iterable[Candidate]) -> None:
        """Put candidates in the place of those of the same names, in the database first."""
        pairs = [(self.candidates[c.name], c) for c in changed]
        pairs = [(old, new) for old, new in pairs if old != new]
        if pairs:
            self.database.update(pairs)
            self.candidates.update({new.name: new for _, new in pairs})

    def drop(self, stage: str, came: Sequence[str], gone: Mapping[str, str]) -> None:
        """Note who leaves; those that an earlier process dropped here may stay after all."""
        changed = []
        for n in came:
            c = self.candidates[n]
            if n in gone:
                changed.append(replace(c, dropped=(stage, gone[n])))
            elif c.dropped is not None and c.dropped[0] == stage:
                changed.append(replace(c, dropped=None))
        self.put(changed)

    def state(self, name: str, kind: str) -> State:
        """The state that an earlier stage has put there."""
        found = self.find(name, kind)
        assert found is not None
        return found

    def find(self, name: str, kind: str) -> State | None:
        """The state of a candidate after a kind of step, if there is one."""
        return next((s for s in self.candidates[name].states if s.stage == kind), None)

    def energy(self, name: str, kind: str) -> float:
        """Of a state that has one, eV per atom."""
        energy = self.state(name, kind).energy
        assert energy is not None
        return energy

    def above(self, state: State) -> float:
        """eV per atom of a state with an energy above the hull of the references."""
        assert state.energy is not None
        return self.hull.place(state.crystal.counts, state.energy).above_hull

    def rank(self, name: str) -> tuple[float, str]:
        """Places candidates with a hull distance."""
        above = self.candidates[name].above_hull
        assert above is not None
        return above, name

    def best(self, ranked: Iterable[str], keep: int) -> Gone:
        """Who goes if the best are kept, few of one composition; competitors have places of their own."""
        kept, of_formula = Counter[bool](), Counter[str]()
        places = {True: keep, False: math.ceil(COMPETING * keep)}
        gone = {}
        for name in ranked:
            crystal = self.candidates[name].crystal
            whole = len(crystal.counts) == len(self.settings.system)
            if kept[whole] >= places[whole]:
                gone[name] = "high energy"
            elif of_formula[crystal.formula] >= self.settings.per_formula:
                gone[name] = "enough of its composition"
            else:
                kept[whole] += 1
                of_formula[crystal.formula] += 1
        return gone


class Member(NamedTuple):
    """Of a stage that several runs go through together: one of them, and who came to the stage in it."""

    work: Work
    came: list[str]


Group = Sequence[Member]
"""Runs that go through a stage together; those that were through it in an earlier process are left out."""


class Stage(NamedTuple):
    """One stage of the funnel.

    Attributes:
        choose: who goes.
        compute: what the choice rests on, for all runs together; None where that is at hand.
    """

    choose: Callable[[Work, list[str]], Gone]
    compute: Callable[[Group], None] | None = None


def share_out(group: Group, wanted: Callable[[Work, list[str]], Iterable[T]]) -> dict[str, tuple[Work, T]]:
    """What runs want computed, one item of each in turn, so that none waits for the whole of another.

    Args:
        group: the runs.
        wanted: items of one.

    Returns:
        Items with their run, by number as text.
    """
    items = in_turn([(work, item) for item in wanted(work, came)] for work, came in group)
    return {str(k): item for k, item in enumerate(items)}


def all_over(group: Group) -> bool:
    """Whether nobody has time left for the stage at work."""
    return all(work.over() for work, _ in group)


def came_to(group: Group) -> int:
    """How many candidates came to a stage."""
    return sum(len(came) for _, came in group)
