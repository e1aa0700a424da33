"""What to make: compositions that the prior draws, or the grid of the paper's section 5.4."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.errors import DiscoveryError
from crystalsmith.orders import Order, parse_orders, sort_out

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model

COMMON = 32
"""Space groups of the grid, as many as the paper has."""

LEAST_GROUP = 16
"""Of the grid: the paper's crystals are orthorhombic or of higher symmetry."""

DRAWN = 2000
"""Crystals that the prior draws unless told otherwise."""


def make_orders(settings: DiscoverySettings, model: Model) -> tuple[list[Order], list[str]]:
    """The orders of a run, those that no crystal can satisfy left out.

    Returns:
        Orders, and notes for the user.

    Raises:
        DiscoveryError: the checkpoint has no prior.
        OrderError: no order can be satisfied, or a formula that is none.
    """
    if model.prior is None:
        raise DiscoveryError(
            "the checkpoint has no prior over compositions and Wyckoff positions; add one with crystalsmith"
            " train-prior"
        )
    bounds: dict[str, Any] = {}
    if settings.space_groups:
        bounds["space_group"] = list(settings.space_groups)
    if settings.max_atoms is not None:
        bounds["max_atoms"] = settings.max_atoms
    rows = [
        {"id": f"{formula}", "formula": formula, "count": settings.samples, **bounds}
        for formula in settings.formulas
    ]
    if settings.common:
        rows += _grid(settings, model)
    elif settings.crystals != 0:
        more = {} if settings.max_sites is None else {"max_sites": settings.max_sites}
        count = DRAWN if settings.crystals is None else settings.crystals
        rows.append({"id": settings.name, "system": settings.name, "count": count, **bounds, **more})
    if settings.competitors:
        limit = {} if settings.max_atoms is None else {"max_atoms": settings.max_atoms}
        for size in range(2, len(settings.system)):
            for part in combinations(settings.system, size):
                name = "-".join(part)
                rows.append({"id": name, "system": name, "count": settings.competitors, **limit})
    checked = sort_out(parse_orders(rows), model)
    notes = list(checked.notes)
    if checked.refused:
        notes.append(f"{len(checked.refused)} of {len(rows)} orders are impossible: {checked.refused[0]}")
    return checked.orders, notes


def common_groups(model: Model) -> list[int]:
    """The most common space groups of the training set from ``LEAST_GROUP`` up, by frequency."""
    counts = Counter(g for g in model.occupations.space_group.tolist() if g >= LEAST_GROUP)
    return [g for g, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COMMON]]


def _grid(settings: DiscoverySettings, model: Model) -> list[dict[str, Any]]:
    groups = list(settings.space_groups) or common_groups(model)
    low, high = settings.sites
    most = settings.max_sites or len(settings.system) + 1
    numbers = [n for n in product(range(low, high + 1), repeat=len(settings.system)) if sum(n) <= most]
    cells = [(g, n) for n in numbers for g in groups]
    if not cells:
        raise DiscoveryError(
            f"{low} to {high} sites of each of {len(settings.system)} elements make more than {most}; raise"
            " --max-sites"
        )
    samples = settings.samples
    if settings.crystals is not None:
        samples = max(1, min(samples, settings.crystals // len(cells)))
    more = {} if settings.max_atoms is None else {"max_atoms": settings.max_atoms}
    return [
        {
            "id": f"{g}-" + "-".join(f"{e}{k}" for e, k in zip(settings.system, n, strict=True)),
            "space_group": g,
            "sites": dict(zip(settings.system, n, strict=True)),
            "count": samples,
            **more,
        }
        for g, n in cells
    ]
