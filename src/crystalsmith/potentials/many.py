"""Many crystals in processes of their own: what hangs, throws or kills its process costs one crystal only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.calculators import check_potential, process_calculator
from crystalsmith.potentials.energies import BATCH, Energy, single_points
from crystalsmith.potentials.outcome import Outcome, relax_crystal
from crystalsmith.potentials.settings import RelaxSettings
from crystalsmith.runs.engines import Engine, Local
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent

T = TypeVar("T")
R = TypeVar("R")

ENERGY_SECONDS = 300.0
"""Time limit for the energies of one batch."""


def never() -> bool:
    """Not yet over."""
    return False


def each(
    function: Callable[[T], R],
    items: Mapping[str, T],
    *,
    stage: str,
    engine: Engine | None = None,
    seconds: float | None = None,
    on_done: Callable[[str, R | Failed, float], None] | None = None,
    progress: Progress = silent,
    over: Callable[[], bool] = never,
    apart: bool = False,
    keep: bool = True,
) -> dict[str, R | Failed]:
    """A function of all items in processes; results by name.

    Args:
        function: of a module, so that it can be sent to another process.
        items: by name.
        stage: name that ``progress`` is told.
        engine: where it is done; processes of this machine, one for each core, if None.
        seconds: limit for one item, after which its process is killed.
        on_done: called in this process with name, result and seconds of items as they are done.
        progress: told how many are done.
        over: asked after each; where it says so the rest is left, and is not among the results.
        apart: in other processes even with one worker; else nothing protects this one from an item then.
        keep: else the results are told to ``on_done`` alone, and there may be any number of them.
    """
    names = list(items)
    results: dict[str, R | Failed] = {}
    number = 0
    if names:
        progress(stage, 0, len(names))
    if not names or over():
        return results
    running = (engine or Local()).each(function, items.values(), seconds=seconds, apart=apart)
    try:
        for done in running:
            for place, result, spent in done:
                if keep:
                    results[names[place]] = result
                if on_done is not None:
                    on_done(names[place], result, spent)
            number += len(done)
            progress(stage, number, len(names))
            if over():
                break
    finally:
        running.close()
    return results


def relax_many(
    crystals: Mapping[str, Crystal],
    potential: str,
    settings: RelaxSettings | None = None,
    *,
    stage: str = "relaxing",
    engine: Engine | None = None,
    on_done: Callable[[str, Outcome | Failed, float], None] | None = None,
    progress: Progress = silent,
    over: Callable[[], bool] = never,
    apart: bool = False,
    keep: bool = True,
) -> dict[str, Outcome | Failed]:
    """Relax crystals; what counts is ``sound``, a ``Failed`` never.

    Args:
        crystals: by name.
        potential: as for ``load_calculator``.
        settings: the usual ones if not given.
        stage, engine, on_done, progress, over, apart, keep: as for ``each``.

    Returns:
        What came of each, or why nothing did: a potential that cannot be loaded, a process that died, a call
        that did not return.

    Raises:
        RelaxationError: the potential is unknown or not installed.
    """
    check_potential(potential)
    settings = settings or RelaxSettings()
    return each(
        partial(_relax, potential, settings),
        crystals,
        stage=stage,
        engine=engine,
        # The limit proper is looked at between calls; this one is for a call that never ends.
        seconds=None if settings.seconds is None else 2 * settings.seconds + 60,
        on_done=on_done,
        progress=progress,
        over=over,
        apart=apart,
        keep=keep,
    )


def energies_of_many(
    crystals: Mapping[str, Crystal],
    potential: str,
    *,
    batches: Sequence[Sequence[str]] | None = None,
    stage: str = "single points",
    engine: Engine | None = None,
    seconds: float = ENERGY_SECONDS,
    on_done: Callable[[Mapping[str, Energy]], None] | None = None,
    progress: Progress = silent,
    over: Callable[[], bool] = never,
    apart: bool = False,
) -> dict[str, Energy]:
    """Single points of crystals, in batches where the potential can.

    A batch that hangs or kills its process is done again one by one, so that only what is to blame pays.

    Args:
        crystals: by name.
        potential: as for ``load_calculator``.
        batches: names of those that are computed together; consecutive ones if None.
        seconds: limit for a batch.
        on_done: called with the energies of a batch as they come.
        stage, engine, progress, over, apart: as for ``each``.

    Raises:
        RelaxationError: the potential is unknown or not installed.
    """
    check_potential(potential)
    found: dict[str, Energy] = {}
    names = list(crystals)
    waiting = batches or [names[k : k + BATCH] for k in range(0, len(names), BATCH)]

    def take(key: str, result: list[Energy] | Failed, spent: float) -> None:
        part = waiting[int(key)]
        if isinstance(result, Failed):
            if len(part) > 1:
                alone.extend([name] for name in part)
                return
            result = [Energy(math.nan, result.reason)]
        fresh = dict(zip(part, result, strict=True))
        found.update(fresh)
        if on_done is not None:
            on_done(fresh)
        progress(stage, len(found), len(names))

    while waiting and not over():
        alone: list[list[str]] = []
        each(
            partial(_energies, potential),
            {str(k): [crystals[name] for name in part] for k, part in enumerate(waiting)},
            stage=stage,
            engine=engine,
            seconds=seconds,
            on_done=take,
            over=over,
            apart=apart,
        )
        waiting = alone
    return found


def _relax(potential: str, settings: RelaxSettings, crystal: Crystal) -> Outcome:
    return relax_crystal(crystal, process_calculator(potential), settings)


def _energies(potential: str, crystals: Sequence[Crystal]) -> list[Energy]:
    return single_points(crystals, process_calculator(potential))
