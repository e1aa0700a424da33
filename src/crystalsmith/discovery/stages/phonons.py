"""Phonons and elastic constants of the best of the short list; files of each beside the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crystalsmith.discovery.stages.work import Gone, Group, Work, all_over, share_out
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
    return {}


def study(group: Group) -> None:
    """Those of lowest energy of each run."""
    from crystalsmith.phonons import PhononSettings, study_many

    work, _ = group[0]
    todo = share_out(group, _chosen)
    if not todo:
        return
    for own, _ in todo.values():
        with writing(own.folder / STAGE):
            (own.folder / STAGE).mkdir(parents=True, exist_ok=True)

    def take(key: str, found: Study | Failed, seconds: float) -> None:
        own, name = todo[key]
        verdict, elastic = _facts(found)
        own.put([replace(own.candidates[name], phonons=verdict, elastic=elastic)])

    study_many(
        {key: own.candidates[name].crystal for key, (own, name) in todo.items()},
        work.settings.potential,
        PhononSettings(length=LENGTH, max_atoms=MAX_ATOMS, seconds=SECONDS),
        places={key: own.folder / STAGE / name for key, (own, name) in todo.items()},
        stage=STAGE,
        engine=work.engine,
        on_done=take,
        progress=work.progress,
        over=lambda: all_over(group),
    )


def _chosen(work: Work, came: list[str]) -> list[str]:
    chosen = sorted(came, key=work.rank)[: work.settings.phonons]
    return [n for n in chosen if work.candidates[n].phonons is None]


def _facts(found: Study | Failed) -> tuple[dict[str, Any], dict[str, Any] | None]:
    if isinstance(found, Failed):
        return {"stable": None, "failure": found.reason}, None
    s, made = found.phonons.stability, found.phonons
    verdict: dict[str, Any] = {
        "stable": None if s.verdict == "open" else s.verdict == "stable",
        "verdict": s.verdict,
        "min_frequency": s.lowest,
        "min_q": list(s.lowest_q),
        "imaginary": s.imaginary,
        "interpolated": s.interpolated,
        "supercell_atoms": made.supercell.n_atoms,
        "calls": made.calls,
        "seconds": round(made.seconds, 1),
    }
    if found.elasticity is None:
        return verdict, {"stable": None, "failure": found.elastic_failure}
    return verdict, dict(to_plain(found.elasticity))
