"""Phonons and elastic constants of the best of the short list; files of each beside the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.plain import to_plain
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
    from crystalsmith.phonons import PhononSettings, study_many

    chosen = sorted(came, key=work.rank)[: work.settings.phonons]
    todo = {n: work.candidates[n].crystal for n in chosen if work.candidates[n].phonons is None}
    if not todo or work.closed(STAGE):
        return {}
    folder = work.folder / STAGE
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)

    def take(name: str, study: Study | Failed, seconds: float) -> None:
        verdict, elastic = _facts(study)
        work.put([replace(work.candidates[name], phonons=verdict, elastic=elastic)])

    study_many(
        todo,
        work.settings.potential,
        PhononSettings(length=LENGTH, max_atoms=MAX_ATOMS, seconds=SECONDS),
        folder=folder,
        stage=STAGE,
        engine=work.engine,
        on_done=take,
        progress=work.progress,
        over=work.over,
    )
    return {}


def _facts(study: Study | Failed) -> tuple[dict[str, Any], dict[str, Any] | None]:
    if isinstance(study, Failed):
        return {"stable": None, "failure": study.reason}, None
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
    return verdict, dict(to_plain(study.elasticity))
