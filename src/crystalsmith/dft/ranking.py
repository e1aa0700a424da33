"""DFT energies put beside each other: within a composition, and against a hull of DFT's own references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crystalsmith.dft.calculation import Calculation, conflict
from crystalsmith.dft.competing import phases_of
from crystalsmith.dft.jobs import Subject
from crystalsmith.dft.reference import Reference
from crystalsmith.dft.results import Result


def within_compositions(results: Sequence[Result]) -> list[Result]:
    """Fill ``relative``: how far each lies above the lowest of its composition, by the same code.

    Results whose settings contradict those of the lowest are told so and get none.
    """
    filled = list(results)
    groups: dict[tuple[str, str], list[int]] = {}
    for i, r in enumerate(results):
        if r.energy is not None and r.calculation is not None and r.calculation.structure is not None:
            formula = r.calculation.structure.composition.reduced_formula
            groups.setdefault((r.code, formula), []).append(i)
    for members in groups.values():
        lowest = min((results[i] for i in members), key=lambda r: r.energy or 0.0)
        assert lowest.calculation is not None and lowest.energy is not None
        for i in members:
            result = filled[i]
            assert result.calculation is not None and result.energy is not None
            if why := conflict(result.calculation, lowest.calculation):
                words = f"cannot be compared with {lowest.name}: other settings ({why})"
                filled[i] = replace(result, problems=(*result.problems, words))
            else:
                filled[i] = replace(result, relative=result.energy - lowest.energy)
    return filled


def against_hull(result: Result, subject: Subject, references: Sequence[Reference]) -> Result:
    """Fill the hull distance, formation energy and decomposition, or say what is missing for them.

    The hull is that of the references alone, as the potential's is: a result below it is a new stable phase.
    Only references whose settings do not contradict the result's are in it. Where a phase is missing that the
    candidate competes with on the potential's hull, there is a formation energy but no hull distance.
    """
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

    found = result.calculation
    if result.energy is None or found is None or found.structure is None:
        return result
    composition = found.structure.composition
    elements = {e.symbol for e in composition.elements}
    usable, missing = _usable(found, elements, references)
    lone = {e.symbol for r in usable if len(r.composition) == 1 for e in r.composition.elements}
    if absent := sorted(elements - lone):
        missing.insert(0, f"no DFT energy of the element {', '.join(absent)}: no hull")
        return replace(result, missing=tuple(missing))
    # Without a known competitor the hull would be too high, and much look stable that is not.
    lacking = _competitors(subject, usable)
    missing += lacking
    entries = [PDEntry(r.composition, r.energy * r.composition.num_atoms, r.name) for r in usable]
    diagram = PhaseDiagram(entries)
    entry = PDEntry(composition, result.energy * composition.num_atoms)
    formation = float(diagram.get_form_energy_per_atom(entry))
    if lacking:
        return replace(result, formation=formation, missing=tuple(missing))
    shares = diagram.get_decomposition(composition)
    return replace(
        result,
        above_hull=float(result.energy - diagram.get_hull_energy_per_atom(composition)),
        formation=formation,
        decomposition={str(getattr(e, "name", e)): float(share) for e, share in shares.items()},
        missing=tuple(missing),
    )


def _usable(
    found: Calculation, elements: set[str], references: Sequence[Reference]
) -> tuple[list[Reference], list[str]]:
    """References within the elements that may be compared, and in words why others may not."""
    usable, missing = [], []
    for reference in references:
        if not {e.symbol for e in reference.composition.elements} <= elements:
            continue
        given = reference.calculation
        if given is not None and given.code != found.code:
            continue
        why = "" if given is None else conflict(found, given)
        if why:
            hint = "; energies with and without U need corrections first" if "Hubbard" in why else ""
            missing.append(f"reference {reference.name} has other settings ({why}{hint})")
        else:
            usable.append(reference)
    return usable, missing


def _competitors(subject: Subject, usable: Sequence[Reference]) -> list[str]:
    """Phases that it competes with on the potential's hull, and of which no reference is known."""
    known = {r.composition.reduced_formula for r in usable}
    return [
        f"no DFT energy of {phase}, which it competes with: no hull"
        for phase, composition in phases_of(subject.competitors).items()
        if composition.reduced_formula not in known
    ]
