"""Known crystals found again: generate to order, relax, match.

For every target, crystals are generated from a part of what is known of it
(``rediscovery_targets.SETTINGS``); those of its composition are matched with it, relaxed with a potential,
and matched again. A crystal of another composition cannot be the target, so it is not relaxed; it stays
among the crystals of the order and in the ranks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import ConfigError, OutputError
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.orders import parse_orders, sort_out
from crystalsmith.orders.limits import positive
from crystalsmith.potentials import check_potential
from crystalsmith.rediscovery.findings import Attempt, Finding, count, to_csv
from crystalsmith.rediscovery.match import TOLERANCES
from crystalsmith.rediscovery.targets import SETTINGS, Target
from crystalsmith.rediscovery.trials import Trial, TrialJournal
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.versions import versions

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.journal import Entry

TRIALS, RESULTS, TABLE, CIFS = "trials.jsonl", "results.json", "results.csv", "matches"

Progress = Callable[[str, float, int], None]
"""Told of a stage, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Plan:
    """How targets are looked for.

    Attributes:
        settings: what is told of each target, some of ``SETTINGS``.
        count: crystals for each target and setting.
        seed: of the generation.
        best_of: drafts of each crystal, of which the best is kept.
        potential: ranks and relaxes; None for neither.
        relax: how many of the target's composition are relaxed, by rank; all if None.
        calls: evaluations of the potential for each of them at most.
        max_atoms: largest primitive cell; what the model was trained on if None.
        workers: processes that relax; one for each core if None.
    """

    settings: tuple[str, ...] = ("sites", "formula")
    count: int = 50
    seed: int = 0
    best_of: int = 1
    potential: str | None = "chgnet"
    relax: int | None = None
    calls: int = 60
    max_atoms: int | None = None
    workers: int | None = None

    def check(self) -> None:
        """Refuse what cannot be carried out, before any work.

        Raises:
            ConfigError: a setting unknown or twice, or a number below 1.
            RelaxationError: the potential is unknown or not installed.
        """
        for name in self.settings:
            if name not in SETTINGS:
                raise ConfigError(f"unknown setting {name!r}; known are {', '.join(SETTINGS)}")
        if not self.settings or len(set(self.settings)) < len(self.settings):
            raise ConfigError("name at least one setting, and each of them once")
        positive("count", self.count)
        positive("best_of", self.best_of)
        positive("calls", self.calls)
        if self.potential is not None:
            check_potential(self.potential)


