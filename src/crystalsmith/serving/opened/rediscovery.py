"""Runs of ``rediscover``: which known crystals were found again; before they end, what was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.opened.reading import Reader, crystal_values, number, text, whole
from crystalsmith.serving.opened.record import Column, Opened, Step, filled

COLUMNS = (
    Column("target", "target"),
    Column("setting", "told of it"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("found", "found again", "yes"),
    Column("first_rank", "at rank", "number", 0, "of the first crystal that matches"),
    Column("matches", "matches", "number", 0),
    Column("made", "made", "number", 0),
    Column("same", "of its composition", "number", 0),
    Column("rms_before", "rms before", "number", 4, "displacement from the target as generated"),
    Column("rms_after", "rms relaxed", "number", 4, "displacement from the target, relaxed"),
    Column("lowest", "lowest energy matches", "yes"),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("lattice", "lattice (Å)"),
    Column("why", "why not"),
)

FILES = ("results.csv", "results.json", "run.log", "manifest.json")


def open_rediscovery(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``rediscover`` has found so far."""
    results = reader.json("results.json")
    rows, crystals, others = _findings(reader, results) if results else _trials(reader)
    counts = [c for c in results.get("counts") or () if isinstance(c, dict)]
    facts = [(f"{text(c.get('setting'))}, {text(c.get('tolerances'))}", _count(c)) for c in counts]
    settings = list(dict.fromkeys(str(row.get("setting", "")) for row in rows))
    plan = results.get("plan") if isinstance(results.get("plan"), dict) else {}
    assert isinstance(plan, dict)
    found = sum(bool(row.get("found")) for row in rows)
    words = f"{found:,} of {len(rows):,} targets found again" if results else f"{len(rows):,} crystals tried"
    return Opened(
        reader.folder,
        "rediscovery",
        str(manifest.get("status")),
        words,
        (*facts, ("Potential", text(plan.get("potential"))), ("Crystals each", text(plan.get("count")))),
        reader.told,
        filled(COLUMNS, rows),
        tuple(rows),
        tuple(_step(s, [row for row in rows if row.get("setting") == s]) for s in settings)
        if results
        else (),
        crystals,
        others,
        files=reader.there(*FILES),
        potential=text(plan.get("potential")),
    )


def _count(count: Mapping[str, Any]) -> str:
    after, before, targets = (text(count.get(name)) for name in ("after", "before", "targets"))
    return f"{after} of {targets} relaxed, {before} as made"


def _step(setting: str, rows: list[dict[str, Any]]) -> Step:
    found = sum(bool(row["found"]) for row in rows)
    refused = sum(bool(row["why"]) for row in rows if not row["found"])
    reasons = {"refused": refused, "no crystal matches": len(rows) - found - refused}
    return Step(f"told {setting}", len(rows), found, {k: n for k, n in reasons.items() if n})


Found = tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]


def _findings(reader: Reader, results: Mapping[str, Any]) -> Found:
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for target in results.get("targets") or ():
        with reader.guard("targets of results.json"):
            name = f"{target['id']}, {target['setting']}"
            loose = next(
                (
                    v
                    for v in target.values()
                    if isinstance(v, dict) and "after" in v and "matches" in v["after"]
                ),
                {},
            )
            after, at_first = loose.get("after", {}), loose.get("before", {})
            row: dict[str, Any] = {
                "name": name,
                "target": str(target["id"]),
                "setting": str(target["setting"]),
                "formula": str(target["formula"]),
                "space_group": int(target["space_group"]),
                "made": whole(target.get("made")),
                "same": whole(target.get("same_composition")),
                "found": bool(target["matching"]),
                "matches": max(whole(after.get("matches")) or 0, whole(at_first.get("matches")) or 0),
                "first_rank": whole(after.get("first_rank")) or whole(at_first.get("first_rank")),
                "lowest": bool(loose.get("lowest_energy_matches")),
                "why": text(target.get("refused")),
            }
            matching = list(target["matching"])
            shown = next((m for m in matching if m["index"] == target.get("shown")), None)
            if shown is not None:
                own, crystals[name], other = _attempt(shown)
                row |= {k: v for k, v in own.items() if k not in ("formula", "space_group")}
                if other is not None:
                    before[name] = other
            rows.append(row)
    return rows, crystals, before


def _trials(reader: Reader) -> Found:
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for k, line in enumerate(reader.journal("trials.jsonl"), start=1):
        with reader.guard("lines of trials.jsonl"):
            name = f"trial {k}"
            if "failure" in line:
                rows.append({"name": name, "target": name, "why": str(line["failure"]), "found": False})
                continue
            row, crystals[name], other = _attempt(line)
            if other is not None:
                before[name] = other
            found = row["rms_before"] is not None or row["rms_after"] is not None
            rows.append({"name": name, "target": name, "found": found, "why": "", **row})
    return rows, crystals, before


def _attempt(line: Mapping[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """The figures of a crystal that was compared, the crystal itself, and the one before its relaxation."""
    first, after = line["before"], line.get("after")
    crystal = (after or first)["crystal"]
    row = {
        **crystal_values(crystal),
        "rms_before": number(first["rms"][0]),
        "rms_after": number(after["rms"][0]) if after else None,
        "energy": number(line.get("energy")),
    }
    return row, crystal, first["crystal"] if after else None
