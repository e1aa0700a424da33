"""Hundreds of candidate crystals fitted to one pattern: cells, shifts, scale and widths, coarse to fine.

Every candidate is first looked at from afar (``strains``), from a few strains each fitted to the blurred
pattern, and the best of them to the pattern itself: strains, zero shift, displacement of the sample, scale,
width of the lines by angle, temperature, and what is left of the background. ``refine_candidates`` then moves
free coordinates too, and lets crystallites lie by a plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import lines, misfit
from crystalsmith.diffraction.background import Prepared
from crystalsmith.diffraction.leastsq import AXES, OWN, TEXTURE, Plan, Problem, State, joined
from crystalsmith.diffraction.observed import Observed
from crystalsmith.diffraction.reflections import Reflections, padded, reflections_of
from crystalsmith.diffraction.simulation import Optics, batch_of, shell
from crystalsmith.diffraction.strains import Blurred, lattices_at, starting_strains
from crystalsmith.errors import PatternError
from crystalsmith.graph import CrystalBatch, to_crystals
from crystalsmith.symmetry import lattice_to_strain

BLURS = ((0.25, 0.003), (0.1, 0.001))
"""Full width (degrees of 2 theta, for Cu K-alpha) and strain by which the pattern is blurred, in turn."""

CELLS = ("free", "fixed")
"""What the fit may do with a candidate's cell: find it, or only take out small errors."""

_FREE = {"strain": 0.05, "zero": 0.05}
_SHAPE = {
    "zero": 0.05,
    "displacement": 0.05,
    "width": 0.3,
    "broadening": 0.02,
    "mixing": 0.3,
    "thermal": 1.0,
    "background": 0.01,
}
_FAR = Plan(("strain", "zero"), _FREE, iterations=5, relative=0.1)
_NEAR = Plan(("strain", *_SHAPE), {"strain": 0.02, **_SHAPE}, iterations=8)
_SITES = Plan(("strain", *_SHAPE, "sites"), {"strain": 0.02, "sites": 0.15, **_SHAPE}, iterations=10)
_TEXTURE = Plan(("texture", "thermal"), {"texture": 0.4, "thermal": 1.0}, iterations=4)
_WORTH = 0.85
"""A preferred orientation is believed if it takes the misfit below this part of what it was."""


@dataclass(frozen=True)
class FitSettings:
    """How candidates are fitted.

    Attributes:
        cell: "free": cells may be wrong by several percent, in every way that their family allows; "fixed":
            they are right but for ``tolerance``.
        tolerance: standard deviation of the strains of a fixed cell.
        starts: strains from which each candidate is fitted, if the cell is free.
        fitted: candidates, the best from afar, that are fitted to the pattern as it is.
        texture: whether ``refine_candidates`` lets crystallites lie by a plane.
        sites: standard deviation in Angstrom by which ``refine_candidates`` moves free coordinates.
        anomalous: whether atoms scatter anomalously.

    Raises:
        PatternError: a value that is out of range.
    """

    cell: str = "free"
    tolerance: float = 0.003
    starts: int = 4
    fitted: int = 40
    texture: bool = True
    sites: float = 0.15
    anomalous: bool = True

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise PatternError(f"a cell is {' or '.join(CELLS)}, not {self.cell!r}")
        if not (self.tolerance > 0 and self.starts > 0 and self.fitted > 0 and self.sites > 0):
            raise PatternError("tolerance, starts, fitted and sites of a fit must be positive")


