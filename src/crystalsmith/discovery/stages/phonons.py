"""Phonons and elastic constants of the best of the short list; files of each beside the report."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.errors import CrystalsmithError
from crystalsmith.potentials.calculators import process_calculator
from crystalsmith.potentials.many import each
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.pool import Failed

if TYPE_CHECKING:
    from crystalsmith.phonons import Study

STAGE = "phonons"

LENGTH, MAX_ATOMS = 9.0, 130
"""Of the supercell: Angstrom between an atom and its images, and most atoms; a short list is to be looked
through, ``crystalsmith phonons`` takes larger ones."""

SECONDS = 300.0
"""Time for one crystal; a little more is left for its files."""


def phonons(work: Work, came: list[str]) -> Gone:
    """Nobody; what cannot be computed is no verdict: ``stable`` is None then and ``failure`` says why."""
    chosen = sorted(came, key=work.rank)[: work.settings.phonons]
    todo = {n: work.candidates[n].crystal for n in chosen if work.candidates[n].phonons is None}
    if not todo or work.closed(STAGE):
        return {}
    folder = work.folder / STAGE
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)

    def take(name: str, result: Any, seconds: float) -> None:
        found = ({"stable": None, "failure": result.reason}, None) if isinstance(result, Failed) else result
        work.put([replace(work.candidates[name], phonons=found[0], elastic=found[1])])

    each(
        partial(_vibrate, work.settings.potential, folder),
        {name: (name, crystal) for name, crystal in todo.items()},
        stage=STAGE,
        workers=work.workers,
        seconds=2 * SECONDS,
        on_done=take,
        progress=work.progress,
        over=work.over,
    )
    return {}


def _vibrate(
    potential: str, folder: Path, item: tuple[str, Crystal]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    from crystalsmith.phonons import Settings, study_crystal

    name, crystal = item
    settings = Settings(length=LENGTH, max_atoms=MAX_ATOMS)
    try:
        study = study_crystal(crystal, process_calculator(potential), settings, seconds=SECONDS)
    except CrystalsmithError as error:
        return {"stable": None, "failure": str(error)}, None
    _write(folder / name, study, potential)
    s, found = study.phonons.stability, study.phonons
    verdict: dict[str, Any] = {
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
        return verdict, {"stable": None, "failure": study.elastic_failure}
    return verdict, study.elasticity.to_json()


def _write(base: Path, study: Study, potential: str) -> None:
    from crystalsmith.phonons import draw_phonons

    with writing(base):
        partial_file = base.with_name(base.name + ".png" + TEMPORARY)
        partial_file.write_bytes(draw_phonons(study.phonons, potential))
        partial_file.replace(base.with_name(base.name + ".png"))
        write_whole(base.with_name(base.name + ".json"), json.dumps(study.to_json()), durable=False)
        study.phonons.write_phonopy(base.with_name(base.name + "_phonopy_params.yaml"))
