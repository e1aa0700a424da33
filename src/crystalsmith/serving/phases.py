"""A phase diagram with candidates on it, as a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crystalsmith import __version__
from crystalsmith.runs.csv_text import csv_text
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.progress import Progress

RESULTS, ENTRIES, PICTURE, CIFS = "hull.json", "entries.csv", "hull.svg", "cif"

HULL = RunKind(
    "hull",
    "phase diagram",
    owned=(RESULTS, ENTRIES, PICTURE, f"{CIFS}/"),
    another={"candidates": "other candidates"},
)


def place_into(
    options: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]], output: Path, progress: Progress
) -> None:
    """Write the phases of a system and the places of candidates among them.

    ``hull.json`` has both, ``hull.svg`` the diagram of two to four elements, ``entries.csv`` the candidates
    as ``hull show --entries`` takes them, ``cif/`` their structures.

    Args:
        options: system, potential.
        candidates: name, counts, energy (eV/atom) and plain crystal of each.
        output: the folder.
        progress: told how far it is.

    Raises:
        HullError: the system has no hull.
        OutputError: the folder cannot be used.
    """
    from crystalsmith.crystal import Crystal
    from crystalsmith.hull.system import PhaseTable, load_hull

    elements, potential = tuple(options["system"]), str(options["potential"])
    table = PhaseTable.of(elements, load_hull(potential))
    identity = {
        "version": __version__,
        "system": list(elements),
        "potential": potential,
        "candidates": [[c["name"], dict(c["counts"]), c["energy"]] for c in candidates],
    }
    with RunFolder.open(output, HULL, identity, arguments=dict(options)) as folder:
        rows = []
        for n, one in enumerate(candidates):
            progress("candidates", n, len(candidates))
            crystal = Crystal.from_dict(one["crystal"])
            place = table.hull.place(one["counts"], one["energy"])
            folder.write(f"{CIFS}/{one['name']}.cif", crystal.to_cif(), durable=False)
            rows.append(
                {
                    "name": one["name"],
                    "formula": crystal.formula,
                    "space_group": crystal.space_group,
                    "symbol": crystal.group.symbol,
                    "energy_per_atom": round(one["energy"], 6),
                    "formation": round(place.formation, 6) + 0.0,
                    "above_hull": round(place.above_hull, 6) + 0.0,
                    "decomposition": dict(place.decomposition),
                    "cif": f"{CIFS}/{one['name']}.cif",
                }
            )
        rows.sort(key=lambda row: row["above_hull"])
        found = {**table.to_dict(), "elements": list(elements), "potential": potential, "candidates": rows}
        folder.write(RESULTS, json.dumps(found, indent=1) + "\n")
        folder.write(ENTRIES, csv_text(rows, ("name", "formula", "energy_per_atom", "space_group")))
        _draw(folder, table, elements, rows)
        folder.write_manifest("finished", phases=len(table.phases), crystals=len(rows))
        progress("candidates", len(candidates), max(len(candidates), 1))


def _draw(
    folder: RunFolder, table: Any, elements: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
) -> None:
    from matplotlib import rc_context

    from crystalsmith.hull.pictures import DRAWN, draw_phase_diagram
    from crystalsmith.pictures.plotting import STYLE
    from crystalsmith.runs.atomic import replacing, writing

    if len(elements) not in DRAWN:
        return
    points = [(row["formula"], row["above_hull"], "") for row in rows]
    figure = draw_phase_diagram(table.hull.diagram(elements), points)
    path = folder.path / PICTURE
    with writing(path), replacing(path) as partial, rc_context({**STYLE, "svg.fonttype": "path"}):
        figure.savefig(partial, format="svg", facecolor="white", metadata={"Date": None})
