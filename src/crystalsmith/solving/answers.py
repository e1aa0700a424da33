"""Distinct structures among the fits, their evidence, and the final refinements of the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import CrystalsmithError
from crystalsmith.generation.alike import first_alike
from crystalsmith.reports.words import lattice_text
from crystalsmith.runs.progress import Progress
from crystalsmith.solving.kept import Kept
from crystalsmith.solving.places import placed
from crystalsmith.solving.rietveld import Refined, rietveld
from crystalsmith.solving.trials import Fitted, Trial
from crystalsmith.solving.twins import caveat
from crystalsmith.solving.verdict import Evidence, Verdict, figures, judge

if TYPE_CHECKING:
    from crystalsmith.generation.known import Novelty
    from crystalsmith.solving.fitting import Observation

SYMMETRIZED, TOLERANCES = 4, (0.4, 0.2, 0.1)
"""Answers that are looked at for more symmetry, and within how many Angstrom."""

APART = 0.1
"""How far atoms of the same structure may be apart, in units of the cube root of the volume per atom. Wrong
structures that mimic the right one, with another sense of rotation for example, are not far from it."""

APART_IF_EQUAL, EQUAL = 0.2, 0.02
"""The same of structures that fit equally well: whose misfits differ by no more than that. Most often one is
the other a little distorted, in a subgroup."""

NEARLY = 1.5
"""Log-odds by which a description with fewer parameters may be less likely."""

HOPELESS, LEAST_REFINED = 0.9, 2
"""Misfit with coordinates as generated from which on free ones never made a right structure, of 113 held-out
crystals (at most 0.81), and how many are refined whatever their misfit."""

COMPARED, LIKELIEST = 60, 20
"""Fits, the best first, that are compared with each other, and candidates that are whatever their fits: the
first by what the generator thinks of them."""


@dataclass(frozen=True)
class Answer:
    """A structure that may be the sample's.

    Attributes:
        trial: the candidate that it came from.
        fit: with its coordinates as generated.
        refined: with free coordinates, where it was among the best.
        rietveld: refined by rietx, or why it was not; None where nobody tried.
        p: probability that it is right.
        rank: from 1.
        total: structures of the run.
        alike: trials that came to the same structure, itself included.
        energy: eV per atom of a potential, as refined by our fit; None where nobody asked.
        novelty: how it stands to what is known; None where nobody looked.
    """

    trial: Trial
    fit: Fitted
    refined: Fitted | None = None
    rietveld: Refined | str | None = None
    p: float = 0.0
    rank: int = 0
    total: int = 0
    alike: int = 1
    energy: float | None = None
    novelty: Novelty | None = None

    @property
    def best_fit(self) -> Fitted:
        """Our own last fit."""
        return self.refined or self.fit

    @property
    def final(self) -> Refined | None:
        """The Rietveld refinement, where it came to a sound crystal."""
        found = self.rietveld
        return found if isinstance(found, Refined) and fault(found.crystal) is None else None

    @property
    def crystal(self) -> Crystal:
        """The structure, refined as far as it was."""
        return self.final.crystal if self.final is not None else self.best_fit.crystal

    @property
    def evidence(self) -> Evidence:
        """What the verdict rests on."""
        fit, last = self.fit, self.best_fit
        return Evidence(
            misfit=last.misfit,
            rwp=2.0 if last.rwp is None else last.rwp,
            overlap=last.overlap or 0.0,
            missing=1.0 if last.missing is None else last.missing,
            foreign=1.0 if last.foreign is None else last.foreign,
            frozen=fit.misfit,
            figure=self.trial.figure or 0.0,
            freedom=free_parameters(last.crystal),
            moved=last.moved,
            stretch=fit.stretch,
            likely=last.likely or 0.0,
            exchanged=self.trial.exchanged,
        )

    @property
    def stem(self) -> str:
        """Of its files: rank, formula and space group."""
        wide = max(3, len(str(self.total)))
        return f"{self.rank:0{wide}d}_{self.crystal.formula}_{self.crystal.space_group}"

    @property
    def known_as(self) -> str:
        """The known crystal that it is; empty where it is none or nobody looked."""
        return self.novelty.nearest if self.novelty is not None and not self.novelty.is_new else ""

    def row(self) -> dict[str, Any]:
        """A row of the table: plain values."""
        crystal, final, fit = self.crystal, self.final, self.best_fit
        return {
            "rank": self.rank,
            "file": f"cif/{self.stem}.cif",
            "p": round(self.p, 4),
            "formula": crystal.formula,
            "space_group": crystal.space_group,
            "symbol": crystal.group.symbol,
            "atoms": crystal.n_atoms,
            "lattice": lattice_text(crystal),
            "misfit": round(fit.misfit, 4),
            "misfit_as_generated": round(self.fit.misfit, 4),
            "rwp_net": fit.rwp and round(fit.rwp, 5),
            "overlap": fit.overlap and round(fit.overlap, 5),
            "rietveld_rwp": None if final is None else round(final.rwp, 5),
            "rietveld_gof": None if final is None else round(final.gof, 4),
            "r_bragg": None if final is None or final.r_bragg is None else round(final.r_bragg, 5),
            "zero_shift": round(fit.zero, 5),
            "texture": round(fit.texture, 4),
            "score": None if self.trial.figure is None else round(self.trial.figure, 4),
            "origin": self.trial.entry.origin.words,
            "cell_from": self.trial.cell,
            "alike": self.alike,
            "energy": self.energy,
            "known_as": self.known_as,
            "candidate": self.trial.key,
        }

    def to_dict(self) -> dict[str, Any]:
        """The row with the crystal itself, and why there is no Rietveld refinement."""
        found = self.rietveld
        lost = {"no_rietveld": found} if isinstance(found, str) else {}
        return {**self.row(), "crystal": self.crystal.to_dict(), **lost}


def free_parameters(crystal: Crystal) -> int:
    """Free coordinates of a crystal's sites."""
    return sum(len(site.free) for site in crystal.sites)


