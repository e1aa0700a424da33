"""Where the crystals of a run lie above the hull of known phases, and the phase diagrams they belong in.

``phase_diagram``, ``known_diagram`` and ``places`` load pymatgen and reference phases: they are asked of
another process. The rest is light.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal.elements import formula_order
from crystalsmith.errors import CrystalsmithError, HullError
from crystalsmith.serving.opened import Opened, open_run

if TYPE_CHECKING:
    from crystalsmith.hull import Hull

DRAWN = (2, 3, 4)
"""Numbers of elements of a diagram that can be drawn."""

MOST_POINTS, MOST_PHASES = 500, 400
"""Crystals of the run, the lowest of them, and known phases that a diagram shows."""

HIGHEST = 0.5
"""eV per atom above the hull: known phases that lie higher are not shown."""

ON_HULL = 1e-6
"""eV per atom: what is this near to the hull is on it."""

_CORNERS = {
    2: ((0.0, 0.0), (1.0, 0.0)),
    3: ((0.0, 0.0), (1.0, 0.0), (0.5, 0.8660254)),
    4: ((0.0, 0.18), (1.0, 0.06), (0.63, -0.22), (0.52, 0.86)),
}
"""Of the diagram of two, three and four elements; a tetrahedron is seen in projection."""


def systems_of(opened: Opened) -> list[tuple[str, ...]]:
    """Chemical systems of a run's crystals with energies that can be drawn, those of most crystals first."""
    found: Counter[tuple[str, ...]] = Counter()
    for row in opened.rows:
        if row.get("energy") is not None or row.get("above_hull") is not None:
            elements = elements_of(opened.crystals.get(str(row["name"])))
            if len(elements) in DRAWN:
                found[elements] += 1
    return sorted(found, key=lambda elements: (-found[elements], -len(elements), elements))


def elements_of(crystal: Any) -> tuple[str, ...]:
    """Elements of a crystal's plain data, in the order of formulas."""
    try:
        return tuple(sorted({str(site["element"]) for site in crystal["sites"]}, key=formula_order))
    except (TypeError, KeyError, ValueError):
        return ()


def places(model: Any, folder: str) -> dict[str, Any]:
    """Energies above the hull of known phases, by names of a run's rows.

    Args:
        model: not used.
        folder: of the run.

    Returns:
        ``above``: eV per atom by name; ``notes``: why some or all are missing.
    """
    opened = open_run(Path(folder))
    above: dict[str, float] = {}
    notes: Counter[str] = Counter()
    try:
        hull = _hull(opened.potential)
    except CrystalsmithError as error:
        return {"above": {}, "notes": [str(error)]}
    for row in opened.rows:
        crystal = opened.crystal(str(row["name"]))
        if crystal is None or row.get("energy") is None:
            continue
        try:
            above[str(row["name"])] = round(hull.place(crystal.counts, float(row["energy"])).above_hull, 6)
        except HullError as error:
            notes[str(error)] += 1
    return {"above": above, "notes": [f"{note} ({n} crystals)" for note, n in notes.most_common(3)]}


def phase_diagram(model: Any, folder: str, elements: Sequence[str]) -> dict[str, Any]:
    """The phase diagram of a system with the crystals of a run in it.

    Args:
        model: not used.
        folder: of the run.
        elements: two to four symbols.

    Returns:
        ``elements``; ``phases``: each with ``name``, ``formula``, ``at`` (place in the drawing), ``share``
        (of the second element), ``formation`` and ``above`` (eV per atom); ``ties``: pairs of stable phases;
        ``points``: crystals of the run, likewise; ``notes``.

    Raises:
        HullError: no reference phases of the potential, or of one of the elements.
    """
    opened = open_run(Path(folder))
    own = _drawable(elements)
    diagram, notes = _diagram(opened, own)
    drawing = _drawing(diagram, own, notes, opened.potential)
    return {**drawing, "points": _points(opened, diagram, own)}


def known_diagram(model: Any, elements: Sequence[str], potential: str = "chgnet") -> dict[str, Any]:
    """The same of the known phases alone: ``points`` is empty.

    Args:
        model: not used.
        elements: two to four symbols.
        potential: whose references are drawn.

    Raises:
        HullError: no reference phases of the potential, or of one of the elements.
    """
    own = _drawable(elements)
    hull = _hull(potential)
    return {**_drawing(hull.diagram(own), own, hull.notes(own), potential), "points": []}


