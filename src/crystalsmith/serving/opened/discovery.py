"""Runs of ``discover``: the funnel, and every candidate of the database as it stands."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any

from crystalsmith.errors import DataError
from crystalsmith.serving.opened.reading import MOST_ROWS, Reader, crystal_values, number, text
from crystalsmith.serving.opened.record import Column, Opened, Step, filled

COLUMNS = (
    Column("rank", "rank", "number", 0, "on the short list"),
    Column("name", "name"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("above_hull", "above hull (eV/atom)", "number", 3, "negative: below the hull of known phases"),
    Column("formation", "formation (eV/atom)", "number", 3),
    Column("novelty", "known or new"),
    Column("nearest", "nearest known", "formula"),
    Column("phonons", "phonons"),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("score", "score", "number", 2),
    Column("stage", "as it stands"),
    Column("left_at", "left at"),
    Column("why", "why"),
    Column("lattice", "lattice (Å)"),
    Column("atoms", "atoms", "number", 0, "in the primitive cell"),
    Column("falls_into", "would fall into", "formula"),
)

FILES = ("report.html", "candidates.csv", "shortlist.json", "dft.csv", "run.log", "manifest.json")

STAGES = (
    *("duplicates", "score", "single points", "symmetric relaxation", "duplicates, relaxed"),
    *("free relaxation", "hull", "novelty", "phonons"),
)
"""Of ``discovery.funnel``, in their order; a run that goes on has counted the first of them only."""


def open_discovery(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``discover`` has found so far."""
    run = manifest.get("run") or {}
    data = reader.json("shortlist.json")
    summary = data.get("summary") if isinstance(data.get("summary"), dict) else {}
    assert isinstance(summary, dict)
    rows: dict[str, dict[str, Any]] = {}
    crystals: dict[str, Any] = {}
    listed = data.get("candidates") if isinstance(data.get("candidates"), list) else []
    for rank, line in enumerate(listed or [], start=1):
        with reader.guard("candidates of shortlist.json"):
            state = line["states"][-1]
            rows[str(line["name"])] = {"rank": rank, **_row(str(line["name"]), state, line)}
            crystals[str(line["name"])] = state["crystal"]
    _of_database(reader, rows, crystals)
    ordered = sorted(rows.values(), key=lambda r: (r.get("rank") is None, r.get("rank") or 0))
    system = "-".join(map(str, run.get("system") or summary.get("system") or ()))
    potential = text(summary.get("potential") or run.get("potential"))
    short = [row for row in ordered if row.get("rank") is not None]
    return Opened(
        reader.folder,
        "discovery",
        str(manifest.get("status")),
        _summary(system, ordered, short, bool(summary)),
        (
            ("System", system),
            ("Candidates", f"{len(ordered):,}"),
            ("Short list", f"{len(short)}" if summary else "not made yet"),
            ("Potential", potential),
            ("Known phases", text(summary.get("reference"))),
            ("Time", f"{number(summary.get('seconds')) or 0:.0f} s" if summary else ""),
        ),
        (*reader.told, *(text(note) for note in summary.get("notes") or ())),
        filled(COLUMNS, ordered),
        tuple(ordered),
        _told(reader, summary) or _counted(ordered),
        crystals,
        files=reader.there(*FILES),
        potential=potential,
    )


def _row(name: str, state: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a candidate: its last state, and what was found out about it."""
    novelty, phonons = found.get("novelty") or {}, found.get("phonons") or {}
    dropped = found.get("dropped") or ("", "")
    falls = sorted((found.get("decomposition") or {}).items(), key=lambda item: -item[1])
    stable = phonons.get("stable")
    lowest = number(phonons.get("min_frequency"))
    words = "stable" if stable is True else "unstable" if stable is False else "undecided" if phonons else ""
    energy = number(state.get("energy"))
    for earlier in reversed(found.get("states") or ()):
        energy = number(earlier.get("energy")) if energy is None else energy
    return {
        "name": name,
        **crystal_values(state["crystal"]),
        "stage": text(state.get("stage")),
        "energy": energy,
        "score": number(found.get("score")),
        "above_hull": number(found.get("above_hull")),
        "formation": number(found.get("formation")),
        "novelty": text(novelty.get("verdict")),
        "nearest": text(novelty.get("nearest")),
        "phonons": words + (f", lowest {lowest:.2f} THz" if lowest is not None else ""),
        "left_at": text(dropped[0]),
        "why": text(dropped[1]),
        "falls_into": ", ".join(f"{100 * float(share):.0f} % {phase}" for phase, share in falls),
    }


def _of_database(reader: Reader, rows: dict[str, dict[str, Any]], crystals: dict[str, Any]) -> None:
    """Add the candidates of the database that are not on the short list."""
    path = reader.path("crystals.db")
    if path is None or not path.stat().st_size:
        return
    from crystalsmith.crystal.io.database import database_rows

    try:
        for _, line in database_rows(path):
            if len(rows) >= MOST_ROWS:
                reader.notes.append(
                    f"crystals.db has more than {MOST_ROWS:,} candidates; the first are shown"
                )
                break
            with reader.guard("rows of crystals.db"):
                name, data = str(line["candidate"]), line["data"]
                if name not in rows:
                    found = data.get("findings") or {}
                    rows[name] = {"rank": None, **_row(name, data["state"], found)}
                    crystals[name] = data["state"]["crystal"]
    except (sqlite3.Error, DataError, ValueError, KeyError, TypeError) as error:
        reader.notes.append(f"crystals.db cannot be read at the moment: {str(error)[:80]}")


def _told(reader: Reader, summary: Mapping[str, Any]) -> tuple[Step, ...]:
    """The funnel as a finished run tells it."""
    steps = []
    for stage in summary.get("stages") or ():
        with reader.guard("stages of shortlist.json"):
            reasons = {str(k): int(n) for k, n in dict(stage["reasons"]).items()}
            seconds = number(stage.get("seconds"))
            steps.append(Step(str(stage["name"]), int(stage["came"]), int(stage["went"]), reasons, seconds))
    return tuple(steps)


def _counted(rows: list[dict[str, Any]]) -> tuple[Step, ...]:
    """The funnel of a run that goes on: from the stages at which candidates left."""
    steps, left = [], len(rows)
    gone = Counter(str(row["left_at"]) for row in rows if row["left_at"])
    last = max((STAGES.index(name) for name in gone if name in STAGES), default=-1)
    for name in STAGES[: last + 1]:
        reasons = Counter(str(r["why"]).partition(":")[0] for r in rows if r["left_at"] == name)
        steps.append(Step(name, left, left - gone[name], dict(reasons.most_common())))
        left -= gone[name]
    return tuple(steps)


def _summary(system: str, rows: list[dict[str, Any]], short: list[dict[str, Any]], done: bool) -> str:
    if not done:
        return f"{system}: {len(rows):,} candidates so far"
    new = [row for row in short if str(row["novelty"]).startswith("new")]
    stable = sum((row["above_hull"] or 0.0) <= 1e-6 for row in short if row["above_hull"] is not None)
    return (
        f"{system}: {len(short)} of {len(rows):,} candidates on the short list, {len(new)} of them new,"
        f" {stable} on the hull or below it"
    )
