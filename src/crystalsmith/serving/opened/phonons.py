"""Runs of ``phonons``: a file for each crystal that is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.opened.reading import Reader, crystal_values, number, text, whole
from crystalsmith.serving.opened.record import Column, Opened, Series, Step, filled

COLUMNS = (
    Column("name", "name"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("verdict", "phonons"),
    Column("lowest", "lowest (THz)", "number", 2, "frequency; imaginary ones are negative"),
    Column("imaginary", "imaginary modes", "number", 0),
    Column("born", "elastic (Born)"),
    Column("bulk", "bulk modulus (GPa)", "number", 1),
    Column("shear", "shear modulus (GPa)", "number", 1),
    Column("supercell", "supercell (atoms)", "number", 0),
    Column("lattice", "lattice (Å)"),
    Column("seconds", "time (s)", "number", 0),
    Column("why", "why not"),
)

MOST_FILES = 2000
_NOT_OURS = ("manifest.json",)


def open_phonons(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``phonons`` has done so far."""
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    pictures: list[str] = []
    paths = sorted(p for p in reader.folder.glob("*.json") if p.name not in _NOT_OURS)
    for path in paths[:MOST_FILES]:
        with reader.guard("files of crystals"):
            data = reader.json(path.name)
            if "made_with" not in data or "phonons" not in data:
                continue
            name, found = str(data["name"]), data["phonons"]
            rows.append({"name": name, **crystal_values(found["crystal"]), **_figures(data)})
            crystals[name] = found["crystal"]
            pictures += reader.there(f"{path.stem}.png")
    failures = manifest.get("failures") if isinstance(manifest.get("failures"), dict) else {}
    for name, reason in (failures or {}).items():
        known = next((row for row in rows if row["name"] == name), None)
        if known is None:
            rows.append({"name": str(name), "why": text(reason)})
        else:
            known["why"] = text(reason)
    run = manifest.get("run") or {}
    done = [row for row in rows if row["name"] in crystals]
    stable = sum(row["verdict"] == "stable" for row in done)
    asked = whole(manifest.get("asked"))
    return Opened(
        reader.folder,
        "phonons",
        str(manifest.get("status")),
        f"{stable} of {len(done)} crystals stable",
        (
            ("Potential", text(run.get("potential"))),
            ("Crystals", f"{len(done)}" + (f" of {asked}" if asked else "")),
            ("Stable", f"{stable}"),
        ),
        reader.told,
        filled(COLUMNS, rows),
        tuple(rows),
        (Step("stable", len(done), stable, _reasons(done)),) if done else (),
        crystals,
        files=(*reader.there("run.log", "manifest.json"), *pictures),
        potential=text(run.get("potential")),
    )


def bands(reader: Reader, name: str, most: int = 200) -> tuple[Series, ...]:
    """Bands of one crystal along the path between special points, THz; nothing where there are none."""
    data = reader.json(f"{name}.json")
    with reader.guard("bands"):
        found = data["phonons"]
        rows = [[float(v) for v in row] for row in found["bands"]]
        x = [float(v) for v in found["path"]["distance"]]
        if len(x) != len(rows):
            raise ValueError("bands without a path")
        return tuple(Series(str(k + 1), x, [row[k] for row in rows]) for k in range(min(len(rows[0]), most)))
    return ()


def _figures(data: Mapping[str, Any]) -> dict[str, Any]:
    found, elastic = data["phonons"], data.get("elasticity") or {}
    stability = found.get("stability") or {}
    lowest, between = number(stability.get("lowest")), number(stability.get("interpolated"))
    if stability.get("verdict") == "open" and lowest is not None and between is not None:
        lowest = min(lowest, between)
    born = elastic.get("stable")
    return {
        "verdict": text(stability.get("verdict")),
        "lowest": lowest,
        "imaginary": whole(stability.get("imaginary")),
        "born": "stable" if born is True else "unstable" if born is False else "",
        "bulk": number(elastic.get("bulk")),
        "shear": number(elastic.get("shear")),
        "supercell": whole((found.get("supercell") or {}).get("n_atoms")),
        "seconds": number(data.get("seconds")),
        "why": text(data.get("elastic_failure")),
    }


def _reasons(rows: list[dict[str, Any]]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for row in rows:
        if row["verdict"] != "stable":
            reasons[str(row["verdict"])] = reasons.get(str(row["verdict"]), 0) + 1
    return reasons
