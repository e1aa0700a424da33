"""Are the crystals what they were meant to be? Match rates, RMSE, METRe and cRMSE."""

from __future__ import annotations

import numpy as np

from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.context import Context, add_detail
from crystalsmith.evaluation.features import RMS
from crystalsmith.evaluation.figures import BinRow, Column
from crystalsmith.evaluation.measures import matching
from crystalsmith.evaluation.measures.bootstrap import mean_interval
from crystalsmith.evaluation.prepared import Prepared


def measure_match(context: Context, part: Prepared, column: Column, both_ok: np.ndarray | None) -> None:
    """All figures of the metric ``match``.

    Args:
        context: of the evaluation.
        part: the crystals.
        column: where figures go.
        both_ok: (n,) whether each crystal is valid in structure and composition, None if unknown.

    Raises:
        EvaluationError: the crystals cannot be paired with targets, and that was asked for.
    """
    if not context.wants("match"):
        return
    target_of = _pair(context, part)
    if target_of is None:
        return
    rms_of = _displacements(context, part, target_of)
    index = [s.index for s in part.set]
    matches = matching.collect_matches(target_of, index, rms_of)
    column.samples = matches.samples
    add_detail(column, "rms", [rms_of.get((k, int(row)), float("inf")) for k, row in enumerate(target_of)])
    first, best = matches.best_of(1), matches.best_of(matches.samples)
    several = matches.samples > 1
    context.add(column, "match", np.isfinite(first))
    context.add(column, "rmse", first[np.isfinite(first)])
    if both_ok is not None:
        valid = {pair: rms for pair, rms in rms_of.items() if both_ok[pair[0]]}
        only_valid = matching.collect_matches(target_of, index, valid)
        context.add(column, "match_valid", np.isfinite(only_valid.best_of(1)))
    if several:
        context.add(column, "match_best", np.isfinite(best))
        context.add(column, "rmse_best", best[np.isfinite(best)])
    if context.train is not None:
        seen = {s.arrays.formula for s in context.train if s.arrays is not None}
        novel = np.array([context.targets.present(int(row)).formula not in seen for row in matches.targets])
        context.add(column, "match_novel", np.isfinite(first[novel]))
        if several:
            context.add(column, "match_novel_best", np.isfinite(best[novel]))
    context.add(column, "metre", np.isfinite(matches.best_of_all))
    context.add(column, "crmse", matching.corrected(matches.best_of_all))
    right = part.there & (part.column("atoms") == context.targets.column("atoms")[target_of])
    context.add(column, "atoms_right", right, [s.id for s in part.set])
    for name, bins in (("freedom", matching.FREEDOM_BINS), ("atoms", matching.ATOM_BINS)):
        values = context.targets.column(name)[matches.targets]
        column.tables[name] = [
            _bin_row(low, high, values, first, best, context.settings.seed) for low, high in bins
        ]


def _pair(context: Context, part: Prepared) -> np.ndarray | None:
    """(n,) row of each crystal's target; None, and a note, where there are no targets."""
    targets, asked = context.targets, context.settings.metrics is not None and not part.set.note
    try:
        target_of = matching.pair_by_id(part.set, targets.set)
    except EvaluationError as error:
        if asked:
            raise
        context.notes.append(f"no match rates: {error}")
        return None
    strange = [s.id for s, row in zip(part.set, target_of, strict=True) if row < 0]
    if not strange:
        return target_of
    if len(strange) == len(part.set) or part.set.note:
        text = f"no crystal of {part.name} has the id of a crystal of {targets.name}"
        if asked:
            raise EvaluationError(
                f"{text}, so none can be matched with its target; name the reference whose ids the crystals"
                " carry, or leave match out of --metrics"
            )
        context.notes.append(f"{text}: no match rates")
        return None
    raise EvaluationError(
        f"{len(strange)} of {len(part.set)} crystals of {part.name} have ids that {targets.name} lacks, such"
        f" as {strange[0]}; name the right reference, or leave match out with --metrics"
    )


def _displacements(context: Context, part: Prepared, target_of: np.ndarray) -> dict[tuple[int, int], float]:
    """Displacement of every crystal from its target, and from every other target of the same formula.

    Another composition never matches, so the matcher is not asked about it.
    """
    rows = np.unique(target_of).tolist()
    pairs = matching.same_formula_pairs(part.set, context.targets.set, rows)
    items = [(part.present(k), context.targets.present(row)) for k, row in pairs]
    found = context.workshop.vectors(RMS, items, part.name)
    return {
        pair: float(x[0]) if isinstance(x, np.ndarray) else float("inf")
        for pair, x in zip(pairs, found, strict=True)
    }


def _bin_row(
    low: int, high: int | None, values: np.ndarray, first: np.ndarray, best: np.ndarray, seed: int
) -> BinRow:
    inside = (values >= low) & (values <= (np.inf if high is None else high))
    n = int(inside.sum())
    hit = np.isfinite(first[inside])
    return BinRow(
        matching.bin_label(low, high),
        n,
        float(hit.mean()) if n else float("nan"),
        *mean_interval(hit, seed=seed),
        matching.root_mean(first[inside]),
        float(np.isfinite(best[inside]).mean()) if n else float("nan"),
        matching.root_mean(best[inside]),
    )
