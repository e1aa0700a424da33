"""Controls: sets that stand beside a model's in every table, so that its figures can be judged.

* limit: a random sample of the training set. What resembles the reference more than real crystals do, copies.
* PyXtal: random crystals with the space group, elements and Wyckoff letters of the model's, cell and free
  parameters by PyXtal (Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021)): chance.
* relaxed: those after relaxation with a potential, symmetry kept: physics without learning from crystals.

The made ones are kept in a folder as they come, one JSON row each, so that nothing is made twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal, crystal_from_arrays
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.features import GEOMETRY, Workshop, matrix
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.geometry import Geometry
from crystalsmith.evaluation.samples import Sample, SampleSet, packed
from crystalsmith.generation import crystal_seed
from crystalsmith.potentials import Outcome, RelaxSettings, check_potential, relax_many
from crystalsmith.potentials.many import each
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.extras import need
from crystalsmith.runs.journal import append_journal, read_journal
from crystalsmith.runs.pool import Failed

RANDOM_SECONDS, RELAX_SECONDS = 60.0, 600.0
"""Time limits for one crystal."""

RELAX: dict[str, float] = {"max_calls": 100, "max_strain": 3.0, "max_shift": 8.0}
"""Limits of a relaxation: wide ones, since random crystals begin far from where they end."""


def limit(
    train: SampleSet,
    number: int,
    workshop: Workshop,
    *,
    space_groups: tuple[int, int] = (1, 230),
    max_atoms: int | None = None,
    seed: int = 0,
) -> SampleSet:
    """A random sample of the training set out of what the reference's filter would keep.

    Args:
        train: the training set.
        number: crystals wanted; all that qualify if there are fewer.
        workshop: finds their symmetry.
        space_groups: smallest and largest number.
        max_atoms: largest primitive cell.
        seed: of the choice.

    Raises:
        EvaluationError: none qualifies.
    """
    order = np.random.default_rng(seed).permutation([k for k, s in enumerate(train) if s.arrays is not None])
    chosen: list[int] = []
    for start in range(0, len(order), number):
        rows = order[start : start + number]
        arrays = [train.samples[int(k)].arrays for k in rows]
        table = matrix(workshop.vectors(GEOMETRY, arrays, train.name), len(Geometry._fields))
        group, atoms = (table[:, Geometry._fields.index(name)] for name in ("group_loose", "atoms"))
        keep = (group >= space_groups[0]) & (group <= space_groups[1])
        if max_atoms is not None:
            keep &= atoms <= max_atoms
        chosen += rows[keep].tolist()
        if len(chosen) >= number:
            break
    if not chosen:
        raise EvaluationError(f"{train.name} holds no crystal like those of the reference")
    samples = [train.samples[k] for k in chosen[:number]]
    note = f"{len(samples)} random crystals of {train.name}, filtered like the reference"
    return SampleSet("limit", tuple(Sample(s.id, 0, s.arrays) for s in samples), note)


def check_controls(potential: str | None) -> None:
    """Refuse what cannot be made, before any work.

    Raises:
        EvaluationError: PyXtal is not installed.
        RelaxationError: the potential is unknown or not installed.
    """
    need("the PyXtal control", "pyxtal", error=EvaluationError)
    if potential is not None:
        check_potential(potential)


@dataclass(frozen=True)
class Job:
    """One random crystal to make: in the place of which one, with its group, elements and letters."""

    id: str
    index: int
    crystal: Crystal
    seed: int

    @property
    def key(self) -> str:
        """What the result depends on."""
        return json.dumps([self.id, self.index, self.crystal.space_group, self.crystal.wyckoff, self.seed])


def random_crystals(model: SampleSet, workshop: Workshop, folder: Path, *, seed: int = 0) -> SampleSet:
    """PyXtal's crystals in place of a model's; where the model failed, or PyXtal does, stands a failure.

    Raises:
        OutputError: the folder cannot be written, or its file is damaged.
    """
    jobs = {
        (sample.id, sample.index): Job(
            sample.id, sample.index, crystal, crystal_seed(seed, sample.id, sample.index) % 2**32
        )
        for sample, crystal in _described(model)
    }
    kept = _Kept(folder / "pyxtal.jsonl", {place: job.key for place, job in jobs.items()})
    each(
        _random,
        {job.key: job for job in jobs.values() if job.key not in kept.rows},
        stage="PyXtal control",
        engine=workshop.engine,
        seconds=RANDOM_SECONDS,
        on_done=lambda key, row, seconds: kept.add(key, row, seconds),
        progress=workshop.progress,
    )
    note = f"random cells and free parameters with the space groups and letters of {model.name}"
    return SampleSet("PyXtal", kept.samples(model), note)


def relaxed_crystals(
    start: SampleSet, name: str, potential: str, workshop: Workshop, folder: Path
) -> SampleSet:
    """Crystals relaxed with a potential under their symmetry; a failure stays one.

    Raises:
        OutputError: the folder cannot be written, or its file is damaged.
        RelaxationError: the potential is unknown or not installed.
    """
    crystals = {(sample.id, sample.index): crystal for sample, crystal in _described(start)}
    keys = {
        place: json.dumps([*place, crystal.space_group, crystal.to_dict(), potential, RELAX])
        for place, crystal in crystals.items()
    }
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in potential)
    kept = _Kept(folder / f"relaxed-{safe}.jsonl", keys)
    relax_many(
        {keys[place]: crystal for place, crystal in crystals.items() if keys[place] not in kept.rows},
        potential,
        RelaxSettings(**RELAX, only="symmetric", seconds=RELAX_SECONDS, max_volume_change=None),  # type: ignore[arg-type]
        stage=f"{name} control",
        engine=workshop.engine,
        on_done=lambda key, outcome, seconds: kept.add(key, _relaxed(outcome), seconds),
        progress=workshop.progress,
    )
    note = f"{start.name} after relaxation with {potential} under its symmetry"
    return SampleSet(name, kept.samples(start), note)


def _described(samples: SampleSet) -> Iterator[tuple[Sample, Crystal]]:
    """The samples that there are, in the standard settings of their groups."""
    for sample in samples:
        crystal = sample.standard
        if crystal is not None:
            yield sample, crystal


class _Kept:
    """What was made in this run and in earlier ones, a row of a journal each.

    Args:
        path: the journal; its folder is made.
        keys: what each result depends on, by id and index of the crystal in whose place it stands.
    """

    def __init__(self, path: Path, keys: Mapping[tuple[str, int], str]) -> None:
        self.path, self.keys = path, keys
        self.places = {key: place for place, key in keys.items()}
        self.rows: dict[str, dict[str, Any]] = {}
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            read_journal(path, self._take, advice="remove it to make them anew")

    def _take(self, row: Any, _: int) -> None:
        if "failure" not in row:
            Crystal.from_dict(row["crystal"])
        self.rows[row["key"]] = row

    def add(self, key: str, result: dict[str, Any] | Failed, seconds: float) -> None:
        """Keep a result."""
        row = {"failure": result.reason} if isinstance(result, Failed) else result
        identity, index = self.places[key]
        row = {"id": identity, "index": index, **row, "seconds": round(seconds, 3), "key": key}
        self.rows[key] = row
        with writing(self.path):
            append_journal(self.path, [row])

    def samples(self, model: SampleSet) -> tuple[Sample, ...]:
        """What was made in the place of each crystal of a set."""
        return tuple(self._sample(sample) for sample in model)

    def _sample(self, s: Sample) -> Sample:
        key = self.keys.get((s.id, s.index))
        if key is None:
            return Sample(s.id, s.index, None, f"nothing to start from: {s.failure}", s.asked_group)
        row = self.rows[key]
        if row.get("failure"):
            return Sample(s.id, s.index, None, str(row["failure"]), s.asked_group)
        crystal = Crystal.from_dict(row["crystal"])
        return Sample(s.id, s.index, crystal_arrays(crystal), "", s.asked_group, packed(crystal))


def _row(crystal: Crystal, **more: Any) -> dict[str, Any]:
    """A crystal as our loaders and others' can read it, and exactly."""
    species, fractional = crystal.positions(primitive=False)
    return {
        "space_group": crystal.space_group,
        "cell": list(crystal.cell),
        "species": species,
        "frac": np.round(fractional, 10).tolist(),
        "wyckoff": crystal.wyckoff,
        **more,
        "crystal": crystal.to_dict(),
    }


