"""Phonons and elastic constants of the short list, in processes; files of each beside the report."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError
from crystalsmith.potentials.calculators import process_calculator
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.pool import Failed, parallel_map

if TYPE_CHECKING:
    from crystalsmith.discovery.funnel import Funnel, Tell

STAGE = "phonons"

LENGTH, MAX_ATOMS = 9.0, 130
"""Of the supercell: Angstrom between an atom and its images, and most atoms; a short list is to be looked
through, ``crystalsmith phonons`` takes larger ones."""

SECONDS = 300.0
"""Time for one crystal; a little more is left for its files."""


@dataclass(frozen=True)
class _Work:
    name: str
    crystal: Crystal


class _OutOfTime(Exception):
    """Ends the stage."""


def vibrate(funnel: Funnel, names: Sequence[str], over: Callable[[], bool], tell: Tell, folder: Path) -> None:
    """Compute the phonons and elastic constants of candidates and write them into the database.

    What cannot be computed is no verdict: ``stable`` is None then and ``failure`` says why.

    Args:
        funnel: whose candidates they are.
        names: candidates.
        over: whether the time is over.
        tell: told of progress.
        folder: where pictures and phonopy's files go.

    Raises:
        PhononError: phonopy is not installed.
    """
    from crystalsmith.phonons import check_installed

    check_installed()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done = 0
    tell(STAGE, done, len(names))

    def take(results: list[tuple[int, Any, float]]) -> None:
        nonlocal done
        for place, result, _ in results:
            c = funnel.candidates[names[place]]
            if isinstance(result, Failed):
                result = {"stable": None, "failure": result.reason}, None
            phonons, elastic = result
            funnel.set([replace(c, phonons=phonons, elastic=elastic)])
            done += 1
        tell(STAGE, done, len(names))
        if over():
            raise _OutOfTime

    with suppress(_OutOfTime):
        parallel_map(
            partial(_vibrate, funnel.settings.potential, str(folder)),
            [_Work(n, funnel.candidates[n].crystal) for n in names],
            workers=funnel.workers,
            chunk=1,
            seconds=2 * SECONDS,
            on_done=take,
        )


def _vibrate(potential: str, folder: str, work: _Work) -> tuple[dict[str, Any], dict[str, Any] | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of meshes and constraints, which no user can mend
        return _study(potential, folder, work)


def _study(potential: str, folder: str, work: _Work) -> tuple[dict[str, Any], dict[str, Any] | None]:
    from crystalsmith.phonons import Settings, draw_phonons, study_crystal

    settings = Settings(length=LENGTH, max_atoms=MAX_ATOMS)
    try:
        study = study_crystal(work.crystal, process_calculator(potential), settings, seconds=SECONDS)
    except CrystalsmithError as error:
        return {"stable": None, "failure": str(error)}, None
    found = study.phonons
    base = Path(folder) / work.name
    with writing(base):
        partial_file = base.with_name(base.name + ".png" + TEMPORARY)
        partial_file.write_bytes(draw_phonons(found, potential))
        partial_file.replace(base.with_name(base.name + ".png"))
        write_whole(base.with_name(base.name + ".json"), json.dumps(study.to_json()), durable=False)
        found.write_phonopy(base.with_name(base.name + "_phonopy_params.yaml"))
    s = found.stability
    phonons: dict[str, Any] = {
        "stable": None if s.verdict == "open" else s.verdict == "stable",
        "verdict": s.verdict,
        "min_frequency": s.lowest,
        "min_q": list(s.lowest_q),
        "imaginary": s.imaginary,
        "interpolated": s.interpolated,
        "supercell_atoms": found.supercell.n_atoms,
        "calls": found.calls,
        "seconds": round(found.seconds, 1),
    }
    if study.elasticity is None:
        return phonons, {"stable": None, "failure": study.elastic_failure}
    return phonons, study.elasticity.to_json()