def leading(trials: Sequence[Trial], fits: Mapping[str, Fitted]) -> list[Trial]:
    """Trials of distinct structures, the best first by the fit with coordinates as generated.

    Of those that are the same structure there are two: the best, and the one with the fewest parameters.
    """
    found = [trial for trial in trials if trial.key in fits and fits[trial.key].near]
    u = figures([Answer(trial, fits[trial.key]).evidence for trial in found])
    by_fit = [int(i) for i in np.argsort(-u, kind="stable")]
    # Those with less symmetry are many of a few: they take no places from others.
    made, less = ([i for i in by_fit if bool(found[i].lowered_from) == is_less] for is_less in (False, True))
    best = {*made[:COMPARED], *less[:COMPARED]}
    likeliest = _likeliest(found, made)
    order = [found[i] for i in dict.fromkeys([*(i for i in by_fit if i in best), *likeliest])]
    stands = alike([fits[trial.key].crystal for trial in order])
    freedom = [free_parameters(trial.crystal) for trial in order]
    kept = set(stands)
    for first in set(stands):
        same = [k for k, s in enumerate(stands) if s == first]
        kept.add(min(same, key=lambda k: (freedom[k], k)))
    return [trial for i, trial in enumerate(order) if i in kept]


def _likeliest(trials: Sequence[Trial], rows: Sequence[int]) -> list[int]:
    """The first of these trials by what the generator thinks of them without the pattern."""
    judged = [i for i in rows if trials[i].figure is not None]
    return sorted(judged, key=lambda i: -(trials[i].figure or 0.0))[:LIKELIEST]


