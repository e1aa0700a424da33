"""Structures that X-rays hardly tell apart: the same arrangement, elements of similar scattering exchanged.

A pattern decides where atoms are, and hardly which of two elements that are neighbours in the periodic table
is where. So both ways are fitted, what the network thinks of each decides, and the verdict says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.crystal.decorations import decorations
from crystalsmith.crystal.validity import fault
from crystalsmith.solving.trials import Trial

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder
    from crystalsmith.solving.answers import Answer

SIMILAR = 0.1
"""Relative difference of atomic numbers up to which elements scatter alike; neighbours always do."""

EXCHANGED, LOOKED_THROUGH, MOST = 2, 100, 16
"""Arrangements, the first, whose elements are dealt out anew, ways that the network looks at, and ways that
are fitted."""

WORTH_IT = 0.3
"""Misfit up to which an answer is worth it."""

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


def dealt_out(crystal: Crystal, smaller: bool = False) -> list[Crystal]:
    """The crystal with elements of similar scattering dealt out in other ways that keep its formula.

    In primitive cells of as many atoms, or of fewer too if ``smaller``. All ways that symmetry tells apart,
    also in other cells of the same positions (``crystal.decorations``); where they are too many, exchanges of
    all atoms of two elements or of two orbits of as many atoms.
    """
    every = decorations(crystal, _classes(crystal), LOOKED_THROUGH, smaller=smaller)
    found = dict.fromkeys(every or _exchanges(crystal))
    return [one for one in found if one != crystal and fault(one) is None]


def _exchanges(crystal: Crystal) -> Iterator[Crystal]:
    counts = crystal.counts
    for a, b in itertools.combinations(sorted(counts), 2):
        if similar(a, b) and counts[a] == counts[b]:
            yield _with(crystal, {a: b, b: a})
    size = [crystal.group.position(site.letter).multiplicity for site in crystal.sites]
    for i, j in itertools.combinations(range(len(size)), 2):
        a, b = crystal.sites[i].element, crystal.sites[j].element
        if a != b and size[i] == size[j] and similar(a, b):
            sites = list(crystal.sites)
            sites[i], sites[j] = replace(sites[i], element=b), replace(sites[j], element=a)
            yield replace(crystal, sites=tuple(sites))


def exchanged(answers: Sequence[Answer], ladder: Ladder | None, smaller: bool = False) -> list[Trial]:
    """Trials of the first answers with elements of similar scattering dealt out anew, those that the network
    likes best.

    Args:
        answers: the likeliest first.
        ladder: whose judgement of crystals without the pattern chooses; the most symmetric ones without.
        smaller: cells of fewer atoms are possible too.
    """
    found: list[Trial] = []
    done: list[Any] = []
    for answer in answers:
        if len(done) == EXCHANGED:
            break
        crystal = answer.best_fit.crystal
        if answer.best_fit.misfit > WORTH_IT or not any(
            len(group) > 1 for group in _classes(crystal).values()
        ):
            continue
        blurred = _blurred(crystal, _classes(crystal))
        if any(_matcher().fit(blurred, other) for other in done):
            continue
        done.append(blurred)
        trial = answer.trial
        for number, one in enumerate(_best(dealt_out(crystal, smaller), trial, ladder), 1):
            found.append(replace(trial, key=f"{trial.key}~{number}", crystal=one, exchanged=True))
    return found


def _best(crystals: Sequence[Crystal], trial: Trial, ladder: Ladder | None) -> list[Crystal]:
    """The first by what the network thinks of them."""
    if ladder is None or len(crystals) <= MOST:
        return list(crystals[:MOST])
    from crystalsmith.ranking import Candidate

    entry = trial.entry
    scores = ladder.alone(
        [Candidate(c, entry.log_prior, entry.kind, entry.weight, entry.members) for c in crystals]
    )
    order = sorted(range(len(crystals)), key=lambda k: (-float(scores[k].likely), k))
    return [crystals[k] for k in order[:MOST]]


def twins_of(answers: Sequence[Answer], row: int) -> list[int]:
    """Rows of the other answers that X-rays hardly tell from one: the same arrangement, as good a fit."""
    own = answers[row]
    classes = _classes(own.crystal)
    if all(len(group) == 1 for group in classes.values()):
        return []
    blurred = _blurred(own.crystal, classes)
    return [
        k
        for k, answer in enumerate(answers)
        if k != row
        and abs(max(answer.best_fit.misfit, 0.0) - max(own.best_fit.misfit, 0.0)) <= EQUAL
        and answer.crystal.formula == own.crystal.formula
        and _matcher().fit(blurred, _blurred(answer.crystal, classes))
    ]


def caveat(answers: Sequence[Answer]) -> str:
    """What the pattern cannot tell of the first of ranked answers, in a sentence; or nothing."""
    twins = [answers[k].rank for k in twins_of(answers[:LOOKED_AT], 0)] if answers else []
    if not twins:
        return ""
    merged = sorted({group for group in _classes(answers[0].crystal).values() if len(group) > 1})
    elements = ", ".join(" from ".join(group) for group in merged)
    which = f"structure {twins[0]} differs" if len(twins) == 1 else f"structures {_listed(twins)} differ"
    return (
        f"X-rays hardly tell {elements}: {which} from the first only in which of them is where, and fits as"
        " well; what the network thinks of them decided"
    )


@lru_cache(maxsize=1)
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(stol=APART)


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