@dataclass(frozen=True, eq=False)
class Fit:
    """One candidate beside the pattern.

    Attributes:
        crystal: with its cell (and, refined, its coordinates) as fitted.
        index: its place among the candidates.
        stage: "afar" (fitted to the blurred pattern only), "fitted" or "refined".
        misfit: what of the pattern is not explained: about 0 for a perfect model, whatever the noise, 1 for
            no lines at all; robust, so that a few foreign lines count little. Those from afar are of the
            blurred pattern, and not comparable with others.
        rwp: weighed R factor over the intensities without background, 0 to 1 and beyond.
        overlap: cosine between the roots of observed and calculated intensities.
        missing: share of the calculated intensity that was not observed; foreign: share of the observed
            intensity that is not calculated.
        moved: largest way of an atom along a free coordinate by the refinement, Angstrom.
        optics: shifts, widths, temperature and preferred orientation.
        calculated: (N,) pattern on the grid of ``Observed``, in units of the prepared intensities, with the
            smooth rest of the background; None from afar.
        values: parameters of the fit, as ``leastsq.State``.
    """

    crystal: Crystal
    index: int
    stage: str
    misfit: float
    rwp: float
    overlap: float
    missing: float
    foreign: float
    moved: float = 0.0
    optics: Optics = field(default_factory=Optics)
    calculated: np.ndarray | None = field(default=None, repr=False)
    values: np.ndarray | None = field(default=None, repr=False)

    @property
    def rank_key(self) -> tuple[int, float]:
        """Sorts fits: those that were carried further first, then by misfit."""
        return (-STAGES.index(self.stage), self.misfit)


STAGES = ("afar", "fitted", "refined")


def observed_of(prepared: Prepared | Observed) -> Observed:
    """A prepared pattern in the form that fits need."""
    if isinstance(prepared, Observed):
        return prepared
    x = prepared.pattern.two_theta
    kept = (x >= prepared.two_theta[0]) & (x <= prepared.two_theta[-1])
    x = x[kept]
    return Observed.of(
        x,
        prepared.pattern.intensity[kept] - np.interp(x, prepared.two_theta, prepared.background),
        prepared.pattern.sigma[kept],
        prepared.radiation,
        math.sqrt(prepared.width.constant),
        math.sqrt(prepared.width.slope),
        prepared.mixing,
    )


def fit_candidates(
    crystals: Sequence[Crystal],
    prepared: Prepared | Observed,
    settings: FitSettings = FitSettings(),
) -> list[Fit]:
    """Fit candidates to a pattern, all at once; what each comes to does not depend on the others.

    Only which of them are carried from afar to the pattern itself does: the best ``settings.fitted``.

    Args:
        crystals: candidates, of any composition and group.
        prepared: the pattern.
        settings: how.

    Returns:
        A fit for every candidate, in their order.
    """
    if not crystals:
        return []
    observed = observed_of(prepared)
    ratio = observed.radiation.wavelength / 1.54
    blurred = [observed.blurred(width * ratio, strain) for width, strain in BLURS]
    x = np.asarray(observed.grid.values())
    afar = Blurred(x, observed.intensity, observed.radiation.mean)
    far, lattice, zero, cost, places = _far_plan(settings), [], [], [], []
    for rows in _alike(crystals, observed):
        batch, reflections = batch_for([crystals[k] for k in rows], observed)
        state = _from_afar(batch, reflections, afar, blurred, settings, far)
        lattice.append(state.lattice)
        zero.append(state.values[:, 6:8])
        cost.append(state.cost)
        places += rows
    order = torch.tensor(places).argsort()
    lattices, zeros, costs = (torch.cat(x)[order] for x in (lattice, zero, cost))
    costs = costs.nan_to_num(nan=math.inf)
    chosen = costs.argsort(stable=True)[: settings.fitted].tolist()
    found: dict[int, Fit] = {}
    for rows in _alike([crystals[k] for k in chosen], observed):
        own = [chosen[k] for k in rows]
        batch, reflections = batch_for([crystals[k] for k in own], observed)
        problem = Problem(batch, reflections, observed, settings.anomalous)
        state = problem.begin(torch.arange(len(own)), lattices[own])
        values = state.values.clone()
        values[:, 6:8] = zeros[own]
        state = problem.rescaled(replace(state, values=values))
        state = problem.steps(state, _with(_NEAR, settings))
        found |= {f.index: f for f in fits_of(problem, state, own, "fitted")}
    for k, crystal in enumerate(crystals):
        if k not in found:
            fitted = _with_lattice(crystal, lattices[k])
            value = float(costs[k])
            found[k] = Fit(fitted, k, "afar", value, math.nan, math.nan, math.nan, math.nan)
    return [found[k] for k in range(len(crystals))]


