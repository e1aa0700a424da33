"""Conditions carried out: the clean crystals that a network expects, turned into such as satisfy them.

With the expected crystal m of spread s, what is known of it to a tolerance t is weighed in as between normal
distributions: the mean becomes (m / s^2 + y / t^2) / (1 / s^2 + 1 / t^2). Around that mean the misfits of all
conditions together are minimised (``proximal``). Where data and likelihoods are normal, that is the mean of
the clean crystal given the noised one and the conditions, and so the samples follow the conditional
distribution; elsewhere it is a likely crystal in place of a mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.assignments import Request
from crystalsmith.conditions.condition import Condition, Held
from crystalsmith.conditions.proximal import Move, proximal
from crystalsmith.crystal import Crystal
from crystalsmith.graph import CrystalBatch, Layout


def conditions_of(requests: Sequence[Request], more: Sequence[Condition] = ()) -> list[tuple[Condition, ...]]:
    """The conditions of each request: those of all, then its own."""
    return [(*more, *request.conditions) for request in requests]


@dataclass(frozen=True)
class Spread:
    """How far clean crystals may be from what the network expects; standard deviations.

    Attributes:
        position: of all orthonormal free coordinates, in units of the reference cell's cube root.
        lattice: (6,) of log-strains.
        time: of the schedules.
    """

    position: float
    lattice: Tensor
    time: float


@dataclass(frozen=True)
class _Part:
    """The crystals of a batch that share a condition."""

    condition: Condition
    layout: Layout
    rows: Tensor  # of the crystals
    orbits: Tensor  # of their orbits

    def of(self, w: Tensor, strain: Tensor) -> CrystalBatch:
        return CrystalBatch(self.layout, w[self.orbits], strain[self.rows])


class Steering:
    """The conditions of a batch.

    Args:
        layout: of the batch.
        parts: its crystals by condition.

    Attributes:
        cell_exact: (B,) whether all of a cell is known exactly.
    """

    def __init__(self, layout: Layout, parts: Sequence[_Part]) -> None:
        self.layout = layout
        self._misfits = [p for p in parts if p.condition.has_misfit]
        self._projections = [p for p in parts if p.condition.has_projection]
        # Sums over what is known of a coordinate: of 1 / t^2, and of y / t^2 without the images of a torus.
        known = Held.nothing(layout)
        self.w, self.w_tolerance = known.w, known.w_tolerance
        self.strain, self.strain_tolerance = known.strain, known.strain_tolerance
        for part in parts:
            held = part.condition.hold(part.layout)
            if held is not None:
                self._take(part, held)
        self.strain_tolerance = torch.where(layout.strain_mask, self.strain_tolerance, torch.inf)
        self.w_tolerance = torch.where(layout.free_mask.any(1), self.w_tolerance, torch.inf)
        self.w_exact = self.w_tolerance == 0
        self.strain_exact = self.strain_tolerance == 0
        self.cell_exact = (self.strain_exact | ~layout.strain_mask).all(1)

    @staticmethod
    def of(
        conditions: Sequence[Sequence[Condition]], layout: Layout, lay_out: Callable[[list[int]], Layout]
    ) -> Steering | None:
        """Bind conditions to a batch.

        Args:
            conditions: of each of its crystals.
            layout: of the batch.
            lay_out: the layout of some of its crystals.

        Returns:
            None where there is no condition.

        Raises:
            OrderError: a condition that does not suit its crystal.
        """
        rows: dict[Condition, list[int]] = defaultdict(list)
        for b, own in enumerate(conditions):
            for condition in dict.fromkeys(own):
                rows[condition].append(b)
        parts = []
        for condition, own_rows in rows.items():
            inside = torch.zeros(layout.size, dtype=torch.bool)
            inside[own_rows] = True
            orbits = torch.nonzero(inside.to(layout.crystal.device)[layout.crystal])[:, 0]
            where = torch.tensor(own_rows, device=layout.crystal.device)
            whole = len(own_rows) == layout.size
            parts.append(_Part(condition, layout if whole else lay_out(own_rows), where, orbits))
        return Steering(layout, parts) if parts else None

    def _take(self, part: _Part, held: Held) -> None:
        """Weigh in what a condition knows; the sharper of two on an orbit's place."""
        old, tolerance = self.strain[part.rows], self.strain_tolerance[part.rows]
        a, b = tolerance**-2, held.strain_tolerance**-2
        mixed = torch.where(
            b == 0, old, torch.where(a == 0, held.strain, (a * old + b * held.strain) / (a + b))
        )
        exact = torch.where(held.strain_tolerance == 0, held.strain, torch.where(tolerance == 0, old, mixed))
        self.strain, self.strain_tolerance = self.strain.clone(), self.strain_tolerance.clone()
        self.strain[part.rows], self.strain_tolerance[part.rows] = exact, (a + b) ** -0.5
        sharper = held.w_tolerance < self.w_tolerance[part.orbits]
        self.w, self.w_tolerance = self.w.clone(), self.w_tolerance.clone()
        self.w[part.orbits] = torch.where(sharper[:, None], held.w, self.w[part.orbits])
        self.w_tolerance[part.orbits] = torch.where(sharper, held.w_tolerance, self.w_tolerance[part.orbits])

    def keep(self, w: Tensor, strain: Tensor) -> tuple[Tensor, Tensor]:
        """A state with exactly known coordinates at their values.

        Args:
            w: (S, 3).
            strain: (B, 6).
        """
        w = torch.where(self.w_exact[:, None], self.w, w)
        return w, torch.where(self.strain_exact, self.strain, strain)

    def steer(self, w: Tensor, strain: Tensor, spread: Spread) -> tuple[Tensor, Tensor]:
        """How far to move expected clean crystals.

        Args:
            w: (S, 3) torus coordinates.
            strain: (B, 6).
            spread: of both.

        Returns:
            (S, 3) in orthonormal free coordinates, and (B, 6) log-strain.
        """
        lay, t = self.layout, self.layout.tables
        unit, inverse = t.unit[lay.wyckoff], t.unit_inverse[lay.wyckoff]
        away = self.w - w
        away = torch.einsum("sij,sj->si", inverse, away - away.round()) * lay.free_mask
        share = _share(spread.position, self.w_tolerance)[:, None]
        z = torch.where(share > 0, share * away, 0.0)
        s = spread.lattice.expand_as(strain)
        portion = _share(s, self.strain_tolerance)
        e = torch.where(portion > 0, portion * (self.strain - strain), 0.0)
        wide_z = spread.position * (1 - share).sqrt() * lay.free_mask
        wide_e = s * (1 - portion).sqrt() * lay.strain_mask
        misfits = [p for p in self._misfits if spread.time <= p.condition.begins]

        def moved(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
            return w + torch.einsum("sij,sj->si", unit, z), strain + e

        if misfits:

            def misfit(m: Move) -> Tensor:
                at = moved(z + wide_z * m.z, e + wide_e * m.e)
                total = m.e.new_zeros(lay.size)
                for part in misfits:
                    told = part.condition.misfit(part.of(*at))
                    if told is not None:
                        total = total.index_add(0, part.rows, told.to(total.dtype))
                return total

            rounds = min(p.condition.rounds for p in misfits)
            found = proximal(misfit, lay.crystal, Move(wide_z > 0, wide_e > 0), w, rounds)
            z, e = z + wide_z * found.z, e + wide_e * found.e
        for part in self._projections:
            at = moved(z, e)
            after = part.condition.project(part.of(*at))
            step = after.w - at[0][part.orbits]
            step = torch.einsum("sij,sj->si", inverse[part.orbits], step - step.round())
            z = z.index_add(0, part.orbits, step * part.layout.free_mask)
            e = e.index_add(0, part.rows, (after.strain - at[1][part.rows]) * part.layout.strain_mask)
        return z, e


def _share(spread: Tensor | float, tolerance: Tensor) -> Tensor:
    """What a known value counts for beside an expected one: s^2 / (s^2 + t^2), 1 for an exact value."""
    square = torch.as_tensor(spread, dtype=tolerance.dtype, device=tolerance.device) ** 2
    return torch.where(tolerance == 0, 1.0, square / (square + tolerance**2))


def finished(crystal: Crystal, conditions: Sequence[Condition], known: bool = False) -> Crystal:
    """A crystal made to satisfy its conditions, as far as they tell how.

    Args:
        crystal: what was sampled under them, or is taken as it is.
        conditions: of its request.
        known: it is taken as it is.

    Raises:
        CrystalsmithError: it cannot satisfy them.
    """
    for condition in conditions:
        crystal = condition.adapt(crystal) if known else condition.finish(crystal)
    return crystal


def unmet(crystal: Crystal, conditions: Sequence[Condition]) -> str | None:
    """Why a finished crystal fails one of its conditions; None where it satisfies all."""
    return next((words for c in conditions if (words := c.fault(crystal)) is not None), None)
