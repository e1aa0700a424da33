"""Coordinates of a crystal whose cell is known, looked for from many starts, coarse to fine.

Near the right coordinates a sharp pattern leads to them, from further away into the nearest of many bad
fits. A blurred pattern has few of those: it is fitted first, from copies of the crystal whose atoms were
moved, and the best of them go on to less and less blurred ones. So the generator need not be right to a
tenth of an Angstrom, only by and large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import fit
from crystalsmith.diffraction.background import Prepared
from crystalsmith.diffraction.leastsq import OWN, THERMAL, ZERO, Plan, Problem, State
from crystalsmith.diffraction.observed import Observed

BLURS = ((0.5, 0.006), (0.25, 0.003), (0.1, 0.001))
"""Full width (degrees of 2 theta, for Cu K-alpha) and strain by which the pattern is blurred, in turn."""

FINEST = 1.0
"""Angstrom between lattice planes down to which blurred patterns are fitted: where atoms are by and large is
told there, and a short wavelength shows thousands of lines beyond."""

COPIES, KEPT = 12, (6, 3, 2)
"""Starts of each crystal, the first where it stands, and how many are left after each blurred pattern."""

CARRIED = 0.5
"""Part of the crystals that are looked at beyond the first blurred pattern: the best."""

NEAREST, FARTHEST = 0.15, 0.75
"""Angstrom by which coordinates of copies are moved, a standard deviation."""

FREE = ("strain", "zero", "sites", "thermal", "background")
PRIORS = {"zero": 0.05, "sites": 0.4, "thermal": 1.0, "background": 0.01}
STEPS = 8
RELATIVE = 0.1
"""Part of an intensity of blurred patterns that counts as uncertain."""

_CARRIED_COLUMNS = (ZERO, ZERO + 1, THERMAL)


@dataclass(frozen=True, eq=False)
class _Copies:
    """Copies of one crystal, each with where its fit stands."""

    crystals: list[Crystal]
    state: State | None = None

    @property
    def best(self) -> float:
        """Cost of the best."""
        assert self.state is not None
        return float(self.state.cost.nan_to_num(nan=math.inf).min())


def moved_copies(crystal: Crystal, count: int, seed: int) -> list[Crystal]:
    """The crystal, and copies of it with free coordinates moved at random.

    Args:
        crystal: any.
        count: of all, itself included.
        seed: the same one gives the same copies.
    """
    rng = np.random.default_rng(seed)
    return [crystal, *(moved_by(crystal, rng.uniform(NEAREST, FARTHEST), rng) for _ in range(count - 1))]


def moved_by(crystal: Crystal, size: float, rng: np.random.Generator) -> Crystal:
    """The crystal with its free coordinates moved at random by so many Angstrom, a standard deviation."""
    step = size / float(np.linalg.norm(crystal.lattice, axis=1).mean())
    sites = tuple(
        replace(site, free=tuple(float(x + step * rng.normal()) for x in site.free)) for site in crystal.sites
    )
    return replace(crystal, sites=sites)


def search_coordinates(
    crystals: Sequence[Crystal],
    prepared: Prepared | Observed,
    seeds: Sequence[int],
    tolerance: float = 0.003,
) -> list[fit.Fit | None]:
    """Fit free coordinates of crystals from many starts.

    What each crystal comes to does not depend on the others; which are carried to the end does.

    Args:
        crystals: with cells that are right but for ``tolerance``.
        prepared: the pattern.
        seeds: one for each crystal.
        tolerance: standard deviation of the strains of a cell.

    Returns:
        For each crystal the best fit, of stage "refined", or None if others were better from afar.
    """
    observed = fit.observed_of(prepared)
    ratio = observed.radiation.wavelength / 1.54
    sine = observed.radiation.mean / (2 * FINEST)
    near = observed.up_to(2 * math.degrees(math.asin(sine))) if sine < 1 else observed
    blurred = [near.blurred(width * ratio, strain) for width, strain in BLURS]
    plan = Plan(FREE, {**PRIORS, "strain": tolerance}, iterations=STEPS, relative=RELATIVE)
    afar = [
        _fitted(_Copies(moved_copies(c, COPIES, seed)), blurred[0], plan, KEPT[0])
        for c, seed in zip(crystals, seeds, strict=True)
    ]
    order = np.argsort([copies.best for copies in afar], kind="stable")
    found: list[fit.Fit | None] = [None] * len(crystals)
    for place in order[: math.ceil(CARRIED * len(crystals))]:
        copies = afar[place]
        for pattern, kept in zip(blurred[1:], KEPT[1:], strict=True):
            copies = _fitted(copies, pattern, plan, kept)
        found[place] = _refined(copies, observed, crystals[place], int(place))
    return found


def _fitted(copies: _Copies, observed: Observed, plan: Plan, kept: int) -> _Copies:
    """The best copies after a fit to a blurred pattern."""
    problem, state = _begun(copies, observed)
    state = problem.steps(state, plan)
    order = state.cost.nan_to_num(nan=math.inf).argsort(stable=True)[:kept]
    return _Copies([copies.crystals[k] for k in order.tolist()], state.rows(order))


def _refined(copies: _Copies, observed: Observed, crystal: Crystal, place: int) -> fit.Fit:
    """The best of the copies after a fit to the pattern itself; atoms have moved from where they stood in
    the crystal, not in the copy."""
    problem, state = _begun(copies, observed)
    state = problem.steps(state, fit.sites_plan())
    fits = fit.fits_of(problem, state, [place] * len(copies.crystals), "refined")
    best = min(range(len(fits)), key=lambda k: fits[k].misfit if math.isfinite(fits[k].misfit) else math.inf)
    own = problem.owner == best
    ways = torch.zeros_like(problem.batch.w)
    ways[problem.orbit[own], problem.rank[own]] = problem.length[own]
    first = fit.batch_for([crystal], observed)[0].w
    mine = problem.batch.layout.crystal == best
    gone = problem.moved(state).w[mine] - first
    way = float(((gone - gone.round()) * ways[mine]).abs().max()) if len(gone) else 0.0
    return replace(fits[best], moved=way)


def _begun(copies: _Copies, observed: Observed) -> tuple[Problem, State]:
    """Fits that go on from where they stood before another pattern."""
    batch, reflections = fit.batch_for(copies.crystals, observed)
    problem = Problem(batch, reflections, observed)
    before = copies.state
    rows = torch.arange(len(copies.crystals))
    state = problem.begin(rows, batch.lattice() if before is None else before.lattice)
    if before is not None:
        values = state.values.clone()
        for column in _CARRIED_COLUMNS:
            values[:, column] = before.values[:, column]
        values[:, OWN:] = before.values[:, OWN:]
        state = replace(state, values=values)
    return problem, problem.rescaled(state)
