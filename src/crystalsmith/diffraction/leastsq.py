"""Least squares of many crystals against one pattern at once: Levenberg-Marquardt steps in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from crystalsmith.diffraction import lines, profile
from crystalsmith.diffraction.misfit import FLOOR, RELATIVE, ROBUST, allowed, robust_loss
from crystalsmith.diffraction.observed import Observed
from crystalsmith.diffraction.reflections import Reflections
from crystalsmith.diffraction.restraints import short_bonds
from crystalsmith.graph import CrystalBatch
from crystalsmith.graph.ragged import expand

ZERO, DISPLACEMENT, SCALE, WIDTH, BROADENING, MIXING, THERMAL, TEXTURE = range(6, 14)
BACKGROUND = range(14, 20)
OWN = 20
"""Columns before the free coordinates: strains, then what shapes lines, then a smooth background."""

GROUPS = {
    "strain": range(6),
    "zero": (ZERO,),
    "displacement": (DISPLACEMENT,),
    "scale": (SCALE,),
    "width": (WIDTH,),
    "broadening": (BROADENING,),
    "mixing": (MIXING,),
    "thermal": (THERMAL,),
    "texture": (TEXTURE,),
    "background": BACKGROUND,
}
"""Columns by the names that a plan gives."""

LIMITS = {
    ZERO: (-0.5, 0.5),
    DISPLACEMENT: (-0.5, 0.5),
    MIXING: (0.0, 1.0),
    THERMAL: (-1.0, 10.0),
    TEXTURE: (math.log(0.3), math.log(3.0)),
}
"""Smallest and largest values of columns."""

WIDER = 0.7
"""Logarithm of the factor by which lines may be wider or narrower than the pattern's own."""

BROADER = 0.05
"""Degrees^2 by which the square of the broadening may exceed the pattern's own, beside twice that."""

AXES = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
"""Planes by which crystallites are tried to lie."""

REACH, REACH_OF_GAUSS = 4.0, 2.2
"""Widths to each side of a line over which its profile is summed; a Gaussian is a millionth there."""

_CHUNK = 16_000_000  # numbers in the largest array
_STEEPEST = 0.02  # strain of one step
_FARTHEST = 0.2  # Angstrom that an atom goes in one step
_LEAST_LOOSE = 0.5  # of the lightest atoms: how far they may go in comparison with the heaviest


@dataclass(frozen=True)
class State:
    """Where R fits stand; a crystal of the batch may have several.

    Attributes:
        crystal: (R,) row of the batch.
        lattice: (R, 3, 3) conventional, rows.
        values: (R, OWN + C) parameters: sum of the strains so far, shifts (degrees), logarithm of the scale,
            logarithm of the width (degrees), square of the broadening, mixing, B, logarithm of r, background,
            and how far the free coordinates have gone, Angstrom.
        axis: (R, 3) plane by which crystallites lie.
        cost: (R,) mean square of the weighed residuals, robust.
    """

    crystal: Tensor
    lattice: Tensor
    values: Tensor
    axis: Tensor
    cost: Tensor

    def rows(self, which: Tensor) -> State:
        """Some of the fits."""
        return State(*(getattr(self, f.name)[which] for f in fields(self)))


def joined(states: list[State]) -> State:
    """Fits of several states in turn."""
    return State(*(torch.cat([getattr(s, f.name) for s in states]) for f in fields(State)))


@dataclass(frozen=True)
class Plan:
    """What may change, and how far.

    Attributes:
        free: names of ``GROUPS``, and "sites" for the free coordinates.
        priors: standard deviation of parameters by group about where they stand at first, in their own units.
        iterations: steps at most.
        robust: residuals beyond so many sigma lose weight.
        relative: part of an intensity that counts as uncertain.
        floor: part of the highest intensity that counts as uncertain everywhere.
    """

    free: tuple[str, ...]
    priors: dict[str, float] = field(default_factory=dict)
    iterations: int = 6
    robust: float = ROBUST
    relative: float = RELATIVE
    floor: float = FLOOR


