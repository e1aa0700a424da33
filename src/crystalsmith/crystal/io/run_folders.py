"""Crystals of the folders that this program's commands write, of this and of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.io.records import Record
from crystalsmith.errors import DataError


def kind_of_run(path: Path) -> str:
    """``generate``, ``relax``, ``discover``, ``rediscover`` or ``phonons``; empty if none."""
    manifest = path / "manifest.json"
    if manifest.is_file() and (path / "crystals.jsonl").is_file():
        return "generate"
    if manifest.is_file() and (path / "journal.jsonl").is_file():
        return "relax"
    return ""


def run_records(path: Path, kind: str) -> Iterator[Record]:
    """Crystals of a run; what it was asked for and did not make is among them with its reason.

    Raises:
        DataError: the folder is damaged.
    """
    try:
        yield from _READERS[kind](path)
    except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a damaged folder of {kind} ({error})") from None


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers and rows of a journal; a last line that was cut off is ignored."""
    if not path.exists():
        return
    with path.open("rb") as f:
        for number, line in enumerate(f, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield number, json.loads(line)
            except ValueError:
                raise DataError(f"{path}: line {number} is damaged; restore the file from a copy") from None


def _crystal(data: Any) -> Crystal | None:
    return None if data is None else Crystal.from_dict(data)


def _generate(path: Path) -> Iterator[Record]:
    run = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["run"]
    last: dict[tuple[str, int], Any] = {}
    for _, row in _rows(path / "crystals.jsonl"):
        if row["final"]:
            last[str(row["order"]), int(row["index"])] = row
    best: dict[tuple[str, int], int] | None = None
    if run.get("judges"):
        best = {(str(r["order"]), int(r["index"])): int(r["draft"]) for _, r in _rows(path / "scores.jsonl")}
    for order in run["orders"]:
        for index in range(order["count"]):
            name = str(order["id"])
            place = index
            if best is not None:
                place = index * int(run["best_of"]) + best.get((name, index), -1)
            row = last.get((name, place)) if best is None or (name, index) in best else None
            facts: dict[str, Any] = {
                "index": index,
                "space_group": _asked_group(order),
                "source": str(path),
            }
            if row is None:
                yield Record.failed(name, "not made: the run was interrupted", **facts)
            elif row["crystal"] is None:
                yield Record.failed(name, f"not made: {row['failure']}", **facts)
            else:
                yield Record.of_crystal(name, Crystal.from_dict(row["crystal"]), **facts)


def _asked_group(order: Any) -> int:
    group = order.get("space_group")
    if group is None:
        groups = order.get("space_groups") or ()
        group = groups[0] if len(groups) == 1 else 0
    return group if isinstance(group, int) else 0


def _relax(path: Path) -> Iterator[Record]:
    for _, row in _rows(path / "journal.jsonl"):
        name, source = str(row["name"]), str(path)
        if "failure" in row:
            yield Record.failed(name, f"not relaxed: {row['failure']}", source=source)
            continue
        stages = row["outcome"]["stages"]
        stages = stages.values() if isinstance(stages, dict) else stages
        sound = [s for s in stages if s["energy"] is not None and s["reason"] in _SOUND]
        if not sound:
            yield Record.failed(name, f"not relaxed: {list(stages)[-1]['reason']}", source=source)
            continue
        crystal = Crystal.from_dict(sound[-1]["crystal"])
        yield Record.of_crystal(name, crystal, energy=float(sound[-1]["energy"]), source=source)


_SOUND = ("converged", "out of calls", "out of time", "stalled")
_READERS = {"generate": _generate, "relax": _relax}