def refine_candidates(
    fits: Sequence[Fit], prepared: Prepared | Observed, settings: FitSettings = FitSettings()
) -> list[Fit]:
    """Move free coordinates too, held near where they were, and try preferred orientations.

    Args:
        fits: of ``fit_candidates``, those to refine; from afar ones are fitted first where they stand.
        prepared: the same pattern.
        settings: how.

    Returns:
        A fit for each, in their order, of stage "refined".
    """
    if not fits:
        return []
    observed = observed_of(prepared)
    found: dict[int, Fit] = {}
    for rows in _alike([f.crystal for f in fits], observed):
        own = [fits[k] for k in rows]
        batch, reflections = batch_for([f.crystal for f in own], observed)
        problem = Problem(batch, reflections, observed, settings.anomalous)
        state = problem.begin(torch.arange(len(own)), batch.lattice())
        values = state.values.clone()
        for k, f in enumerate(own):
            if f.values is not None:
                values[k, 6:OWN] = values.new_tensor(f.values[6:OWN])
        state = problem.rescaled(replace(state, values=values))
        if settings.texture:
            state = textured(problem, state)
        state = problem.steps(state, sites_plan(settings))
        refined = fits_of(problem, state, [f.index for f in own], "refined")
        found |= dict(zip(rows, refined, strict=True))
    return [found[k] for k in range(len(fits))]


def textured(problem: Problem, state: State) -> State:
    """The preferred orientation of each fit that explains most, if one is worth it."""
    n = len(state.crystal)
    state = problem.steps(state, replace(_TEXTURE, free=("thermal",), iterations=2))
    axes = state.lattice.new_tensor(AXES)
    rows = torch.arange(n).repeat_interleave(len(AXES))
    tried = replace(state.rows(rows), axis=axes.repeat(n, 1))
    tried = problem.steps(tried, _TEXTURE)
    cost = tried.cost.reshape(n, -1).nan_to_num(nan=math.inf)
    best = cost.argmin(1) + len(AXES) * torch.arange(n)
    better = tried.cost[best] < _WORTH * state.cost
    chosen = tried.rows(best)
    return joined([(chosen if bool(better[k]) else state).rows(torch.tensor([k])) for k in range(n)])


def _with(plan: Plan, settings: FitSettings) -> Plan:
    priors = {**plan.priors, "sites": settings.sites}
    if settings.cell == "fixed":
        priors["strain"] = settings.tolerance
    free = plan.free
    if settings.texture and "sites" in free:
        free, priors = (*free, "texture"), {**priors, "texture": 0.4}
    return replace(plan, priors=priors, free=free)


def sites_plan(settings: FitSettings = FitSettings()) -> Plan:
    """What a refinement with free coordinates may change."""
    return _with(_SITES, settings)


def _far_plan(settings: FitSettings) -> Plan:
    return _with(_FAR, settings)


def _alike(crystals: Sequence[Crystal], observed: Observed) -> list[list[int]]:
    """Rows of crystals that have about as many reflections: what is padded together."""
    longest = shell(observed.radiation, observed.grid)[0]
    # Points of a primitive reciprocal lattice in the shell over the order of the group.
    size = [
        4 * math.pi / 3 * longest**3 * c.volume / len(c.group.centring) / len(c.group.rotations)
        for c in crystals
    ]
    groups: list[list[int]] = []
    for k in np.argsort(size, kind="stable").tolist():
        if groups and size[k] <= 1.4 * size[groups[-1][0]] + 10:
            groups[-1].append(k)
        else:
            groups.append([k])
    return groups


def batch_for(crystals: Sequence[Crystal], observed: Observed) -> tuple[CrystalBatch, Reflections]:
    """Crystals as a batch, and the reflections that a pattern can show of them."""
    batch = batch_of(crystals, torch.float32)
    longest, shortest = shell(observed.radiation, observed.grid)
    lattices = np.array([c.lattice for c in crystals])
    return batch, padded(reflections_of([c.space_group for c in crystals], lattices, longest, shortest))


