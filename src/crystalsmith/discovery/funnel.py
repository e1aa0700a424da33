"""The funnel: stage after stage, ever fewer candidates and ever dearer questions.

A stage takes up what is left of the one before, computes what its candidates still lack, writes it to the
database as it comes, and then lets some of them go, for a reason that stands with them. Choices rest on
finished results of one run alone, so a run that was killed anywhere ends as an undisturbed one, and several
runs that go through the stages together end as they would alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from crystalsmith.discovery.stages.duplicates import duplicates, duplicates_relaxed
from crystalsmith.discovery.stages.generation import STAGE as GENERATION
from crystalsmith.discovery.stages.generation import asked, generate, given_up
from crystalsmith.discovery.stages.hull import place_above_hull
from crystalsmith.discovery.stages.novelty import novelty
from crystalsmith.discovery.stages.phonons import phonons, study
from crystalsmith.discovery.stages.relaxation import free, relax_free, relax_symmetric, symmetric
from crystalsmith.discovery.stages.score import judge, score
from crystalsmith.discovery.stages.single_points import compute_energies, single_points
from crystalsmith.discovery.stages.work import Gone, Group, Member, Stage, Work
from crystalsmith.discovery.summary import StageCount

STAGES: Mapping[str, Stage] = {
    "duplicates": Stage(duplicates),
    "score": Stage(score, judge),
    "single points": Stage(single_points, compute_energies),
    "symmetric relaxation": Stage(symmetric, relax_symmetric),
    "duplicates, relaxed": Stage(duplicates_relaxed),
    "free relaxation": Stage(free, relax_free),
    "hull": Stage(place_above_hull),
    "novelty": Stage(novelty),
    "phonons": Stage(phonons, study),
}
"""What comes after the generation."""


@dataclass
class Passage:
    """One run on its way through the stages.

    Attributes:
        work: the run.
        counts: of the stages that are over.
        left: who is still in it; in the end the short list, best first.
        error: why it came to nothing; None where it did not.
    """

    work: Work
    counts: list[StageCount] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: Exception | None = None

    def count(self, name: str, came: int, went: int, reasons: Mapping[str, int]) -> StageCount:
        """Note how a stage went."""
        seconds = self.work.clock.seconds.get(name, 0.0)
        self.counts.append(StageCount(name, came, went, seconds, dict(reasons)))
        return self.counts[-1]


def run_stages(
    works: Sequence[Work],
    finished: Callable[[StageCount], None] = lambda count: None,
    excused: Callable[[Exception], bool] = lambda error: False,
) -> list[Passage]:
    """Take runs through all stages together: what they need computed is computed in turn.

    Args:
        works: runs with the same settings but for the system and the time.
        finished: told of every stage of every run that is over.
        excused: whether what went wrong with the choices of one run does not end the others.

    Raises:
        DiscoveryError: the database cannot be used.
        RelaxationError: the potential cannot be loaded.
    """
    passages = [Passage(work) for work in works]
    with _timed(passages, GENERATION):
        _compute(generate, GENERATION, passages)
    for p in passages:
        p.left = list(p.work.candidates)
        finished(p.count(GENERATION, asked(p.work), len(p.left), given_up(p.work)))
    for name, stage in STAGES.items():
        going = [p for p in passages if p.error is None]
        chosen: list[tuple[Passage, Gone]] = []
        with _timed(going, name):
            _compute(stage.compute, name, going)
            for p in going:
                try:
                    gone = stage.choose(p.work, p.left)
                except Exception as error:
                    if not excused(error):
                        raise
                    p.error = error
                    continue
                p.work.drop(name, p.left, gone)
                chosen.append((p, gone))
        for p, gone in chosen:
            reasons = Counter(reason.partition(":")[0] for reason in gone.values())
            finished(p.count(name, len(p.left), len(p.left) - len(gone), reasons))
            p.left = [n for n in p.left if n not in gone]
    for p in passages:
        if p.error is None:
            p.left = _ranked(p.work, p.left)
    return passages


@contextmanager
def _timed(passages: Sequence[Passage], stage: str) -> Iterator[None]:
    """Their clocks run, each with its share of the time."""
    with ExitStack() as clocks:
        for p in passages:
            clocks.enter_context(p.work.clock.stage(stage, 1 / len(passages)))
        yield


def _compute(compute: Callable[[Group], None] | None, stage: str, passages: Sequence[Passage]) -> None:
    group = [Member(p.work, p.left) for p in passages if not p.work.closed(stage)]
    if compute is not None and group:
        compute(group)


def _ranked(work: Work, names: list[str]) -> list[str]:
    return sorted(names, key=lambda n: (_unstable(work, n), work.rank(n)))


def _unstable(work: Work, name: str) -> bool:
    """Known to be unstable in another way than by the hull; such crystals stand behind the others."""
    c = work.candidates[name]
    return any(found is not None and found.get("stable") is False for found in (c.phonons, c.elastic))