def _drawable(elements: Sequence[str]) -> tuple[str, ...]:
    if len(elements) not in DRAWN:
        raise HullError(
            f"a phase diagram of {len(elements)} elements cannot be drawn; those of 2, 3 and 4 can"
        )
    return tuple(elements)


def _drawing(diagram: Any, elements: tuple[str, ...], notes: Sequence[str], potential: str) -> dict[str, Any]:
    """All of a diagram but the crystals of a run."""
    from crystalsmith.hull.picture_simplex import tie_lines

    phases = _phases(diagram, elements)
    stable = {id(entry): k for k, (entry, _) in enumerate(phases)}
    ends = tie_lines(diagram) if len(elements) > 2 else []
    ties = [(stable.get(id(a)), stable.get(id(b))) for a, b in ends]
    return {
        "elements": list(elements),
        "phases": [row for _, row in phases],
        "ties": [[a, b] for a, b in ties if a is not None and b is not None],
        "notes": list(notes),
        "potential": potential,
    }


def _hull(potential: str) -> Hull:
    from crystalsmith.hull.system import load_hull

    if not potential:
        raise HullError("no energies: the run had no potential")
    return load_hull(potential, None, ())


def _diagram(opened: Opened, elements: tuple[str, ...]) -> tuple[Any, list[str]]:
    """pymatgen's diagram: the run's own where it holds one, else of the phases that come with the package."""
    if opened.kind == "discovery" and opened.status == "finished":
        from crystalsmith.discovery.shortlist import read_shortlist

        own = read_shortlist(opened.folder).diagram
        if own is not None and {e.symbol for e in own.elements} == set(elements):
            return own, []
    hull = _hull(opened.potential)
    return hull.diagram(elements), hull.notes(elements)


def _phases(diagram: Any, elements: tuple[str, ...]) -> list[tuple[Any, dict[str, Any]]]:
    from crystalsmith.discovery.shortlist import phase_label

    rows = []
    for entry in diagram.all_entries:
        above = float(diagram.get_e_above_hull(entry) or 0.0)
        if above < HIGHEST:
            row = _at([float(entry.composition.get_atomic_fraction(e)) for e in elements])
            row |= {"name": phase_label(entry), "formula": entry.composition.reduced_formula}
            row |= {"formation": round(float(diagram.get_form_energy_per_atom(entry)), 5)}
            rows.append((entry, row | {"above": 0.0 if above < ON_HULL else round(above, 5)}))
    return sorted(rows, key=lambda one: one[1]["above"])[:MOST_PHASES]


def _points(opened: Opened, diagram: Any, elements: Collection[str]) -> list[dict[str, Any]]:
    """Crystals of the run within the system, the lowest first."""
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    found = []
    for row in opened.rows:
        crystal = opened.crystal(str(row["name"]))
        if crystal is None or not set(crystal.counts) <= set(elements):
            continue
        energy, above = row.get("energy"), row.get("above_hull")
        composition = Composition(dict(crystal.counts))
        if energy is None or not math.isfinite(float(energy)):
            continue
        entry = PDEntry(composition, float(energy) * composition.num_atoms)
        if above is None:
            parts = diagram.get_decomposition(composition)
            above = float(energy) - sum(e.energy_per_atom * part for e, part in parts.items())
        point = _at([float(composition.get_atomic_fraction(e)) for e in elements])
        point |= {"name": str(row["name"]), "formula": crystal.formula, "above": round(float(above), 5)}
        point |= {"space_group": crystal.space_group}
        found.append(point | {"formation": round(float(diagram.get_form_energy_per_atom(entry)), 5)})
    return sorted(found, key=lambda point: point["above"])[:MOST_POINTS]


def _at(fractions: Sequence[float]) -> dict[str, Any]:
    """Place of a composition in the drawing."""
    x, y = np.array(fractions) @ np.array(_CORNERS[len(fractions)])
    return {"at": [round(float(x), 5), round(float(y), 5)], "share": round(fractions[1], 5)}


def corners_of(number: int) -> tuple[tuple[float, float], ...]:
    """Places of the elements in the drawing of so many."""
    return _CORNERS[number]


def nearest(points: Sequence[Mapping[str, Any]], most: int = 8) -> list[Mapping[str, Any]]:
    """The lowest crystal of each formula, for labels."""
    lowest: dict[str, Mapping[str, Any]] = {}
    for point in points:
        lowest.setdefault(str(point["formula"]), point)
    return list(lowest.values())[:most]
