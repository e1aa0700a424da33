"""Candidates: crystals that the generator makes of what is known, kept in the run's journal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from crystalsmith.generation.generator import generate_batches
from crystalsmith.generation.library import NONE
from crystalsmith.generation.made import Made
from crystalsmith.orders import Order
from crystalsmith.runs.engines import Engine
from crystalsmith.runs.progress import Progress
from crystalsmith.solving.settings import SolveSettings

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.journal import Entry
    from crystalsmith.generation.tries import BatchStep
    from crystalsmith.prototypes import Library
    from crystalsmith.ranking import Ladder

TRIES = 3
"""For a crystal; another candidate is worth as much as a further try."""


def make_candidates(
    folder: Path,
    orders: Sequence[Order],
    settings: SolveSettings,
    model: AnyModel,
    ladder: Ladder | None,
    library: Library | None,
    engine: Engine,
    progress: Progress,
) -> list[tuple[Entry, float | None]]:
    """Make what is missing of the candidates of a run.

    Args:
        folder: of the run, where the journals are.
        orders: from ``question.orders_of``.
        settings: with the seed.
        model: the generator.
        ladder: judges of crystals without the pattern; None for none.
        library: known arrangements that crystals are made from.
        engine: where they are made.
        progress: told how far it is.

    Returns:
        Sound crystals, best first within each order by the judges' figures, which stand beside them.

    Raises:
        OutputError: the journals are damaged or cannot be written.
        RelaxationError: the potential cannot be loaded.
    """
    made = Made(folder, [(o.id, o.count) for o in orders], judged=ladder is not None)

    def judge() -> None:
        for settled in made.judge(ladder):
            progress("judging", settled, made.asked)

    def tell(event: BatchStep) -> None:
        part = event.crystals * event.step / event.steps
        progress("candidates", min(made.parts_done + part, made.asked), made.asked)

    judge()  # those that an earlier process left unjudged
    if made.settled < made.asked:
        progress("candidates", made.parts_done, made.asked)
        batches = generate_batches(
            model,
            orders,
            seed=settings.seed,
            max_tries=TRIES,
            engine=engine,
            prototypes=NONE if library is None else library,
            on_event=tell,
            done=made.done,
            known=settings.known,
        )
        with closing(batches):
            for batch in batches:
                made.record(batch)
                judge()
        progress("candidates", made.asked, made.asked)
    return [one for order in orders for one in made.sound(order.id)]
