"""The funnel: stage after stage, ever fewer candidates and ever dearer questions.

A stage takes up what is left of the one before, computes what its candidates still lack, writes it to the
database as it comes, and then lets some of them go, for a reason that stands with them. Choices rest on
finished results alone, so a run that was killed anywhere ends as an undisturbed one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.clock import Clock
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.discovery.duplicates import first_alike, first_matching
from crystalsmith.discovery.novelty import KNOWN, KnownPhases
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.summary import StageCount
from crystalsmith.discovery.work import Limits, energies, relax
from crystalsmith.generation import generate_batches
from crystalsmith.hull import Hull, Phase
from crystalsmith.orders import Order
from crystalsmith.ranking import Ladder
from crystalsmith.runs.pool import Failed, parallel_map

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model

HOLE = 1.0
"""eV per atom below the hull of known phases, where no crystal is but the potential has a hole."""

COMPETING_PHASE = "a competing phase"
"""Why crystals of subsystems leave."""

COMPETING = 0.25
"""Places for crystals of the subsystems, beside those of the whole system."""

_BATCH = 16
_NO_TIME = "no time left"

Tell = Callable[[str, int, int], None]
"""Told of a stage, how many of its candidates are done, and of how many."""


class _OutOfTime(Exception):
    """Ends the work of a stage."""


@dataclass
class Funnel:
    """One run at work.

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
        workers: processes; one for each core if None.
        tell: told of progress.
        finished: told of every stage that is over.
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
    vibrate: Callable[[Funnel, Sequence[str], Callable[[], bool], Tell], None]
    workers: int | None = None
    tell: Tell = lambda stage, done, total: None
    finished: Callable[[StageCount], None] = lambda count: None

    def run(self) -> tuple[list[StageCount], list[str]]:
        """Go through all stages.

        Returns:
            The stages' counts, and the names of the short list, best first.

        Raises:
            DiscoveryError: the database cannot be used.
            RelaxationError: the potential cannot be loaded.
        """
        counts: list[StageCount] = []
        steps: list[tuple[str, Callable[[list[str]], Mapping[str, str]]]] = [
            ("duplicates", self._duplicates),
            ("score", self._score),
            ("single points", self._single_points),
            ("symmetric relaxation", self._symmetric),
            ("duplicates, relaxed", self._duplicates_relaxed),
            ("free relaxation", self._free),
            ("hull", self._hull),
            ("novelty", self._novelty),
            ("phonons", self._phonons),
        ]
        with self.clock.stage("generation"):
            self._generate()
        asked = sum(order.count for order in self.orders)
        given_up = Counter(reason for *_, reason in self._lost())
        given_up |= Counter({_NO_TIME: asked - len(self.candidates) - sum(given_up.values())})
        counts.append(self._count("generation", asked, len(self.candidates), dict(+given_up)))
        left = list(self.candidates)
        for name, step in steps:
            with self.clock.stage(name):
                gone = step(left)
                self._drop(name, left, gone)
            reasons = Counter(reason.partition(":")[0] for reason in gone.values())
            counts.append(self._count(name, len(left), len(left) - len(gone), dict(reasons)))
            left = [n for n in left if n not in gone]
        return counts, self._ranked(left)

    def _count(self, name: str, came: int, went: int, reasons: Mapping[str, int]) -> StageCount:
        count = StageCount(name, came, went, self.clock.seconds.get(name, 0.0), reasons)
        self.finished(count)
        return count

    # --- what every stage does -------------------------------------------------------------------------

    def set(self, changed: Iterable[Candidate]) -> None:
        """Put candidates in the place of those of the same names, in the database first."""
        pairs = [(self.candidates[c.name], c) for c in changed]
        pairs = [(old, new) for old, new in pairs if old != new]
        if pairs:
            self.database.update(pairs)
            self.candidates.update({new.name: new for _, new in pairs})

    def _drop(self, stage: str, came: Sequence[str], gone: Mapping[str, str]) -> None:
        changed = []
        for n in came:
            c = self.candidates[n]
            if n in gone:
                changed.append(replace(c, dropped=(stage, gone[n])))
            elif c.dropped is not None and c.dropped[0] == stage:  # of an earlier process; it stays after all
                changed.append(replace(c, dropped=None))
        self.set(changed)

    def _compute(
        self,
        stage: str,
        function: Callable[[Any], Any],
        work: Sequence[tuple[list[str], Any]],
        take: Callable[[list[str], Any], list[Candidate]],
        came: int,
        chunk: int = 1,
    ) -> None:
        """Apply a function to the work of a stage in processes; a closed stage computes nothing more."""
        if not work or stage in self.clock.closed:
            return
        done = came - sum(len(names) for names, _ in work)
        self.tell(stage, done, came)

        def on_done(results: list[tuple[int, Any, float]]) -> None:
            nonlocal done
            changed: list[Candidate] = []
            for place, result, _ in results:
                names = work[place][0]
                changed += take(names, result)
                done += len(names)
            self.set(changed)
            self.tell(stage, done, came)
            if self.clock.over:
                raise _OutOfTime

        with suppress(_OutOfTime):
            parallel_map(
                function,
                [item for _, item in work],
                workers=self.workers,
                chunk=chunk,
                seconds=4 * self.settings.seconds + 60,
                on_done=on_done,
            )

    # --- the stages: each returns who goes, and why ----------------------------------------------------

    def _generate(self) -> None:
        if "generation" in self.clock.closed:
            return
        asked = sum(order.count for order in self.orders)
        by_id = {order.id: order for order in self.orders}
        done: dict[tuple[str, int, int], str | None] = {
            (o, n, t): reason for o, n, t, reason in self.failures
        }
        done |= {_key(c): None for c in self.candidates.values()}
        self.tell("generation", len(self.candidates), asked)
        for batch in generate_batches(self.model, self.orders, seed=self.settings.seed, done=done):
            records: list[tuple[Any, Candidate | None]] = []
            for record in batch:
                if record.crystal is None:
                    records.append((record, None))
                    self.failures.append((*record.key, record.failure or ""))
                    continue
                order = {
                    **by_id[record.order_id].to_mapping(),
                    "index": record.index,
                    "attempt": record.tries,
                }
                candidate = Candidate(
                    f"{record.order_id}-{record.index:04d}",
                    order,
                    record.seed,
                    (State("generated", record.crystal),),
                    log_prior=record.log_prior,
                )
                records.append((record, candidate))
            self.database.add_generated(records)
            self.candidates.update({c.name: c for _, c in records if c is not None})
            self.tell("generation", len(self.candidates), asked)
            if self.clock.over:
                break

    def _lost(self) -> list[tuple[str, int, int, str]]:
        """The last failure of every crystal that was given up."""
        made = {_key(c)[:2] for c in self.candidates.values()}
        last = {f[:2]: f for f in self.failures if f[:2] not in made}
        return list(last.values())

    def _duplicates(self, came: list[str]) -> dict[str, str]:
        crystals = [self.candidates[n].states[0].crystal for n in came]
        gone = {}
        for name, first in zip(came, first_alike(crystals), strict=True):
            if came[first] != name:
                one = self.candidates[name].order["id"] == self.candidates[came[first]].order["id"]
                gone[name] = f"same as another of {'its' if one else 'another'} order: {came[first]}"
        return gone

    def _score(self, came: list[str]) -> dict[str, str]:
        if "score" not in self.clock.closed:
            ladder = Ladder(self.model, ("validity", "denoising"))
            for k in range(0, len(came), _BATCH):
                # Whole batches of always the same members: these show in the last digits.
                part = [self.candidates[n] for n in came[k : k + _BATCH]]
                if all(c.score is not None for c in part):
                    continue
                crystals = [c.states[0].crystal for c in part]
                errors = ladder.denoise(crystals)
                assert errors is not None
                scores = [
                    ladder.judge([crystal], denoising=errors[i : i + 1])[0]
                    for i, crystal in enumerate(crystals)
                ]
                self.set(replace(c, score=s.likely) for c, s in zip(part, scores, strict=True))
                self.tell("score", k + len(part), len(came))
                if self.clock.over:
                    break
        gone = {n: _NO_TIME for n in came if self.candidates[n].score is None}
        ranked = sorted(
            (n for n in came if n not in gone), key=lambda n: (-(self.candidates[n].score or 0), n)
        )
        return gone | {n: "low score" for n in ranked[self.settings.keep_scored :]}

    def _single_points(self, came: list[str]) -> dict[str, str]:
        def take(names: list[str], result: Any) -> list[Candidate]:
            if isinstance(result, Failed):
                result = [(None, result.reason)] * len(names)
            changed = []
            for name, (energy, reason) in zip(names, result, strict=True):
                c = self.candidates[name]
                first = replace(c.states[0], energy=energy, reason=reason or "single point")
                changed.append(replace(c, states=(first, *c.states[1:])))
            return changed

        parts = [came[k : k + _BATCH] for k in range(0, len(came), _BATCH)]
        todo = [p for p in parts if any(self.candidates[n].states[0].reason is None for n in p)]
        work = [(p, [self.candidates[n].states[0].crystal for n in p]) for p in todo]
        self._compute("single points", partial(energies, self.settings.potential), work, take, len(came))
        gone: dict[str, str] = {}
        above: dict[str, float] = {}
        for n in came:
            first = self.candidates[n].states[0]
            if first.energy is None:
                gone[n] = _NO_TIME if first.reason is None else f"no energy: {first.reason}"
                continue
            above[n] = self.hull.place(first.crystal.counts, first.energy).above_hull
            if above[n] < -HOLE:
                gone[n] = "a hole of the potential"
        ranked = sorted((n for n in came if n not in gone), key=lambda n: (above[n], n))
        return gone | self._best(ranked, self.settings.keep_energies)

    def _best(self, ranked: list[str], keep: int) -> dict[str, str]:
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

    def _relax(self, stage: str, kind: str, came: list[str], calls: int) -> dict[str, str]:
        limits = Limits(calls, self.settings.fmax, self.settings.smax, self.settings.seconds)

        def take(names: list[str], result: Any) -> list[Candidate]:
            (name,) = names
            c = self.candidates[name]
            if isinstance(result, Failed):
                result = State(kind, c.crystal, None, False, result.reason)
            return [replace(c, states=(*c.states, result))]

        todo = [n for n in came if _state(self.candidates[n], kind) is None]
        work = [([n], self.candidates[n].crystal) for n in todo]
        function = partial(relax, self.settings.potential, kind, limits)
        self._compute(stage, function, work, take, len(came))
        gone = {}
        for n in came:
            state = _state(self.candidates[n], kind)
            if state is None:
                gone[n] = _NO_TIME
            elif state.energy is None:
                gone[n] = f"relaxation failed: {state.reason}"
            elif self.hull.place(state.crystal.counts, state.energy).above_hull < -HOLE:
                gone[n] = "a hole of the potential"
        return gone

    def _symmetric(self, came: list[str]) -> dict[str, str]:
        return self._relax("symmetric relaxation", "symmetric", came, self.settings.max_calls[0])

    def _duplicates_relaxed(self, came: list[str]) -> dict[str, str]:
        energy = {n: self._state_energy(n, "symmetric") for n in came}
        ranked = sorted(came, key=lambda n: (self._above(n, "symmetric"), n))
        crystals = [_need(_state(self.candidates[n], "symmetric")).crystal for n in ranked]
        gone = {}
        for name, first in zip(ranked, first_matching(crystals, [energy[n] for n in ranked]), strict=True):
            if ranked[first] != name:
                gone[name] = f"relaxed to the same: {ranked[first]}"
        left = [n for n in ranked if n not in gone]
        return gone | self._best(left, self.settings.keep_relaxed)

    def _free(self, came: list[str]) -> dict[str, str]:
        gone = self._relax("free relaxation", "free", came, self.settings.max_calls[1])
        ranked = sorted((n for n in came if n not in gone), key=lambda n: (self._above(n, "free"), n))
        crystals = [_need(_state(self.candidates[n], "free")).crystal for n in ranked]
        found = first_matching(crystals, [self._state_energy(n, "free") for n in ranked])
        return gone | {
            n: f"relaxed to the same: {ranked[k]}"
            for n, k in zip(ranked, found, strict=True)
            if ranked[k] != n
        }

    def competitors(self, came: Iterable[str]) -> list[Phase]:
        """Relaxed candidates without all of the elements: phases that the others may fall into."""
        found = []
        for n in came:
            c = self.candidates[n]
            if set(c.crystal.counts) < set(self.settings.system):
                found.append(Phase(n, c.crystal.counts, self._state_energy(n, "free"), c.crystal.space_group))
        return found

    @property
    def competing_phases(self) -> list[Phase]:
        """Those of a run whose hull stage is over."""
        return self.competitors(
            n for n, c in self.candidates.items() if c.dropped == ("hull", COMPETING_PHASE)
        )

    def _hull(self, came: list[str]) -> dict[str, str]:
        changed = []
        competing = {p.id for p in self.competitors(came)}
        hull = Hull(self.hull.references, [*self.hull.more, *self.competitors(came)])
        for n in came:
            state = _need(_state(self.candidates[n], "free"))
            place = (self.hull if n in competing else hull).place(state.crystal.counts, _need(state.energy))
            changed.append(
                replace(
                    self.candidates[n],
                    above_hull=place.above_hull,
                    formation=place.formation,
                    decomposition=dict(place.decomposition),
                )
            )
        self.set(changed)
        return {n: COMPETING_PHASE for n in came if n in competing} | {
            n: "above the hull"
            for n in came
            if n not in competing and _need(self.candidates[n].above_hull) > self.settings.max_above_hull
        }

    def _novelty(self, came: list[str]) -> dict[str, str]:
        self.set(
            replace(self.candidates[n], novelty=self.known.judge(self.candidates[n].crystal)) for n in came
        )
        gone = {}
        if not self.settings.keep_known:
            for n in came:
                novelty = _need(self.candidates[n].novelty)
                if novelty.verdict == KNOWN:
                    gone[n] = f"known: {novelty.nearest}"
        ranked = sorted((n for n in came if n not in gone), key=self._rank)
        return gone | {n: "beyond the short list" for n in ranked[self.settings.shortlist :]}

    def _phonons(self, came: list[str]) -> dict[str, str]:
        chosen = sorted(came, key=self._rank)[: self.settings.phonons]
        todo = [n for n in chosen if self.candidates[n].phonons is None]
        if todo and "phonons" not in self.clock.closed:
            self.vibrate(self, todo, lambda: self.clock.over, self.tell)
        return {}

    # --- order -----------------------------------------------------------------------------------------

    def _state_energy(self, name: str, kind: str) -> float:
        return float(_need(_need(_state(self.candidates[name], kind)).energy))

    def _above(self, name: str, kind: str) -> float:
        counts = _need(_state(self.candidates[name], kind)).crystal.counts
        return self.hull.place(counts, self._state_energy(name, kind)).above_hull

    def _rank(self, name: str) -> tuple[float, str]:
        return _need(self.candidates[name].above_hull), name

    def _ranked(self, names: list[str]) -> list[str]:
        """By energy above the hull, those known to be unstable in another way behind the others."""

        def unstable(name: str) -> bool:
            c = self.candidates[name]
            return any(found is not None and found.get("stable") is False for found in (c.phonons, c.elastic))

        return sorted(names, key=lambda n: (unstable(n), self._rank(n)))


def _key(candidate: Candidate) -> tuple[str, int, int]:
    return str(candidate.order["id"]), int(candidate.order["index"]), int(candidate.order["attempt"])


def _state(candidate: Candidate, kind: str) -> State | None:
    return next((s for s in candidate.states if s.stage == kind), None)


def _need(value: Any) -> Any:
    """A value that an earlier stage has put there."""
    assert value is not None
    return value


def by_formula(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Candidates with an energy above the hull, by reduced formula, the most stable first."""
    result: dict[str, list[Candidate]] = defaultdict(list)
    for c in sorted(
        (c for c in candidates if c.above_hull is not None), key=lambda c: (c.above_hull, c.name)
    ):
        result[c.crystal.formula].append(c)
    return dict(result)
