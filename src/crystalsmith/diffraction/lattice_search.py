"""Cells from the places of lines: the lowest lines are given small indices in turn, and the rest decides.

1/d^2 is linear in six numbers (of ``h^2 k^2 l^2 kl hl hk``), of which a crystal system leaves one to six
open. As many of the lowest lines with trial indices give them; what has a volume that the formula allows and
explains the next lines goes on. For triclinic cells three lines are the shortest vectors of the reciprocal
lattice, and others their sums (Ito's way); centred lattices of more symmetry are found by it too.

The volume is known within some percent, which makes such a search short. It does not depend on a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LINES = 20
"""Lines, the lowest, that trial cells have to explain."""

BASE, SUMS = 7, 14
"""Lowest lines of which three are the shortest vectors of a triclinic cell, and that may be their sums."""

FIRST_LINES, MISSED_OF_FIRST = 8, 1
"""Lines at which trial cells are looked at first, and how many of them may be of something else."""

FEWEST = 5
"""Lines without which nothing is looked for."""

ZERO = 0.05
"""Degrees by which the zero may be off beside what was assumed, a standard deviation."""

ROUGH = 2.0
"""By how much farther lines may be off in cells that rest on a few lines alone."""

KEPT = 40
"""Trial cells of a system that are refined, those that explain most lines."""

_CHUNK = 3_000_000  # numbers in the largest array

_SQUARES = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]], float)


@dataclass(frozen=True)
class Lines:
    """Lines of a pattern.

    Attributes:
        q: (n,) 1/d^2, ascending.
        tolerance: (n,) by how much each may be off.
        slope: (n,) by how much each changes with a degree of the zero.
    """

    q: np.ndarray
    tolerance: np.ndarray
    slope: np.ndarray

    def first(self, n: int) -> Lines:
        """The lowest of them."""
        return Lines(self.q[:n], self.tolerance[:n], self.slope[:n])


@dataclass(frozen=True)
class System:
    """A crystal system with what is tried for it.

    Attributes:
        name: of it.
        basis: (P, 6) what each open number adds to the six.
        base: how many of the lowest lines may be base lines.
        most: largest trial indices along the axes.
        total: largest sum of them, but for those along one axis.
        reach: largest indices of lines that are explained.
        signed: whether the first index has both signs.
        centrings: of its lattices.
    """

    name: str
    basis: np.ndarray
    base: int
    most: tuple[int, int, int]
    total: int
    reach: tuple[int, int, int]
    signed: bool
    centrings: str


SYSTEMS = (
    System("cubic", _SQUARES.sum(0, keepdims=True), 4, (3, 3, 3), 6, (7, 7, 7), False, "PIF"),
    System(
        "tetragonal",
        np.stack([_SQUARES[0] + _SQUARES[1], _SQUARES[2]]),
        7,
        (3, 3, 8),
        9,
        (7, 7, 16),
        False,
        "PI",
    ),
    System(
        "hexagonal",
        np.stack([_SQUARES[0] + _SQUARES[1] + np.eye(6)[5], _SQUARES[2]]),
        7,
        (2, 2, 12),
        13,
        (5, 5, 24),
        False,
        "PR",
    ),
    System("orthorhombic", _SQUARES, 6, (2, 2, 2), 4, (5, 7, 14), False, "PICF"),
    System("monoclinic", np.concatenate([_SQUARES, np.eye(6)[4:5]]), 6, (2, 2, 2), 3, (7, 6, 8), True, "PCI"),
)
"""All but the triclinic one."""

TIMES = {"P": 1, "I": 2, "C": 2, "F": 4, "R": 3}
"""Lattice points in a conventional cell."""


def monomials(hkl: np.ndarray) -> np.ndarray:
    """(n, 6) factors of the six numbers in 1/d^2 for indices (n, 3)."""
    h, k, l = hkl.astype(float).T  # noqa: E741
    return np.stack([h * h, k * k, l * l, k * l, h * l, h * k], 1)


def volumes(metric: np.ndarray) -> np.ndarray:
    """(n,) Angstrom^3 of cells with such numbers (n, 6); infinite where there is no such cell."""
    a, b, c, d, e, f = metric.T
    square = a * b * c + (d * e * f - a * d * d - b * e * e - c * f * f) / 4
    good = (square > 0) & (a > 0) & (b > 0) & (c > 0) & (4 * a * b > f * f) & (4 * a * c > e * e)
    return np.where(good, np.where(good, square, 1.0) ** -0.5, np.inf)


def lattice_of(metric: np.ndarray) -> np.ndarray:
    """(3, 3) rows in Angstrom of the cell with six such numbers."""
    a, b, c, d, e, f = metric
    reciprocal = np.array([[a, f / 2, e / 2], [f / 2, b, d / 2], [e / 2, d / 2, c]])
    return np.linalg.cholesky(np.linalg.inv(reciprocal))


def search(
    lines: Lines, primitive: Sequence[tuple[float, float]]
) -> Iterator[tuple[System | None, np.ndarray, np.ndarray]]:
    """Cells that explain lines.

    Args:
        lines: of the pattern.
        primitive: ranges of the volume of the primitive cell, Angstrom^3.

    Yields:
        Systems, None for the triclinic one, with (m, 6) refined numbers of their cells and (m,) degrees by
        which the zero is off.
    """
    if len(lines.q) < FEWEST:
        return
    for system in SYSTEMS:
        factors = [TIMES[c] for c in system.centrings]
        allowed = [(f * low, f * high) for f in factors for low, high in primitive]
        trial = [_allowed(x, allowed) for x in _by_indices(system, lines.q)]
        yield system, *_best(np.concatenate(trial), _reach(system), system.basis, lines)
    trial = [_allowed(x, primitive) for x in _by_sums(lines.q, lines.tolerance)]
    yield None, *_best(np.concatenate(trial), _half_space((9, 5, 4)), np.eye(6), lines)


def _allowed(metric: np.ndarray, ranges: Sequence[tuple[float, float]]) -> np.ndarray:
    volume = volumes(metric)
    good = np.zeros(len(volume), bool)
    for low, high in ranges:
        good |= (volume > low) & (volume < high)
    return metric[good]


def _by_indices(system: System, q: np.ndarray) -> Iterator[np.ndarray]:
    """(n, 6) numbers of trial cells for each choice of base lines."""
    inverse = _inverses(system.name)
    p = len(system.basis)
    for lines in itertools.combinations(range(min(system.base, len(q))), p):
        values = inverse @ q[list(lines)]
        good = (values[:, : min(p, 3)] > 0).all(1)
        if system.name == "orthorhombic":  # axes in one order, the longest last
            good &= (values[:, 0] >= values[:, 1]) & (values[:, 1] >= values[:, 2])
        elif system.name == "monoclinic":
            a, _, c, e = values.T
            good &= (a >= c) & (np.abs(e) <= 1.001 * c)
            values[:, 3] = np.abs(e)
        yield values[good] @ system.basis


@lru_cache(maxsize=len(SYSTEMS))
def _inverses(name: str) -> np.ndarray:
    """(n, P, P) that take 1/d^2 of P lines with trial indices to the open numbers of a system."""
    system = next(s for s in SYSTEMS if s.name == name)
    axes = [range(-m if system.signed and k == 0 else 0, m + 1) for k, m in enumerate(system.most)]
    hkl = np.array([x for x in itertools.product(*axes) if any(x)])
    size = np.abs(hkl).sum(1)
    hkl = hkl[size <= system.total]
    if not system.signed:
        along = [tuple(n if j == k else 0 for j in range(3)) for k in range(3) for n in (3, 4, 6)]
        hkl = np.concatenate([hkl, np.array(along)])
    rows = np.unique(monomials(hkl) @ system.basis.T, axis=0)
    p = len(system.basis)
    chosen = np.array(list(itertools.permutations(range(len(rows)), p)))
    matrix = rows[chosen]
    return np.linalg.inv(matrix[np.abs(np.linalg.det(matrix)) > 0.5])


def _by_sums(q: np.ndarray, tolerance: np.ndarray) -> Iterator[np.ndarray]:
    """(n, 6) numbers of trial triclinic cells: three of the lowest lines, sums and differences of them."""
    base, others = q[:BASE], q[:SUMS]
    for i, j, k in itertools.combinations_with_replacement(range(len(base)), 3):
        if i == j == k:
            continue
        a, b, c = base[i], base[j], base[k]
        sums = []
        for x, y in ((b, c), (a, c), (a, b)):
            cross = np.concatenate([[0.0], others - x - y])
            cross = np.abs(cross[np.abs(cross) <= 1.02 * min(x, y)])
            sums.append(np.unique(np.round(cross / tolerance[0]) * tolerance[0]))
        d, e, f = (x.ravel() for x in np.meshgrid(*sums, indexing="ij"))
        both = np.concatenate([np.stack([d, e, f], 1), np.stack([d, e, -f], 1)])
        yield np.concatenate([np.broadcast_to([a, b, c], (len(both), 3)), both], 1)


def _reach(system: System) -> np.ndarray:
    first, second, third = system.reach
    if system.signed:
        hkl = np.array(list(itertools.product(range(-first, first + 1), range(second + 1), range(third + 1))))
    else:
        hkl = np.array(list(itertools.product(range(first + 1), range(second + 1), range(third + 1))))
    rows = monomials(hkl)
    return np.unique(rows[rows[:, :3].sum(1) > 0], axis=0)


def _half_space(reach: tuple[int, int, int]) -> np.ndarray:
    """Monomials of one of each pair of opposite indices; the first axis is the longest."""
    axes = [range(-m, m + 1) for m in reach]
    return monomials(np.array([h for h in itertools.product(*axes) if h > (0, 0, 0)]))


def _best(
    metric: np.ndarray, rows: np.ndarray, basis: np.ndarray, lines: Lines
) -> tuple[np.ndarray, np.ndarray]:
    """(m, 6) the trial cells that explain most lines, refined, and (m,) shifts of the zero."""
    if len(basis) == 6:
        metric = _longest_first(metric)
    first = lines.first(FIRST_LINES)
    seen, _ = _explained(metric, rows, first)
    metric = metric[seen >= len(first.q) - MISSED_OF_FIRST]
    lines = lines.first(LINES)
    _, near = _explained(metric, rows, lines)
    order = np.argsort(-near, kind="stable")
    kept: dict[tuple[float, ...], tuple[np.ndarray, float]] = {}
    for k in order[: 20 * KEPT]:
        refined, zero = refined_metric(metric[k], rows, basis, lines)
        kept.setdefault(tuple(np.round(np.sort(refined[:3]), 4)), (refined, zero))
        if len(kept) == KEPT:
            break
    return np.array([m for m, _ in kept.values()]).reshape(-1, 6), np.array([z for _, z in kept.values()])


def _longest_first(metric: np.ndarray) -> np.ndarray:
    """The same cells with the shortest reciprocal axis first."""
    order = np.argsort(metric[:, :3], axis=1, kind="stable")
    return np.concatenate(
        [np.take_along_axis(metric[:, :3], order, 1), np.take_along_axis(metric[:, 3:], order, 1)], 1
    )


def _explained(metric: np.ndarray, rows: np.ndarray, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    """(n,) how many of the lines each cell explains, and (n,) the same with less for those that are off."""
    found, near = np.zeros(len(metric), int), np.zeros(len(metric))
    step = max(1, _CHUNK // len(rows))
    columns = rows.T.astype(np.float32)
    for start in range(0, len(metric), step):
        piece = slice(start, start + step)
        calculated = metric[piece].astype(np.float32) @ columns
        for place, off in zip(lines.q.astype(np.float32), lines.tolerance, strict=True):
            away = np.abs(calculated - place).min(1) / (ROUGH * off)
            found[piece] += away < 1
            near[piece] += np.maximum(1 - away**2, 0)
    return found, near


def refined_metric(
    metric: np.ndarray, rows: np.ndarray, basis: np.ndarray, lines: Lines
) -> tuple[np.ndarray, float]:
    """A cell's numbers, and the shift of the zero, by least squares of the lines that it explains.

    Args:
        metric: (6,) numbers to begin with.
        rows: (n, 6) monomials of the indices that lines may have.
        basis: (P, 6) of what the numbers are made up.
        lines: of the pattern.
    """
    zero = 0.0
    for wide in (1.0, 1.0, 0.7):
        place = lines.q - zero * lines.slope
        calculated = rows @ metric
        nearest = np.abs(calculated[None] - place[:, None]).argmin(1)
        good = np.abs(calculated[nearest] - place) < wide * lines.tolerance
        if good.sum() <= len(basis) + 1:
            break
        weight = 1 / lines.tolerance[good]
        columns = np.column_stack([rows[nearest[good]] @ basis.T, lines.slope[good]]) * weight[:, None]
        held = np.append(np.zeros(len(basis)), 1 / ZERO)
        values, *_ = np.linalg.lstsq(
            np.vstack([columns, held]), np.append(lines.q[good] * weight, 0.0), rcond=None
        )
        fresh = values[:-1] @ basis
        if not np.isfinite(volumes(fresh[None]))[0]:
            break
        metric, zero = fresh, float(values[-1])
    return metric, zero
