"""Structures that X-rays hardly tell apart: the same arrangement, elements of similar scattering exchanged.

A pattern decides where atoms are, and hardly which of two elements that are neighbours in the periodic table
is where. So both ways are fitted, what the network thinks of each decides, and the verdict says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.solving.trials import Trial

if TYPE_CHECKING:
    from crystalsmith.solving.answers import Answer

SIMILAR = 0.1
"""Relative difference of atomic numbers up to which elements scatter alike; neighbours always do."""

EXCHANGED, MOST = 2, 6
"""Answers, the first, whose elements are exchanged, and in how many ways each."""

WORTH_IT = 0.3
"""Misfit up to which an answer is worth it."""

LESS_LIKELY = 1.0
"""Log-odds that an exchange costs, as the generator has not made it by itself."""

EQUAL = 0.03
"""Difference of misfits up to which two structures fit equally well."""

APART = 0.2
"""How far atoms of the same arrangement may be apart, in units of the cube root of the volume per atom."""

LOOKED_AT = 10
"""Answers that are compared with the first."""


def similar(first: str, second: str) -> bool:
    """Whether X-rays hardly tell two elements apart."""
    low, high = sorted((NUMBERS[first], NUMBERS[second]))
    return high - low <= max(1, SIMILAR * high)


def exchanges(crystal: Crystal) -> list[tuple[str, Crystal]]:
    """The crystal with elements of similar scattering exchanged, in all ways that keep its formula.

    All of two elements, where there are as many of both, or one orbit of each with as many atoms.

    Returns:
        Names of the exchanges, such as ``Fe-Co`` or ``Fe0-Co2`` (numbers of the orbits), and the crystals.
    """
    found: dict[Crystal, str] = {}
    counts = crystal.counts
    for a, b in itertools.combinations(sorted(counts), 2):
        if similar(a, b) and counts[a] == counts[b]:
            found.setdefault(_with(crystal, {a: b, b: a}), f"{a}-{b}")
    size = [crystal.group.position(site.letter).multiplicity for site in crystal.sites]
    for i, j in itertools.combinations(range(len(size)), 2):
        a, b = crystal.sites[i].element, crystal.sites[j].element
        if a != b and size[i] == size[j] and similar(a, b):
            sites = list(crystal.sites)
            sites[i], sites[j] = replace(sites[i], element=b), replace(sites[j], element=a)
            found.setdefault(replace(crystal, sites=tuple(sites)), f"{a}{i}-{b}{j}")
    return [(name, one) for one, name in found.items() if one != crystal and fault(one) is None][:MOST]


def exchanged(answers: Sequence[Answer]) -> list[Trial]:
    """Trials of the first answers with elements exchanged."""
    found = []
    for answer in answers[:EXCHANGED]:
        if answer.best_fit.misfit > WORTH_IT:
            continue
        trial = answer.trial
        figure = None if trial.figure is None else trial.figure - LESS_LIKELY
        for name, crystal in exchanges(answer.best_fit.crystal):
            found.append(replace(trial, key=f"{trial.key}~{name}", crystal=crystal, figure=figure))
    return found


def caveat(answers: Sequence[Answer]) -> str:
    """What the pattern cannot tell of the first of ranked answers, in a sentence; or nothing."""
    if len(answers) < 2:
        return ""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    first = answers[0]
    classes = _classes(first.crystal)
    merged = sorted({group for group in classes.values() if len(group) > 1})
    if not merged:
        return ""
    matcher = StructureMatcher(stol=APART)
    own = _blurred(first.crystal, classes)
    twins = [
        answer.rank
        for answer in answers[1:LOOKED_AT]
        if abs(max(answer.best_fit.misfit, 0.0) - max(first.best_fit.misfit, 0.0)) <= EQUAL
        and answer.crystal.formula == first.crystal.formula
        and matcher.fit(own, _blurred(answer.crystal, classes))
    ]
    if not twins:
        return ""
    elements = ", ".join(" from ".join(group) for group in merged)
    which = f"structure {twins[0]} differs" if len(twins) == 1 else f"structures {_listed(twins)} differ"
    return (
        f"X-rays hardly tell {elements}: {which} from the first only in which of them is where, and fits as"
        " well; what the network thinks of them decided"
    )


def _listed(ranks: Sequence[int]) -> str:
    return f"{', '.join(map(str, ranks[:-1]))} and {ranks[-1]}"


def _classes(crystal: Crystal) -> dict[str, tuple[str, ...]]:
    """For each element those that scatter like it, itself included, by atomic number."""
    elements = sorted(crystal.counts, key=NUMBERS.__getitem__)
    groups: list[list[str]] = []
    for element in elements:
        if groups and similar(groups[-1][-1], element):
            groups[-1].append(element)
        else:
            groups.append([element])
    return {element: tuple(group) for group in groups for element in group}


def _blurred(crystal: Crystal, classes: Mapping[str, tuple[str, ...]]) -> Any:
    """Its structure with one element in place of all that scatter alike."""
    structure = crystal.to_structure(primitive=True)
    structure.replace_species({e: group[0] for e, group in classes.items() if e != group[0]})
    return structure


def _with(crystal: Crystal, elements: Mapping[str, str]) -> Crystal:
    sites = tuple(replace(s, element=elements.get(s.element, s.element)) for s in crystal.sites)
    return replace(crystal, sites=sites)
