"""Crystals of the folders that this program's commands write, of this and of earlier versions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.io.records import Record
from crystalsmith.crystal.validity import SOUND
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.runs.journal import read_journal
from crystalsmith.runs.manifest import kind_of, read_manifest

RUN_FILES = re.compile(r"(^|/)[^/]+\.(json|jsonl|db)$")
"""Files of a run that are read here."""

NEEDED = re.compile(r"[^/\\:]+\.(json|jsonl|db)|systems/[^/\\:]+/shortlist\.json")
"""The same by their names in the run's folder, for a copy of it."""


def reads_run(path: Path) -> bool:
    """Whether a folder is that of a run that makes crystals."""
    return kind_of(path) in _READERS


def run_records(path: Path, label: str = "") -> Iterator[Record]:
    """Crystals of a run; what it was asked for and did not make is among them with its reason.

    Raises:
        DataError: the folder is damaged.
    """
    kind = str(kind_of(path))
    try:
        for record in _READERS[kind](path):
            object.__setattr__(record, "source", label or str(path))
            yield record
    except (CrystalsmithError, OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = error.args[0] if isinstance(error, CrystalsmithError) else f"{type(error).__name__} {error}"
        raise DataError(f"the {kind} in {label or path} is damaged: {reason}") from None


def _rows(path: Path) -> list[Any]:
    rows: list[Any] = []
    read_journal(path, lambda row, place: rows.append(row), mend=False, advice="put a copy in its place")
    return rows


def _generation(path: Path) -> Iterator[Record]:
    run = (read_manifest(path) or {})["run"]
    last = {(str(r["order"]), int(r["index"])): r for r in _rows(path / "crystals.jsonl") if r["final"]}
    drafts = int(run.get("best_of", 1)) if run.get("judges") else 0
    scores = _rows(path / "scores.jsonl") if drafts else []
    best = {(str(r["order"]), int(r["index"])): r for r in scores}
    for order in run["orders"]:
        name = str(order["id"])
        for index in range(order["count"]):
            draft = index
            facts: dict[str, Any] = {"index": index, "space_group": _asked_group(order)}
            if drafts:
                score = best.get((name, index))
                draft = -1 if score is None else index * drafts + int(score["draft"])
                facts["energy"] = _energy(score)
            row = last.get((name, draft))
            if row is None:
                yield Record.failed(name, "not made: the run was interrupted", **facts)
            elif row["crystal"] is None:
                yield Record.failed(name, f"not made: {row['failure']}", **facts)
            else:
                yield Record.of_crystal(name, Crystal.from_dict(row["crystal"]), **facts)


def _asked_group(order: Mapping[str, Any]) -> int:
    """The one space group that an order allows, 0 where it leaves the choice."""
    group = order.get("space_group") or order.get("space_groups") or 0
    if isinstance(group, list):
        return int(group[0]) if len(group) == 1 and isinstance(group[0], int) else 0
    return group if isinstance(group, int) else 0


def _energy(score: Mapping[str, Any] | None) -> float:
    chosen = score["scores"][score["draft"]] if score else None
    value = chosen.get("energy") if chosen else None
    return math.nan if value is None else float(value)


def _relaxation(path: Path) -> Iterator[Record]:
    for row in _rows(path / "journal.jsonl"):
        name = str(row["name"])
        if "failure" in row:
            yield Record.failed(name, f"not relaxed: {row['failure']}")
            continue
        stages = list(row["outcome"]["stages"].values())
        sound = [s for s in stages if s["reason"] in SOUND and s["energy"] is not None]
        if sound:
            crystal = Crystal.from_dict(sound[-1]["crystal"])
            yield Record.of_crystal(name, crystal, energy=float(sound[-1]["energy"]))
        else:
            yield Record.failed(name, f"not relaxed: {stages[-1]['reason']}")


def _discovery(path: Path) -> Iterator[Record]:
    """The short list; of a run that has none yet, all candidates as they stand."""
    shortlist = path / "shortlist.json"
    if shortlist.exists():
        for candidate in json.loads(shortlist.read_text(encoding="utf-8"))["candidates"]:
            state = candidate["states"][-1]
            energy = next(
                (s["energy"] for s in reversed(candidate["states"]) if s["energy"] is not None), math.nan
            )
            hull = candidate.get("above_hull")
            facts = {"energy": energy, "e_above_hull": math.nan if hull is None else float(hull)}
            yield Record.of_crystal(str(candidate["name"]), Crystal.from_dict(state["crystal"]), **facts)
        return
    from crystalsmith.crystal.io.database import database_rows

    for _, row in database_rows(path / "crystals.db"):
        crystal = Crystal.from_dict(row["data"]["state"]["crystal"])
        yield Record.of_crystal(str(row["candidate"]), crystal, energy=row.get("energy_per_atom", math.nan))


def _systems(path: Path) -> Iterator[Record]:
    """The short lists of the systems that are over, one after another."""
    for row in _rows(path / "systems.jsonl"):
        if row["status"] == "finished":
            yield from _discovery(path / "systems" / row["system"])


def _rediscovery(path: Path) -> Iterator[Record]:
    """What matches its target, relaxed where it was; of a run that was interrupted, all that was tried."""
    results = path / "results.json"
    if not results.exists():
        for number, row in enumerate(_rows(path / "trials.jsonl")):
            if "failure" in row:
                yield Record.failed(f"trial {number}", f"not relaxed: {row['failure']}")
            else:
                yield _attempt(f"trial {number}", row)
        return
    for finding in json.loads(results.read_text(encoding="utf-8"))["targets"]:
        name = f"{finding['id']} {finding['setting']}"
        for outcome in finding["matching"]:
            yield _attempt(name, outcome, index=int(outcome["index"]))
        if not finding["matching"]:
            yield Record.failed(name, f"not found again: {finding['refused'] or 'no crystal matches'}")


def _attempt(name: str, outcome: Mapping[str, Any], **facts: Any) -> Record:
    state = outcome.get("after") or outcome["before"]
    energy = outcome.get("energy") if outcome.get("after") else None
    facts["energy"] = math.nan if energy is None else float(energy)
    return Record.of_crystal(name, Crystal.from_dict(state["crystal"]), **facts)


def _phonons(path: Path) -> Iterator[Record]:
    for file in sorted(path.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        if "made_with" in data and "phonons" in data:
            yield Record.of_crystal(str(data["name"]), Crystal.from_dict(data["phonons"]["crystal"]))


def _solution(path: Path) -> Iterator[Record]:
    """The structures of a pattern, the likeliest first; of a run that was interrupted, nothing yet."""
    results = json.loads((path / "results.json").read_text(encoding="utf-8"))
    for row in results["candidates"]:
        yield Record.of_crystal(Path(str(row["file"])).stem, Crystal.from_dict(row["crystal"]))


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "generation": _generation,
    "relaxation": _relaxation,
    "discovery": _discovery,
    "systems": _systems,
    "rediscovery": _rediscovery,
    "phonons": _phonons,
    "solution": _solution,
}
