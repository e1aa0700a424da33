"""What has no run folder of its own kind: evaluations, reference phases, trainings, and anything else."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.opened.reading import BROKEN, Reader, number, text, whole
from crystalsmith.serving.opened.record import Column, Opened, Series, Step, filled

MOST_FILES = 200
MOST_PHASES = 5000
MOST_LINES = 12

ON_HULL = 1e-6
"""eV per atom: what is this near to the hull is on it."""

LOGS = ("log.csv", "prior-log.csv")
_TIMES = ("step", "epoch")
_NO_LOSSES = (*_TIMES, "seen", "skipped", "seconds", "rate")


def find_evaluation(reader: Reader) -> dict[str, Any]:
    """The figures of an evaluation among the files of a folder; an empty object where there are none."""
    quiet = Reader(reader.folder)
    for path in _files(reader, "*.json"):
        data = quiet.json(path)
        if isinstance(data.get("sets"), list) and isinstance(data.get("measures"), dict):
            return {**data, "file": path}
    return {}


def open_evaluation(reader: Reader, data: Mapping[str, Any]) -> Opened:
    """Figures of an evaluation: a row for each, a column for each set."""
    rows: dict[str, dict[str, Any]] = {}
    sets: list[tuple[str, str]] = []
    steps: list[Step] = []
    for k, one in enumerate(data["sets"]):
        with reader.guard("sets"):
            name, size = str(one["name"]), int(one["crystals"])
            sets.append((f"set{k}", name))
            failures = [f for f in one.get("failures") or () if isinstance(f, dict)]
            reasons: dict[str, int] = {}
            for failure in failures:
                reason = text(failure.get("reason")).partition(":")[0]
                reasons[reason] = reasons.get(reason, 0) + 1
            steps.append(Step(f"readable, {name}", size, size - len(failures), reasons))
            for key, figure in one["figures"].items():
                about = (data["measures"].get(key) or {}).get("about", "")
                row = rows.setdefault(
                    str(key), {"name": str(key), "figure": text(figure.get("label")), "about": text(about)}
                )
                row[f"set{k}"] = number(figure.get("value"))
                low, high = number(figure.get("low")), number(figure.get("high"))
                if low is not None and high is not None:
                    row[f"range{k}"] = f"{low:.4g} to {high:.4g}"
    columns = [Column("figure", "figure")]
    for key, name in sets:
        columns.append(Column(key, name, "number", 4))
        columns.append(Column(key.replace("set", "range"), f"{name}, 95 %"))
    columns.append(Column("about", "what it is"))
    reference = data.get("reference") if isinstance(data.get("reference"), dict) else {}
    assert isinstance(reference, dict)
    against = f"{text(reference.get('name'))}, {whole(reference.get('crystals')) or 0:,} crystals"
    return Opened(
        reader.folder,
        "evaluation",
        "finished",
        f"{', '.join(name for _, name in sets)} against {against}",
        (("Reference", against), ("Settings", text(data.get("settings")))),
        (*reader.told, *(text(note) for note in data.get("notes") or ())),
        filled(columns, list(rows.values())),
        tuple(rows.values()),
        tuple(steps),
        files=reader.there(text(data.get("file")), *_files(reader, "*.html"), *_files(reader, "*.csv")),
    )


COLUMNS = (
    Column("id", "id"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("elements", "elements", "number", 0),
    Column("calls", "calls", "number", 0, "of the potential; 1 for a single point"),
)


def open_references(reader: Reader, files: tuple[str, ...]) -> Opened:
    """Reference phases of ``hull build``, and how far a build that goes on is."""
    from crystalsmith.hull.phases import References

    rows: list[dict[str, Any]] = []
    facts: list[tuple[str, str]] = []
    status, potential, total = "finished", "", 0
    for name in files:
        with reader.guard("files of reference phases"):
            references = References.open(reader.folder / name)
            potential = references.potential
            total += len(references)
            facts.append((name, references.note))
            for phase in itertools.islice(references, MOST_PHASES - len(rows)):
                rows.append(
                    {
                        "name": f"{name} {len(rows)}",
                        "id": phase.id,
                        "formula": phase.formula,
                        "space_group": phase.space_group or None,
                        "energy": phase.energy,
                        "elements": len(phase.elements),
                        "calls": phase.calls,
                    }
                )
    for name in _files(reader, "*.npz.journal"):
        lines = reader.journal(name)
        first = lines[0] if lines else {}
        energies = {line.get("row") for line in lines[1:] if line.get("energy") is not None}
        lost = {line.get("row") for line in lines[1:] if line.get("energy") is None} - energies
        facts.append(
            (name, f"{len(energies):,} energies by {text(first.get('potential'))}, {len(lost):,} failures")
        )
        potential = potential or text(first.get("potential"))
        if name.removesuffix(".journal") not in files:
            status = "running"
    if total > len(rows):
        reader.notes.append(f"the first {len(rows):,} of {total:,} phases are listed")
    return Opened(
        reader.folder,
        "hull",
        status,
        f"{total:,} reference phases" + (f" by {potential}" if potential else ""),
        tuple(facts),
        reader.told,
        filled(COLUMNS, rows),
        tuple(rows),
        potential=potential,
    )


PLACED = (
    Column("candidate", "candidate", "yes", about="a crystal of a run, not a known phase"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("above_hull", "above hull (eV/atom)", "number", 3, "negative: below the hull of known phases"),
    Column("formation", "formation (eV/atom)", "number", 3),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("falls_into", "would fall into", "formula"),
    Column("id", "id"),
)


def open_hull(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """A phase diagram with candidates on it: a run folder of the server."""
    from crystalsmith.crystal import Crystal

    data = reader.json("hull.json")
    rows: list[dict[str, Any]] = []
    crystals: dict[str, Any] = {}
    for line in data.get("candidates") or ():
        with reader.guard("candidates of hull.json"):
            name = str(line["name"])
            falls = sorted(dict(line["decomposition"]).items(), key=lambda item: -float(item[1]))
            words = ", ".join(f"{100 * float(share):.0f} % {phase}" for phase, share in falls)
            row = {"name": name, "candidate": True, "id": name, "falls_into": words, **_placed(line)}
            if (path := reader.path(f"cif/{name}.cif")) is not None:
                crystals[name] = Crystal.from_cif(path.read_bytes()).to_dict()
            rows.append(row)
    for k, line in enumerate(data.get("phases") or ()):
        with reader.guard("phases of hull.json"):
            rows.append(
                {"name": f"phase {k}", "candidate": False, "id": text(line.get("id")), **_placed(line)}
            )
    system = "-".join(map(str, data.get("elements") or (manifest["run"].get("system") or ())))
    potential = text(data.get("potential") or manifest["run"].get("potential"))
    placed = [row["above_hull"] for row in rows if row["candidate"] and row["above_hull"] is not None]
    stable = sum(above <= ON_HULL for above in placed)
    words = f"{system}: {len(placed)} candidates, {stable} on the hull of known phases or below it"
    return Opened(
        reader.folder,
        "hull",
        text(manifest.get("status")),
        words,
        (("System", system), ("Potential", potential), ("Known phases", f"{len(rows) - len(placed):,}")),
        (*reader.told, *(text(note) for note in data.get("notes") or ())),
        filled(PLACED, rows),
        tuple(rows),
        crystals=crystals,
        files=reader.there("hull.json", "hull.svg", "entries.csv", "run.log", "manifest.json"),
        potential=potential,
    )


def _placed(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "formula": text(line["formula"]),
        "space_group": whole(line.get("space_group")),
        "above_hull": number(line.get("above_hull")),
        "formation": number(line.get("formation")),
        "energy": number(line.get("energy_per_atom")),
    }


def references_in(reader: Reader) -> tuple[str, ...]:
    """Files of reference phases in a folder, by their names and what is in them."""
    import zipfile

    found = []
    for name in _files(reader, "*.npz"):
        path = reader.path(name)
        try:
            with zipfile.ZipFile(path or "") as archive:
                if "metadata.npy" in archive.namelist():
                    found.append(name)
        except (*BROKEN, zipfile.BadZipFile):
            continue
    return tuple(found)


def is_hull(reader: Reader) -> bool:
    """Whether a folder holds reference phases, or a build of them that goes on."""
    return bool(references_in(reader) or _files(reader, "*.npz.journal"))


def open_training(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """A training: its losses by step."""
    rows = next((rows for name in LOGS if (rows := reader.csv(name))), [])
    names = [name for name in (rows[0] if rows else {}) if name not in _NO_LOSSES]
    time = next((name for name in _TIMES if rows and name in rows[0]), _TIMES[0])
    series = []
    for name in names[:MOST_LINES]:
        points = [(number(row.get(time)), number(row.get(name))) for row in rows]
        there = [(x, y) for x, y in points if x is not None and y is not None]
        if there:
            series.append(Series(name, [x for x, _ in there], [y for _, y in there]))
    last = text(rows[-1].get(time)) if rows else "0"
    shown = [{"name": str(k), **{c: number(v) for c, v in row.items()}} for k, row in enumerate(rows)]
    columns = [Column(c, c, "number", 4) for c in (rows[0] if rows else {})]
    return Opened(
        reader.folder,
        text(manifest.get("kind")) or "training",
        str(manifest.get("status")),
        f"{last} {time}s",
        ((f"{time.capitalize()}s", last), ("Logged", f"{len(rows)} times")),
        reader.told,
        filled(columns, shown),
        tuple(shown),
        series=tuple(series),
        series_axes=(time, "loss"),
        files=reader.there(*LOGS, "run.log", "manifest.json"),
    )


def open_unknown(reader: Reader, kind: str = "unknown", status: str = "unknown") -> Opened:
    """A folder that holds no run that is understood here."""
    words = "no run of this program is in this folder" if kind == "unknown" else f"a run of {kind}"
    return Opened(
        reader.folder,
        kind,
        status,
        words,
        notes=reader.told,
        files=reader.there("report.html", "run.log", "manifest.json"),
    )


def _files(reader: Reader, pattern: str) -> list[str]:
    """Names of files in the folder, at most so many."""
    try:
        found = sorted(p.name for p in itertools.islice(reader.folder.glob(pattern), MOST_FILES))
    except OSError:
        return []
    return [name for name in found if name != "manifest.json"]
