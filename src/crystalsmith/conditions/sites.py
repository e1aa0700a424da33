"""Sites whose places are known: those of a host."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from crystalsmith.conditions.condition import Condition, Held
from crystalsmith.crystal import Crystal
from crystalsmith.errors import OrderError
from crystalsmith.graph import Layout
from crystalsmith.symmetry import tables


@dataclass(frozen=True)
class FixedSites(Condition):
    """The places of some sites, by their order in the request.

    Attributes:
        places: the place among a request's sites, from 0, and the free parameters of the site's letter.
        tolerance: standard deviation of an atom's place in each direction, Angstrom; 0 for exactly there.

    Raises:
        OrderError: a site that is named twice, or a tolerance that is none.
    """

    places: tuple[tuple[int, tuple[float, ...]], ...]
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if len({k for k, _ in self.places}) < len(self.places):
            raise OrderError("a site cannot be held in two places")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise OrderError(f"a tolerance of places is a number of Angstrom from 0, not {self.tolerance}")

    @property
    def sites_held(self) -> tuple[int, ...]:
        return tuple(k for k, _ in self.places)

    def hold(self, layout: Layout) -> Held:
        t = tables()
        held = Held.nothing(layout)
        w, tolerance = held.w.clone(), held.w_tolerance.clone()
        size = (layout.volume ** (1 / 3)).tolist()
        rows = layout.wyckoff.tolist()
        first = 0
        for b, orbits in enumerate(torch.bincount(layout.crystal, minlength=layout.size).tolist()):
            for k, free in self.places:
                d = int(t.dof[rows[first + k]]) if k < orbits else -1
                if d != len(free):
                    raise OrderError(f"site {k + 1} of the request has not the place that it is held in")
                if d:
                    own = np.linalg.solve(t.period[rows[first + k]][:d, :d], np.asarray(free))
                    w[first + k, :d] = torch.tensor(own % 1.0).to(w)
                    tolerance[first + k] = self.tolerance / size[b]
            first += orbits
        return held.with_sites(w, tolerance)

    def finish(self, crystal: Crystal) -> Crystal:
        return crystal if self.tolerance else self.adapt(crystal)

    def adapt(self, crystal: Crystal) -> Crystal:
        sites = list(crystal.sites)
        for k, free in self.places:
            sites[k] = replace(sites[k], free=free)
        return replace(crystal, sites=tuple(sites))
