"""Carrying out orders: model, output folder, progress, picture and summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.generation import RunFolder, generate_batches, run_identity
from crystalsmith.orders import Order, sort_out
from crystalsmith.orders.limits import BATCH_ATOMS, LETTERS, MAX_TRIES

if TYPE_CHECKING:
    from crystalsmith.cli.progress import ProgressBar
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.ranking import Ladder


@dataclass(frozen=True)
class Making:
    """A run: what to make, where and how."""

    orders: list[Order]
    output: Path
    arguments: dict[str, Any]
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    batch_atoms: int | None = None
    max_tries: int = MAX_TRIES
    letters: str = LETTERS[0]
    best_of: int = 1
    judges: str | None = None
    potential: str | None = None
    picture: bool = False
    overwrite: bool = False
    quiet: bool = False


def make(making: Making, load: Callable[[], AnyModel]) -> int:
    """Carry out a run, or what is left of it.

    Args:
        making: the run.
        load: gives the model.

    Returns:
        Exit status: 0, or 1 where crystals had to be given up or orders were left out.

    Raises:
        CrystalsmithError: orders, checkpoint, settings or folder that cannot be used.
    """
    from crystalsmith.cli.progress import ProgressBar
    from crystalsmith.cli.summary import print_summary
    from crystalsmith.ranking import Ladder

    began = time.monotonic()
    model = load()
    checked = sort_out(making.orders, model, making.letters)
    orders = checked.orders
    options: dict[str, Any] = {
        "seed": making.seed,
        "max_tries": making.max_tries,
        "letters": making.letters,
        "best_of": making.best_of,
    }
    sampling: dict[str, Any] = {"sampler": making.sampler, "steps": making.steps}
    ladder = Ladder.of(
        model,
        making.judges,
        making.potential,
        making.best_of,
        sorts=any(order.count > 1 for order in orders),
    )
    judging: dict[str, Any] = (
        {"judges": ladder.judges, "potential": ladder.potential} if ladder is not None else {}
    )
    identity = run_identity(
        orders, checkpoint=model.hash, method=model.method, **options, **sampling, **judging
    )
    opened = RunFolder.open(
        making.output, orders, identity, arguments=making.arguments, overwrite=making.overwrite
    )
    with opened as folder:
        for note in checked.notes:
            print(f"crystalsmith: warning: {note}", file=sys.stderr)
        for refusal in checked.refused:
            print(f"crystalsmith: left out: {refusal}", file=sys.stderr)
        before = folder.settled
        try:
            with ProgressBar(folder.asked, before, drafts=making.best_of, quiet=making.quiet) as bar:
                _judge(folder, ladder, bar)  # drafts that an earlier process left unjudged
                batches = generate_batches(
                    model,
                    orders,
                    batch_atoms=making.batch_atoms or BATCH_ATOMS,
                    on_event=bar.step,
                    done=folder.done,
                    **options,
                    **sampling,
                )
                for batch in batches:
                    folder.record(batch)
                    _judge(folder, ladder, bar)
                    bar.finished(folder.settled, folder.parts_done)
        except KeyboardInterrupt:
            folder.close()
            raise
        manifest = folder.close()
        if making.picture:
            draw_run(folder)
        if not making.quiet:
            print_summary(folder, manifest, before, time.monotonic() - began, model)
        if checked.refused:
            print(
                f"crystalsmith: {len(checked.refused)} of {len(making.orders)} orders are impossible and were"
                " left out",
                file=sys.stderr,
            )
    return 1 if manifest["failures"] or checked.refused else 0


def _judge(folder: RunFolder, ladder: Ladder | None, bar: ProgressBar) -> None:
    """Judge the crystals whose drafts are all there."""
    if ladder is None:
        return
    for settled in folder.judge(ladder):
        bar.judged(settled)


def draw_run(folder: RunFolder) -> Path | None:
    """Draw the sheet of a run's crystals; None where it has none."""
    from crystalsmith.cli.sheet import MOST, Panel, draw_sheet
    from crystalsmith.generation.output import PICTURE

    crystals = (entry for entry, _ in folder.ranked_entries() if entry.crystal is not None)
    # One more than fits, so that the sheet can say that there are more.
    panels = [
        Panel.of_crystal(e.crystal, f"{e.order_id} {e.index}")
        for e in islice(crystals, MOST + 1)
        if e.crystal
    ]
    if not panels:
        print("crystalsmith: warning: no crystals to draw", file=sys.stderr)
        return None
    return draw_sheet(panels, folder.path / PICTURE)