def _from_afar(
    batch: CrystalBatch,
    reflections: Reflections,
    afar: Blurred,
    blurred: Sequence[Observed],
    settings: FitSettings,
    plan: Plan,
) -> State:
    """The best fit of each crystal to the blurred patterns."""
    n = batch.layout.size
    problems = [Problem(batch, reflections, o, settings.anomalous) for o in blurred]
    first = problems[0]
    if settings.cell == "fixed":
        state = first.rescaled(first.begin(torch.arange(n), batch.lattice()))
    else:
        radiation = first.observed.radiation
        sine = lines.sines(first.square, radiation.mean)
        strength = first.frozen * lines.lorentz_polarization(sine, radiation)
        starts = starting_strains(batch, reflections, strength, afar, settings.starts)
        owner = torch.arange(n).repeat_interleave(settings.starts)
        lattice = lattices_at(batch, owner, starts.strain.reshape(-1, 6))
        state = first.rescaled(first.begin(owner, lattice))
    state = best_of(first.steps(state, plan), n, 2)
    for problem in problems[1:]:
        fresh = problem.begin(state.crystal, state.lattice)
        values = fresh.values.clone()
        values[:, 6:8] = state.values[:, 6:8]
        state = problem.steps(problem.rescaled(replace(fresh, values=values)), plan)
    return best_of(state, n, 1)


def best_of(state: State, crystals: int, most: int) -> State:
    """The best fits of each crystal, ``most`` of each, in the crystals' order."""
    per = len(state.crystal) // crystals
    cost = state.cost.reshape(crystals, per).nan_to_num(nan=math.inf)
    order = cost.argsort(dim=1, stable=True)[:, :most]
    return state.rows((order + per * torch.arange(crystals)[:, None]).reshape(-1))


def fits_of(problem: Problem, state: State, places: Iterable[int], stage: str) -> list[Fit]:
    """Fits of states, one for each crystal of the problem."""
    crystals = crystals_of(problem, state)
    patterns = problem.patterns(state)
    rest = problem.rest(state)
    observed = problem.observed
    found = misfit.measures(problem.y, problem.sigma, patterns, rest)
    result = []
    for k, place in enumerate(places):
        v = state.values[k].double().numpy()
        r = float(math.exp(v[TEXTURE]))
        optics = Optics(
            width=math.exp(v[9]),
            broadening=math.sqrt(v[10]),
            mixing=float(v[11]),
            zero=float(v[6]),
            displacement=float(v[7]),
            thermal=float(v[12]),
            texture=r,
            axis=tuple(int(a) for a in state.axis[k].tolist()),  # type: ignore[arg-type]
        )
        whole = observed.scale * (patterns[k] + rest[k]).double().numpy()
        result.append(
            Fit(
                crystal=crystals[k],
                index=place,
                stage=stage,
                misfit=float(found.misfit[k].nan_to_num(nan=math.inf)),
                rwp=float(found.rwp[k]),
                overlap=float(found.overlap[k]),
                missing=float(found.missing[k]),
                foreign=float(found.foreign[k]),
                moved=float(state.values[k, OWN:].abs().max()) if state.values.shape[1] > OWN else 0.0,
                optics=optics,
                calculated=whole,
                values=v,
            )
        )
    return result


def crystals_of(problem: Problem, state: State) -> list[Crystal]:
    """Crystals of fits, one for each crystal of the problem's batch."""
    batch = problem.moved(state)
    lay = batch.layout
    volumes = (lay.volume * lay.tables.cells[lay.space_group]).double().tolist()
    lattices = state.lattice.double().numpy()
    strain = np.array(
        [
            lattice_to_strain(g, lattice, v)
            for g, lattice, v in zip(lay.space_group.tolist(), lattices, volumes, strict=True)
        ]
    )
    return to_crystals(batch.with_state(batch.w, torch.tensor(strain).to(batch.w)))


def _with_lattice(crystal: Crystal, lattice: Tensor) -> Crystal:
    from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell

    cell = lattice_to_cell(lattice.double().numpy())
    cell = lattice_to_cell(cell_to_lattice(crystal.space_group, cell))
    return Crystal(crystal.space_group, tuple(cell.tolist()), crystal.sites)