def rediscover(
    model: AnyModel,
    targets: Sequence[Target],
    plan: Plan,
    folder: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> list[Finding]:
    """Look for known crystals.

    Everything that is finished is on disk; the same call goes on where it stopped. The folder gets a run of
    ``generate`` for each setting, ``results.json``, ``results.csv``, and the CIFs of all matching crystals.

    Args:
        model: of any method; the paper's knows the setting ``sites`` only.
        targets: with distinct ids.
        plan: how.
        folder: where to.
        overwrite: replace another run in the folder.
        progress: told how it goes.

    Returns:
        A finding for each setting and target, in this order.

    Raises:
        ConfigError: a plan that cannot be carried out.
        RelaxationError: a potential that cannot be used.
        OrderError: no target at all can be ordered, or an id that is not fit for a file's name.
        OutputError: the folder cannot be written, or belongs to another run.
    """
    plan.check()
    path = Path(folder)
    orders = {s: [t.order(s, plan.count, plan.max_atoms) for t in targets] for s in plan.settings}
    for setting in plan.settings:  # refused before anything is made
        sort_out(parse_orders(orders[setting], "targets"), model)
    lock = _open(path, overwrite)
    try:
        journal = TrialJournal.open(path / TRIALS)
        crystals: dict[str, dict[str, list[Entry]]] = {}
        refused: dict[str, dict[str, str]] = {}
        for setting in plan.settings:
            crystals[setting], refused[setting] = _generate(
                model, orders[setting], plan, path / setting, setting, overwrite, progress
            )
        findings = []
        for setting in plan.settings:
            stage = f"relaxing, {setting}" if plan.potential else f"matching, {setting}"
            found = _compare(
                targets,
                setting,
                crystals[setting],
                plan,
                journal,
                lambda *n, stage=stage: progress(stage, *n),
            )
            for finding in found:
                why = refused[setting].get(finding.target.id, "")
                findings.append(replace(finding, refused=why))
        _write(path, findings, plan, model)
        return findings
    finally:
        lock.release()


def _open(path: Path, overwrite: bool) -> FolderLock:
    """Make the folder and hold it; its trials' journal is what makes it one of ours."""
    with writing(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; choose a folder with -o")
        path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock.take(path / LOCK)
    try:
        with writing(path):
            known = (path / TRIALS).exists()
            others = [p for p in path.iterdir() if p.name != LOCK and not p.name.endswith(TEMPORARY)]
            if others and not known and not overwrite:
                raise OutputError(
                    f"folder {path} is not empty and holds no run of rediscover; choose another one with -o"
                    " or add --overwrite"
                )
            if overwrite:
                for name in (RESULTS, TABLE, TRIALS):
                    (path / name).unlink(missing_ok=True)
            (path / TRIALS).touch()
    except BaseException:
        lock.release()
        raise
    return lock


def _generate(
    model: AnyModel,
    mappings: list[dict[str, Any]],
    plan: Plan,
    path: Path,
    setting: str,
    overwrite: bool,
    progress: Progress,
) -> tuple[dict[str, list[Entry]], dict[str, str]]:
    """Sound crystals of each order, best first, and why others could not be carried out."""
    result = generate_into(
        parse_orders(mappings, "targets"),
        path,
        GenerateSettings(seed=plan.seed, best_of=plan.best_of, potential=plan.potential),
        model=model,
        arguments=asdict(plan),
        overwrite=overwrite,
        progress=lambda stage, done, total: progress(f"generating, {setting}", int(done), int(total)),
    )
    found: dict[str, list[Entry]] = {order.id: [] for order in result.orders}
    for ranked in result.ranked:
        found[ranked.order.id].append(ranked.entry)
    return found, {refusal.order.id: refusal.reason for refusal in result.refused}


def _compare(
    targets: Sequence[Target],
    setting: str,
    crystals: Mapping[str, Sequence[Entry]],
    plan: Plan,
    journal: TrialJournal,
    progress: Callable[[int, int], None],
) -> list[Finding]:
    """Match and relax the crystals of one setting, all targets in one go."""
    trials: list[Trial] = []
    places: list[tuple[str, int, int]] = []  # target, rank, index
    for target in targets:
        relaxed = 0
        for rank, entry in enumerate(crystals.get(target.id, ()), start=1):
            if entry.crystal is None or entry.crystal.formula != target.crystal.formula:
                continue
            potential = plan.potential if plan.relax is None or relaxed < plan.relax else None
            relaxed += 1
            trials.append(Trial(entry.crystal, target.crystal, potential, plan.calls))
            places.append((target.id, rank, entry.index))
    outcomes = journal.carry_out(trials, plan.workers, lambda n: progress(n, len(trials)))
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


def _write(path: Path, findings: Sequence[Finding], plan: Plan, model: AnyModel) -> None:
    results = {
        "plan": asdict(plan),
        "checkpoint": model.hash,
        "versions": versions(),
        "tolerances": [t._asdict() for t in TOLERANCES],
        "counts": [asdict(c) for c in count(findings)],
        "targets": [f.to_dict() for f in findings],
    }
    with writing(path):
        for identifier in {f.target.id: f for f in findings}:
            _write_cifs(path / CIFS / identifier, [f for f in findings if f.target.id == identifier])
        write_whole(path / TABLE, to_csv(findings))
        write_whole(path / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _write_cifs(path: Path, findings: Sequence[Finding]) -> None:
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
        path.mkdir(parents=True, exist_ok=True)
    for stale in path.glob("*.cif"):
        if stale.name not in texts:
            stale.unlink()
    for name, text in texts.items():
        write_whole(path / name, text, durable=False)
