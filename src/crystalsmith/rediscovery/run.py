"""Known crystals found again: generate to order, relax, match.

For every target, crystals are generated from a part of what is known of it (``settings.SETTINGS``); those of
its composition are matched with it, relaxed with a potential, and matched again. A crystal of another
composition cannot be the target, so it is not relaxed; it stays among the crystals of the order and in the
ranks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.generation.run import generate_into
from crystalsmith.generation.settings import GenerateSettings
from crystalsmith.orders import parse_orders, sort_out
from crystalsmith.potentials import check_potential
from crystalsmith.rediscovery.findings import Attempt, Count, Finding, count, to_csv, to_row
from crystalsmith.rediscovery.match import TOLERANCES
from crystalsmith.rediscovery.settings import RediscoverySettings
from crystalsmith.rediscovery.targets import Target, read_targets
from crystalsmith.rediscovery.trials import Trial, Trials
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.versions import versions

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.journal import Entry

TRIALS, RESULTS, TABLE, CIFS = "trials.jsonl", "results.json", "results.csv", "matches"

REDISCOVERY = RunKind("rediscovery", "run of rediscover", owned=(TRIALS, RESULTS, TABLE, f"{CIFS}/"))


@dataclass(frozen=True)
class Rediscovered:
    """A finished run.

    Attributes:
        folder: where it is.
        findings: one for each setting and target, in this order.
    """

    folder: Path
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> list[Count]:
        """Targets recovered, by setting and tolerances."""
        return count(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        counts = [asdict(c) for c in self.counts]
        return {"folder": str(self.folder), "counts": counts, "targets": [f.to_dict() for f in self.findings]}

    def _repr_html_(self) -> str:
        """What a notebook shows: what was found again."""
        from crystalsmith.reports.notebook import frame_html

        return frame_html(f"{len(self.findings)} trials", self.to_dataframe())

    def to_dataframe(self) -> Any:
        """The rows of ``results.csv``, as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.DataFrame([to_row(f) for f in self.findings])

    def __str__(self) -> str:
        lines = [f"{c.setting}, {c.tolerances}: {c.after} of {c.targets}" for c in self.counts]
        return f"recovered after relaxation: {'; '.join(lines)}; {self.folder}"


