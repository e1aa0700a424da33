"""The funnel: stage after stage, ever fewer candidates and ever dearer questions.

A stage takes up what is left of the one before, computes what its candidates still lack, writes it to the
database as it comes, and then lets some of them go, for a reason that stands with them. Choices rest on
finished results alone, so a run that was killed anywhere ends as an undisturbed one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from crystalsmith.discovery.stages.duplicates import duplicates, duplicates_relaxed
from crystalsmith.discovery.stages.generation import STAGE as GENERATION
from crystalsmith.discovery.stages.generation import generate
from crystalsmith.discovery.stages.hull import place_above_hull
from crystalsmith.discovery.stages.novelty import novelty
from crystalsmith.discovery.stages.phonons import phonons
from crystalsmith.discovery.stages.relaxation import free, symmetric
from crystalsmith.discovery.stages.score import score
from crystalsmith.discovery.stages.single_points import single_points
from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.discovery.summary import StageCount

STAGES: Mapping[str, Callable[[Work, list[str]], Gone]] = {
    "duplicates": duplicates,
    "score": score,
    "single points": single_points,
    "symmetric relaxation": symmetric,
    "duplicates, relaxed": duplicates_relaxed,
    "free relaxation": free,
    "hull": place_above_hull,
    "novelty": novelty,
    "phonons": phonons,
}
"""What comes after the generation."""


def run_stages(
    work: Work, finished: Callable[[StageCount], None] = lambda count: None
) -> tuple[list[StageCount], list[str]]:
    """Go through all stages.

    Args:
        work: the run.
        finished: told of every stage that is over.

    Returns:
        The stages' counts, and the names of the short list, best first.

    Raises:
        DiscoveryError: the database cannot be used.
        RelaxationError: the potential cannot be loaded.
    """
    counts: list[StageCount] = []

    def count(name: str, came: int, went: int, reasons: Mapping[str, int]) -> None:
        counts.append(StageCount(name, came, went, work.clock.seconds.get(name, 0.0), dict(reasons)))
        finished(counts[-1])

    with work.clock.stage(GENERATION):
        given_up = generate(work)
    count(GENERATION, sum(order.count for order in work.orders), len(work.candidates), given_up)
    left = list(work.candidates)
    for name, stage in STAGES.items():
        with work.clock.stage(name):
            gone = stage(work, left)
            work.drop(name, left, gone)
        reasons = Counter(reason.partition(":")[0] for reason in gone.values())
        count(name, len(left), len(left) - len(gone), reasons)
        left = [n for n in left if n not in gone]
    return counts, sorted(left, key=lambda n: (_unstable(work, n), work.rank(n)))


def _unstable(work: Work, name: str) -> bool:
    """Known to be unstable in another way than by the hull; such crystals stand behind the others."""
    c = work.candidates[name]
    return any(found is not None and found.get("stable") is False for found in (c.phonons, c.elastic))
