"""A folder of every kind of run, made by the program itself of small and fast parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.fit import fit_candidates, refine_candidates
from crystalsmith.diffraction.simulation import simulate
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.discovery.run import DATABASE, DISCOVERY
from crystalsmith.discovery.shortlist import SHORTLIST, write_shortlist
from crystalsmith.evaluation.report.tables import to_json
from crystalsmith.evaluation.run import evaluate_sets
from crystalsmith.evaluation.settings import Settings
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.generation.journal import Entry
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.run import relax_into
from crystalsmith.rediscovery.run import rediscover_into
from crystalsmith.rediscovery.settings import RediscoverySettings
from crystalsmith.rediscovery.targets import Target
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import Answer, judged
from crystalsmith.solving.fitting import Observation, _fitted
from crystalsmith.solving.outputs import write_outputs
from crystalsmith.solving.run import SOLUTION, Solution
from crystalsmith.solving.standing import Standing
from crystalsmith.solving.trials import Trial, fits_in
from discovered import run_summary
from fake_model import FakeModel
from metals import fcc
from priors import clever
from references import references

EMT = "ase.calculators.emt:EMT"


def generation(path: Path) -> None:
    order = {"id": "salt", "formula": "NaCl", "count": 3}
    settings = GenerateSettings(best_of=2, judges="agreement", prototypes="none")
    generate_into([order], path, settings, model=clever())


def relaxation(path: Path) -> None:
    crystals = {"cu": fcc("Cu", 3.7), "al": fcc("Al", 4.0), "rutile": KNOWN["rutile"]}
    relax_into(crystals, path, RelaxSettings(max_calls=12), Resources(EMT, 1))


def pattern() -> Pattern:
    """Of rutile, as counts."""
    made = simulate(KNOWN["rutile"], radiation("CuKa"), (20, 80), 0.03)
    counts = np.random.default_rng(0).poisson(60 * made.intensity + 80)
    return Pattern.of(made.two_theta, counts.astype(float), made.radiation, name="rutile.xy")


def solution(path: Path, *, ended: bool = True) -> None:
    """Rutile and anatase fitted to the pattern of rutile."""
    settings = SolveSettings(formula="TiO2")
    observation = Observation.read(pattern(), settings)
    crystals = [KNOWN["rutile"], KNOWN["anatase"]]
    trials = [
        Trial(f"TiO2_{k}", Entry("TiO2", k, 1, k, crystal, None), 0.5, crystal)
        for k, crystal in enumerate(crystals)
    ]
    near = fit_candidates(crystals, observation.prepared)
    fine = refine_candidates(near, observation.prepared)
    angles = observation.prepared.two_theta
    answers = [
        Answer(t, _fitted(t.crystal, near[k]), _fitted(t.crystal, fine[k], profile_of(fine[k], angles)))
        for k, t in enumerate(trials)
    ]
    with RunFolder.open(path, SOLUTION, {"settings": settings.identity()}) as folder:
        standing = Standing(folder, observation)
        standing.write_pattern()
        newest = {a.trial.key: a.best_fit for a in answers[1:]}
        standing.tell(answers, 2, 1, newest)
        kept = fits_in(path / "refined.jsonl")
        kept.append({a.trial.key: a.best_fit for a in answers})
        if not ended:
            folder._written = None  # as if the process had been killed here
            return
        verdict, ranked = judged(answers, {})
        manifest = folder.write_manifest("finished", verdict=verdict.words)
        write_outputs(
            folder,
            Solution(path, manifest, observation, tuple(ranked), verdict, (), 2, ("a note <b>",), 1.0),
            settings,
        )


def profile_of(fit: Any, angles: np.ndarray) -> np.ndarray:
    """A calculated profile at the points of the pattern."""
    return np.interp(angles, np.linspace(angles[0], angles[-1], len(fit.calculated)), fit.calculated)


def discovery(path: Path, *, ended: bool = True) -> None:
    summary = run_summary()
    with RunFolder.open(path, DISCOVERY, {"system": list(summary.system)}) as folder:
        base = CrystalDatabase(str(path / DATABASE), "run")
        third = Crystal(225, (4.21, 4.21, 4.21, 90, 90, 90), (Site("Mg", "a"), Site("O", "b")))
        first = summary.shortlist[0]
        gone = first.__class__("Mg-Al-O-3-0001", {}, 4, (first.states[0].__class__("generated", third),))
        records = [
            (SimpleNamespace(order_id="Mg-Al-O", index=k, tries=1, failure=None), c)
            for k, c in enumerate((*summary.shortlist, gone))
        ]
        base.add_generated(records)  # type: ignore[arg-type]
        base.update([(gone, gone.__class__(**{**vars(gone), "dropped": ("novelty", "known: MgO")}))])
        if ended:
            write_shortlist(path / SHORTLIST, summary)
            folder.write_manifest("finished")


def rediscovery(path: Path) -> None:
    targets = [Target(name.replace(" ", "-"), KNOWN[name]) for name in ("rock salt", "zinc blende")]
    settings = RediscoverySettings(settings=("wyckoff",), count=2, potential=None, workers=1)
    rediscover_into(targets, path, settings, model=FakeModel())


def phonons(path: Path) -> None:
    from crystalsmith.phonons import PhononSettings, phonons_into

    small = PhononSettings(length=4.0, max_atoms=8, elastic=False)
    phonons_into({"cu": fcc("Cu", 3.6), "salt": KNOWN["rock salt"]}, path, small, Resources(EMT, workers=1))


def evaluation(path: Path) -> None:
    path.mkdir()
    sets = [("ours", {"a": KNOWN["rutile"], "b": KNOWN["rock salt"]})]
    settings = Settings(metrics=("validity",))
    found = evaluate_sets(sets, {"r": KNOWN["rutile"], "s": KNOWN["spinel"]}, settings=settings, workers=1)
    (path / "figures.json").write_text(to_json(found), encoding="utf-8")


def hull(path: Path) -> None:
    path.mkdir()
    references().save(path / "springs.npz")


def training(path: Path) -> None:
    with RunFolder.open(path, RunKind("training", "a training"), {}) as folder:
        folder.write("log.csv", "step,seen,position\n1000,64000,0.91\n2000,128000,\n3000,192000,0.52\n")


MAKERS: dict[str, Callable[[Path], None]] = {
    "generation": generation,
    "relaxation": relaxation,
    "solution": solution,
    "discovery": discovery,
    "rediscovery": rediscovery,
    "phonons": phonons,
    "evaluation": evaluation,
    "hull": hull,
    "training": training,
}