def rediscover_into(
    targets: Sequence[Target] | Any,
    output: str | Path,
    settings: RediscoverySettings | None = None,
    *,
    model: AnyModel | None = None,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Rediscovered:
    """Look for known crystals.

    Everything that is finished is on disk; the same call goes on where it stopped, and one with other
    settings adds to what is there. The folder gets a run of ``generate`` for each setting, ``results.json``,
    ``results.csv``, and the CIFs of all matching crystals.

    Args:
        targets: with distinct ids; or a source of crystals, as ``read_targets`` takes it.
        output: folder, where to.
        settings: how.
        model: of any method, the one that ships if None; the paper's knows the setting ``sites`` only.
        arguments: how the run was started, for the manifest only.
        overwrite: replace another run in the folder.
        progress: told how it goes.

    Raises:
        DataError: no targets.
        RelaxationError: a potential that cannot be used.
        OrderError: no target at all can be ordered, or an id that is not fit for a file's name.
        ConfigError: an engine that there is not.
        EngineError: its workers give no results.
        OutputError: the folder cannot be written, or belongs to another run.
    """
    from crystalsmith.diffusion import load_model

    settings = settings or RediscoverySettings()
    if settings.potential is not None:
        check_potential(settings.potential)
    check_engine(settings.engine)
    if not (isinstance(targets, Sequence) and targets and all(isinstance(t, Target) for t in targets)):
        targets = read_targets(targets)
    model = load_model() if model is None else model
    orders = {s: [t.order(s, settings.count, settings.max_atoms) for t in targets] for s in settings.settings}
    for rows in orders.values():  # refused before anything is made
        sort_out(parse_orders(rows, "targets"), model)
    # Its parts know what they depend on: the runs of generate have identities, trials have keys.
    with (
        RunFolder.open(output, REDISCOVERY, {}, arguments=arguments, overwrite=overwrite) as run,
        engine_of(settings.engine, settings.workers, run.path) as engine,
    ):
        trials = Trials(run.journal(TRIALS))
        known = len(trials.rows)
        made: dict[str, dict[str, list[Entry]]] = {}
        refused: dict[str, dict[str, str]] = {}
        fresh = 0
        for setting, rows in orders.items():
            result = generate_into(
                parse_orders(rows, "targets"),
                run.path / setting,
                GenerateSettings(
                    seed=settings.seed,
                    best_of=settings.best_of,
                    potential=settings.potential,
                    engine="local" if engine.name == "local" else engine,
                ),
                model=model,
                overwrite=overwrite,
                progress=lambda stage, *n, setting=setting: progress(f"generating, {setting}", *n),
            )
            made[setting] = {
                order.id: [entry for entry, _ in result.made.sound(order.id)] for order in result.orders
            }
            refused[setting] = {r.order.id: r.reason for r in result.refused}
            fresh += result.made_now
        findings = []
        for setting in settings.settings:
            for finding in _compare(targets, setting, made[setting], settings, trials, engine, progress):
                why = refused[setting].get(finding.target.id, "")
                findings.append(replace(finding, refused=why))
        _write(run, findings, settings, model)
        if fresh or len(trials.rows) > known or run.finished is None:
            run.write_manifest("finished", checkpoint=model.hash, trials=len(trials.rows))
        return Rediscovered(run.path, tuple(findings))


def _compare(
    targets: Sequence[Target],
    setting: str,
    crystals: Mapping[str, Sequence[Entry]],
    settings: RediscoverySettings,
    journal: Trials,
    engine: Engine,
    progress: Progress,
) -> list[Finding]:
    """Match and relax the crystals of one setting, all targets in one go."""
    trials: list[Trial] = []
    places: list[tuple[str, int, int]] = []  # target, rank, index
    for target in targets:
        relaxed = 0
        for rank, entry in enumerate(crystals.get(target.id, ()), start=1):
            if entry.crystal is None or entry.crystal.formula != target.crystal.formula:
                continue
            potential = settings.potential if settings.relax is None or relaxed < settings.relax else None
            relaxed += 1
            trials.append(Trial(entry.crystal, target.crystal, potential, settings.calls))
            places.append((target.id, rank, entry.index))
    stage = f"relaxing, {setting}" if settings.potential else f"matching, {setting}"
    outcomes = journal.carry_out(trials, engine, stage, progress)
    attempts: dict[str, list[Attempt]] = {target.id: [] for target in targets}
    failures: dict[str, list[str]] = {target.id: [] for target in targets}
    for (name, rank, index), outcome in zip(places, outcomes, strict=True):
        if isinstance(outcome, Failed):
            failures[name].append(f"crystal {index}: {outcome.reason}")
        else:
            attempts[name].append(Attempt(rank, index, outcome))
    return [
        Finding(t, setting, len(crystals.get(t.id, ())), tuple(attempts[t.id]), tuple(failures[t.id]))
        for t in targets
    ]


def _write(
    run: RunFolder, findings: Sequence[Finding], settings: RediscoverySettings, model: AnyModel
) -> None:
    results = {
        "plan": {k: v for k, v in asdict(replace(settings, engine="local")).items() if k != "engine"},
        "checkpoint": model.hash,
        "versions": versions(),
        "tolerances": [t._asdict() for t in TOLERANCES],
        "counts": [asdict(c) for c in count(findings)],
        "targets": [f.to_dict() for f in findings],
    }
    for identifier in {f.target.id: f for f in findings}:
        _write_cifs(run, f"{CIFS}/{identifier}", [f for f in findings if f.target.id == identifier])
    run.write(TABLE, to_csv(findings))
    run.write(RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _write_cifs(run: RunFolder, place: str, findings: Sequence[Finding]) -> None:
    """The target and all that match it; those of an earlier run that do so no longer are removed."""
    texts = {}
    for finding in findings:
        for a in finding.attempts:
            for moment, suffix in (("before", ""), ("after", "_relaxed")):
                state = a.state(moment)
                if state is not None and state.rms[0] is not None:
                    texts[f"{finding.setting}_{a.index}{suffix}.cif"] = state.crystal.to_cif()
    if texts:
        texts["reference.cif"] = findings[0].target.crystal.to_cif()
    for stale in (run.path / place).glob("*.cif"):
        if stale.name not in texts:
            stale.unlink()
    for name, text in texts.items():
        run.write(f"{place}/{name}", text, durable=False)
