"""Runs of ``generate``: the journals, and beside them what the table of a run that ended says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.opened.reading import Reader, crystal_values, number, text, unique, whole
from crystalsmith.serving.opened.record import Column, Opened, Step, filled

COLUMNS = (
    Column("rank", "rank", "number", 0, "1 is the likeliest of its order"),
    Column("order", "order"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("lattice", "lattice (Å)"),
    Column("atoms", "atoms", "number", 0, "in the primitive cell"),
    Column("p_right", "right", "chance", 0, "estimated probability to be the structure asked for"),
    Column("score", "score", "number", 2, "log-odds of the judges; higher is better"),
    Column("energy", "energy (eV/atom)", "number", 3),
    Column("above_known", "above hull (eV/atom)", "number", 3, "of the known crystal that it is"),
    Column("novelty", "known or new"),
    Column("known_as", "known as", "formula"),
    Column("origin", "made from", "formula"),
    Column("letters", "sites and letters"),
    Column("volume", "volume (Å³/atom)", "number", 2),
    Column("remark", "remark"),
)

FILES = ("report.html", "crystals.csv", "crystals.extxyz", "crystals.png", "run.log", "manifest.json")


def open_generation(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``generate`` has made so far."""
    run = manifest.get("run") or {}
    orders = [o for o in run.get("orders") or [] if isinstance(o, dict)]
    drafts = (whole(run.get("best_of")) or 1) if run.get("judges") else 0
    chosen = _chosen(reader) if drafts else {}
    table = {(row.get("order"), row.get("index")): row for row in reader.csv("crystals.csv")}
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    failed: Counter[str] = Counter()
    tries = waiting = 0
    names: set[str] = set()
    for line in reader.journal("crystals.jsonl"):
        with reader.guard("lines of crystals.jsonl"):
            tries += 1
            if line["failure"] is not None:
                failed[str(line["failure"]).partition(":")[0]] += 1
            if not line["final"] or line["crystal"] is None:
                continue
            order, index = str(line["order"]), int(line["index"])
            score: dict[str, Any] = {}
            if drafts:
                place = order, index // drafts
                if place not in chosen:
                    waiting += 1
                elif chosen[place][0] != index % drafts:
                    continue
                else:
                    index, score = place[1], chosen[place][1]
            name = unique(f"{order}_{index}", names)
            row = {"name": name, "order": order, **crystal_values(line["crystal"])}
            row |= {"energy": _energy(score), "origin": _origin(line.get("origin"))}
            row |= _of_table(table.get((order, str(index)), {}))
            names.add(name)
            rows.append(row)
            crystals[name] = line["crystal"]
    rows.sort(key=lambda r: (r.get("rank") is None, r.get("rank") or 0))
    asked = sum(whole(o.get("count")) or 0 for o in orders)
    several = len(orders) > 1
    columns = [c for c in COLUMNS if c.key != "order" or several]
    status = str(manifest.get("status"))
    return Opened(
        reader.folder,
        "generation",
        status,
        _summary(rows, asked, status),
        (
            ("Asked for", "; ".join(_order(o) for o in orders[:4]) + (" …" if len(orders) > 4 else "")),
            ("Crystals", f"{len(rows):,} of {asked:,}"),
            *((("Waiting for their judges", f"{waiting:,}"),) if waiting else ()),
            ("Tries", f"{tries:,}, {sum(failed.values()):,} of them failed"),
            ("Seed", text(run.get("seed"))),
            ("Potential", text(run.get("potential")) or "none"),
            ("Sampler", f"{text(run.get('sampler'))}, {text(run.get('steps'))} steps"),
        ),
        reader.told,
        filled(columns, rows),
        tuple(rows),
        _steps(rows, tries, failed, bool(table)),
        crystals,
        files=reader.there(*FILES),
        potential=text(run.get("potential")),
    )


def _chosen(reader: Reader) -> dict[tuple[str, int], tuple[int, dict[str, Any]]]:
    """Draft that was chosen and its score, by order and index."""
    found = {}
    for line in reader.journal("scores.jsonl"):
        with reader.guard("lines of scores.jsonl"):
            draft = int(line["draft"])
            found[str(line["order"]), int(line["index"])] = draft, dict(line["scores"][draft] or {})
    return found


def _energy(score: Mapping[str, Any]) -> float | None:
    relaxed = number(score.get("relaxed_energy"))
    return number(score.get("energy")) if relaxed is None else relaxed


def _origin(origin: Any) -> str:
    if not isinstance(origin, dict):
        return "network"
    kind, source, name = (text(origin.get(k)) for k in ("kind", "source", "name"))
    what = f"{ {'file': 'known crystal', 'aflow': 'prototype'}.get(source, source) }: {name}"
    return f"refined from {what}" if kind == "refined" else what


def _of_table(row: Mapping[str, str]) -> dict[str, Any]:
    """What the run's own table adds to a crystal, once it stands there."""
    if not row:
        return {}
    remarks = []
    if row.get("duplicate_of"):
        remarks.append(f"same as {row['duplicate_of']}")
    if row.get("symmetry_within_0.1A"):
        remarks.append(f"space group {row['symmetry_within_0.1A']} within 0.1 Å")
    return {
        "rank": whole(row.get("rank")),
        "p_right": number(row.get("p_right")),
        "score": number(row.get("score")),
        "energy": number(row.get("energy_ev_atom")),
        "above_known": number(row.get("e_above_hull_of_known")),
        "novelty": text(row.get("novelty")),
        "known_as": text(row.get("known_as")),
        "origin": text(row.get("origin")),
        "remark": ", ".join(remarks),
    }


def _order(order: Mapping[str, Any]) -> str:
    """An order in words."""
    left_out = ("id", "count")
    return ", ".join(
        f"{key.replace('_', ' ')} {text(value)}" for key, value in order.items() if key not in left_out
    )


def _summary(rows: list[dict[str, Any]], asked: int, status: str) -> str:
    formulas = sorted({str(row["formula"]) for row in rows})
    shown = ", ".join(formulas[:4]) + (f" and {len(formulas) - 4} more" if len(formulas) > 4 else "")
    words = f"{len(rows):,} of {asked:,} crystals" + (f" of {shown}" if shown else "")
    return words + (" so far" if status == "running" else "")


def _steps(rows: list[dict[str, Any]], tries: int, failed: Counter[str], judged: bool) -> tuple[Step, ...]:
    if not tries:
        return ()
    sound = tries - sum(failed.values())
    steps = [Step("tries", tries, sound, dict(failed.most_common()))]
    if sound > len(rows):
        steps.append(Step("drafts", sound, len(rows), {"another draft was better": sound - len(rows)}))
    if judged:
        ranked = [row for row in rows if row.get("rank") is not None]
        own = [row for row in ranked if not row.get("remark")]
        steps.append(
            Step("distinct", len(ranked), len(own), {"said by a better crystal": len(ranked) - len(own)})
        )
        new = [row for row in own if str(row.get("novelty")).startswith("new")]
        steps.append(Step("not known", len(own), len(new), {"known": len(own) - len(new)}))
    return tuple(steps)