def _random(job: Job) -> dict[str, Any]:
    """A random crystal by PyXtal, in the standard setting."""
    from pyxtal import pyxtal

    species: list[str] = []
    sites: list[list[str]] = []
    numbers: list[int] = []
    for site, position in zip(job.crystal.sites, job.crystal.positions_of_sites, strict=True):
        if site.element not in species:
            species.append(site.element)
            sites.append([])
            numbers.append(0)
        place = species.index(site.element)
        sites[place].append(f"{position.multiplicity}{site.letter}")
        numbers[place] += position.multiplicity
    maker = pyxtal()
    maker.from_random(
        3, job.crystal.space_group, species, numbers, sites=sites, random_state=job.seed, max_count=20
    )
    if not maker.valid:
        raise EvaluationError("PyXtal found no crystal with these positions")
    structure = maker.to_pymatgen()
    numbers_of_atoms = np.array([site.specie.Z for site in structure])
    crystal = crystal_from_arrays(
        np.array(structure.lattice.matrix), np.array(structure.frac_coords), numbers_of_atoms, 0.01
    )
    return _row(crystal)


def _relaxed(outcome: Outcome | Failed) -> dict[str, Any] | Failed:
    """The row of a relaxed crystal; one that fell apart counts as a failure."""
    if isinstance(outcome, Failed):
        return outcome
    result = outcome.result
    if result is None:
        return Failed(f"relaxation failed: {outcome.reason}")
    return _row(result.crystal, energy=result.energy, calls=outcome.calls, reason=outcome.reason)
