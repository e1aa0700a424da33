"""Runs of ``relax``: every crystal as its line of the journal comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crystalsmith.serving.opened.reading import Reader, crystal_values, is_sound, number, text, whole
from crystalsmith.serving.opened.record import Column, Opened, Step, filled

COLUMNS = (
    Column("name", "name"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group", about="after the relaxation"),
    Column("group_before", "before", "group", about="space group before the relaxation"),
    Column("above_hull", "above hull (eV/atom)", "number", 3, "of the known phases by the same potential"),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("gained", "gained (eV/atom)", "number", 3, "energy that the relaxation gave"),
    Column("lattice", "lattice (Å)"),
    Column("atoms", "atoms", "number", 0, "in the primitive cell"),
    Column("change", "volume change", "percent", 1),
    Column("calls", "calls", "number", 0, "of the potential"),
    Column("converged", "converged", "yes"),
    Column("reason", "ended by"),
    Column("seconds", "time (s)", "number", 1),
)

FILES = ("relaxed.csv", "relaxed.extxyz", "run.log", "manifest.json")


def open_relaxation(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``relax`` has done so far."""
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for line in reader.journal("journal.jsonl"):
        with reader.guard("lines of journal.jsonl"):
            name = str(line["name"])
            row, after = _row(line)
            rows = [r for r in rows if r["name"] != name] if name in before else rows
            rows.append({"name": name, **row})
            before[name] = line["outcome"]["start"] if "outcome" in line else None
            if after is not None:
                crystals[name] = after
    run = manifest.get("run") or {}
    asked = whole(manifest.get("asked"))
    reasons = Counter(str(r["reason"]) for r in rows)
    sound = [r for r in rows if r["name"] in crystals]
    converged = sum(bool(r.get("converged")) for r in rows)
    lost = {k: n for k, n in Counter(str(r["reason"]) for r in rows if r["name"] not in crystals).items()}
    return Opened(
        reader.folder,
        "relaxation",
        str(manifest.get("status")),
        f"{len(sound):,} of {asked or len(rows):,} crystals relaxed, {converged:,} converged",
        (
            ("Potential", text(run.get("potential"))),
            ("Crystals", f"{len(rows):,}" + (f" of {asked:,}" if asked else "")),
            ("Converged", f"{converged:,}"),
            ("Ended by", text(dict(reasons.most_common(4)))),
            ("Calls at most", text(run.get("max_calls"))),
        ),
        reader.told,
        filled(COLUMNS, rows),
        tuple(rows),
        (
            Step("relaxed", len(rows), len(sound), lost),
            Step("converged", len(sound), converged, {"not converged": len(sound) - converged}),
        )
        if rows
        else (),
        crystals,
        {name: data for name, data in before.items() if data is not None},
        files=reader.there(*FILES),
        potential=text(run.get("potential")),
    )


def with_above(opened: Opened, above: Mapping[str, float]) -> Opened:
    """The same with energies above the hull by the rows' names, eV per atom."""
    rows = [{**row, "above_hull": above.get(str(row["name"]))} for row in opened.rows]
    return replace(opened, rows=tuple(rows), columns=filled(COLUMNS, rows))


def _row(line: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The row of a line, and the crystal that counts."""
    seconds = number(line.get("seconds"))
    if "failure" in line:
        return {"reason": str(line["failure"]), "converged": False, "seconds": seconds}, None
    outcome = line["outcome"]
    stages = dict(outcome["stages"])
    first = crystal_values(outcome["start"])
    last_name, last = list(stages.items())[-1]
    sound = [s for s in stages.values() if is_sound(s)]
    done = last_name == list(outcome["asked"])[-1] and last["reason"] == "converged"
    row: dict[str, Any] = {
        **first,
        "group_before": first["space_group"],
        "calls": sum(int(s["calls"]) for s in stages.values()),
        "converged": done,
        "reason": "converged" if done else f"{last_name}: {last['reason']}",
        "seconds": seconds,
    }
    if not sound:
        return row | {"space_group": None}, None
    after = sound[-1]["crystal"]
    values = crystal_values(after)
    energy, start = number(sound[-1]["energy"]), number(outcome.get("energy_start"))
    row |= values | {"energy": energy, "change": values["volume"] / first["volume"] - 1}
    if energy is not None and start is not None:
        row["gained"] = start - energy
    return row, after