class Problem:
    """Crystals against a pattern.

    Args:
        batch: crystals; free coordinates begin from its w.
        reflections: theirs.
        observed: the pattern.
        anomalous: whether atoms scatter anomalously.
    """

    def __init__(
        self, batch: CrystalBatch, reflections: Reflections, observed: Observed, anomalous: bool = True
    ) -> None:
        self.batch, self.reflections, self.observed = batch, reflections, observed
        self.wavelength = observed.radiation.wavelength if anomalous else None
        like = batch.w
        width = math.log(observed.width)
        broadest = BROADER * min(1.0, observed.radiation.wavelength / 1.54) + 2 * observed.broadening**2
        self.limits = {**LIMITS, WIDTH: (width - WIDER, width + WIDER), BROADENING: (0.0, broadest)}
        self.y, self.sigma = like.new_tensor(observed.intensity), like.new_tensor(observed.sigma)
        phase = math.pi * (torch.arange(observed.grid.size) + 0.5) / observed.grid.size
        self.smooth = torch.stack([torch.cos(k * phase) for k in range(len(BACKGROUND))], 1).to(like)
        self.square = lines.inverse_squares(batch.lattice(), reflections.indices)
        geometric = lines.geometric_factors(batch, reflections)
        self.frozen = lines.strengths(batch, reflections, geometric, self.square, self.wavelength).value
        self._number_coordinates()

    def _number_coordinates(self) -> None:
        """Columns of the free coordinates; one unit of each moves its atoms by an Angstrom."""
        lay, t = self.batch.layout, self.batch.layout.tables
        dof = lay.free_mask.sum(1)
        orbit, rank = expand(dof)
        crystal = lay.crystal[orbit]
        per_crystal = torch.bincount(crystal, minlength=lay.size)
        start = torch.cumsum(per_crystal, 0) - per_crystal
        self.orbit, self.rank, self.owner = orbit, rank, crystal
        self.column = torch.arange(len(orbit)) - start[crystal]
        self.coordinates = int(per_crystal.max())
        way = t.free_basis[lay.wyckoff[orbit]].gather(2, rank[:, None, None].expand(-1, 3, 1))[:, :, 0]
        self.length = torch.linalg.vector_norm((way[:, None] @ self.batch.lattice()[crystal])[:, 0], dim=1)
        self.columns = torch.full((len(dof), 3), -1)
        self.columns[orbit, rank] = self.column
        self.units = self.length.new_ones((len(dof), 3))
        self.units[orbit, rank] = self.length
        # A pattern says the less of an atom the fewer electrons it has.
        number = lay.element.to(self.length)
        heaviest = number.new_zeros(lay.size).scatter_reduce_(0, lay.crystal, number, "amax")
        self.loose = (number / heaviest[lay.crystal]).sqrt().sqrt().clamp(min=_LEAST_LOOSE)

    def begin(self, crystal: Tensor, lattice: Tensor) -> State:
        """Fits that begin from lattices (R, 3, 3) of crystals (R,)."""
        values = lattice.new_zeros((len(crystal), OWN + self.coordinates))
        values[:, WIDTH] = math.log(self.observed.width)
        values[:, BROADENING] = self.observed.broadening**2
        values[:, MIXING] = self.observed.mixing
        axis = lattice.new_tensor([0.0, 0.0, 1.0]).expand(len(crystal), 3).clone()
        return State(crystal, lattice, values, axis, lattice.new_full((len(crystal),), math.inf))

    def rescaled(self, state: State) -> State:
        """The scale that makes the roots of the intensities fit best."""
        root = self.patterns(state).clamp(min=0).sqrt()
        scale = (root @ self.y.clamp(min=0).sqrt()) / (root * root).sum(1).clamp(min=1e-30)
        values = state.values.clone()
        values[:, SCALE] += 2 * scale.clamp(min=1e-12).log()
        return replace(state, values=values)

    def patterns(self, state: State) -> Tensor:
        """(R, N) calculated intensities, without the smooth background."""
        pieces = self._pieces(state, 1)
        none = torch.zeros(state.values.shape[1], dtype=torch.bool)
        sites = bool((state.values[:, OWN:] != 0).any())
        return torch.cat([self._model(state.rows(p), none, sites)[0] for p in pieces])

    def rest(self, state: State) -> Tensor:
        """(R, N) what of the background was left."""
        return state.values[:, BACKGROUND.start : BACKGROUND.stop] @ self.smooth.T

    def moved(self, state: State) -> CrystalBatch:
        """The batch with its free coordinates where the fits, one for each crystal, have brought them."""
        w = self.batch.w.clone()
        step = state.values[self.owner, OWN + self.column] / self.length
        w[self.orbit, self.rank] += step
        return self.batch.with_state(w, self.batch.strain)

    def _pieces(self, state: State, columns: int) -> list[Tensor]:
        points = 2 * self._half(state) + 1
        count = self.reflections.indices.shape[1] * len(self.observed.radiation.wavelengths)
        size = max(1, _CHUNK // max(points * count * columns, self.observed.grid.size * columns))
        return list(torch.arange(len(state.crystal)).split(size))

    def _half(self, state: State) -> int:
        tangent = math.tan(math.radians(min(self.observed.grid.stop, 150.0)) / 2)
        widest = (2 * state.values[:, WIDTH]).exp() + state.values[:, BROADENING] * tangent**2
        is_gauss = self.observed.mixing == 0 and not bool(state.values[:, MIXING].any())
        reach = REACH_OF_GAUSS if is_gauss else REACH
        return profile.window(reach * float(widest.max().sqrt()), self.observed.grid)

    def _model(self, state: State, wanted: Tensor, sites: bool) -> tuple[Tensor, Tensor]:
        """Patterns (R, N) without the smooth background, and derivatives (R, N, wanted columns)."""
        radiation, grid, v = self.observed.radiation, self.observed.grid, state.values
        indices = self.reflections.indices[state.crystal]
        inverse = torch.linalg.inv(state.lattice)
        vector = indices @ inverse.transpose(1, 2)
        square = (vector * vector).sum(2).clamp(min=1e-8)
        slope = None
        if sites:
            batch = self.moved(state)
            geometric = lines.geometric_factors(batch, self.reflections, slopes=bool(wanted[OWN:].any()))
            found = lines.strengths(batch, self.reflections, geometric, square, self.wavelength)
            strength, slope = found.value, found.slope
        else:
            strength = self.frozen[state.crystal]
        factor = torch.exp(-0.5 * v[:, THERMAL, None] * square + v[:, SCALE, None])
        textured = bool(wanted[TEXTURE]) or bool((v[:, TEXTURE] != 0).any())
        bent = None
        if textured:
            preferred, bent = self._texture(state, indices)
            factor = factor * preferred
        names = torch.nonzero(wanted)[:, 0].tolist()
        by_strength: list[Tensor] = []  # (R, H) relative to the factor, for the columns after the first
        columns_strength = [c for c in names if c in (THERMAL, TEXTURE) or c >= OWN]
        if slope is not None:
            free = slope.new_zeros((len(v), self.coordinates, slope.shape[1]))
            free[self.owner, self.column] = slope[self.orbit, :, self.rank] / self.length[:, None]
        for c in columns_strength:
            if c == THERMAL:
                by_strength.append(-0.5 * square * strength)
            elif c == TEXTURE:
                assert bent is not None
                by_strength.append(bent * strength)
            else:
                by_strength.append(free[:, c - OWN])
        strains = [c for c in names if c < 6]
        basis = self.batch.layout.tables.strain_basis
        stretch = [-((vector @ basis[c]) * vector).sum(2) / square for c in strains]
        place, shape_columns, value_columns, broad_columns, width = [], [], [], [], []
        line = []
        for length, weight in zip(radiation.wavelengths, radiation.weights, strict=True):
            sine = lines.sines(square, length)
            cosine = (1 - sine**2).sqrt()
            tangent = sine / cosine
            f = weight * factor * lines.lorentz_polarization(sine, radiation)
            intensity = f * strength
            angle = lines.two_theta_of(sine) + v[:, ZERO, None] + v[:, DISPLACEMENT, None] * cosine
            own = ((2 * v[:, WIDTH, None]).exp() + v[:, BROADENING, None] * tangent**2).sqrt()
            place.append(angle)
            width.append(own)
            line.append(intensity)
            value_columns.append(torch.stack([intensity, *(f * s for s in by_strength)], 2))
            moves = [intensity * math.degrees(2) * tangent * s for s in stretch]
            if bool(wanted[ZERO]):
                moves.append(intensity)
            if bool(wanted[DISPLACEMENT]):
                moves.append(intensity * cosine)
            shape_columns.append(moves)
            broad = []
            if bool(wanted[WIDTH]):
                broad.append(intensity * (2 * v[:, WIDTH, None]).exp() / own)
            if bool(wanted[BROADENING]):
                broad.append(intensity * 0.5 * tangent**2 / own)
            broad_columns.append(broad)
        at, breadth = torch.cat(place, 1), torch.cat(width, 1)
        half = self._half(state)
        first = torch.round((at - grid.start) / grid.step).long() - half
        angle = grid.start + grid.step * (first[:, :, None] + torch.arange(2 * half + 1))
        mixing = v[:, MIXING, None, None]
        if not len(names):
            lines_only = profile.pseudo_voigt(angle - at[:, :, None], breadth[:, :, None], mixing)
            lone = torch.cat(line, 1)[:, :, None]
            return profile.spread_apart([(lines_only, lone)], first, grid)[:, :, 0], at.new_zeros(0)
        gaussian = not bool(mixing.any()) and not bool(wanted[MIXING])
        shape = profile.shape_of(angle - at[:, :, None], breadth[:, :, None], mixing, gaussian)
        kernels = [(shape.value, torch.cat(value_columns, 1))]
        order = [SCALE, *columns_strength]
        if shape_columns[0]:
            kernels.append((shape.place, torch.cat([torch.stack(m, 2) for m in shape_columns], 1)))
            order += [*strains, *(c for c in (ZERO, DISPLACEMENT) if bool(wanted[c]))]
        if broad_columns[0]:
            kernels.append((shape.width, torch.cat([torch.stack(m, 2) for m in broad_columns], 1)))
            order += [c for c in (WIDTH, BROADENING) if bool(wanted[c])]
        if bool(wanted[MIXING]):
            kernels.append((shape.mixing, torch.cat(line, 1)[:, :, None]))
            order.append(MIXING)
        summed = profile.spread_apart(kernels, first, grid)
        calculated = summed[:, :, 0]
        for k, c in enumerate(BACKGROUND):
            if bool(wanted[c]):
                order.append(c)
                summed = torch.cat([summed, self.smooth[None, :, k, None].expand(len(v), -1, 1)], 2)
        return calculated, summed[:, :, [order.index(c) for c in names]]

    def _texture(self, state: State, indices: Tensor) -> tuple[Tensor, Tensor]:
        """March's factors (R, H), and their derivatives by ln r over themselves."""
        lay = self.batch.layout
        cosine = lines.orientation_cosines(lay.space_group[state.crystal], state.lattice, indices, state.axis)
        r = state.values[:, TEXTURE, None, None].exp()
        inner = r**2 * cosine + (1 - cosine) / r
        each = inner**-1.5
        slope = -1.5 * inner**-2.5 * (2 * r**2 * cosine - (1 - cosine) / r)
        factor = each.mean(2).clamp(min=1e-9)
        return factor, slope.mean(2) / factor

    def steps(self, state: State, plan: Plan) -> State:
        """Improve fits by damped Gauss-Newton steps.

        With "sites" among what is free, the state has one fit for each crystal of the batch, in order.
        """
        wanted = torch.zeros(state.values.shape[1], dtype=torch.bool)
        for name in plan.free:
            wanted[list(range(OWN, OWN + self.coordinates)) if name == "sites" else list(GROUPS[name])] = True
        wanted[SCALE] = True
        sites = "sites" in plan.free or bool((state.values[:, OWN:] != 0).any())
        pieces = self._pieces(state, int(wanted.sum()) + 1)
        if sites:
            pieces = [torch.arange(len(state.crystal))]
        return joined([self._steps(state.rows(p), plan, wanted, sites) for p in pieces])

    def _steps(self, state: State, plan: Plan, wanted: Tensor, sites: bool) -> State:
        names = torch.nonzero(wanted)[:, 0]
        start = state.values[:, names]
        prior = self._prior(state, plan, names)
        strain = self.batch.layout.tables.strain_basis
        strains = [k for k, c in enumerate(names.tolist()) if c < 6]
        places = [k for k, c in enumerate(names.tolist()) if c >= OWN]
        damping = start.new_full((len(start),), 1e-3)
        scale: Tensor | None = None
        best: tuple[Tensor, Tensor, Tensor] | None = None  # cost, normal matrix, gradient
        trial = state
        for _ in range(plan.iterations + 1):
            calculated, slopes = self._model(trial, wanted, sites)
            whole = calculated + self.rest(trial)
            error = self._error(plan)
            residual = (self.y - whole) / error
            if scale is None:
                scale = _spread_of(residual, plan.robust).clamp(min=1.0)
            residual = residual / scale[:, None]
            loss = robust_loss(residual, plan.robust)
            gone = trial.values[:, names] - start
            cost = loss.sum(1) + (gone**2 * prior).sum(1)
            bonds = None
            if places and sites:
                bonds = short_bonds(self.moved(trial), trial.lattice, self.columns, self.units, len(self.y))
                cost = cost + bonds.cost
            weight = 1 / (1 + (residual / plan.robust) ** 2) / (error * scale[:, None]) ** 2
            weighed = slopes * weight[:, :, None]
            matrix = (weighed.transpose(1, 2) @ slopes).double()
            gradient = (weighed.transpose(1, 2) @ (self.y - whole)[:, :, None])[:, :, 0].double()
            matrix = matrix + torch.diag_embed(prior.double())
            gradient = gradient - (gone * prior).double()
            if bonds is not None:
                matrix[:, places[0] :, places[0] :] += bonds.matrix.double()
                gradient[:, places[0] :] += bonds.gradient.double()
            if best is None:
                best, state = (cost, matrix, gradient), trial
            else:
                better = cost < best[0]
                damping = torch.where(better, damping * 0.2, damping * 8).clamp(1e-7, 1e5)
                best = (
                    torch.where(better, cost, best[0]),
                    torch.where(better[:, None, None], matrix, best[1]),
                    torch.where(better[:, None], gradient, best[2]),
                )
                state = replace(
                    state,
                    lattice=torch.where(better[:, None, None], trial.lattice, state.lattice),
                    values=torch.where(better[:, None], trial.values, state.values),
                )
            step = _solve(best[1], best[2], damping).to(start)
            if strains:
                largest = step[:, strains].abs().amax(1, keepdim=True)
                step = step * (_STEEPEST / largest.clamp(min=_STEEPEST))
            if places:
                largest = step[:, places].abs().amax(1, keepdim=True)
                step = step * (_FARTHEST / largest.clamp(min=_FARTHEST))
            values = state.values.clone()
            values[:, names] += step
            for c, (low, high) in self.limits.items():
                values[:, c].clamp_(low, high)
            lattice = state.lattice
            if strains:
                delta = values[:, :6] - state.values[:, :6]
                turn = torch.einsum("bk,kij->bij", delta, strain)
                lattice = lattice @ torch.linalg.matrix_exp(torch.cat([turn, turn[:1]]))[:-1]
            trial = replace(state, values=values, lattice=lattice)
        assert best is not None and scale is not None
        return replace(state, cost=best[0] * scale**2 / len(self.y))

    def _error(self, plan: Plan) -> Tensor:
        return allowed(self.y, self.sigma, plan.relative, plan.floor)

    def _prior(self, state: State, plan: Plan, names: Tensor) -> Tensor:
        """(R, columns) weights of a parameter's square; what a crystal has not is held."""
        sigma = state.values.new_full((state.values.shape[1],), math.inf)
        for name, value in plan.priors.items():
            columns = range(OWN, len(sigma)) if name == "sites" else GROUPS[name]
            sigma[list(columns)] = value
        weight = (sigma**-2).expand(state.values.shape).clone()
        lay = self.batch.layout
        if "sites" in plan.priors:
            # Points of one line are off together: so many of them count as one.
            together = max(1.0, self.observed.width / self.observed.grid.step)
            loose = weight.new_ones((lay.size, self.coordinates))
            loose[self.owner, self.column] = self.loose[self.orbit]
            weight[:, OWN:] *= together / loose[state.crystal] ** 2
        held = torch.ones_like(weight, dtype=torch.bool)
        held[:, 6:OWN] = False
        held[:, :6] = ~lay.strain_mask[state.crystal]
        present = torch.zeros((lay.size, self.coordinates), dtype=torch.bool)
        present[self.owner, self.column] = True
        held[:, OWN:] = ~present[state.crystal]
        weight[held] = 1e12
        return weight[:, names]


def _spread_of(residual: Tensor, robust: float) -> Tensor:
    """(R,) root mean square of residuals (R, N), those beyond ``robust`` times the median held back."""
    middle = residual.abs().median(1).values.clamp(min=0.3)
    return residual.abs().clamp(max=1e3).minimum(robust * middle[:, None]).square().mean(1).sqrt()


def _solve(matrix: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
    """Damped step (R, P); parameters are scaled by their own curvature first."""
    diagonal = matrix.diagonal(dim1=1, dim2=2).clamp(min=1e-12)
    unit = diagonal.rsqrt()
    scaled = matrix * unit[:, :, None] * unit[:, None, :]
    eye = torch.eye(matrix.shape[1], dtype=matrix.dtype)
    scaled = scaled + (damping[:, None, None].double() + 1e-9) * eye
    return torch.linalg.solve(scaled, gradient * unit) * unit
