"""Sets of crystals read, controls made, all of them measured: what ``crystalsmith evaluate`` does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation import controls
from crystalsmith.evaluation.cache import Cache
from crystalsmith.evaluation.evaluator import evaluate
from crystalsmith.evaluation.features import Workshop
from crystalsmith.evaluation.figures import Evaluation
from crystalsmith.evaluation.samples import SampleSet, read_samples
from crystalsmith.evaluation.settings import Settings
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.progress import Progress, silent


@dataclass(frozen=True)
class Controls:
    """Columns beside those of the sets: random training crystals, PyXtal's, and these relaxed.

    Attributes:
        folder: where they are kept.
        potential: of the relaxation; None for none.
    """

    folder: Path
    potential: str | None = "chgnet"


def evaluate_sets(
    generated: Iterable[tuple[str | None, Any]],
    reference: Any,
    train: Any = None,
    settings: Settings | None = None,
    *,
    with_controls: Controls | None = None,
    workers: int | None = None,
    engine: str | Engine | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure sets of crystals against a reference of real ones.

    Args:
        generated: headings and sources, each as ``read_samples`` takes it; its own name if there is none.
        reference: real crystals, and, by id, the targets of match rates.
        train: what the models were trained on, for novelty and the limit control.
        settings: which figures, and how.
        with_controls: make these columns too.
        workers: processes; one for each core if None.
        engine: where they are, as for ``runs.engines.engine_of``.
        cache: file in which costly vectors are kept; none if None.
        progress: told how it goes.

    Raises:
        DataError: a source that cannot be read.
        EvaluationError: sets that cannot be compared, or a figure or control that lacks what it needs.
        ConfigError: an engine that there is not.
        EngineError: its workers give no results.
    """
    settings = settings or Settings()
    check_engine(engine)
    if with_controls is not None:
        # Before any work, what would be refused after it.
        if train is None:
            raise EvaluationError("controls need the training set for the limit; name it with --train")
        controls.check_controls(with_controls.potential)
    sets = [read_samples(source, name) for name, source in generated]
    names = [one.name for one in sets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise EvaluationError(f"two sets have the name {twice}; tell them apart: a={twice} b=...")
    real = read_samples(reference)
    trained = None if train is None else read_samples(train)
    with Cache(cache) as kept, engine_of(engine, workers, None) as running:
        workshop = Workshop(kept, engine=running, progress=progress)
        if with_controls is not None and trained is not None:
            sets += _controls(with_controls, sets[0], trained, settings, workshop)
        evaluation = evaluate(sets, real, trained, settings=settings, workshop=workshop)
        if kept.note:
            evaluation.notes.append(kept.note)
    return evaluation


def _controls(
    what: Controls, model: SampleSet, train: SampleSet, settings: Settings, workshop: Workshop
) -> list[SampleSet]:
    like = {"space_groups": settings.space_groups, "max_atoms": settings.max_atoms, "seed": settings.seed}
    limit = controls.limit(train, len(model), workshop, **like)  # type: ignore[arg-type]
    random = controls.random_crystals(model, workshop, what.folder, seed=settings.seed)
    if what.potential is None:
        return [limit, random]
    name = f"PyXtal+{what.potential}"
    return [
        limit,
        random,
        controls.relaxed_crystals(random, name, what.potential, workshop, what.folder),
    ]
