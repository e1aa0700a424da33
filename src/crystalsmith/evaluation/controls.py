"""Controls: sets that stand beside a model's in every table, so that its figures can be judged.

* limit: a random sample of the training set. What resembles the reference more than real crystals do, copies.
* PyXtal: random crystals with the space group, elements and Wyckoff letters of the model's, cell and free
  parameters by PyXtal (Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021)): chance.
* relaxed: those after relaxation with a potential, symmetry kept: physics without learning from crystals.

The made ones are kept in a folder as they come, one JSON row each, so that nothing is made twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal, crystal_from_arrays
from crystalsmith.errors import CrystalsmithError, EvaluationError
from crystalsmith.evaluation.features import GEOMETRY, Workshop, matrix
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.geometry import Geometry, standard_crystal
from crystalsmith.evaluation.samples import Sample, SampleSet
from crystalsmith.generation import crystal_seed
from crystalsmith.potentials import RelaxSettings, check_potential, load_calculator, relax_symmetric
from crystalsmith.runs.pool import Failed, parallel_map

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
    if find_spec("pyxtal") is None:
        raise EvaluationError("the PyXtal control needs PyXtal: pip install 'crystalsmith[evaluate]'")
    if potential is not None:
        check_potential(potential)


@dataclass(frozen=True)
class Job:
    """One crystal to make.

    Attributes:
        id, index: whose place it takes.
        crystal: gives space group, elements and letters (PyXtal), or the start of a relaxation.
        seed: of PyXtal.
        potential: of the relaxation.
    """

    id: str
    index: int
    crystal: Crystal
    seed: int = 0
    potential: str = ""

    @property
    def key(self) -> str:
        """What the result depends on."""
        place = [self.id, self.index, self.crystal.space_group]
        if self.potential:
            return json.dumps([*place, self.crystal.to_dict(), self.potential, RELAX])
        return json.dumps([*place, self.crystal.wyckoff, self.seed])


def random_crystals(model: SampleSet, workshop: Workshop, folder: Path, *, seed: int = 0) -> SampleSet:
    """PyXtal's crystals in place of a model's; where the model failed, or PyXtal does, stands a failure.

    Raises:
        EvaluationError: the folder cannot be written.
    """
    jobs = [
        Job(sample.id, sample.index, crystal, crystal_seed(seed, sample.id, sample.index) % 2**32)
        for sample, crystal in _described(model)
    ]
    made = _make("PyXtal", model, jobs, _random, workshop, folder / "pyxtal.jsonl", RANDOM_SECONDS, 8)
    note = f"random cells and free parameters with the space groups and letters of {model.name}"
    return replace(made, note=note)


def relaxed_crystals(
    start: SampleSet, name: str, potential: str, workshop: Workshop, folder: Path
) -> SampleSet:
    """Crystals relaxed with a potential under their symmetry; a failure stays one.

    Raises:
        EvaluationError: the folder cannot be written.
    """
    jobs = [Job(s.id, s.index, crystal, 0, potential) for s, crystal in _described(start)]
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in potential)
    path = folder / f"relaxed-{safe}.jsonl"
    made = _make(name, start, jobs, _relaxed, workshop, path, RELAX_SECONDS, 1)
    return replace(made, note=f"{start.name} after relaxation with {potential} under its symmetry")


def _described(samples: SampleSet) -> Iterator[tuple[Sample, Crystal]]:
    """The samples that there are, in the standard settings of their groups."""
    for sample in samples:
        crystal = None if sample.arrays is None else standard_crystal(sample.arrays)
        if crystal is not None:
            yield sample, crystal


def _make(
    name: str,
    model: SampleSet,
    jobs: Sequence[Job],
    function: Callable[[Job], dict[str, Any]],
    workshop: Workshop,
    path: Path,
    seconds: float,
    chunk: int,
) -> SampleSet:
    """Do what the file does not hold yet, append it, and return everything in the model's order."""
    rows = _read(path)
    todo = [job for job in jobs if job.key not in rows]
    if todo:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise EvaluationError(f"cannot write {path} ({error.strerror}); choose another folder") from None
        with file, workshop.bar(f"{name} control", len(todo)) as advance:

            def take(done: list[tuple[int, dict[str, Any] | Failed, float]]) -> None:
                for place, result, spent in done:
                    job = todo[place]
                    row = {"failure": result.reason} if isinstance(result, Failed) else result
                    row = {"id": job.id, "index": job.index, **row, "seconds": round(spent, 3)}
                    rows[job.key] = row
                    file.write(json.dumps({**row, "key": job.key}) + "\n")
                file.flush()
                os.fsync(file.fileno())
                advance(len(done))

            parallel_map(function, todo, workers=workshop.workers, seconds=seconds, chunk=chunk, on_done=take)
    by_place = {(job.id, job.index): rows[job.key] for job in jobs}
    samples = []
    for sample in model:
        row = by_place.get((sample.id, sample.index), {"failure": f"nothing to start from: {sample.failure}"})
        made = None if row.get("failure") else crystal_arrays(Crystal.from_dict(row["crystal"]))
        samples.append(
            Sample(sample.id, sample.index, made, str(row.get("failure") or ""), sample.asked_group)
        )
    return SampleSet(name, tuple(samples))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by key; lines that were cut off or damaged do not count."""
    rows: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return rows
    except OSError as error:
        raise EvaluationError(f"cannot read {path} ({error.strerror})") from None
    for line in lines:
        try:
            row = json.loads(line)
            key = row.pop("key")
            if "failure" not in row:
                Crystal.from_dict(row["crystal"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        rows[key] = row
    # A last line that a kill cut off must not swallow the next one.
    if lines and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as f:
            f.write("\n")
    return rows


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


@lru_cache(maxsize=1)
def _calculator(potential: str) -> Any:
    import torch

    torch.set_num_threads(1)  # one process a core
    return load_calculator(potential)


def _relaxed(job: Job) -> dict[str, Any]:
    """The crystal after relaxation; one that fell apart counts as a failure."""
    settings = RelaxSettings(**RELAX, max_volume_change=None)  # type: ignore[arg-type]
    result = relax_symmetric(job.crystal, _calculator(job.potential), settings)
    if not result.sound:
        raise CrystalsmithError(f"relaxation failed: {result.reason}")
    return _row(result.crystal, energy=result.energy, calls=result.calls, reason=result.reason)