def worth_refining(order: Sequence[Trial], fits: Mapping[str, Fitted], most: int) -> list[Trial]:
    """The first trials, that free coordinates may make right: ``most`` of those that were made, and as many
    of those with less symmetry."""
    worth = [t for k, t in enumerate(order) if k < LEAST_REFINED or fits[t.key].misfit < HOPELESS]
    kinds = ([t for t in worth if bool(t.lowered_from) == is_less][:most] for is_less in (False, True))
    chosen = {t.key for kind in kinds for t in kind}
    return [t for t in worth if t.key in chosen]


def alike(crystals: Sequence[Crystal]) -> list[int]:
    """For each crystal the first that is the same structure, whatever group it is described in."""
    return first_alike(crystals, [0] * len(crystals), APART)


def same_or_equal(answers: Sequence[Answer]) -> list[int]:
    """For each answer the first that is the same structure, or nearly the same and fits equally well."""
    crystals = [answer.crystal for answer in answers]
    stands, near = alike(crystals), first_alike(crystals, [0] * len(crystals), APART_IF_EQUAL)
    misfit = [max(answer.best_fit.misfit, 0.0) for answer in answers]
    for i, (own, other) in enumerate(zip(stands, near, strict=True)):
        if own == i and abs(misfit[i] - misfit[other]) <= EQUAL:
            stands[i] = stands[other]
        else:
            stands[i] = stands[own]
    return stands


def answers_of(
    order: Sequence[Trial], fits: Mapping[str, Fitted], refined: Mapping[str, Fitted]
) -> list[Answer]:
    """Answers, the likeliest first; those that came to the same structure are one.

    Args:
        order: distinct trials, from ``leading``.
        fits: of trials, by key.
        refined: of some of them, with free coordinates.
    """
    answers = [Answer(trial, fits[trial.key], refined.get(trial.key)) for trial in order]
    u = figures([answer.evidence for answer in answers])
    order_ = np.argsort(-u, kind="stable")
    return _simplest([answers[i] for i in order_], u[order_])


def more_symmetric(answers: Sequence[Answer]) -> list[Trial]:
    """The first answers described with more symmetry, where they have it within some tolerance.

    What came from a prototype or the network in a subgroup of its own group fits as well, with parameters
    that it does not need.
    """
    found: list[Trial] = []
    seen: set[tuple[str, int]] = set()
    for answer in answers[:SYMMETRIZED]:
        crystal = answer.best_fit.crystal
        for tolerance in TOLERANCES:
            try:
                higher = Crystal.from_structure(crystal.to_structure(), tolerance)
            except CrystalsmithError:
                continue
            more = (
                len(higher.group.rotations) > len(crystal.group.rotations) or higher.n_atoms < crystal.n_atoms
            )
            key = answer.trial.key, higher.space_group
            if more and key not in seen and higher.formula == crystal.formula:
                seen.add(key)
                name = f"{answer.trial.key}^{higher.space_group}"
                found.append(replace(answer.trial, key=name, crystal=higher))
    return found


def evidence_of(answers: Sequence[Answer]) -> list[Evidence]:
    """What the verdict on answers rests on, beside each other.

    Energies and residuals that are unknown count as the mean and the worst of the others.
    """
    energies = [a.energy for a in answers if a.energy is not None]
    usual = sum(energies) / len(energies) if energies else 0.0
    above = [(usual if a.energy is None else a.energy) - min(energies, default=0.0) for a in answers]
    residuals = [a.refined.rwp if a.refined is not None else None for a in answers]
    known = [r for r in residuals if r] or [1.0]
    excess = [math.log((r or max(known)) / min(known)) for r in residuals]
    return [replace(a.evidence, energy=e, excess=x) for a, e, x in zip(answers, above, excess, strict=True)]


def energies_in(path: Path) -> Kept[float | None]:
    """Energies of refined fits on disk, by the keys of their trials, eV per atom; None for failures.

    Raises:
        OutputError: a damaged line, or the file cannot be read.
    """
    return Kept(path, "energy", lambda e: None if e is None else float(e))


