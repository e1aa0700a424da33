"""Runs of ``discover`` over a list of systems: a row for each system that is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.opened.reading import Reader, number, text, whole
from crystalsmith.serving.opened.record import Column, Opened, filled

COLUMNS = (
    Column("name", "system"),
    Column("status", "state"),
    Column("candidates", "candidates", "number", 0),
    Column("unique", "unique", "number", 0, "as generated"),
    Column("near", "near the hull", "number", 0, "relaxed crystals of all elements"),
    Column("short", "short list", "number", 0),
    Column("new", "new", "number", 0, "of the short list"),
    Column("best", "best above hull (eV/atom)", "number", 3, "negative: below the hull of known phases"),
    Column("formula", "best crystal", "formula"),
    Column("space_group", "space group", "group"),
    Column("failure", "why nothing came of it"),
)

FILES = ("report.html", "systems.csv", "systems.json", "run.log", "manifest.json")

_NUMBERS = ("candidates", "unique", "near", "short", "new", "space_group")


def open_systems(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run has found so far."""
    run = manifest.get("run") or {}
    rows: dict[str, dict[str, Any]] = {}
    for line in reader.journal("systems.jsonl"):
        with reader.guard("lines of systems.jsonl"):
            name = str(line["system"])
            rows[name] = {
                "name": name,
                **{key: text(line.get(key)) for key in ("status", "formula", "failure")},
                **{key: whole(line.get(key)) for key in _NUMBERS},
                "best": number(line.get("best")),
            }
    ordered = sorted(rows.values(), key=lambda r: (r["best"] is None, r["best"] or 0.0))
    asked = whole(manifest.get("systems")) or len(rows)
    failed = sum(row["status"] == "failed" for row in ordered)
    new = sum(row["new"] or 0 for row in ordered)
    return Opened(
        reader.folder,
        "systems",
        str(manifest.get("status")),
        f"{len(rows):,} of {asked:,} systems are over, {failed:,} of them failed; {new:,} crystals on short"
        " lists are not known",
        (
            ("Systems", f"{asked:,}"),
            ("Candidates", f"{sum(row['candidates'] or 0 for row in ordered):,}"),
            ("Near the hull", f"{sum(row['near'] or 0 for row in ordered):,}"),
            ("Potential", text(run.get("potential"))),
        ),
        (*reader.told, "The report leads to a page for each system."),
        filled(COLUMNS, ordered),
        tuple(ordered),
        files=reader.there(*FILES),
        potential=text(run.get("potential")),
    )