def with_energies(answers: Sequence[Answer], energies: Kept[float | None], potential: str) -> list[Answer]:
    """Answers with energies, those that were refined; what is not on the disk yet is computed.

    Raises:
        RelaxationError: the potential cannot be loaded.
        OutputError: what was found could not be written.
    """
    from crystalsmith.potentials import load_calculator
    from crystalsmith.potentials.energies import single_points

    todo = [a for a in answers if a.refined is not None and a.trial.key not in energies.found]
    if todo:
        found = single_points([a.best_fit.crystal for a in todo], load_calculator(potential))
        values = [e.value if math.isfinite(e.value) else None for e in found]
        energies.append({a.trial.key: e for a, e in zip(todo, values, strict=True)})
    return [replace(a, energy=energies.found.get(a.trial.key)) for a in answers]


def _simplest(answers: Sequence[Answer], u: np.ndarray) -> list[Answer]:
    """One of those that are the same structure: of those that are nearly as likely as the likeliest, the one
    with the fewest free coordinates."""
    stands = same_or_equal(answers)
    chosen = []
    for i in sorted(set(stands)):
        same = [k for k, s in enumerate(stands) if s == i]
        near = [k for k in same if u[k] >= u[i] - NEARLY]
        best = min(near, key=lambda k: (free_parameters(answers[k].best_fit.crystal), k))
        chosen.append(replace(answers[best], alike=sum(answers[k].alike for k in same)))
    return chosen


def _distinct(answers: Sequence[Answer]) -> list[Answer]:
    """The first of those that are the same structure, which count as found so many times."""
    stands = same_or_equal(answers)
    return [
        replace(answer, alike=sum(a.alike for a, s in zip(answers, stands, strict=True) if s == i))
        for i, answer in enumerate(answers)
        if stands[i] == i
    ]


def refinements_in(path: Path) -> Kept[Refined | str]:
    """Rietveld refinements on disk, by the keys of their trials; words for those that failed.

    Raises:
        OutputError: a damaged line, or the file cannot be read.
    """
    return Kept(
        path,
        "refined",
        lambda row: row if isinstance(row, str) else Refined.from_dict(row),
        lambda found: found if isinstance(found, str) else found.to_dict(),
    )


def refine_by_rietveld(
    observation: Observation, answers: Sequence[Answer], refined: Kept[Refined | str], progress: Progress
) -> None:
    """Refine answers that are not on the disk yet.

    Raises:
        OutputError: what was found could not be written.
    """
    for number, answer in enumerate(answers):
        progress("Rietveld", number, len(answers))
        if answer.trial.key not in refined.found:
            fit = answer.best_fit
            found = rietveld(fit.crystal, observation.pattern, observation.background, fit.width, fit.zero)
            refined.append({answer.trial.key: found})
    progress("Rietveld", len(answers), len(answers))


def judged(answers: Sequence[Answer], refined: Mapping[str, Refined | str]) -> tuple[Verdict, list[Answer]]:
    """The verdict, and the answers with their refinements, probabilities and places."""
    full = _distinct([replace(a, rietveld=refined.get(a.trial.key)) for a in answers])
    verdict = judge(evidence_of(full))
    order = placed(full, verdict.p, verdict.none)
    ranked = [
        replace(full[i], p=verdict.p[i], rank=rank, total=len(full)) for rank, i in enumerate(order, start=1)
    ]
    p = tuple(verdict.p[i] for i in order)
    return replace(verdict, p=p, caveat=caveat(ranked)), ranked


def density(crystal: Crystal) -> float:
    """Of a crystal, g/cm^3."""
    from ase.data import atomic_masses

    from crystalsmith.crystal import NUMBERS

    mass = sum(n * float(atomic_masses[NUMBERS[s]]) for s, n in crystal.counts.items())
    volume = crystal.volume * crystal.n_atoms / crystal.n_atoms_conventional
    return mass / volume * 1.66053906660 if volume > 0 and math.isfinite(mass) else math.nan
